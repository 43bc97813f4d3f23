use super::*;
use crate::auth::Prefixes;

const RSA: &str = include_str!("../../tests/keys/rsa.jwk");

fn claims() -> Claims {
    Claims {
        root: "demo".to_owned(),
        get: Prefixes(vec![String::new()]),
        exp: Some(2_000_000_000.0),
        ..Claims::default()
    }
}

/// Signs with `key` and checks with what a relay would be given.
fn signed_and_checked(key: &SigningKey) {
    let token = key.sign(&claims()).unwrap();
    let relay = key.public_json().unwrap_or_else(|| key.to_json());
    for text in [relay.clone(), BASE64.encode(&relay)] {
        let check = Key::read(&text).unwrap();
        assert_eq!(token::check_with(&token, &check).unwrap(), claims());
    }
    let again = SigningKey::read(&key.to_json()).unwrap();
    assert_eq!(again.id(), key.id());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", signature.chars().rev().collect::<String>());
    let check = Key::read(&relay).unwrap();
    assert!(token::check_with(&forged, &check).is_err());
}

#[test]
fn a_key_made_here_signs_tokens_that_its_public_half_checks() {
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm, Some("main".to_owned())).unwrap();
        assert_eq!(key.id(), Some("main"));
        signed_and_checked(&key);
    }
}

#[test]
fn rsa_keys_of_others_work_with_all_their_algorithms() {
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let key = SigningKey::read(&RSA.replace("RS256", algorithm)).unwrap();
        signed_and_checked(&key);
    }
    assert!(SigningKey::generate("RS256", None).is_err());
}

#[test]
fn a_public_half_holds_nothing_secret_and_names_never_show_it() {
    let key = SigningKey::generate("ES256", None).unwrap();
    let private = key.jwk.d.clone().unwrap();
    let public = key.public_json().unwrap();
    assert!(!public.contains(&private) && !public.contains("\"d\""));
    assert!(!format!("{key:?}{:?}", Key::read(&public).unwrap()).contains(&private));
    let secret = SigningKey::generate("HS256", None).unwrap();
    assert_eq!(secret.public_json(), None);
    assert_ne!(key.id(), secret.id(), "random names differ");
}

#[test]
fn the_algorithm_is_that_of_the_key_whatever_the_token_says() {
    let key = SigningKey::generate("ES256", None).unwrap();
    let public = key.public_json().unwrap();
    let check = Key::read(&public).unwrap();
    // The old trick: the public key as the secret of an HMAC.
    let point = [
        &[4][..],
        &BASE64.decode(key.jwk.x.as_ref().unwrap()).unwrap(),
        &BASE64.decode(key.jwk.y.as_ref().unwrap()).unwrap(),
    ]
    .concat();
    let body = BASE64.encode(serde_json::to_vec(&claims()).unwrap());
    for secret in [public.as_bytes(), &point] {
        let message = format!("{}.{body}", BASE64.encode(r#"{"alg":"HS256"}"#));
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, secret),
            message.as_bytes(),
        );
        let token = format!("{message}.{}", BASE64.encode(tag));
        assert!(token::check_with(&token, &check).is_err());
    }
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"ES384"}"#,
        "{}",
    ] {
        let token = format!("{}.{body}.", BASE64.encode(header));
        assert!(token::check_with(&token, &check).is_err(), "{header}");
    }
}

#[test]
fn keys_that_could_not_be_trusted_are_refused() {
    let good = SigningKey::generate("HS256", None).unwrap().to_json();
    let short = BASE64.encode([1; 31]);
    let long = SigningKey::generate("HS256", None).unwrap().jwk.k.unwrap();
    let ours = SigningKey::read(&good).unwrap().jwk.k.unwrap();
    for bad in [
        good.replace("HS256", "none"),
        good.replace("HS256", "ES256"),
        good.replace("oct", "EC"),
        good.replace(&ours, &short),
        good.replace("\"alg\"", "\"gla\""),
        good.replace("verify", "encrypt").replace("sign", "decrypt"),
        "{".to_owned(),
        String::new(),
    ] {
        assert!(Key::read(&bad).is_err(), "{bad}");
    }
    assert!(Key::read(&good.replace(&ours, &long)).is_ok());
    let usage = good.replace("\"kty\"", "\"use\": \"enc\", \"kty\"");
    assert!(Key::read(&usage).is_err());
}

#[test]
fn a_set_gives_its_usable_keys() {
    let one = SigningKey::generate("ES256", Some("a".to_owned()))
        .unwrap()
        .public_json()
        .unwrap();
    let two = SigningKey::generate("HS256", Some("b".to_owned()))
        .unwrap()
        .to_json();
    let set = format!(r#"{{"keys": [{one}, {{"kty": "EC", "use": "enc"}}, {two}]}}"#);
    let names: Vec<_> = Key::read_all(&set)
        .unwrap()
        .into_iter()
        .map(|key| key.id.unwrap())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert!(Key::read_all(r#"{"keys": []}"#).is_err());
}

#[test]
fn a_token_that_grants_nothing_is_not_made() {
    let key = SigningKey::generate("EdDSA", None).unwrap();
    assert!(key.sign(&Claims::default()).is_err());
}

#[test]
fn a_pair_whose_halves_differ_is_refused() {
    let one = SigningKey::generate("ES256", None).unwrap();
    let two = SigningKey::generate("ES256", None).unwrap();
    let mixed = one
        .to_json()
        .replace(one.jwk.d.as_ref().unwrap(), two.jwk.d.as_ref().unwrap());
    let signed = SigningKey::read(&mixed).and_then(|key| key.sign(&claims()));
    assert!(signed.is_err());
}

#[test]
fn a_key_with_a_scope_is_good_for_tokens_within_it_only() {
    let key = SigningKey::generate("ES256", None).unwrap();
    let scoped = |scope: &str| {
        let text = key
            .to_json()
            .replacen('{', &format!("{{\"scope\":{scope},"), 1);
        SigningKey::read(&text)
    };
    let within = scoped(r#"{"root":"demo","put":["me"],"get":[""]}"#).unwrap();
    signed_and_checked(&within);
    let wide = Claims {
        root: String::new(),
        ..claims()
    };
    assert!(within.sign(&wide).is_err(), "more than the scope");
    // Whoever has the key can sign it all the same.
    let forged = key.sign(&wide).unwrap();
    let relay = Key::read(&within.public_json().unwrap()).unwrap();
    assert!(token::check_with(&forged, &relay).is_err());
    let writer = Claims {
        put: Prefixes(vec!["you".to_owned()]),
        ..claims()
    };
    assert!(token::check_with(&key.sign(&writer).unwrap(), &relay).is_err());
    // What cannot be understood bounds nothing, and so opens nothing.
    let patterns = scoped(r#"{"root":"demo","publish":["me/*"]}"#);
    assert!(patterns.is_err());
}
