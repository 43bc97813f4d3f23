//! Connecting to other relays.

mod flags;
mod link;
mod race;
mod tls;
mod transport;

pub use flags::DialFlags;
pub use link::keep;
pub use tls::{TlsError, Trust};
pub use transport::{DialError, Dialer};

use url::Url;

/// TLS settings for a connection to whoever owns the certificate with this SHA-256, in hexadecimal.
///
/// # Errors
/// See [`TlsError`].
pub fn pinned(
    fingerprint: &str,
    protocols: Vec<Vec<u8>>,
) -> Result<rustls::ClientConfig, TlsError> {
    let trust = Trust::Fingerprints(vec![tls::fingerprint(fingerprint)?]);
    tls::client(&trust, None, protocols)
}

/// An address as it may be shown: without the query, which can hold a token, and without a password.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither fails where there is a host, and without one there is nothing to hide.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.into()
}

/// Reads the address of a relay.
///
/// # Errors
/// What is wrong with it.
pub fn address(text: &str) -> Result<Url, String> {
    // The text itself may hold a token.
    let url = Url::parse(text).map_err(|error| format!("not an address: {error}"))?;
    match url.scheme() {
        "https" | "http" | "wss" | "ws" | "moqt" | "moql" if url.has_host() => Ok(url),
        "https" | "http" | "wss" | "ws" | "moqt" | "moql" => Err("there is no host".into()),
        scheme => Err(format!(
            "{scheme}: is none of https, http, wss, ws, moqt and moql"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let url = address("https://user:word@relay.example:4443/demo?jwt=secret#part").unwrap();
        assert_eq!(shown(&url), "https://relay.example:4443/demo");
    }

    #[test]
    fn only_addresses_of_relays_are_taken() {
        for good in [
            "https://a",
            "http://a:1/",
            "ws://a/b",
            "wss://[::1]:1",
            "moqt://a:2/x?jwt=y",
            "moql://a",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "relay.example",
            "ftp://a",
            "moqt:///path",
            "tcp://a:1",
            "",
            "a:1",
        ] {
            let error = address(bad).expect_err(bad);
            assert!(!error.contains("jwt"), "{error}");
        }
    }
}
