//! Each form, as the real tool prints it: the masker hides all of it, and nothing around it.
//!
//! A tool that is not installed is told as skipped. Go's output is `golden/go.json`, made once by
//! `go run agent/src/mask/forms/golden/main.go` (Go 1.26); PowerShell's and cmd's are given by hand, from their
//! documentation.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::mask::Masker;

const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDDZp8x+V/b3mQx\n\
    q0T4n1Zr5uK7wYdPz3eGmHc2oVtLsJ9aBfXkRiCNMyQ6hEUgWSlIvDTjO8+pA/xZ\nZr5uK7wYdPz3eGmHcw==\n-----END PRIVATE KEY-----\n";

/// Nine unlike secrets.
const SECRETS: [&str; 9] = [
    "ghp0s3cr3tT0kenWith36Characters0000x",
    "p4ss\"W0rd'&<x>$HOME\\`id`!%^|(y);{z}*?[~=~#",
    "Pässwörd-ß€-𝄞-ü",
    PEM,
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJrdWJlIn0.c2ln-bmF0_dXJl",
    "correct horse battery staple",
    "postgres://app:s3cr3t/p%40ss@db.example:5432/app?sslmode=require&x=a+b,c",
    "tab\there \u{1}\u{1b}[0m \u{7f} end",
    "q8Zt+/v1==",
];

fn mask_all(value: &str, text: &[u8]) -> Vec<u8> {
    let masker = Masker::new("***");
    masker.add_bytes([value.as_bytes()]);
    masker.whole(text).bytes().to_vec()
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a tool prints of a value is hidden, and the sentence around it is not.
#[track_caller]
fn assert_hidden(value: &str, printed: &[u8]) {
    let sentence = [b"The tool said (", printed, b") and went on."].concat();
    let mut masked = show(&mask_all(value, &sentence));
    if value.ends_with('\n') {
        // What stands for the newline at its end may be seen.
        let rest =
            masked.strip_prefix("The tool said (***").and_then(|rest| rest.strip_suffix(") and went on."));
        if rest.is_some_and(|rest| rest.len() <= 6) {
            masked = "The tool said (***) and went on.".into();
        }
    }
    assert_eq!(masked, "The tool said (***) and went on.", "{:?} of {value:?}", show(printed));
}

/// Of what a tool prints of a value among other things, at most `fringe` bytes in a row are seen.
#[track_caller]
fn assert_no_trace(value: &str, printed: &[u8], fringe: usize) {
    let masked = show(&mask_all(value, printed));
    let longest = masked.split("***").map(str::len).max().unwrap_or(0);
    assert!(masked.contains("***") && longest <= fringe, "{masked:?} is left of {:?}", show(printed));
}

/// What a program prints, given a value as its standard input and as its last argument; `None` where it is not
/// installed.
fn run(words: &[&str], value: &str) -> Option<Vec<u8>> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.arg(value).spawn() else {
        skipped(words[0]);
        return None;
    };
    // A program that does not read has its value as an argument.
    let _ = child.stdin.take().expect("piped").write_all(value.as_bytes());
    let output = child.wait_with_output().expect("it runs");
    let (out, err) = (output.stdout, output.stderr);
    assert!(output.status.success(), "{words:?}: {}", show(&err));
    Some(if out.is_empty() { err } else { out })
}

#[expect(clippy::print_stdout, reason = "scripts/test counts what was skipped")]
fn skipped(program: &str) {
    println!("skipped: {program} is not installed");
}

/// Each secret through a bash script whose `$1` is the value.
fn bash(script: &str, mut judge: impl FnMut(&str, &[u8])) {
    for locale in ["C.UTF-8", "C"] {
        let environment = format!("LC_ALL={locale}");
        for value in SECRETS {
            if let Some(printed) = run(&["env", &environment, "bash", "-c", script, "bash"], value) {
                judge(value, printed.strip_suffix(b"\n").unwrap_or(&printed));
            }
        }
    }
}

/// Each secret through a Python expression of `v`.
fn python(expression: &str, mut judge: impl FnMut(&str, &[u8])) {
    let script = format!(
        "import sys,json,html,shlex,base64,urllib.parse,xml.sax.saxutils as x\nv=sys.argv[1]\nsys.stdout.buffer.write(({expression}).encode('utf-8','surrogateescape'))"
    );
    for value in SECRETS {
        if let Some(printed) = run(&["python3", "-c", &script], value) {
            judge(value, &printed);
        }
    }
}

fn jq(filter: &str, mut judge: impl FnMut(&str, &[u8])) {
    for value in SECRETS {
        if let Some(printed) = run(&["jq", "-nrj", filter, "--arg", "v"], value) {
            judge(value, &printed);
        }
    }
}

/// The inside of quotes.
fn inside(printed: &[u8]) -> &[u8] {
    &printed[1..printed.len() - 1]
}

#[test]
fn raw_and_without_its_last_newline() {
    for value in SECRETS {
        assert_hidden(value, value.as_bytes());
        assert_hidden(value, value.trim_end_matches('\n').as_bytes());
    }
}

#[test]
fn base64_of_the_value_alone() {
    bash("printf %s \"$1\" | base64 -w 0", assert_hidden);
    bash("printf %s \"$1\" | openssl base64 -A", assert_hidden);
    python("base64.urlsafe_b64encode(v.encode('utf-8','surrogateescape')).decode()", assert_hidden);
}

#[test]
fn base64_of_the_value_and_a_newline() {
    bash("echo \"$1\" | base64 -w 0", assert_hidden);
}

#[test]
fn base64_cores_at_each_alignment() {
    for before in ["", "x", "xy", "user:", "{\"auth\": \""] {
        for after in ["", "z", "zz", "\"}"] {
            let script = format!("printf '%s%s%s' '{before}' \"$1\" '{after}' | base64 -w 0");
            // What stands before and after, in base64, and a character that holds a bit of it on each side.
            let fringe = before.len().max(after.len()).div_ceil(3) * 4 + 3;
            bash(&script, |value, printed| assert_no_trace(value, printed, fringe));
        }
    }
}

#[test]
fn base64_cut_into_lines() {
    for width in [48, 64, 76, 100, 128] {
        bash(&format!("printf %s \"$1\" | base64 -w {width}"), assert_hidden);
        // In the middle of something longer, so that the cuts fall anywhere.
        let script = format!("printf '%0300d%s%0200d' 7 \"$1\" 7 | base64 -w {width}");
        bash(&script, |value, printed| {
            let masked = show(&mask_all(value, printed));
            let zeros = masked.matches("MDAw").count();
            assert!(masked.contains("***") && zeros > 100, "{masked}");
            // 300 and 200 zeros and two sevens, and their line ends, are all that is left.
            let left = masked.replace("***", "").replace('\n', "").len();
            assert!(left <= 500 * 4 / 3 + 8, "{masked}");
        });
    }
    bash("printf %s \"$1\" | openssl base64", assert_hidden);
    bash("printf %s \"$1\" | base64 -w 60 | sed 's/^/    /; s/$/\\r/'", |value, printed| {
        assert_no_trace(value, printed, 4);
    });
}

#[test]
fn base64_of_utf_16_as_powershell_takes_it() {
    python("base64.b64encode(('$p = \"' + v + '\"').encode('utf-16-le')).decode()", |value, printed| {
        assert_no_trace(value, printed, 20);
    });
}

#[test]
fn utf_16() {
    for value in SECRETS {
        let wide: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_hidden(value, &wide);
    }
}

#[test]
fn hex_lower_and_upper_also_cut_into_lines() {
    python("v.encode('utf-8','surrogateescape').hex()", assert_hidden);
    python("v.encode('utf-8','surrogateescape').hex().upper()", assert_hidden);
    bash("printf %s \"$1\" | xxd -p", assert_hidden);
    bash("printf %s \"$1\" | xxd -p -u -c 32", assert_hidden);
}

#[test]
fn percent_upper_lower_and_path() {
    python("urllib.parse.quote(v,safe='')", assert_hidden);
    python("__import__('re').sub('%..',lambda m:m[0].lower(),urllib.parse.quote(v,safe=''))", assert_hidden);
    python("urllib.parse.quote(v,safe=\"/:@!$&'()*+,;=\")", assert_hidden);
    jq("$v|@uri", assert_hidden);
}

#[test]
fn percent_as_encode_uri_component_writes_it() {
    for value in SECRETS {
        let script = "process.stdout.write(encodeURIComponent(process.argv[1]))";
        if let Some(printed) = run(&["node", "-e", script, "--"], value) {
            assert_hidden(value, &printed);
        }
    }
}

#[test]
fn forms_with_plus_for_a_blank() {
    python("urllib.parse.quote_plus(v)", assert_hidden);
    for value in SECRETS {
        let script = "process.stdout.write(new URLSearchParams({v: process.argv[1]}).toString().slice(2))";
        if let Some(printed) = run(&["node", "-e", script, "--"], value) {
            assert_hidden(value, &printed);
        }
    }
}

#[test]
fn json_ascii() {
    python("json.dumps(v)", |value, printed| assert_hidden(value, inside(printed)));
}

#[test]
fn json_utf_8() {
    python("json.dumps(v,ensure_ascii=False)", |value, printed| assert_hidden(value, inside(printed)));
    jq("$v|tojson", |value, printed| assert_hidden(value, inside(printed)));
}

#[test]
fn json_with_escaped_slashes_as_php_writes_it() {
    python("json.dumps(v).replace('/','\\\\/')", |value, printed| assert_hidden(value, inside(printed)));
    python("json.dumps(v,ensure_ascii=False).replace('/','\\\\/')", |value, printed| {
        assert_hidden(value, inside(printed));
    });
}

#[test]
fn json_twice() {
    let judge = |value: &str, printed: &[u8]| assert_hidden(value, &printed[3..printed.len() - 3]);
    python("json.dumps(json.dumps(v))", judge);
    python("json.dumps(json.dumps(v,ensure_ascii=False),ensure_ascii=False)", judge);
    jq("$v|tojson|tojson", judge);
}

#[test]
fn xml_and_html_text_and_attributes() {
    python("x.escape(v)", assert_hidden);
    python("x.escape(v,{'\"':'&quot;',\"'\":'&apos;'})", assert_hidden);
    python("x.quoteattr(v)[1:-1] if '\"' not in v else x.escape(v,{'\"':'&quot;'})", assert_hidden);
    python("html.escape(v)", assert_hidden);
    jq("$v|@html", |value, printed| {
        // jq writes &#39; and &quot;, which is neither's form, where a value holds both.
        if !(value.contains('\'') && value.contains('"')) {
            assert_hidden(value, printed);
        }
    });
}

#[test]
fn everything_that_go_writes() {
    let golden: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(include_str!("golden/go.json")).expect("JSON");
    for forms in golden {
        let value = forms["value"].as_str().expect("text");
        for (name, printed) in &forms {
            let printed = printed.as_str().expect("text").as_bytes();
            let printed = match name.as_str() {
                "%q" | "json" => inside(printed),
                "json twice" => &printed[3..printed.len() - 3],
                // Go's XML has no room for control characters: it puts another one in their place.
                "xml" if show(printed).contains('\u{fffd}') => continue,
                _ => printed,
            };
            assert_hidden(value, printed);
        }
    }
}

#[test]
fn shell_single_quotes() {
    python("shlex.quote(v)", |value, printed| {
        let quoted = printed.starts_with(b"'") && printed.ends_with(b"'") && printed != value.as_bytes();
        assert_hidden(value, if quoted { inside(printed) } else { printed });
    });
    bash("printf \"'%s'\" \"${1//\\'/\\'\\\\\\'\\'}\"", |value, printed| {
        assert_hidden(value, inside(printed))
    });
    jq("$v|@sh", |value, printed| assert_hidden(value, inside(printed)));
}

#[test]
fn shell_double_quotes_as_declare_writes_them() {
    bash("declare -p 1 2>/dev/null; x=$1; declare -p x", |value, printed| {
        let printed = printed.strip_prefix(b"declare -- x=").expect("a declaration");
        let inside =
            if printed.starts_with(b"$'") { &printed[2..printed.len() - 1] } else { inside(printed) };
        assert_hidden(value, inside);
    });
}

#[test]
fn printf_q() {
    bash("printf %q \"$1\"", |value, printed| {
        let plain = printed.strip_prefix(b"$'").and_then(|rest| rest.strip_suffix(b"'"));
        assert_hidden(value, plain.unwrap_or(printed));
    });
}

#[test]
fn printf_q_of_every_ascii_character() {
    for byte in 1..0x80_u8 {
        let value = format!("ab=~cd:~ef{0}gh{0}#~ij", char::from(byte));
        for words in
            [["bash", "-c", "printf %q \"$1\"", "bash"], ["bash", "-c", "printf '%s' \"${1@Q}\"", "bash"]]
        {
            let Some(printed) = run(&words, &value) else { return };
            let plain = printed.strip_prefix(b"$'").or_else(|| printed.strip_prefix(b"'"));
            let plain = plain.and_then(|rest| rest.strip_suffix(b"'"));
            assert_hidden(&value, plain.unwrap_or(&printed));
        }
    }
}

#[test]
fn bash_x() {
    bash("set -x; : \"$1\"", |value, printed| {
        let printed = printed.strip_prefix(b"+ : ").expect("a trace");
        let plain = printed.strip_prefix(b"$'").or_else(|| printed.strip_prefix(b"'"));
        let plain = plain.and_then(|rest| rest.strip_suffix(b"'")).unwrap_or(printed);
        // Older bash ends a quoted word whose last character is a quote without an empty pair.
        assert_no_trace(value, &[b"(", plain, b")"].concat(), 2);
    });
}

#[test]
fn powershell_and_cmd() {
    assert_hidden("it's \"x\" $y `z", b"it''s \"x\" $y `z");
    assert_hidden("it's \"x\" $y `z", b"it's `\"x`\" `$y ``z");
    assert_hidden("it's \"x\" $y `z", b"it's \"\"x\"\" $y `z");
    assert_hidden("a^b&c|d<e>f(g)h%i!j\"k", b"a^^b^&c^|d^<e^>f^(g^)h^%i^!j^\"k");
}

#[test]
fn c_arguments_and_sql() {
    assert_hidden("say \"hi\" now", b"say \\\"hi\\\" now");
    assert_hidden("it's secret", b"it''s secret");
    python("\"'\" + v.replace(\"'\",\"''\") + \"'\"", |value, printed| assert_hidden(value, inside(printed)));
}

#[test]
fn python_repr() {
    python("repr(v)", |value, printed| assert_hidden(value, inside(printed)));
    python("repr(v.encode('utf-8','surrogateescape'))[1:]", |value, printed| {
        assert_hidden(value, inside(printed));
    });
}

#[test]
fn several_lines_in_every_shape() {
    let lines: Vec<&str> = PEM.trim_end().lines().collect();
    for between in ["\n", "\r\n", " ", "\n    ", "\r\n\t", "\n\n", "\n\x1b[32m  ", "\x1b[0m\r\n"] {
        assert_hidden(PEM, lines.join(between).as_bytes());
    }
    bash("echo $1", |value, printed| {
        // Globs and words are bash's own; the key is joined by blanks.
        if value == PEM {
            assert_hidden(value, printed);
        }
    });
    for line in &lines[1..lines.len() - 1] {
        assert_hidden(PEM, line.as_bytes());
    }
    assert_eq!(show(&mask_all(PEM, lines[0].as_bytes())), lines[0], "the frame is no secret");
    let prefixed: String = lines.iter().map(|line| format!("web_1 | {line}\n")).collect();
    let expected = "web_1 | -----BEGIN PRIVATE KEY-----\nweb_1 | ***\nweb_1 | ***\nweb_1 | ***\nweb_1 | -----END PRIVATE KEY-----\n";
    assert_eq!(show(&mask_all(PEM, prefixed.as_bytes())), expected);
}

#[test]
fn lines_too_short_to_be_looked_for_are_hidden_with_the_usual_indents() {
    let value = "abc\ndef\nghi";
    for between in ["\n", "\r\n", " ", "\n  ", "\n\t", "\r\n        ", "\n\n"] {
        assert_hidden(value, ["abc", "def", "ghi"].join(between).as_bytes());
    }
}

#[test]
fn structured_secrets_are_hidden_whole_and_by_their_leaves_and_never_by_their_lines() {
    let kubeconfig = "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {server: \"https://k8s.example\"}\n\
        users:\n- name: deploy\n  user:\n    token: tok-0123456789\n    client-key-data: cHJpdmF0ZS1rZXktYnl0ZXM=\n\
        - name: plugin\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      env:\n      - name: AWS_SECRET\n        value: exec-secret-value\n";
    assert_hidden(kubeconfig, kubeconfig.as_bytes());
    for leaf in ["tok-0123456789", "cHJpdmF0ZS1rZXktYnl0ZXM=", "private-key-bytes", "exec-secret-value"] {
        assert_hidden(kubeconfig, leaf.as_bytes());
    }
    for plain in ["apiVersion: v1", "kind: Config", "https://k8s.example", "  user:"] {
        assert_eq!(show(&mask_all(kubeconfig, plain.as_bytes())), plain);
    }
    let key = serde_json::to_string_pretty(&serde_json::json!({
        "type": "service_account", "project_id": "my-project", "private_key_id": "0123456789abcdef",
        "private_key": PEM, "client_email": "deploy@my-project.iam.gserviceaccount.com",
    }))
    .expect("JSON");
    assert_hidden(&key, key.as_bytes());
    assert_hidden(&key, PEM.as_bytes());
    assert_hidden(&key, PEM.lines().nth(1).expect("a line").as_bytes());
    for plain in ["\"type\": \"service_account\",", "my-project", "deploy@my-project.iam.gserviceaccount.com"]
    {
        assert_eq!(show(&mask_all(&key, plain.as_bytes())), plain);
    }
}

#[test]
fn a_common_word_is_hidden_as_it_is_and_in_no_other_form() {
    for word in ["true", "default", "password", "8080"] {
        assert_hidden(word, word.as_bytes());
    }
    let hex = b"70617373776f7264";
    assert_eq!(mask_all("password", hex), hex);
}

#[test]
fn each_form_of_nine_secrets_is_hidden_in_a_sentence_and_the_sentence_is_not() {
    let mut forms = super::Forms::default();
    for value in SECRETS {
        forms.all.clear();
        forms.add(value.as_bytes(), super::Scope::All);
        for form in &forms.all {
            let sentence = [b"The tool said (", forms.of(form), b") and went on."].concat();
            let masked = show(&mask_all(value, &sentence));
            assert_eq!(masked, "The tool said (***) and went on.", "{} of {value:?}", form.name);
        }
    }
}
