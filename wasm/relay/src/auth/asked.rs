//! What a client asks for.

use std::borrow::Cow;
use std::fmt;

use axum::http::{HeaderMap, Uri, header};
use moq_net::{Path, PathOwned};
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;

use super::Refusal;

/// The longest token anybody looks at.
const MAX_TOKEN: usize = 8 << 10;

/// One request to be let in, whatever it came over.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The path of the request, percent-encoded: what everything the client may touch is relative to.
    pub path: &'a str,
    /// The query, where the token is (`jwt=…`). Never to be logged.
    pub query: &'a str,
    /// The page a browser acts for; other programs send none.
    pub origin: Option<&'a str>,
    /// The host the client thinks it talks to, where the transport says.
    pub host: Option<&'a str>,
    /// The certificate the client proved to own, checked against the configured authorities.
    pub certificate: Option<&'a CertificateDer<'a>>,
}

impl<'a> Asked<'a> {
    /// What a request target (path and query) says.
    #[must_use]
    pub fn target(target: &'a str) -> Self {
        let target = target.split('#').next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            path,
            query,
            ..Self::default()
        }
    }

    /// What a GET says about the path that follows its route.
    ///
    /// # Errors
    /// [`Refusal::Path`] when a part is empty; sessions collapse those, a resource has one address.
    pub fn resource(path: &'a str, uri: &'a Uri, headers: &'a HeaderMap) -> Result<Self, Refusal> {
        if path.contains("//") {
            return Err(Refusal::Path);
        }
        let asked = Self {
            path,
            query: uri.query().unwrap_or_default(),
            ..Self::default()
        };
        Ok(asked.with_headers(headers))
    }

    /// Adds what the headers of an HTTP request say.
    #[must_use]
    pub fn with_headers(mut self, headers: &'a HeaderMap) -> Self {
        // A header that is no text, or there twice, is not one anybody trusts.
        let text = |name| {
            let mut values = headers.get_all(name).iter();
            let first = values.next()?;
            let alone = values.next().is_none();
            Some(first.to_str().ok().filter(|_| alone).unwrap_or("invalid"))
        };
        self.origin = text(header::ORIGIN);
        self.host = text(header::HOST).or(self.host);
        self
    }

    /// The path in normal form: decoded once, here and nowhere else.
    ///
    /// # Errors
    /// [`Refusal::Path`] for encoded slashes, NUL, dot segments, broken encodings, and too many parts or bytes.
    pub fn root(&self) -> Result<PathOwned, Refusal> {
        let parts: Result<Vec<_>, _> = self.path.split('/').map(part).collect();
        let text = parts?.join("/");
        let path = Path::parse(&text).map_err(|_too_long| Refusal::Path)?;
        Ok(path.into_owned())
    }

    /// The token, if there is one; an empty one is none.
    pub(super) fn token(&self) -> Result<Option<Cow<'a, str>>, Refusal> {
        let mut tokens = form_urlencoded::parse(self.query.as_bytes())
            .filter(|(name, value)| name == "jwt" && !value.is_empty())
            .map(|(_, value)| value);
        match (tokens.next(), tokens.next()) {
            (Some(_), Some(_)) => Err(Refusal::Unauthorized("there is more than one token")),
            (Some(token), None) if token.len() > MAX_TOKEN => Err(Refusal::MALFORMED),
            (token, _) => Ok(token),
        }
    }
}

/// One segment, decoded.
fn part(encoded: &str) -> Result<Cow<'_, str>, Refusal> {
    let hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
    let mut rest = encoded;
    while let Some((_, after)) = rest.split_once('%') {
        let mut digits = after.bytes();
        if !(hex(digits.next()) && hex(digits.next())) {
            return Err(Refusal::Path);
        }
        rest = after;
    }
    let text = percent_decode_str(encoded)
        .decode_utf8()
        .map_err(|_not_utf8| Refusal::Path)?;
    let safe = !text.contains(['/', '\0']) && text != "." && text != "..";
    safe.then_some(text).ok_or(Refusal::Path)
}

/// The path only: the query holds the token.
impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(target: &str) -> Result<String, Refusal> {
        let root = Asked::target(target).root()?;
        Ok(root.as_str().to_owned())
    }

    #[test]
    fn paths_are_decoded_once_and_normalised() {
        for (target, path) in [
            ("", ""),
            ("/", ""),
            ("//demo//room/?jwt=x", "demo/room"),
            ("/a%20b/%C3%A4", "a b/ä"),
            ("/a%2520b", "a%20b"),
            ("/Demo#x?y", "Demo"),
        ] {
            assert_eq!(root(target).as_deref(), Ok(path), "{target}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_path() {
        let deep = "/x".repeat(33);
        for target in [
            "/a%2Fb",
            "/a%2fb",
            "/a/../b",
            "/a/%2e%2E/b",
            "/./a",
            "/a%00b",
            "/%ff",
            "/%",
            "/%4",
            "/%zz",
            &deep,
        ] {
            assert_eq!(root(target), Err(Refusal::Path), "{target}");
        }
        assert!(root(&"/x".repeat(32)).is_ok());
    }

    #[test]
    fn a_token_is_one_and_not_empty() {
        let token = |target| {
            Asked::target(target)
                .token()
                .map(|token| token.map(Cow::into_owned))
        };
        assert_eq!(token("/demo"), Ok(None));
        assert_eq!(token("/demo?jwt="), Ok(None));
        assert_eq!(token("/demo?x=1&jwt=a.b.c"), Ok(Some("a.b.c".to_owned())));
        assert!(token("/demo?jwt=a&jwt=b").is_err());
        let long = format!("/?jwt={}", "x".repeat(MAX_TOKEN + 1));
        assert!(token(&long).is_err());
    }

    #[test]
    fn nothing_that_prints_a_request_prints_its_token() {
        let text = format!("{:?}", Asked::target("/demo?jwt=secret"));
        assert!(!text.contains("secret"), "{text}");
    }
}
