//! The internal listener.

use std::process::Stdio;
use std::time::Duration;

use moq_net::{Config, Limits, Origin, Path, Runtime, Session, Subscription, TrackInfo, Version};
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::dial::{self, DialFlags, Dialer};
use moq_worker_relay::host::TokioHost;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;

use super::routes::{body, get};

const PROGRAM: &str = env!("CARGO_BIN_EXE_moq-worker-relay");
const PATIENCE: Duration = Duration::from_secs(20);

/// The value of a series.
fn value(metrics: &str, series: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    let value = line.unwrap_or_else(|| panic!("no {series} in {metrics}"));
    value.trim().parse().unwrap()
}

struct Peer {
    origin: moq_net::OriginProducer,
    session: Session,
}

async fn dial(port: u16) -> Peer {
    let runtime = Runtime::new(TokioHost::default(), Limits::default());
    let origin = Origin::random(&runtime).produce(&runtime);
    let config = Config::new(runtime)
        .with_publish(origin.consume())
        .with_subscribe(origin.clone());
    let flags = DialFlags {
        dial_insecure: true,
        ..DialFlags::default()
    };
    let url = dial::address(&format!("moqt://127.0.0.1:{port}")).unwrap();
    let (session, driver) = Dialer::new(&flags)
        .unwrap()
        .dial(&url, config)
        .await
        .unwrap();
    tokio::spawn(driver);
    session.ready().await.unwrap();
    Peer { origin, session }
}

#[tokio::test]
async fn what_sessions_carry_is_counted_and_only_told_internally() {
    let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
    let relay = Relay::new(Limits::relay(), Version::DEFAULT.to_vec());
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(loopback, &certificate, relay).unwrap();
    let server = server.with_internal(loopback).await.unwrap();
    let (public, internal) = (server.address(), server.internal_address().unwrap());
    tokio::spawn(server.run(std::future::pending()));
    let metrics = async || {
        let answer = get(internal, "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let head = answer.to_lowercase();
        assert!(head.contains("content-type: text/plain; version=0.0.4"));
        assert!(!head.contains("access-control"), "no page may read it");
        body(&answer).to_owned()
    };
    let until = async |what: &str, done: &dyn Fn(&str) -> bool| {
        let wait = async {
            loop {
                let metrics = metrics().await;
                if done(&metrics) {
                    return metrics;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, wait).await;
        found.unwrap_or_else(|_elapsed| panic!("{what} takes too long"))
    };

    let (publisher, viewer) = (dial(public.port()).await, dial(public.port()).await);
    let path = Path::parse("secret-name").unwrap();
    let broadcast = publisher.origin.create_broadcast(&path).unwrap();
    let info = TrackInfo::default().with_cache(Duration::from_secs(60));
    let track = broadcast.create_track("data", info).unwrap();
    let origin = viewer.origin.consume();
    let found = tokio::time::timeout(PATIENCE, origin.announced_broadcast(&path)).await;
    let wanted = found.unwrap().unwrap().track("data").unwrap();
    let pending = wanted.subscribe(Subscription::default()).unwrap();
    let mut reader = pending.await.unwrap();
    track.write_frame(vec![1; 1000]).unwrap();
    let mut group = reader.recv_group().await.unwrap().unwrap();
    assert_eq!(group.read_frame().await.unwrap().unwrap().len(), 1000);
    let fetched = get(public, "/fetch/secret-name/data?group=0").await;
    assert!(fetched.starts_with("HTTP/1.1 200"), "{fetched}");

    let live = until("the fetch", &|metrics| {
        value(
            metrics,
            "moq_relay_fetches_total{tier=\"external\",role=\"subscriber\"}",
        ) == 1
    })
    .await;
    let of = |metrics: &str, name: &str, role: &str| {
        let series = format!("moq_relay_{name}_total{{tier=\"external\",role=\"{role}\"}}");
        value(metrics, &series)
    };
    for (name, sent, received) in [
        ("bytes", 2000, 1000),
        ("frames", 2, 1),
        ("groups", 2, 1),
        ("subscriptions_opened", 1, 1),
        ("subscriptions_closed", 0, 0),
        ("viewers_opened", 1, 1),
        ("viewers_closed", 0, 0),
    ] {
        let found = (of(&live, name, "subscriber"), of(&live, name, "publisher"));
        assert_eq!(found, (sent, received), "{name}");
    }
    assert_eq!(
        value(&live, "moq_relay_sessions_opened_total{tier=\"external\"}"),
        2
    );
    assert_eq!(
        value(&live, "moq_relay_sessions_closed_total{tier=\"external\"}"),
        0
    );
    assert_eq!(
        value(&live, "moq_relay_sessions_opened_total{tier=\"internal\"}"),
        0
    );
    assert!(value(&live, "moq_relay_cached_bytes") >= 1000);
    assert!(!live.contains("secret"), "clients choose names");

    // What is over still counts.
    drop((reader, group, wanted));
    viewer.session.close(moq_net::Error::Closed, "");
    publisher.session.close(moq_net::Error::Closed, "");
    let after = until("the end", &|metrics| {
        value(
            metrics,
            "moq_relay_sessions_closed_total{tier=\"external\"}",
        ) == 2
    })
    .await;
    assert_eq!(of(&after, "bytes", "subscriber"), 2000);
    for name in ["subscriptions_closed", "viewers_closed"] {
        let found = (
            of(&after, name, "subscriber"),
            of(&after, name, "publisher"),
        );
        assert_eq!(found, (1, 1), "{name}");
    }

    let outside = get(public, "/metrics").await;
    assert!(outside.starts_with("HTTP/1.1 404"), "{outside}");
}

/// What the program says when these arguments are no good.
async fn refusal(arguments: &[&str]) -> String {
    let child = tokio::process::Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, child).await;
    let output = output.expect("it starts").unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    assert!(output.stdout.is_empty(), "it does not even start");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn an_internal_listener_that_others_can_reach_has_to_be_meant() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let said = refusal(&["--bind", "127.0.0.1:0", "--internal", address]).await;
        assert!(said.contains("--internal-public"), "{said}");
    }
    let said = refusal(&["--internal-public"]).await;
    assert!(said.contains("--internal"), "{said}");
}

#[tokio::test]
async fn an_internal_listener_says_where_it_is() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    for extra in [
        &["--internal", "127.0.0.1:0"][..],
        &["--internal", "0.0.0.0:0", "--internal-public"],
    ] {
        let mut relay = tokio::process::Command::new(PROGRAM)
            .args(["--bind", "127.0.0.1:0"])
            .args(extra)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(relay.stdout.take().unwrap()).lines();
        let port = loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            let line = line.unwrap().unwrap().expect("another line");
            if let Some(address) = line.strip_prefix("metrics on ") {
                break address.rsplit_once(':').unwrap().1.to_owned();
            }
        };
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let answer = get(address, "/metrics").await;
        assert!(
            body(&answer).contains("moq_relay_sessions_opened_total"),
            "{answer}"
        );
    }
}
