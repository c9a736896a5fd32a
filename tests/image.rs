//! How the image's parts are got: by checksum from where a URL says, or not at all.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::tools::repository;

/// Serves this for every request, as long as the tests run; gives the address.
fn serve(body: Vec<u8>) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(answer(stream, &body));
        }
    });
    address
}

fn answer(mut stream: std::net::TcpStream, body: &[u8]) -> std::io::Result<()> {
    let mut reader = std::io::BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while std::io::BufRead::read_line(&mut reader, &mut line)? > 2 {
        line.clear();
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `scripts/image-parts`, told where kubectl and helm are.
fn parts(to: &Path, kubectl: [&str; 2], helm: [&str; 2]) -> Output {
    let mut command = Command::new(repository().join("scripts/image-parts"));
    command.arg("--to").arg(to).env_clear().env("PATH", "/usr/bin:/bin");
    for (name, [url, sum]) in [("KUBECTL", kubectl), ("HELM", helm)] {
        command.env(format!("{name}_VERSION"), "9.9.9");
        command.env(format!("{name}_URL"), url).env(format!("{name}_SHA256"), sum);
    }
    command.output().expect("it starts")
}

/// An archive as helm's makers publish one: what it has is in a folder of its own.
fn archive(name: &str, content: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("linux-amd64")).expect("made");
    std::fs::write(folder.path().join("linux-amd64").join(name), content).expect("written");
    let output = Command::new("tar").arg("-C").arg(folder.path()).args(["-cz", "linux-amd64"]).output();
    output.expect("tar runs").stdout
}

#[test]
fn a_part_is_what_its_checksum_says_or_there_is_none() {
    let (kubectl, helm) = (b"#!/bin/sh\necho kubectl\n".to_vec(), archive("helm", "#!/bin/sh\necho helm\n"));
    let sums = [sha256(&kubectl), sha256(&helm)];
    let urls =
        [format!("{}/kubectl", serve(kubectl)), format!("{}/helm-v9.9.9-linux-amd64.tar.gz", serve(helm))];
    let folder = tempfile::tempdir().expect("a folder");
    let built = |name: &str| folder.path().join("usr/local/bin").join(name);

    let output = parts(folder.path(), [&urls[0], &sums[0]], [&urls[1], &sums[1]]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    assert!(words.contains("kubectl 9.9.9: fetching") && words.contains("helm 9.9.9: fetching"), "{words}");
    for name in ["kubectl", "helm"] {
        let said = Command::new(built(name)).output().expect("it can be run").stdout;
        assert_eq!(String::from_utf8_lossy(&said), format!("{name}\n"));
    }

    std::fs::remove_file(built("helm")).expect("removed");
    let output = parts(folder.path(), [&urls[0], &sums[0]], [&urls[1], &sums[0]]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("is not what its checksum says"), "{words}");
    assert!(!built("helm").exists());
}

#[test]
fn a_url_without_a_checksum_and_an_archive_without_the_program_are_refused() {
    let kubectl = b"#!/bin/sh\n".to_vec();
    let sum = sha256(&kubectl);
    let url = format!("{}/kubectl", serve(kubectl));
    let empty = archive("LICENSE", "");
    let empty_sum = sha256(&empty);
    let empty = format!("{}/helm.tar.gz", serve(empty));
    let broken = format!("{}/helm.tar.gz", serve(b"no archive".to_vec()));
    let folder = tempfile::tempdir().expect("a folder");
    for (helm, said) in [
        ([url.as_str(), ""], "a URL needs the file's checksum, too (HELM_SHA256)"),
        ([empty.as_str(), &empty_sum], "there is no helm in"),
        ([broken.as_str(), &sha256(b"no archive")], "cannot be unpacked"),
    ] {
        let output = parts(folder.path(), [&url, &sum], helm);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(words.contains(said), "{words}");
        assert!(!folder.path().join("usr/local/bin/helm").exists());
    }
}
