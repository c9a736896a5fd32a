//! Text that is no document, or too much of one.

use super::{Kind, MAX_NODES, Node, STEP, read};
use crate::payload::MAX_BYTES;

fn told(text: impl AsRef<[u8]>) -> String {
    match read(text.as_ref(), &STEP) {
        Ok(_) => panic!("accepted"),
        Err(problem) => problem.to_string(),
    }
}

fn field(node: &Node, name: &str) -> Node {
    let Kind::Mapping(entries) = &node.kind else { panic!("no mapping") };
    entries
        .iter()
        .find(|(key, _)| key.name == name)
        .map(|(_, node)| node.clone())
        .expect("the field is there")
}

fn text(node: &Node) -> String {
    let Kind::Scalar(scalar) = &node.kind else { panic!("no scalar") };
    scalar.text.clone()
}

#[test]
fn scalars_stay_as_they_are_written() {
    let node = read(b"a: 1.20\nb: 0644\nc: on\nd: !!str 5\ne: ~\nf:\ng: 'null'\n", &STEP).ok().unwrap();
    let raw: Vec<String> = ["a", "b", "c", "d", "g"].iter().map(|name| text(&field(&node, name))).collect();
    assert_eq!(raw, ["1.20", "0644", "on", "5", "null"]);
    assert!(matches!(field(&node, "e").kind, Kind::Null) && matches!(field(&node, "f").kind, Kind::Null));
}

#[test]
fn aliases_are_followed() {
    let node = read(b"a: &x {b: [1, 2]}\nc: *x\n", &STEP).ok().unwrap();
    let Kind::Sequence(nodes) = field(&field(&node, "c"), "b").kind else { panic!("no list") };
    assert_eq!(nodes.len(), 2);
}

#[test]
fn aliases_without_end_are_refused() {
    let mut bomb = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", "));
    }
    let expected = "aliases copy more than 8 MiB or 100000 values; write fewer of them";
    assert!(told(&bomb).ends_with(expected), "{}", told(&bomb));
    let large = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), ["*a"; 1000].join(", "));
    assert!(told(&large).ends_with(expected), "{}", told(&large));
    assert_eq!(told("a: &a [*a]\n"), "1:8: a[0]: an alias inside of its own anchor");
}

#[test]
fn what_is_no_yaml_says_where() {
    for (text, words) in [
        ("a: b\n\tc: d\n", "2:1: a tab in the indentation; YAML is indented with spaces"),
        ("a:\n\tb: c\n", "2:1: a tab in the indentation; YAML is indented with spaces"),
        ("a:\n  b: c\n\td: e\n", "3:1: a tab in the indentation; YAML is indented with spaces"),
        ("a: @b\n", "1:4: not valid YAML: a value must not begin with %, @ or `; hint: put it in quotes"),
        ("a: b\n---\nc: d\n", "2:1: a second document; a payload is one step"),
        ("a: b\nc:\n  d: e\n  d: f\n", "4:3: c.d: stands here for the second time"),
        (
            "? [a]\n: b\n",
            "1:3: expected a field name, found another kind of value; hint: a value that begins with { or [ needs quotes",
        ),
        ("", "the document is empty; expected a step (apiVersion, kind, metadata, target, script)"),
        (
            "# nothing\n---\n",
            "the document is empty; expected a step (apiVersion, kind, metadata, target, script)",
        ),
        ("- a\n", "expected a step, which is a mapping (apiVersion, kind, metadata, target, script)"),
        ("hello\n", "expected a step, which is a mapping (apiVersion, kind, metadata, target, script)"),
        ("a: b\nc: \0\n", "2:4: a NUL byte, which no payload may hold"),
    ] {
        assert_eq!(told(text), words, "{text:?}");
    }
    let open = told("a: \"b\nc: d\n");
    assert!(open.contains(": not valid YAML: "), "{open}");
}

#[test]
fn what_is_no_json_says_where() {
    let hint = "hint: what begins with { is read as JSON";
    for (text, words) in [
        ("{\"a\": 1,}", format!("1:9: not valid JSON from here on; {hint}")),
        ("{\"a\": 1", format!("1:7: the JSON ends before its last bracket or quote is closed; {hint}")),
        ("{a: 1}", format!("1:2: not valid JSON from here on; {hint}")),
        ("{} {}", format!("1:4: not valid JSON from here on; {hint}")),
        ("{\"a\": {\"b\": 1, \"b\": 2}}", "a.b: stands here for the second time".into()),
    ] {
        assert_eq!(told(text), words, "{text:?}");
    }
}

#[test]
fn neither_size_nor_depth_nor_number_is_without_bound() {
    let large = vec![b'a'; MAX_BYTES + 1];
    assert_eq!(told(large), "the payload has 4194305 bytes; at most 4194304 (4 MiB) are read");
    for deep in ["[".repeat(70), "- ".repeat(100_000), format!("{{\"a\": {}", "[".repeat(100))] {
        let words = told(format!("a:\n {deep}").replace("a:\n {", "{"));
        assert!(words.ends_with("nested more than 64 levels deep"), "{words}");
    }
    let many = format!("a: [{}]", "1,".repeat(MAX_NODES));
    assert!(told(many).ends_with("more than 100000 values"));
    let many = format!("{{\"a\": [{}1]}}", "1,".repeat(MAX_NODES));
    assert!(told(many).ends_with("more than 100000 values"));
}

#[test]
fn only_utf8_is_read() {
    assert_eq!(told(b"a: b\nc: \xe4\n"), "2:4: not UTF-8 at byte 8");
    assert_eq!(told(b"\xff\xfea\0"), "1:1: not UTF-8 at byte 0; hint: this is UTF-16; save it as UTF-8");
    assert!(read("\u{feff}a: b\n".as_bytes(), &STEP).is_ok());
}
