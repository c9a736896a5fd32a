//! Accounts that come packed: a PFX by the source's own recipe, and somebody's kubeconfig, on the real cluster.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::harness::cluster::{Cluster, cluster};
use crate::harness::run::{Done, Run};
use crate::harness::tools::newest_and_oldest;
use crate::harness::{skipped, step};

const WHO: &str = "kubectl auth whoami -o jsonpath='{.status.userInfo.username}{\"\\n\"}'";
/// What the oldest kubectl can ask: whether it is an administrator.
const CAN: &str = "kubectl auth can-i '*' '*'";

/// A payload whose account brings its own server.
fn imported(auth: &str, script: &str) -> String {
    let payload = step(script);
    let target = "target:\n  server: https://127.0.0.1:1\n  auth: {token: token-of-the-test}\n";
    assert!(payload.contains(target), "{payload}");
    payload.replace(target, &format!("target:\n  auth: {auth}\n"))
}

/// A kubeconfig for the cluster, with another context before the one that counts.
fn kubeconfig(cluster: &Cluster, authority: &str, user: &str) -> String {
    let server = cluster.fact("server");
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: elsewhere\n  cluster: {{server: https://127.0.0.1:1}}\n\
         - name: here\n  cluster: {{server: {server}, {authority}}}\n\
         users:\n\
         - name: nobody\n  user: {{token: token-of-nobody}}\n\
         - name: me\n  user: {user}\n\
         contexts:\n\
         - name: far\n  context: {{cluster: elsewhere, user: nobody}}\n\
         - name: near\n  context: {{cluster: here, user: me, namespace: kube-system}}\n\
         current-context: near\n"
    )
}

fn with_data(cluster: &Cluster, user: &str) -> String {
    let ca = STANDARD.encode(cluster.read("ca"));
    kubeconfig(cluster, &format!("certificate-authority-data: {ca}"), user)
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("executable");
}

fn assert_imported(done: &Done) {
    assert_eq!(done.result["target"]["auth"], "kubeconfig");
    assert_eq!(done.result["target"]["namespace"], "kube-system");
}

#[test]
fn a_pfx_by_the_sources_own_recipe_logs_in() {
    let Some(cluster) = cluster() else { return };
    let script = format!("{CAN}; echo \"$PFX\"");
    let pfx = "{clientCertificate: {pfx: {fromFile: certificate_and_key.pfx}}}";
    let run = Run::new(cluster.step(pfx, &script) + "inheritEnvironment: [PFX]\n");
    // The lines of the source, but for the last backslash, which is a slip of it.
    let recipe = "echo $1 | base64 --decode > certificate.crt
        echo $2 | base64 --decode > private.key
        openssl pkcs12 \\
          -passout pass: \\
          -export \\
          -out certificate_and_key.pfx \\
          -in certificate.crt \\
          -inkey private.key";
    let made = Command::new("bash")
        .args(["-ec", recipe, "recipe"])
        .args([STANDARD.encode(cluster.read("adminCertificate")), STANDARD.encode(cluster.read("adminKey"))])
        .current_dir(run.folder())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skipped("there is no openssl to make PFX files with");
    }
    let pfx = std::fs::read(run.folder().join("certificate_and_key.pfx")).expect("made");
    let done = run.env("PFX", STANDARD.encode(pfx)).stdout("yes\n********\n").check();
    assert_eq!(done.result["target"]["auth"], "clientCertificate");
}

#[test]
fn a_wrong_pfx_password_is_refused_before_anything_starts() {
    let payload = step("echo started").replace(
        "{token: token-of-the-test}",
        "{clientCertificate: {pfx: {fromFile: client.pfx}, password: hunter22}}",
    );
    let run = Run::new(payload);
    let made = Command::new("bash")
        .args(["-ec", "openssl req -x509 -nodes -newkey ed25519 -keyout k -out c -subj /CN=x 2>/dev/null; openssl pkcs12 -export -in c -inkey k -out client.pfx -passout pass:hunter23"])
        .current_dir(run.folder())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skipped("there is no openssl to make PFX files with");
    }
    let at = run.payload_path().display().to_string();
    let told = format!(
        "kubestep: error: {at}:6:35: target.auth.clientCertificate.pfx: the password is wrong, or the PFX is damaged; \
         hint: try it with: openssl pkcs12 -in FILE -noout -legacy\n"
    );
    run.code(65).stderr(&told).check();
}

#[test]
fn a_kubeconfig_with_a_token_logs_in_with_any_kubectl() {
    let Some(cluster) = cluster() else { return };
    for (_, kubectl) in newest_and_oldest() {
        let content = with_data(cluster, &format!("{{token: {}}}", cluster.read("adminToken").trim()));
        let script = format!(
            "{CAN}; kubectl config view -o jsonpath='{{.contexts[*].name}} {{.users[*].name}} {{.clusters[*].name}}{{\"\\n\"}}'; \
             kubectl config view --raw -o jsonpath='{{.users[0].user.token}}{{\"\\n\"}}'; echo token-of-nobody"
        );
        let run = Run::new(imported("{kubeconfig: {content: {fromFile: config}}}", &script));
        let stdout = "yes\nkubestep kubestep kubestep\n********\n********\n";
        assert_imported(&run.file("config", content).kubectl(&kubectl).stdout(stdout).check());
    }
}

#[test]
fn a_kubeconfig_with_a_client_certificate_logs_in() {
    let Some(cluster) = cluster() else { return };
    let packed = |name: &str| STANDARD.encode(cluster.read(name));
    let user = format!(
        "{{client-certificate-data: {}, client-key-data: {}}}",
        packed("adminCertificate"),
        packed("adminKey")
    );
    let script = format!("{CAN}; kubectl config view --raw -o jsonpath='{{.users[0].user.client-key-data}}'");
    let run = Run::new(imported("{kubeconfig: {content: {fromEnv: CONFIG}, context: near}}", &script));
    assert_imported(&run.env("CONFIG", with_data(cluster, &user)).stdout("yes\n********").check());
}

#[test]
fn a_kubeconfig_with_files_beside_it_logs_in_from_anywhere() {
    let Some(cluster) = cluster() else { return };
    for (user, who) in [
        ("{client-certificate: admin.pem, client-key: keys/admin.key}", None),
        ("{tokenFile: ./token}", Some("system:serviceaccount:default:import-files\n")),
    ] {
        let run = Run::new(imported(
            "{kubeconfig: {content: {fromFile: deep/config}}}",
            if who.is_some() { WHO } else { CAN },
        ));
        let deep = run.folder().join("deep");
        std::fs::create_dir_all(deep.join("keys")).expect("made");
        let write = |name: &str, text: String| std::fs::write(deep.join(name), text).expect("written");
        write("config", kubeconfig(cluster, "certificate-authority: ca.pem", user));
        write("ca.pem", cluster.read("ca"));
        write("admin.pem", cluster.read("adminCertificate"));
        write("keys/admin.key", cluster.read("adminKey"));
        if who.is_some() {
            write("token", cluster.service_account("import-files") + "\n");
        }
        assert_imported(&run.stdout(who.unwrap_or("yes\n")).check());
    }
}

/// Prints an `ExecCredential` with a service account's token: a stand-in for a cloud's plugin.
const STAND_IN_PLUGIN: &str = "#!/bin/bash
[ \"$1\" = get-token ] || exit 7
cat <<EOT
{\"kind\": \"ExecCredential\", \"apiVersion\": \"client.authentication.k8s.io/v1beta1\",
 \"status\": {\"token\": \"$STAND_IN_TOKEN\"}}
EOT
";

#[test]
fn a_kubeconfig_with_an_exec_plugin_runs_it_in_the_step() {
    let Some(cluster) = cluster() else { return };
    let token = cluster.service_account("import-exec");
    for (_, kubectl) in newest_and_oldest() {
        let user = format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1beta1, command: plugins/stand-in-plugin, args: [get-token], \
             env: [{{name: STAND_IN_TOKEN, value: {token}}}], interactiveMode: Never, provideClusterInfo: true}}}}"
        );
        // The oldest has no `whoami`; what the account may not do tells its name.
        let script = format!(
            "kubectl get secrets 2>&1 | grep -o 'system:serviceaccount:[a-z:-]*'; \
             kubectl config view --raw -o jsonpath='{{.users[0].user.exec.args}} {{.users[0].user.exec.env[0].value}}{{\"\\n\"}}'; echo {token}"
        );
        let payload = imported("{kubeconfig: {content: {fromFile: config}}}", &script);
        let run = Run::new(payload).file("config", with_data(cluster, &user));
        std::fs::create_dir(run.folder().join("plugins")).expect("made");
        program(&run.folder().join("plugins/stand-in-plugin"), STAND_IN_PLUGIN);
        let stdout = "system:serviceaccount:default:import-exec\n[\"get-token\"] ********\n********\n";
        assert_imported(&run.kubectl(&kubectl).stdout(stdout).check());
    }
}

#[test]
fn a_bare_plugin_is_found_on_the_scripts_path_and_gets_its_own_configuration() {
    let Some(cluster) = cluster() else { return };
    let token = cluster.service_account("import-bare");
    let user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: stand-in-plugin, args: [get-token], \
                interactiveMode: IfAvailable, provideClusterInfo: true}}";
    let authority = format!(
        "certificate-authority-data: {}, extensions: [{{name: client.authentication.k8s.io/exec, \
         extension: {{audience: for-the-plugin}}}}]",
        STANDARD.encode(cluster.read("ca"))
    );
    let checks = "[[ $KUBERNETES_EXEC_INFO == *'\"audience\":\"for-the-plugin\"'* ]] || exit 8\ncat <<EOT";
    let plugin = STAND_IN_PLUGIN.replace("/v1beta1", "/v1").replace("cat <<EOT", checks);
    let payload = imported("{kubeconfig: {content: {fromFile: config}}}", WHO)
        + "environment: {STAND_IN_TOKEN: {fromEnv: STAND_IN_TOKEN}}\n";
    let run = Run::new(payload);
    program(&run.folder().join("bin/stand-in-plugin"), &plugin);
    let run = run.file("config", kubeconfig(cluster, &authority, user)).env("STAND_IN_TOKEN", token);
    assert_imported(&run.stdout("system:serviceaccount:default:import-bare\n").check());
}

#[test]
fn a_kubeconfig_that_speaks_for_somebody_else_still_does() {
    let Some(cluster) = cluster() else { return };
    let token = cluster.read("adminToken");
    let user = format!("{{token: {}, as: somebody, as-groups: [some, others]}}", token.trim());
    let script = "kubectl auth whoami -o jsonpath='{.status.userInfo.username} {.status.userInfo.groups}'";
    let run = Run::new(imported("{kubeconfig: {content: {fromFile: config}}}", script));
    let stdout = "somebody [\"some\",\"others\",\"system:authenticated\"]";
    assert_imported(&run.file("config", with_data(cluster, &user)).stdout(stdout).check());
}

#[test]
fn a_remote_payload_brings_no_plugin_of_its_own_choice() {
    let Some(cluster) = cluster() else { return };
    let user = "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: /bin/cat}}";
    let content = serde_json::json!(with_data(cluster, user));
    let run = Run::new(imported(&format!("{{kubeconfig: {{content: {content}}}}}"), "echo started"));
    let at = run.payload_path().display().to_string();
    let told = format!(
        "kubestep: error: {at}:5:32: target.auth.kubeconfig.content: at 12:76 of the kubeconfig: users[1].user.exec.command: \
         a remote payload must not choose tools of the worker; \
         hint: the operator's config allows it with [remote] tools = […]\n"
    );
    run.flags(&["--origin", "remote"]).code(65).stderr(&told).check();
}
