//! With a real worker on the other side: a step that is submitted and followed is the step that is run.

use std::time::Duration;

use super::{Place, Told};
use crate::harness::run::eventually;
use crate::harness::step;

/// A worker that ends with the test.
struct Worker(std::process::Child);

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Place {
    fn worker(&self, flags: &[&str]) -> Worker {
        let mut command = self.command(&[&["worker"], flags].concat());
        // It has nothing of what the submitter has.
        command.env_remove("TOKEN").env_remove("KEY").stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        Worker(command.spawn().expect("the program starts"))
    }
}

#[test]
fn a_followed_step_is_the_same_as_a_run_one_and_its_secrets_are_masked() {
    let place = Place::new().env("TOKEN", "hunter22-token").env("KEY", "hunter22-key");
    std::fs::write(place.folder().join("password"), "hunter22-password\n").expect("written");
    std::fs::write(place.folder().join("app.yaml"), "kind: App\n").expect("written");
    let script = "echo \"$KEY and $PASSWORD\"; cat app.yaml; printf 'no newline'; sleep 0.2; echo \" $KEY\" >&2; \
        kubectl config view --raw -o jsonpath='{.users[0].user.token}'; exit 3";
    let payload = step(script).replace("token-of-the-test", "{fromEnv: TOKEN}")
        + "environment: {KEY: {fromEnv: KEY}, PASSWORD: {fromFile: password}}\n\
           files: {app.yaml: {fromFile: app.yaml}}\nrequires: [jq]\n";
    let path = place.payload(&payload);
    let file = place.folder().join("result.json");
    let file = file.to_str().expect("UTF-8");
    let run = place.kubestep(&["run", "-q", path.to_str().expect("UTF-8"), "--result", file]);
    assert_eq!(run.stdout, "******** and ********\nkind: Appno newline********");
    let _worker = place.worker(&["--slots", "2"]);
    let followed = place.submit(&payload, &["--follow", "--id", "a"]);
    assert_eq!((followed.code, &followed.stdout), (Some(3), &run.stdout), "{followed:?}");
    assert_eq!(run.code, Some(3));
    assert!(followed.stderr.contains(" ********\n") && !followed.stderr.contains("hunter22"), "{followed:?}");
    let again = place.kubestep(&["queue", "logs", "a", "-f"]);
    assert_eq!(again.stdout, run.stdout);
    let entry = place.kubestep(&["queue", "show", "a", "-o", "json"]);
    assert!(!entry.stdout.contains("hunter22"), "{entry:?}");
    let result = &entry.json()["ending"]["result"];
    assert_eq!((&result["kind"], &result["exitCode"]), (&"StepResult".into(), &3.into()));
    let own: serde_json::Value = serde_json::from_slice(&std::fs::read(file).expect("read")).expect("JSON");
    for field in ["warnings", "target", "tools", "script", "message"] {
        assert_eq!(result[field], own[field], "{field}");
    }
}

#[test]
fn what_a_worker_does_not_allow_is_refused_there_and_a_cancelled_step_ends_its_follower() {
    let place = Place::new();
    let _worker = place.worker(&[]);
    let asked = step("true") + "inheritEnvironment: [CI]\n";
    let refused = place.submit(&asked, &["--wait", "--id", "a"]);
    assert_eq!(refused.code, Some(65), "{refused:?}");
    assert!(refused.stderr.contains("a remote payload must not read the variable \"CI\""), "{refused:?}");
    let path = place.payload(&step("echo ready; sleep 60"));
    let follower = place
        .command(&["submit", path.to_str().expect("UTF-8"), "--id", "b", "-f"])
        .spawn()
        .expect("the program starts");
    eventually("it runs", Duration::from_secs(30), || {
        place.kubestep(&["queue", "logs", "b"]).stdout.contains("ready")
    });
    assert_eq!(place.kubestep(&["queue", "cancel", "b"]).code, Some(0));
    let told = Told::of(&follower.wait_with_output().expect("it ends"));
    assert_eq!((told.code, told.stdout.as_str()), (Some(143), "ready\n"), "{told:?}");
}
