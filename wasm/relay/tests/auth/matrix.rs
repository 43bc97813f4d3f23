//! The authorization matrix: tokens and paths, each over every transport and over HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use moq_net::{BroadcastPublish, Version};
use moq_worker_relay::auth::{Claims, SigningKey};

use super::world::{
    BINDINGS, Binding, Denied, Dial, Directory, Peer, Running, at, claims, key, soon, start,
};

/// What is on the air, seen from the top.
const AIR: [&str; 6] = [
    "demo",
    "demo/room/a",
    "demo/room/b",
    "demo/rooms/c",
    "Demo/e",
    "other/d",
];

/// What a client tries to publish, below its path.
const TRIES: [&str; 4] = ["p", "me/p", "meme/p", "room/p"];

/// What has to happen.
#[derive(Clone, Debug)]
enum Expect {
    /// Let in: sees these, and these of its own reach others; all relative to its path.
    Rights(&'static [&'static str], &'static [&'static str]),
    /// Turned away with this status.
    Refused(u16),
}

use Expect::{Refused, Rights};

/// A relay, everything on the air, and an observer of everything.
struct Stage {
    running: Running,
    admin: Peer,
    _air: Vec<BroadcastPublish>,
    _directory: Directory,
}

/// The relay of all cases with a single key file: `arguments` come on top.
async fn stage(key: &SigningKey, directory: Directory, arguments: &[&str]) -> Stage {
    let public = key.public_json().unwrap_or_else(|| key.to_json());
    let file = directory.write("relay.jwk", &public);
    let running = start(&[&["--auth-key", &file], arguments].concat()).await;
    on_air(running, key, directory).await
}

async fn on_air(running: Running, key: &SigningKey, directory: Directory) -> Stage {
    let token = key.sign(&claims("", &[""], &[""])).unwrap();
    let target = format!("/?jwt={token}");
    let admin = running.dial(Binding::Quic, &target).await.unwrap();
    let air = AIR.iter().map(|path| admin.publish(path)).collect();
    // They are there when somebody else sees them.
    let other = running.dial(Binding::Quic, &target).await.unwrap();
    other.sees(&AIR).await;
    Stage {
        running,
        admin: other,
        _air: air,
        _directory: directory,
    }
    .with(admin)
}

impl Stage {
    /// Keeps the publisher's session.
    fn with(self, publisher: Peer) -> Self {
        tokio::spawn(async move {
            publisher.session.closed().await;
        });
        self
    }

    /// One case over every way in.
    async fn check(&self, what: &str, target: &str, expect: &Expect) {
        for binding in BINDINGS {
            // URLs have no dot segments left when WebTransport sees them.
            if binding == Binding::WebTransport && what.starts_with("dot") {
                continue;
            }
            let got = self.running.dial(binding, target).await;
            match (expect, got) {
                (Refused(status), Err(denied)) => {
                    assert_eq!(
                        denied,
                        Denied::with(*status, binding),
                        "{what}, {binding:?}"
                    );
                }
                (Rights(sees, reach), Ok(peer)) => {
                    self.check_rights(&format!("{what}, {binding:?}"), target, peer, sees, reach)
                        .await;
                }
                (expect, Err(denied)) => panic!("{what}, {binding:?}: {denied:?}, not {expect:?}"),
                (expect, Ok(_)) => panic!("{what}, {binding:?}: let in, not {expect:?}"),
            }
        }
        // A resource has one address: no empty parts to collapse here.
        let (status, body) = self.running.get(&format!("/announced{target}"), &[]).await;
        match expect {
            _ if target.contains("//") => assert_eq!(status, 400, "{what}, HTTP"),
            Refused(expected) => assert_eq!(status, *expected, "{what}, HTTP"),
            Rights(sees, _) => {
                assert_eq!(status, 200, "{what}, HTTP");
                let mut lines: Vec<&str> = body.lines().collect();
                lines.sort_unstable();
                assert_eq!(lines, sorted(sees), "{what}, HTTP");
            }
        }
    }

    async fn check_rights(
        &self,
        what: &str,
        target: &str,
        peer: Peer,
        sees: &[&str],
        reach: &[&str],
    ) {
        let root = target.split('?').next().unwrap();
        let root: Vec<&str> = root.split('/').filter(|part| !part.is_empty()).collect();
        let absolute = |path: &&str| [&root[..], &[path]].concat().join("/");
        let before = self.running.relay.sessions();
        assert_eq!(peer.sees(sees).await, sorted(sees), "{what}: what it sees");
        // What must not get out goes first; the order holds on the way to the relay.
        let (late, early): (Vec<&str>, Vec<&str>) =
            TRIES.iter().partition(|path| reach.contains(path));
        let _own: Vec<_> = early.iter().chain(&late).map(|p| peer.publish(p)).collect();
        let expected: Vec<String> = reach.iter().map(absolute).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let all = self.admin.sees(&expected).await;
        let mut new: Vec<&str> = all.iter().map(String::as_str).collect();
        new.retain(|path| !AIR.contains(path));
        assert_eq!(new, sorted(&expected), "{what}: what gets out");
        drop(peer);
        soon("the session's end", async {
            while self.running.relay.sessions() >= before {
                tokio::task::yield_now().await;
            }
        })
        .await;
        self.gone(&expected).await;
    }

    /// Waits until none of `paths` is on the air any more.
    async fn gone(&self, paths: &[&str]) {
        let consumer = self.admin.origin.consume();
        soon("the withdrawals", async {
            for path in paths {
                let path = moq_net::Path::parse(path).unwrap();
                while consumer.request_broadcast(&path).is_ok() {
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
    }
}

fn sorted<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let mut paths = paths.to_vec();
    paths.sort_unstable();
    paths
}

fn jwt(path: &str, key: &SigningKey, claims: &Claims) -> String {
    format!("{path}?jwt={}", key.sign(claims).unwrap())
}

#[tokio::test]
async fn tokens_that_prove_nothing_open_nothing() {
    let ours = key("ES256", "main");
    let good = claims("demo", &["me"], &["room"]);
    let stage = stage(&ours, Directory::new(), &[]).await;
    let foreign = SigningKey::generate("ES256", Some("main".to_owned())).unwrap();
    let stranger = key("ES256", "other");
    let expired = Claims {
        exp: Some(at(-1.0)),
        ..good.clone()
    };
    let early = Claims {
        nbf: Some(at(60.0)),
        ..good.clone()
    };
    let body = BASE64.encode(serde_json::to_vec(&good).unwrap());
    let none = |header: &str| format!("/demo?jwt={}.{body}.", BASE64.encode(header));
    let signed = ours.sign(&good).unwrap();
    let (head, signature) = signed.rsplit_once('.').unwrap();
    let wider = BASE64.encode(serde_json::to_vec(&claims("", &[""], &[""])).unwrap());
    let swapped = head.split_once('.').unwrap().0;
    let public = ours.public_json().unwrap();
    let secret = BASE64.encode(&public);
    let hmac = format!(r#"{{"kty":"oct","alg":"HS256","kid":"main","k":"{secret}"}}"#);
    let hmac = SigningKey::read(&hmac).unwrap();
    for (what, target) in [
        ("no token", "/demo".to_owned()),
        ("an empty token", "/demo?jwt=".to_owned()),
        ("no JWT", "/demo?jwt=hello".to_owned()),
        ("expired", jwt("/demo", &ours, &expired)),
        ("not yet valid", jwt("/demo", &ours, &early)),
        (
            "another key of the same name",
            jwt("/demo", &foreign, &good),
        ),
        ("a key nobody knows", jwt("/demo", &stranger, &good)),
        ("alg none", none(r#"{"alg":"none"}"#)),
        (
            "alg NoNe and a name",
            none(r#"{"alg":"NoNe","kid":"main"}"#),
        ),
        ("no signature", none(r#"{"alg":"ES256","kid":"main"}"#)),
        ("the public key as a secret", jwt("/demo", &hmac, &good)),
        (
            "other claims under the signature",
            format!("/demo?jwt={swapped}.{wider}.{signature}"),
        ),
        ("two tokens", format!("/demo?jwt={signed}&jwt={signed}")),
    ] {
        stage.check(what, &target, &Refused(401)).await;
    }
}

#[tokio::test]
async fn claims_that_grant_nothing_open_nothing() {
    // A secret can be used to sign by hand what the tool refuses to make.
    let ours = key("HS256", "main");
    let stage = stage(&ours, Directory::new(), &[]).await;
    let value: serde_json::Value = serde_json::from_str(&ours.to_json()).unwrap();
    let secret = BASE64.decode(value["k"].as_str().unwrap()).unwrap();
    let by_hand = |header: &str, claims: &str| {
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
        let tag = ring::hmac::sign(&secret, message.as_bytes());
        format!("/demo?jwt={message}.{}", BASE64.encode(tag))
    };
    let header = r#"{"alg":"HS256"}"#;
    for claims in [
        "{}",
        r#"{"put":[],"get":[]}"#,
        r#"{"root":"demo","sub":[""],"put":null}"#,
        r#"{"get":7}"#,
        r#"{"get":"","exp":"never"}"#,
        r#"{"get":"","exp":-1}"#,
        "[]",
    ] {
        stage
            .check(claims, &by_hand(header, claims), &Refused(401))
            .await;
    }
    let critical = by_hand(
        r#"{"alg":"HS256","crit":["b64"],"b64":true}"#,
        r#"{"get":""}"#,
    );
    stage
        .check(
            "an extension that must be understood",
            &critical,
            &Refused(401),
        )
        .await;
    let good = by_hand(
        header,
        r#"{"root":"demo","get":"room","exp":null,"cluster":true}"#,
    );
    stage
        .check(
            "the same by hand, good",
            &good,
            &Rights(&["room/a", "room/b"], &[]),
        )
        .await;
}

#[tokio::test]
async fn rights_are_reduced_to_the_path_of_the_connection() {
    let ours = key("ES256", "main");
    let stage = stage(&ours, Directory::new(), &[]).await;
    let everything = claims("", &[""], &[""]);
    let demo = claims("demo", &["me"], &[""]);
    let room = claims("demo", &[], &["room"]);
    let writer = claims("demo", &["me"], &[]);
    let deep = "/x".repeat(33);
    for (what, path, claims, expect) in [
        (
            "the root of the token",
            "/demo",
            &demo,
            Rights(&["", "room/a", "room/b", "rooms/c"], &["me/p"]),
        ),
        (
            "above the root",
            "/",
            &demo,
            Rights(&["demo", "demo/room/a", "demo/room/b", "demo/rooms/c"], &[]),
        ),
        (
            "below the root",
            "/demo/room",
            &demo,
            Rights(&["a", "b"], &[]),
        ),
        (
            "inside what may be written",
            "/demo/me",
            &demo,
            Rights(&[], &["p", "me/p", "meme/p", "room/p"]),
        ),
        ("beside the root", "/other", &demo, Refused(403)),
        ("a longer name", "/demos", &demo, Refused(403)),
        ("a shorter name", "/dem", &demo, Refused(403)),
        ("other letters", "/Demo", &demo, Refused(403)),
        (
            "get only",
            "/demo",
            &room,
            Rights(&["room/a", "room/b"], &[]),
        ),
        (
            "get only, narrowed",
            "/demo/room/a",
            &room,
            Rights(&[""], &[]),
        ),
        ("get only, a sibling", "/demo/rooms", &room, Refused(403)),
        ("put only", "/demo", &writer, Rights(&[], &["me/p"])),
        ("put only, elsewhere", "/demo/room", &writer, Refused(403)),
        (
            "slashes",
            "//demo//",
            &demo,
            Rights(&["", "room/a", "room/b", "rooms/c"], &["me/p"]),
        ),
        (
            "an encoded letter",
            "/d%65mo/room",
            &demo,
            Rights(&["a", "b"], &[]),
        ),
        (
            "an encoded slash",
            "/demo%2Froom",
            &everything,
            Refused(400),
        ),
        ("dots", "/demo/../other", &everything, Refused(400)),
        (
            "dots, encoded",
            "/demo/%2e%2E/other",
            &everything,
            Refused(400),
        ),
        ("dot", "/demo/./room", &everything, Refused(400)),
        ("a zero", "/demo%00", &everything, Refused(400)),
        ("33 parts", deep.as_str(), &everything, Refused(400)),
    ] {
        stage.check(what, &jwt(path, &ours, claims), &expect).await;
    }
}

#[tokio::test]
async fn public_prefixes_are_for_everybody_and_tokens_for_the_rest() {
    let ours = key("EdDSA", "main");
    let arguments = ["--auth-public-get", "demo/room", "--auth-public", "other"];
    let stage = stage(&ours, Directory::new(), &arguments).await;
    let demo = claims("demo", &["me"], &["rooms"]);
    let expired = Claims {
        exp: Some(at(-1.0)),
        ..demo.clone()
    };
    for (what, target, expect) in [
        (
            "public to read",
            "/demo/room".to_owned(),
            Rights(&["a", "b"], &[]),
        ),
        (
            "above",
            "/".to_owned(),
            Rights(&["demo/room/a", "demo/room/b", "other/d"], &[]),
        ),
        (
            "public to write",
            "/other".to_owned(),
            Rights(&["d"], &["p", "me/p", "meme/p", "room/p"]),
        ),
        ("not public", "/demo/rooms".to_owned(), Refused(401)),
        (
            "a token adds nothing of what is public",
            jwt("/demo", &ours, &demo),
            Rights(&["rooms/c"], &["me/p"]),
        ),
        (
            "a bad token is not none",
            jwt("/other", &ours, &expired),
            Refused(401),
        ),
    ] {
        stage.check(what, &target, &expect).await;
    }
}

#[tokio::test]
async fn keys_in_a_directory_are_found_by_name_only() {
    let directory = Directory::new();
    let inside = directory.0.join("keys");
    std::fs::create_dir(&inside).unwrap();
    let ours = key("ES256", "main-1_A");
    let outside = key("ES256", "../outside");
    directory.write("keys/main-1_A.jwk", &ours.public_json().unwrap());
    directory.write("outside.jwk", &outside.public_json().unwrap());
    let running = start(&["--auth-key-dir", inside.to_str().unwrap()]).await;
    let stage = on_air(running, &ours, directory).await;
    let good = claims("demo", &[], &["room"]);
    let found = Rights(&["room/a", "room/b"], &[]);
    stage
        .check("a name", &jwt("/demo", &ours, &good), &found)
        .await;
    let again = |kid: Option<&str>| {
        let mut value: serde_json::Value = serde_json::from_str(&ours.to_json()).unwrap();
        match kid {
            Some(kid) => value["kid"] = kid.into(),
            None => drop(value.as_object_mut().unwrap().remove("kid")),
        }
        SigningKey::read(&value.to_string()).unwrap()
    };
    let long = "x".repeat(129);
    for kid in [
        None,
        Some("unknown"),
        Some("../keys/main-1_A"),
        Some("./main-1_A"),
        Some("main-1_A\0"),
        Some("main-1_A.jwk"),
        Some("main-1_A/"),
        Some(""),
        Some(&long),
    ] {
        let what = format!("{kid:?}");
        stage
            .check(&what, &jwt("/demo", &again(kid), &good), &Refused(401))
            .await;
    }
    stage
        .check("outside", &jwt("/demo", &outside, &good), &Refused(401))
        .await;
}

#[tokio::test]
async fn what_has_no_place_for_a_token_gets_what_is_public() {
    let ours = key("ES256", "main");
    let stage = stage(&ours, Directory::new(), &["--auth-public-get", "demo/room"]).await;
    for version in [Version::Lite02, Version::Lite03, Version::Lite04] {
        let dial = Dial {
            version: Some(version),
            ..Dial::default()
        };
        let target = jwt("/", &ours, &claims("", &[""], &[""]));
        let peer = stage
            .running
            .dial_as(Binding::Quic, &target, dial)
            .await
            .unwrap();
        let seen = peer.sees(&["demo/room/a", "demo/room/b"]).await;
        assert_eq!(seen, ["demo/room/a", "demo/room/b"], "{version}");
    }
}

#[tokio::test]
async fn every_version_carries_the_token_in_the_request() {
    let ours = key("ES256", "main");
    let stage = stage(&ours, Directory::new(), &[]).await;
    let target = jwt("/demo", &ours, &claims("demo", &[], &["room"]));
    for version in Version::DEFAULT {
        for binding in [Binding::WebTransport, Binding::WebSocket] {
            let dial = Dial {
                version: Some(version),
                ..Dial::default()
            };
            let peer = stage.running.dial_as(binding, &target, dial).await.unwrap();
            let seen = peer.sees(&["room/a", "room/b"]).await;
            assert_eq!(seen, ["room/a", "room/b"], "{version} {binding:?}");
            let dial = Dial {
                version: Some(version),
                ..Dial::default()
            };
            let refused = stage.running.dial_as(binding, "/demo", dial).await;
            let told = match refused {
                Err(denied) => denied,
                // Earlier versions have no answer to wait for: the end is it.
                Ok(peer) => Denied::Session(soon("the end", peer.session.closed()).await),
            };
            assert_eq!(told, Denied::with(401, binding), "{version} {binding:?}");
        }
    }
}
