//! Access ends with its token, on every transport.

use std::time::Duration;

use moq_net::Error;
use moq_worker_relay::auth::Claims;

use super::world::{BINDINGS, Binding, Denied, Directory, at, claims, key, soon, start};

#[tokio::test]
async fn a_session_ends_within_a_second_of_its_token() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let relay = start(&["--auth-key", &file]).await;
    for binding in BINDINGS {
        let end = at(1.5);
        let short = Claims {
            exp: Some(end),
            ..claims("", &[""], &[""])
        };
        let target = format!("/?jwt={}", ours.sign(&short).unwrap());
        let peer = relay.dial(binding, &target).await.unwrap();
        let error = soon("the end", peer.session.closed()).await;
        let late = at(0.0) - end;
        assert_eq!(error, Error::Unauthorized, "{binding:?}");
        assert!((0.0..1.0).contains(&late), "{binding:?}: {late} s late");
        let again = relay.dial(binding, &target).await.err();
        assert_eq!(again, Some(Denied::with(401, binding)));
    }
    soon("the ends", async {
        while relay.relay.sessions() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_without_an_end_can_be_refused() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let endless = Claims {
        exp: None,
        ..claims("", &[], &[""])
    };
    let target = format!("/?jwt={}", ours.sign(&endless).unwrap());
    let lenient = start(&["--auth-key", &file]).await;
    let strict = start(&["--auth-key", &file, "--auth-require-exp"]).await;
    for binding in BINDINGS {
        assert!(lenient.dial(binding, &target).await.is_ok(), "{binding:?}");
        let refused = strict.dial(binding, &target).await.err();
        assert_eq!(refused, Some(Denied::with(401, binding)));
    }
}

#[tokio::test]
async fn one_token_serves_as_many_clients_as_it_may() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let relay = start(&["--auth-key", &file, "--auth-token-sessions", "2"]).await;
    let target = format!("/?jwt={}", ours.sign(&claims("", &[], &[""])).unwrap());
    let first = relay.dial(Binding::WebTransport, &target).await.unwrap();
    let _second = relay.dial(Binding::WebSocket, &target).await.unwrap();
    for binding in BINDINGS {
        let third = relay.dial(binding, &target).await.err();
        assert_eq!(third, Some(Denied::with(429, binding)));
    }
    assert_eq!(relay.get(&format!("/announced{target}"), &[]).await.0, 429);
    drop(first);
    soon("the end", async {
        while relay.relay.sessions() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert!(relay.dial(Binding::Quic, &target).await.is_ok());
}
