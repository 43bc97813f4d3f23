//! The program as its operator meets it: what it says about mistakes, what it logs, and that it lives on.

use std::time::Duration;

use super::process::{run, text};
use super::process_dial::{Program, everywhere};
use super::world::{Directory, claims, key, soon, start};

#[test]
fn a_mistake_is_named_in_one_line_at_the_start() {
    let directory = Directory::new();
    let at = |name: &str| directory.0.join(name).to_str().unwrap().to_owned();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let missing = at("missing");
    let identity = || rcgen::generate_simple_self_signed(["relay.example".to_owned()]).unwrap();
    let (ours, others) = (identity(), identity());
    let cert = directory.write("cert.pem", &ours.cert.pem());
    let wrong = directory.write("key.pem", &others.signing_key.serialize_pem());
    let mismatch = [
        "--bind",
        "127.0.0.1:0",
        "--peer",
        "ws://127.0.0.1:1",
        "--dial-cert",
        &cert,
    ];
    for (arguments, says) in [
        (vec!["--bind", &taken], taken.as_str()),
        (vec!["--bind", "127.0.0.1:0", "--internal", &taken], &taken),
        (vec!["--auth-key", &missing], &missing),
        (vec!["--auth-key-dir", &missing], &missing),
        (
            vec!["--auth-key", "http://keys.example/k?sig=secret"],
            "http://keys.example/k",
        ),
        (
            vec!["--auth-key", "https://127.0.0.1:1/k?sig=secret"],
            "https://127.0.0.1:1/k",
        ),
        (vec!["--auth-key", "http://127.0.0.1:1/k"], "refused"),
        (vec!["--version-only", "moq-lite-99"], "moq-lite-06"),
        (vec!["--peer", "relay.example"], "--peer"),
        ([&mismatch, &["--dial-key", &wrong][..]].concat(), &cert),
    ] {
        let failed = run(&arguments, "");
        let (said, printed) = (text(&failed.stderr), text(&failed.stdout));
        assert!(!failed.status.success(), "{arguments:?}");
        assert!(printed.is_empty(), "{arguments:?}: {printed}");
        let lines = said.lines().filter(|line| line.contains(says));
        assert!(lines.count() > 0, "{arguments:?}: {said}");
        assert!(!said.contains("secret"), "{arguments:?}: {said}");
        assert!(!said.contains("panic"), "{arguments:?}: {said}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_relay_goes_on_when_nobody_reads_what_it_prints() {
    let relay = Program::start(&["--figures", "1"], Some("info")).await;
    let (address, fingerprint) = (relay.address, relay.fingerprint.clone());
    let status = relay.unread(async {
        for _ in 0..3 {
            everywhere(address, &fingerprint, "/room").await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let status = status.await;
    assert!(status.success(), "{status}");
}

#[cfg(unix)]
#[test]
fn a_file_that_does_not_answer_does_not_hold_up_the_end() {
    let directory = Directory::new();
    let silent = directory.0.join("pipe").to_str().unwrap().to_owned();
    let made = std::process::Command::new("mkfifo").arg(&silent).status();
    assert!(made.unwrap().success());
    let started = std::time::Instant::now();
    let child = std::process::Command::new(super::process_dial::PROGRAM)
        .args(["--auth-key", &silent])
        .stderr(std::process::Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if started.elapsed() > Duration::from_secs(15) => {
                child.kill().unwrap();
                panic!("it does not end");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    assert_eq!(status.code(), Some(1));
}

#[cfg(unix)]
#[tokio::test]
async fn other_relays_hear_at_once_that_a_relay_ends() {
    for scheme in ["http", "ws"] {
        let other = start(&[]).await;
        let url = format!("{scheme}://{}", other.address);
        let relay = Program::start(&["--peer", &url], None).await;
        let sessions = async |count| {
            while other.relay.sessions() != count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon("the session", sessions(1)).await;
        assert!(relay.terminate().await.success());
        // Without a word it would take ten seconds.
        let gone = tokio::time::timeout(Duration::from_secs(4), sessions(0)).await;
        assert!(gone.is_ok(), "{scheme}: the other relay was not told");
    }
}

#[tokio::test]
async fn clients_that_come_and_go_are_no_reason_to_warn_and_each_line_says_whose_it_is() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let good = ours.sign(&claims("", &[""], &[""])).unwrap();
    for (log, silent) in [(None, true), (Some("moq_worker_relay=info"), false)] {
        let relay = Program::start(&["--auth-key", &file], log).await;
        let (address, fingerprint) = (relay.address, relay.fingerprint.clone());
        for target in ["/demo", &format!("/demo?jwt={good}")] {
            everywhere(address, &fingerprint, target).await;
        }
        // A client that is not let in is told so a little later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let printed = relay.kill().await;
        assert_eq!(printed.is_empty(), silent, "{printed}");
        for line in printed.lines() {
            assert!(line.contains("client{peer=127.0.0.1:"), "{line}");
        }
        assert!(silent || printed.contains("WebSocket session"), "{printed}");
    }
}
