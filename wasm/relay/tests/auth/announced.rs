//! What the HTTP routes tell, and to whom.

use super::world::{Binding, Directory, claims, key, start};

#[tokio::test]
async fn announcements_are_told_in_scope_and_health_and_certificate_to_everybody() {
    let directory = Directory::new();
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let relay = start(&["--auth-key", &file]).await;
    let jwt = |root, put: &[&str], get: &[&str]| {
        format!("jwt={}", ours.sign(&claims(root, put, get)).unwrap())
    };
    let all = jwt("", &[""], &[""]);
    let publisher = relay
        .dial(Binding::Quic, &format!("/?{all}"))
        .await
        .unwrap();
    let names = ["demo/room", "demo/room/a", "demo/rooms", "other"];
    let _broadcasts = names.map(|name| publisher.publish(name));
    let viewer = relay
        .dial(Binding::Quic, &format!("/?{all}"))
        .await
        .unwrap();
    viewer.sees(&names).await;
    let list = async |prefix: &str, jwt: &str| {
        let (status, body) = relay.get(&format!("/announced{prefix}?{jwt}"), &[]).await;
        let mut lines: Vec<_> = body.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        (status, lines.join(" "))
    };
    let room = jwt("demo", &[], &["room"]);
    for (prefix, jwt, expected) in [
        ("", &all, "demo/room demo/room/a demo/rooms other"),
        ("/demo", &all, "room room/a rooms"),
        ("", &room, "demo/room demo/room/a"),
        ("/demo", &room, "room room/a"),
        ("/demo/room", &room, " a"),
        ("/demo/room/a", &room, ""),
        ("/demo", &jwt("demo", &["room"], &[]), ""),
    ] {
        let found = list(prefix, jwt).await;
        assert_eq!(found, (200, expected.to_owned()), "{prefix}");
    }
    for (prefix, jwt, status) in [
        ("", "", 401),
        ("", "jwt=x", 401),
        ("/other", &room, 403),
        ("/demo/rooms", &room, 403),
    ] {
        assert_eq!(list(prefix, jwt).await.0, status, "{prefix}");
    }
    assert_eq!(relay.get("/health", &[]).await, (200, "ok\n".to_owned()));
    let (status, digits) = relay.get("/certificate.sha256", &[]).await;
    assert_eq!((status, digits.len()), (200, 64));
    assert_eq!(relay.get(&format!("/metrics?{all}"), &[]).await.0, 404);
}
