//! The program: its commands, and that it never prints a token.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::process_dial::{PROGRAM, Program, everywhere};
use super::world::{Directory, claims, key};

pub(crate) fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap().trim()
}

#[test]
fn a_key_and_a_token_can_be_made_and_checked() {
    let directory = Directory::new();
    let at = |name: &str| directory.0.join(name).to_str().unwrap().to_owned();
    let (private, public) = (at("key.jwk"), at("public.jwk"));
    let made = run(
        &[
            "key", "--kid", "main", "--out", &private, "--public", &public,
        ],
        "",
    );
    assert!(made.status.success(), "{made:?}");
    assert!(made.stdout.is_empty(), "the key went to the file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = run(&["key", "--out", &private], "");
    assert!(!again.status.success(), "a key is not overwritten");

    let grant = [
        "--root",
        "demo",
        "--put",
        "me",
        "--get",
        "",
        "--expires-in",
        "5m",
    ];
    let token = run(&[&["token", "--key", &private], &grant[..]].concat(), "");
    assert!(token.status.success(), "{token:?}");
    let good = run(&["verify", "--key", &public], text(&token.stdout));
    assert!(good.status.success(), "{good:?}");
    let said: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(
        (&said["root"], &said["put"][0], &said["get"][0]),
        (&"demo".into(), &"me".into(), &"".into())
    );
    let lasts = said["exp"].as_f64().unwrap() - super::world::at(0.0);
    assert!((290.0..=301.0).contains(&lasts), "{lasts}");

    let forged = run(&["verify", "--key", &public], &text(&token.stdout)[1..]);
    assert!(!forged.status.success());
    for wrong in [
        vec!["token", "--key", &public, "--get", ""],
        vec!["token", "--key", &private],
        vec!["key", "--algorithm", "RS256"],
        vec!["key", "--kid", "../main"],
        vec!["key", "--algorithm", "HS256", "--public", &public],
        vec!["key", "--bind", "127.0.0.1:0"],
    ] {
        assert!(!run(&wrong, "").status.success(), "{wrong:?}");
    }
}

#[tokio::test]
async fn no_token_is_ever_printed_whatever_is_logged() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let good = ours.sign(&claims("", &[""], &[""])).unwrap();
    let bad = key("ES256", "canary")
        .sign(&claims("", &[""], &[""]))
        .unwrap();
    let relay = Program::start(&["--auth-key", &file], Some("trace")).await;
    for token in [&good, &bad, &format!("{good}x")] {
        let target = format!("/demo?jwt={token}");
        everywhere(relay.address, &relay.fingerprint, &target).await;
    }
    let printed = relay.kill().await;
    assert!(
        printed.contains("jwt=…"),
        "the requests were logged: {}",
        printed.len()
    );
    for token in [&good, &bad] {
        for part in token.split('.').skip(1) {
            assert!(!printed.contains(part), "a token was printed");
        }
    }
    let failed = run(
        &[
            "--auth-key",
            &file,
            "--version-only",
            &format!("jwt={good}"),
        ],
        "",
    );
    assert!(!failed.status.success());
    assert!(!text(&failed.stderr).contains(good.split('.').nth(1).unwrap()));
}
