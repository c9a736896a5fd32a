//! A stand-in for an API server that does what no real one does on demand: odd certificates, odd answers.

use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

use super::stand_in::{head, listen};

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status and a document.
    Json(u16, String),
    /// A status and a page.
    Html(u16),
    /// 100 MB of JSON's beginning.
    Endless,
    /// Nothing, for ever.
    Nothing,
    /// Bytes that are no HTTP.
    Noise,
    /// A status of 403 that repeats what the client sent.
    Echo,
}

/// A server that listens.
pub(crate) struct ApiStandIn {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl ApiStandIn {
    /// One that has every namespace.
    pub(crate) fn start(tls: Arc<ServerConfig>) -> Self {
        Self::answering(tls, |_| Reply::Json(200, namespace("Active")))
    }

    /// One whose answers are the test's; `reply` is given the method and the path.
    pub(crate) fn answering(
        tls: Arc<ServerConfig>,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (noted, reply) = (Arc::clone(&requests), Arc::new(reply));
        let port = listen(Some(tls), move |stream| {
            let (noted, reply) = (Arc::clone(&noted), Arc::clone(&reply));
            Box::pin(async move {
                let mut stream = BufReader::new(stream);
                let head = head(&mut stream).await?;
                let line = head[0].trim_end_matches(" HTTP/1.1").to_owned();
                let length = head.iter().find_map(|line| {
                    line.to_lowercase().strip_prefix("content-length: ").and_then(|n| n.parse().ok())
                });
                stream.read_exact(&mut vec![0; length.unwrap_or(0)]).await?;
                // What kubectl asks before it asks what it was asked.
                let reply = discovery(&line).unwrap_or_else(|| {
                    noted.lock().expect("no panic").push(line.clone());
                    reply(&line)
                });
                answer(&mut stream, reply, &head).await?;
                stream.shutdown().await
            })
        });
        Self { port, requests }
    }

    /// What it was asked, discovery left out.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

async fn answer(
    stream: &mut (impl tokio::io::AsyncWrite + Unpin),
    reply: Reply,
    head: &[String],
) -> std::io::Result<()> {
    let message = |status: u16, kind: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} Stand-In\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Location: https://127.0.0.1:1/elsewhere\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let text = match reply {
        Reply::Json(status, body) => message(status, "application/json", &body),
        Reply::Html(status) => message(status, "text/html", "<html><body>Please log in</body></html>"),
        Reply::Noise => "220 mail.example ESMTP ready\r\n".repeat(20),
        Reply::Nothing => return std::future::pending().await,
        Reply::Echo => {
            let status =
                serde_json::json!({"kind": "Status", "reason": "Forbidden", "message": head.join(" | ")});
            message(403, "application/json", &status.to_string())
        }
        Reply::Endless => {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            let piece = [b' '; 100_000];
            for _ in 0..1000 {
                stream.write_all(&piece).await?;
            }
            return Ok(());
        }
    };
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

/// A namespace in this phase.
pub(crate) fn namespace(phase: &str) -> String {
    let metadata = serde_json::json!({"name": "shop", "uid": "1"});
    let status = serde_json::json!({"phase": phase});
    let document =
        serde_json::json!({"kind": "Namespace", "apiVersion": "v1", "metadata": metadata, "status": status});
    document.to_string()
}

/// What an API server says that something is not there, or is already.
pub(crate) fn status(code: u16, reason: &str) -> Reply {
    let message = format!("namespaces \"shop\" {reason}");
    let details = serde_json::json!({"name": "shop", "kind": "namespaces"});
    let document = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
        "message": message, "details": details,
    });
    Reply::Json(code, document.to_string())
}

fn discovery(line: &str) -> Option<Reply> {
    let path = line.strip_prefix("GET ")?.split('?').next()?;
    // Rancher's kind of path comes before all others.
    let document = match path.trim_start_matches("/k8s/c-1") {
        "/api" => serde_json::json!({"kind": "APIVersions", "versions": ["v1"]}),
        "/apis" => serde_json::json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}),
        "/api/v1" => serde_json::json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
            {"name": "namespaces", "singularName": "namespace", "namespaced": false, "kind": "Namespace", "verbs": ["get", "create"]}
        ]}),
        _ => return None,
    };
    Some(Reply::Json(200, document.to_string()))
}
