//! What a client asks for.

use std::fmt;

use axum::http::{HeaderMap, header};

/// One request to be let in, whatever it came over.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The path of the request: what everything the client may touch is relative to.
    pub path: &'a str,
    /// The query, where the token is (`jwt=…`). Never to be logged.
    pub query: &'a str,
    /// The page a browser acts for; other programs send none.
    pub origin: Option<&'a str>,
    /// The host the client thinks it talks to, where the transport says.
    pub host: Option<&'a str>,
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

    /// Adds what the headers of an HTTP request say.
    #[must_use]
    pub fn with_headers(mut self, headers: &'a HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        self.origin = text(header::ORIGIN);
        self.host = text(header::HOST).or(self.host);
        self
    }
}

/// The path only: the query holds the token.
impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
