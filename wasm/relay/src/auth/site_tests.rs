use super::*;

fn sites(bind: &str, origins: &[&str]) -> Sites {
    let origins: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
    let names = ["relay.example".to_owned()];
    Sites::new(format!("{bind}:1").parse().unwrap(), &names, &origins).unwrap()
}

fn from<'a>(origin: &'a str, host: &'a str) -> Asked<'a> {
    Asked {
        origin: Some(origin).filter(|origin| !origin.is_empty()),
        host: Some(host).filter(|host| !host.is_empty()),
        ..Asked::default()
    }
}

#[test]
fn on_loopback_only_pages_of_this_machine_need_no_token() {
    let sites = sites("127.0.0.1", &[]);
    for origin in [
        "",
        "http://localhost:4173",
        "http://127.0.0.1",
        "https://[::1]:8",
        "http://app.localhost",
    ] {
        assert_eq!(
            sites.check_ambient(&from(origin, "localhost:4443"), false),
            Ok(()),
            "{origin}"
        );
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://192.168.0.2",
        "file:///x",
        "invalid",
        "http://notlocalhost",
        "ftp://localhost",
    ] {
        let refused = sites.check_ambient(&from(origin, "localhost"), false);
        assert_eq!(refused, Err(FOREIGN), "{origin}");
        assert_eq!(
            sites.check(&from(origin, "localhost")),
            Ok(()),
            "a token decides for {origin}"
        );
    }
}

#[test]
fn a_name_that_was_pointed_here_is_not_ours() {
    let sites = sites("127.0.0.1", &[]);
    for host in [
        "",
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:4443",
        "[::1]:4443",
        "relay.example:4443",
        "10.0.0.1",
    ] {
        assert_eq!(
            sites.check_ambient(&from("", host), false),
            Ok(()),
            "{host}"
        );
    }
    for host in [
        "rebound.example",
        "rebound.example:4443",
        "localhost.evil.example",
        "relay.example.evil",
        "invalid",
    ] {
        assert!(
            sites.check_ambient(&from("", host), false).is_err(),
            "{host}"
        );
    }
}

#[test]
fn a_private_or_unspecified_address_lets_in_only_listed_pages() {
    for bind in [
        "192.168.1.1",
        "10.1.2.3",
        "0.0.0.0",
        "[::]",
        "[fd00::1]",
        "[fe80::1]",
        "169.254.1.1",
    ] {
        let none = sites(bind, &[]);
        assert_eq!(none.check_ambient(&from("", ""), false), Ok(()), "{bind}");
        let local = none.check_ambient(&from("http://localhost", "10.1.2.3"), false);
        assert_eq!(local, Err(FOREIGN), "{bind}");
        let listed = sites(bind, &["https://app.example"]);
        let ours = from("https://APP.example:443", "relay.example");
        assert_eq!(listed.check_ambient(&ours, false), Ok(()), "{bind}");
        assert_eq!(listed.check(&ours), Ok(()));
    }
}

#[test]
fn a_list_is_for_everybody_and_a_public_relay_needs_none() {
    let listed = sites("203.0.113.1", &["https://app.example", "null"]);
    assert_eq!(listed.check(&from("null", "")), Ok(()));
    assert_eq!(listed.check(&from("", "")), Ok(()));
    for origin in [
        "https://app.example.evil",
        "http://app.example",
        "https://app.example:8443",
    ] {
        assert_eq!(listed.check(&from(origin, "")), Err(FOREIGN), "{origin}");
    }
    let public = sites("203.0.113.1", &[]);
    assert_eq!(
        public.check_ambient(&from("https://evil.example", "any.name"), false),
        Ok(())
    );
    assert!(
        public
            .check_ambient(&from("https://evil.example", "any.name"), true)
            .is_err(),
        "a certificate is at hand in any page"
    );
    assert_eq!(
        sites("127.0.0.1", &["*"]).check_ambient(&from("https://any.example", "localhost"), false),
        Ok(())
    );
}

#[test]
fn an_origin_that_is_none_is_a_mistake_of_the_settings() {
    for origin in ["app.example", "https://app.example/path", "", "**"] {
        let made = Sites::new("127.0.0.1:1".parse().unwrap(), &[], &[origin.to_owned()]);
        assert!(made.is_err(), "{origin}");
    }
}
