//! Paths that could be read in two ways, in every place of every route that takes one.

use super::inside::Inside;
use super::routes::{ask, start};

/// Segments that no path may have.
const BAD: [&str; 34] = [
    "",
    ".",
    "..",
    "%2e",
    "%2E",
    "%2e%2e",
    "%2E%2e",
    ".%2e",
    "%2e.",
    "%2f",
    "%2F",
    "a%2fb",
    "..%2f",
    "..%2f..",
    "%2f%2e%2e%2f",
    "%2e%2e%2f",
    "..%2fetc%2fpasswd",
    "%00",
    "a%00",
    "%00a",
    "..%00",
    "%",
    "%2",
    "%zz",
    "%2g",
    "%%32%65",
    "a%",
    "%ff",
    "%c0%ae",
    "%c0%ae%c0%ae",
    "%c0%af",
    "%e0%80%ae",
    "%f0%80%80%ae",
    "%ed%a0%80",
];

/// Segments that look dangerous, and are names like any other: nothing is decoded twice, and there are no files.
const NAMES: [(&str, &str); 11] = [
    ("%252e%252e", "%2e%2e"),
    ("%252f", "%2f"),
    ("%2500", "%00"),
    ("...", "..."),
    ("..a", "..a"),
    ("..;", "..;"),
    (".hidden", ".hidden"),
    ("%5c..%5c", "\\..\\"),
    ("c:", "c:"),
    ("%0a", "\n"),
    ("%e2%80%ae", "\u{202e}"),
];

#[tokio::test(start_paused = true)]
async fn what_could_be_read_in_two_ways_is_refused_wherever_it_is() {
    let inside = Inside::new();
    let _decoy = inside.publish("etc/passwd").await;
    let mut cases = 0;
    for bad in BAD {
        for target in [
            format!("/fetch/{bad}/room/data?group=0"),
            format!("/fetch/demo/{bad}/data?group=0"),
            format!("/fetch/demo/{bad}/room/data?group=0"),
            format!("/fetch/demo/room/{bad}?group=0"),
            format!("/announced/{bad}/room"),
            format!("/announced/demo/{bad}/room"),
            format!("/announced/demo/{bad}/"),
        ] {
            let (status, body) = inside.read(&target).await;
            assert_eq!(status, 400, "{target}: {body}");
            cases += 1;
        }
    }
    assert!(cases >= 200, "only {cases}");
    assert!(inside.now().is_zero(), "decided at once");
    for (encoded, name) in NAMES {
        let (_broadcast, track) = inside.publish(&format!("demo/{name}/room")).await;
        track.write_frame("here").unwrap();
        let target = format!("/fetch/demo/{encoded}/room/data?group=0");
        assert_eq!(inside.read(&target).await, (200, "here".to_owned()));
        let target = format!("/announced/demo/{encoded}");
        assert_eq!(inside.read(&target).await, (200, "room\n".to_owned()));
    }
    for (parts, status) in [(33, 400), (32, 504)] {
        let path = vec!["x"; parts].join("/");
        let target = format!("/fetch/{path}/data?group=0");
        assert_eq!(inside.read(&target).await.0, status, "{parts} parts");
    }
}

/// What is not even a request target, over a real socket.
#[tokio::test]
async fn targets_that_are_none_are_refused_and_the_others_are_served() {
    let (address, _) = start();
    for target in [
        "/fetch/../../etc/passwd",
        "/fetch/demo\u{0}/data",
        "/fetch/d\u{e4}mo/../data",
        "/announced/\u{1}",
        "fetch/demo/data",
        "*",
        "/fetch/demo/ data",
        "//fetch/demo/data",
        "/fetch",
        "/fetch/",
        "/fetch/data",
    ] {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = ask(address, request).await;
        let status = answer.get(9..12).unwrap_or_default();
        assert!(["400", "404"].contains(&status), "{target:?}: {answer}");
        assert!(!answer.contains("root:"), "{target:?}");
    }
    let answer = super::routes::get(address, "/health").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
