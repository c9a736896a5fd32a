//! Whom the agent believes is whom kubectl believes: a table of servers, certificates and proxies, each tried by
//! the agent, for the namespace, and by real kubectls, in the script. (`--nocapture` prints it.)

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::harness::Run;
use crate::harness::api_stand_in::ApiStandIn;
use crate::harness::proxies::{AnyProxy, Kind};
use crate::harness::stand_in::{AUTHORITY, Pair, SERVER, Wish, server};
use crate::harness::tools::kubectls;

/// The verdicts, in words that both can be told in.
const FINE: &str = "fine";
const UNTRUSTED: &str = "untrusted";
const UNREACHABLE: &str = "unreachable";

/// One row: a server, how the payload describes it, and the verdict that both must give.
struct Row {
    name: &'static str,
    server: Arc<ServerConfig>,
    /// What of `target` is not as usual; `host` is the server's.
    target: Value,
    environment: Vec<(&'static str, String)>,
    verdict: &'static str,
}

impl Row {
    fn new(name: &'static str, server: Arc<ServerConfig>, authority: &str, verdict: &'static str) -> Self {
        let target = json!({"host": "127.0.0.1", "certificateAuthority": authority, "auth": {"token": "t0ken-of-the-row"}});
        Self { name, server, target, environment: Vec::new(), verdict }
    }

    fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.target[field] = value.into();
        self
    }

    fn without_authority(mut self) -> Self {
        self.target.as_object_mut().expect("a mapping").remove("certificateAuthority");
        self
    }

    fn env(mut self, name: &'static str, value: String) -> Self {
        self.environment.push((name, value));
        self
    }

    /// The agent's verdict, who gave it, and the verdict of kubectl by itself.
    fn tried(&self, kubectl: &Path) -> (String, &'static str, String) {
        let stand_in = ApiStandIn::start(Arc::clone(&self.server));
        let mut target = self.target.clone();
        let host = target.as_object_mut().and_then(|target| target.remove("host")).expect("a host");
        target["server"] = format!("https://{}:{}", host.as_str().expect("text"), stand_in.port).into();
        target["namespace"] = "shop".into();
        let script = "words=$(kubectl get namespace shop -o name 2>&1) && echo fine || echo \"$words\"";
        let payload = json!({
            "apiVersion": "kubestep/v1", "kind": "Step", "metadata": {"name": "row"},
            "target": target, "script": {"body": script},
        });
        let run = Run::new(payload.to_string()).kubectl(kubectl).loud().flags(&["-v"]).any_output();
        let run = self.environment.iter().fold(run, |run, (name, value)| run.env(name, value.clone()));
        let done = run.check();
        let agent = match done.result["warnings"].as_array().map_or(&[][..], Vec::as_slice) {
            [.., last] if last["code"] == "ClusterUntrusted" => UNTRUSTED.to_owned(),
            [.., last] if last["code"] == "ClusterUnreachable" => UNREACHABLE.to_owned(),
            [.., last] if last["code"] != "ToolMissing" => last["code"].to_string(),
            _ => FINE.to_owned(),
        };
        let by = if done.stderr.contains("kubectl is asked") { "kubectl" } else { "itself" };
        let words = done.stdout.trim();
        let own = match words {
            "fine" => FINE,
            _ if words.contains("x509: ") || words.contains("tls: ") => UNTRUSTED,
            _ => UNREACHABLE,
        };
        let own = if own == FINE { own.to_owned() } else { format!("{own}\t{}", last(words)) };
        (agent, by, own)
    }
}

fn last(words: &str) -> &str {
    words.lines().last().unwrap_or_default()
}

#[test]
fn the_agents_verdict_on_a_server_is_that_of_kubectl_by_itself() {
    let mut newest_and_oldest = kubectls();
    let oldest = newest_and_oldest.split_off(newest_and_oldest.len().min(1)).pop();
    newest_and_oldest.extend(oldest);
    if newest_and_oldest.is_empty() {
        return crate::harness::skipped("no kubectl in tools.json: run scripts/tools");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut rows = certificates(folder.path());
    rows.extend(clients());
    let (more, _kept) = proxies();
    rows.extend(more);
    let (mut table, mut faults) = (String::new(), Vec::new());
    writeln!(table, "{:<44} {:<12} {:<8} kubectl by itself", "", "agent", "by").expect("a string");
    for (version, path) in &newest_and_oldest {
        writeln!(table, "kubectl {version}").expect("a string");
        for row in &rows {
            let (agent, by, own) = row.tried(path);
            let (verdict, words) = own.split_once('\t').unwrap_or((&own, ""));
            writeln!(table, "  {:<42} {agent:<12} {by:<8} {verdict:<12} {words}", row.name)
                .expect("a string");
            if agent != verdict || verdict != row.verdict {
                faults.push(format!("{} ({version}): agent {agent}, kubectl {own}", row.name));
            }
        }
    }
    print(&table);
    assert!(faults.is_empty(), "{}\n{table}", faults.join("\n"));
}

#[expect(clippy::print_stdout, reason = "the table is what people want to see of this test")]
fn print(table: &str) {
    println!("{table}");
}

fn certificates(folder: &Path) -> Vec<Row> {
    let root = Pair::self_signed(&AUTHORITY);
    let other = Pair::self_signed(&Wish { common_name: "another authority", ..AUTHORITY });
    let middle = root.sign(&Wish { common_name: "the middle", ..AUTHORITY });
    let (good, below) = (root.sign(&SERVER), middle.sign(&SERVER));
    let key = PrivateKeyDer::from_pem_slice(below.key_pem().as_bytes()).expect("a key");
    let incomplete = server(below.chain[..1].to_vec(), key, None);
    let own = Pair::self_signed(&SERVER);
    let own_authority = Pair::self_signed(&Wish { authority: true, ..SERVER });
    let expired = root.sign(&Wish { expired: true, ..SERVER });
    let elsewhere = root.sign(&Wish { names: &["k8s.internal"], ..SERVER });
    let nameless = root.sign(&Wish { names: &[], common_name: "127.0.0.1", ..SERVER });
    let named_so = root.sign(&Wish { names: &[], common_name: "localhost", ..SERVER });
    let (strange_authority, strange) = p521(folder);
    let ca = root.pem();
    let bundle = folder.join("bundle.pem");
    std::fs::write(&bundle, &ca).expect("written");
    let bundle = bundle.display().to_string();
    vec![
        Row::new("private CA, name is an IP SAN", good.server(), &ca, FINE),
        Row::new("private CA, name is a DNS SAN", good.server(), &ca, FINE).with("host", "localhost"),
        Row::new("a bundle of two CAs", good.server(), &(other.pem() + &ca), FINE),
        Row::new("another CA", good.server(), &other.pem(), UNTRUSTED),
        Row::new("chain with intermediate", below.server(), &ca, FINE),
        Row::new("chain without its intermediate", incomplete, &ca, UNTRUSTED),
        Row::new("the intermediate given as CA", below.server(), &middle.pem(), FINE),
        Row::new("a leaf given as CA", good.server(), &good.pem(), FINE),
        Row::new("self-signed, given as CA", own.server(), &own.pem(), FINE),
        Row::new("self-signed CA:TRUE, given as CA", own_authority.server(), &own_authority.pem(), FINE),
        Row::new("self-signed, not given", own.server(), &ca, UNTRUSTED),
        Row::new("expired", expired.server(), &ca, UNTRUSTED),
        Row::new("expired, the leaf given as CA", expired.server(), &expired.pem(), UNTRUSTED),
        Row::new("wrong name", elsewhere.server(), &ca, UNTRUSTED),
        Row::new("CN only (an address)", nameless.server(), &ca, UNTRUSTED),
        Row::new("CN only (a name)", named_so.server(), &ca, UNTRUSTED).with("host", "localhost"),
        Row::new("P-521 CA", strange, &strange_authority, FINE),
        Row::new("tlsServerName, right", elsewhere.server(), &ca, FINE).with("tlsServerName", "k8s.internal"),
        Row::new("tlsServerName, wrong", good.server(), &ca, UNTRUSTED).with("tlsServerName", "k8s.internal"),
        skipping("insecureSkipTlsVerify, expired", expired.server()),
        skipping("insecureSkipTlsVerify, self-signed CA:TRUE", own_authority.server()),
        skipping("insecureSkipTlsVerify, CN only", nameless.server()),
        Row::new("no CA: not one of the system's", good.server(), &ca, UNTRUSTED).without_authority(),
        Row::new("no CA: SSL_CERT_FILE", good.server(), &ca, FINE)
            .without_authority()
            .env("SSL_CERT_FILE", bundle),
        Row::new("no CA: SSL_CERT_DIR", good.server(), &ca, FINE)
            .without_authority()
            .env("SSL_CERT_DIR", folder.display().to_string()),
    ]
}

fn skipping(name: &'static str, server: Arc<ServerConfig>) -> Row {
    Row::new(name, server, "", FINE).without_authority().with("insecureSkipTlsVerify", true)
}

fn clients() -> Vec<Row> {
    let (root, people) = (Pair::self_signed(&AUTHORITY), Pair::self_signed(&AUTHORITY));
    let server = root.sign(&SERVER).server_for(Some(&people));
    let auth = |client: &Pair| {
        let pair = json!({"certificate": client.pem(), "privateKey": client.key_pem()});
        json!({"clientCertificate": pair})
    };
    let person = Wish { names: &[], common_name: "person", ..SERVER };
    let (known, stranger) = (people.sign(&person), root.sign(&person));
    vec![
        Row::new("client certificate", Arc::clone(&server), &root.pem(), FINE).with("auth", auth(&known)),
        Row::new("client certificate of a stranger", Arc::clone(&server), &root.pem(), UNTRUSTED)
            .with("auth", auth(&stranger)),
        Row::new("client certificate, wanted, not given", server, &root.pem(), UNTRUSTED),
    ]
}

/// Rows, and the proxies that they need.
fn proxies() -> (Vec<Row>, Vec<AnyProxy>) {
    let root = Pair::self_signed(&AUTHORITY);
    let (server, ca) = (root.sign(&SERVER).server(), root.pem());
    let login = Some(("porter", "p@ss/word"));
    let in_tls = Kind::ConnectInTls(Arc::clone(&server));
    let kept = [
        AnyProxy::start(&Kind::Connect, None),
        AnyProxy::start(&Kind::Connect, login),
        AnyProxy::start(&in_tls, login),
        AnyProxy::start(&Kind::Socks5, None),
        AnyProxy::start(&Kind::Socks5, login),
        AnyProxy::start(&Kind::Refusing, None),
    ];
    let [open, closed, tls, socks, socks_closed, refusing] = kept.each_ref().map(|proxy| proxy.port);
    let row =
        |name, url: String, verdict| Row::new(name, Arc::clone(&server), &ca, verdict).with("proxyUrl", url);
    let (right, wrong) = ("porter:p%40ss%2Fword", "porter:guessed-wrong");
    let by_variable = |name, url: String, verdict| {
        Row::new(name, Arc::clone(&server), &ca, verdict).env("HTTPS_PROXY", url).with("host", "0.0.0.0")
    };
    let nowhere = "http://127.0.0.1:1".to_owned();
    let rows = vec![
        row("proxyUrl http", format!("http://127.0.0.1:{open}"), FINE),
        row("proxyUrl http, login", format!("http://{right}@127.0.0.1:{closed}"), FINE),
        row("proxyUrl http, wrong login", format!("http://{wrong}@127.0.0.1:{closed}"), UNREACHABLE),
        row("proxyUrl http, no login", format!("http://127.0.0.1:{closed}"), UNREACHABLE),
        row("proxyUrl http, refuses", format!("http://127.0.0.1:{refusing}"), UNREACHABLE),
        row("proxyUrl http, nobody there", nowhere.clone(), UNREACHABLE),
        row("proxyUrl https, login", format!("https://{right}@127.0.0.1:{tls}"), FINE),
        row("proxyUrl https, wrong login", format!("https://{wrong}@127.0.0.1:{tls}"), UNREACHABLE),
        row("proxyUrl socks5", format!("socks5://127.0.0.1:{socks}"), FINE),
        row("proxyUrl socks5, login", format!("socks5://{right}@127.0.0.1:{socks_closed}"), FINE),
        row(
            "proxyUrl socks5, wrong login",
            format!("socks5://{wrong}@127.0.0.1:{socks_closed}"),
            UNREACHABLE,
        ),
        row("proxyUrl beats NO_PROXY", nowhere.clone(), UNREACHABLE).env("NO_PROXY", "*".into()),
        by_variable("HTTPS_PROXY", format!("http://127.0.0.1:{open}"), FINE),
        by_variable("HTTPS_PROXY, login", format!("http://{right}@127.0.0.1:{closed}"), FINE),
        by_variable("HTTPS_PROXY without a scheme", format!("127.0.0.1:{open}"), FINE),
        by_variable("HTTPS_PROXY, nobody there", nowhere.clone(), UNREACHABLE),
        by_variable("NO_PROXY names the host", nowhere.clone(), FINE).env("NO_PROXY", "a,0.0.0.0".into()),
        by_variable("NO_PROXY names a network", nowhere.clone(), FINE).env("NO_PROXY", "0.0.0.0/8".into()),
        by_variable("NO_PROXY names others", nowhere.clone(), UNREACHABLE)
            .env("NO_PROXY", "10.0.0.0/8,b".into()),
        by_variable("HTTPS_PROXY and this machine", nowhere, FINE).with("host", "127.0.0.1"),
    ];
    (rows, kept.into())
}

/// An authority with a key that ring does not know, and a server with one that it does: made by openssl.
fn p521(folder: &Path) -> (String, Arc<ServerConfig>) {
    let place = |name: &str| folder.join(name).display().to_string();
    let [ca, ca_key, leaf, leaf_key] =
        ["p521-ca.crt", "p521-ca.key", "p521-leaf.crt", "p521-leaf.key"].map(place);
    let base = ["req", "-x509", "-config", "/dev/null", "-noenc", "-days", "2", "-newkey", "ec"];
    let authority = [
        "-pkeyopt",
        "ec_paramgen_curve:P-521",
        "-subj",
        "/CN=p521",
        "-addext",
        "basicConstraints=critical,CA:true",
    ];
    openssl([&base[..], &authority, &["-out", &ca, "-keyout", &ca_key]].concat());
    let server_ = [
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-subj",
        "/CN=stand-in",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ];
    openssl(
        [&base[..], &server_, &["-CA", &ca, "-CAkey", &ca_key, "-out", &leaf, "-keyout", &leaf_key]].concat(),
    );
    let read = |path: &str| std::fs::read_to_string(PathBuf::from(path)).expect("openssl wrote it");
    let chain = vec![CertificateDer::from_pem_slice(read(&leaf).as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(read(&leaf_key).as_bytes()).expect("PEM");
    (read(&ca), server(chain, key, None))
}

fn openssl(arguments: Vec<&str>) {
    let output =
        Command::new("openssl").args(arguments).stdin(Stdio::null()).output().expect("openssl is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
