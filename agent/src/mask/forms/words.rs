//! Values that ordinary text is made of: they are masked as they are, never in a derived form, and warned about.

/// What people set as a secret and what logs say all day.
const WORDS: [&str; 62] = [
    "admin",
    "administrator",
    "anonymous",
    "bearer",
    "changeit",
    "changeme",
    "client",
    "cluster",
    "config",
    "debug",
    "default",
    "demo",
    "deploy",
    "deployment",
    "development",
    "disabled",
    "enabled",
    "error",
    "example",
    "false",
    "guest",
    "http",
    "https",
    "info",
    "kubernetes",
    "latest",
    "local",
    "localhost",
    "login",
    "main",
    "master",
    "name",
    "namespace",
    "nginx",
    "none",
    "null",
    "password",
    "postgres",
    "private",
    "prod",
    "production",
    "public",
    "redis",
    "release",
    "root",
    "secret",
    "server",
    "service",
    "staging",
    "string",
    "system",
    "test",
    "testing",
    "token",
    "true",
    "undefined",
    "unknown",
    "user",
    "username",
    "value",
    "version",
    "warning",
];

/// Below this many digits a number is one that logs are full of: a port, a year, a count.
const LONG_NUMBER: usize = 6;

/// Whether ordinary text would hold this value.
pub(in crate::mask) fn is_common(value: &[u8]) -> bool {
    let is_number = value.len() < LONG_NUMBER && value.iter().all(u8::is_ascii_digit);
    let is_word = || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    is_number || value.len() <= "administrator".len() && is_word()
}
