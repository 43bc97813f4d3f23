//! What strangers send to the relay before they are let in: tokens, keys and request targets.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use moq_worker_relay::auth::{Asked, Claims, Key, SigningKey, verify};

/// A secret that no input knows how to use: it only ever signs what this file makes.
const SECRET: &str = r#"{"kty":"oct","alg":"HS256","kid":"k","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQ"}"#;

/// The time at which everything is checked.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

struct Signer {
    key: SigningKey,
    public: Vec<Key>,
    /// A good token, and what it says.
    token: String,
    claims: Claims,
}

fn signer() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| {
        let key = SigningKey::read(SECRET).expect("a key");
        let public = vec![Key::read(SECRET).expect("a key")];
        let text = r#"{"root":"demo","put":["me"],"get":[""],"exp":1900000000}"#;
        let claims: Claims = serde_json::from_str(text).expect("claims");
        let token = key.sign(&claims).expect("a token");
        Signer {
            key,
            public,
            token,
            claims,
        }
    })
}

pub(crate) fn run_jwt(bytes: &[u8]) {
    let signer = signer();
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    match kind % 4 {
        // Whatever is let in says what was signed.
        0 => {
            if let Ok(claims) = verify(&text, &signer.public, now()) {
                assert_eq!(said(&claims), said(&signer.claims), "forged: {text}");
            }
        }
        // A good token with something else in one place.
        1 => {
            let mut token = signer.token.clone().into_bytes();
            for change in rest.chunks_exact(2) {
                let at = usize::from(change[0]) * token.len() / 256;
                token[at] = change[1];
            }
            let token = String::from_utf8_lossy(&token);
            if let Ok(claims) = verify(&token, &signer.public, now()) {
                assert_eq!(said(&claims), said(&signer.claims), "forged: {token}");
            }
        }
        // What we sign ourselves comes back as it was, or is refused for what it says.
        2 => {
            if let Ok(claims) = serde_json::from_str::<Claims>(&text)
                && let Ok(token) = signer.key.sign(&claims)
                && let Ok(read) = verify(&token, &signer.public, now())
            {
                assert_eq!(said(&read), said(&claims));
                assert!(!read.is_useless(), "a token that grants nothing");
                assert!(
                    read.exp.is_none_or(|end| end > 1_799_999_000.0),
                    "{:?}",
                    read.exp
                );
            }
        }
        _ => {
            // Good or bad, a key or a set.
            let _refused = Key::read(&text);
            let _refused = Key::read_all(&text);
        }
    }
}

/// What claims say, to compare. Times are fractions, and not written to their last digit.
fn said(claims: &Claims) -> String {
    let time = |time: Option<f64>| time.map(|time| format!("{time:.9e}"));
    let (end, start) = (time(claims.exp), time(claims.nbf));
    format!(
        "{} {:?} {:?} {end:?} {start:?}",
        claims.root, claims.put, claims.get
    )
}

pub(crate) fn jwt_seeds() -> Vec<Vec<u8>> {
    let token = &signer().token;
    let mut seeds: Vec<Vec<u8>> = [
        r#"{"root":"demo","put":"a","get":["","b"],"exp":1900000000.5,"nbf":0}"#,
        r#"{"root":"","put":[],"get":[]}"#,
        r#"{"get":"","exp":-1,"iat":5,"cluster":true,"sub":["x"]}"#,
    ]
    .iter()
    .map(|claims| [b"\x02", claims.as_bytes()].concat())
    .collect();
    seeds.push([b"\x00", token.as_bytes()].concat());
    // {"alg":"none"} and the same claims, without a signature
    let payload = token.split('.').nth(1).unwrap_or_default();
    seeds.push(format!("\0eyJhbGciOiJub25lIn0.{payload}.").into_bytes());
    seeds.push(vec![1, 200, b'A', 3, b'e']);
    seeds.push([b"\x03", SECRET.as_bytes()].concat());
    seeds.push(format!("\x03{{\"keys\":[{SECRET}]}}").into_bytes());
    seeds
}

pub(crate) fn run_target(bytes: &[u8]) {
    let Ok(target) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(path) = Asked::target(target).root() else {
        return;
    };
    let parts: Vec<&str> = path
        .as_str()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    assert!(parts.len() <= 32, "{target:?} has {} parts", parts.len());
    for part in &parts {
        assert!(
            *part != "." && *part != ".." && !part.contains('\0'),
            "{target:?}"
        );
    }
    // Said again in another way, it is the same place: one byte, one escape.
    let again: String = parts
        .iter()
        .flat_map(|part| {
            std::iter::once("/".to_owned()).chain(part.bytes().map(|byte| format!("%{byte:02x}")))
        })
        .collect();
    assert_eq!(
        Asked::target(&again).root().as_ref(),
        Ok(&path),
        "{target:?}"
    );
    // And the token is no part of it.
    let marked = format!("{again}?jwt=canary");
    let shown = format!("{:?}", Asked::target(&marked));
    assert!(!shown.contains("canary"), "{shown}");
}

pub(crate) fn target_seeds() -> Vec<Vec<u8>> {
    [
        "/",
        "/demo/room?jwt=a.b.c",
        "//demo//room/",
        "/a%2fb",
        "/a%2Fb",
        "/%2e%2e/x",
        "/a/../b",
        "/%00",
        "/%c3%a9",
        "/%ff",
        "/a%",
        "/a%2",
        "/a?x=1&jwt=&jwt=y#z",
        "/a#b?c",
        "/%25%32%66",
    ]
    .iter()
    .map(|target| target.as_bytes().to_vec())
    .chain([format!("/{}", "a/".repeat(33)).into_bytes()])
    .collect()
}
