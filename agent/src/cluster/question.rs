//! Asks about one namespace: directly while that brings answers, by kubectl from the first time that it does not.

use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::NAMESPACES;
use super::answer::{Doubt, Known, Question, of_http, with_clocks};
use super::direct;
use super::kubectl::{Kubectl, late};
use crate::causes::with_causes;
use crate::https::{Client, Content, Request};
use crate::payload::Step;
use crate::plan::Access;

/// Whoever answers questions about a namespace.
pub(super) struct Asker<'a> {
    step: &'a Step,
    access: &'a Access,
    client: Option<Client>,
    kubectl: &'a Kubectl<'a>,
    deadline: Instant,
}

/// Below which, in milliseconds, no kubectl is started any more: it could not even connect.
const TOO_LATE: u128 = 50;

impl<'a> Asker<'a> {
    pub(super) fn new(
        step: &'a Step,
        access: &'a Access,
        kubectl: &'a Kubectl<'a>,
        deadline: Instant,
    ) -> Self {
        let client = match direct::client(step, access, kubectl.environment) {
            Some(Ok(client)) => Some(client),
            Some(Err(error)) => {
                tracing::debug!("{}; kubectl is asked", with_causes(&error));
                None
            }
            None => None,
        };
        Self { step, access, client, kubectl, deadline }
    }

    /// Asks.
    pub(super) async fn ask(&mut self, question: Question) -> Result<Known, Doubt> {
        if let Some(client) = &self.client {
            match client.send(&self.request(question), self.deadline).await {
                Ok(answer) => {
                    let known = of_http(question, answer.status, &answer.body);
                    return known.map_err(|doubt| with_clocks(doubt, answer.date, Timestamp::now()));
                }
                Err(error) if error.is_answer() => return Err(Doubt::Strange(error.to_string())),
                Err(error) => tracing::debug!("{}; kubectl is asked", with_causes(&error)),
            }
        }
        if self.deadline.saturating_duration_since(Instant::now()).as_millis() < TOO_LATE {
            return Err(late());
        }
        // Whatever kept us from asking will do so again.
        self.client = None;
        let place = (self.access.server.as_str(), self.step.target.namespace.as_str());
        self.kubectl.ask(question, place, self.deadline).await
    }

    fn request(&self, question: Question) -> Request {
        let name = &self.step.target.namespace;
        match question {
            Question::Get => Request::get(format!("{NAMESPACES}/{name}")),
            Question::Create => {
                let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
                Request::post(NAMESPACES, Content::Json(namespace.to_string()))
            }
        }
    }
}
