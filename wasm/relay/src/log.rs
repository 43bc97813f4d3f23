//! What the program prints, without tokens.

use std::borrow::Cow;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::bounds::Bounds;
use crate::lines;

/// Warnings; but the WebTransport library warns of each client that leaves without a word, and of nothing else.
const DEFAULT: &str = "warn,web_transport_quinn=error";

/// Logs to standard error, within `bounds`: warnings, or what `RUST_LOG` asks for. Panics are logged, too. Once per process.
pub fn init(bounds: &Bounds) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(DEFAULT));
    lines::subscriber(filter, Redacted, bounds).init();
    // Whatever a client caused before: this is nobody's but ours.
    std::panic::set_hook(Box::new(|info| tracing::error!(parent: None, "{info}")));
}

/// Standard error, without tokens. Libraries log requests whole, so what must not be seen is taken out at the end.
struct Redacted;

impl<'a> MakeWriter<'a> for Redacted {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

/// Events arrive whole, one write each. None fails: nobody may be reading any more, and whoever logs is not to blame.
impl Write for Redacted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let _unread = io::stderr().lock().write_all(redact(&text).as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _unread = io::stderr().flush();
        Ok(())
    }
}

/// What is at the bottom of an error: libraries say that they failed, and hide why.
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .unwrap_or(error)
        .to_string()
}

/// How the value of a `jwt` parameter begins, and how any signed token does (`{"` in base64url).
const MARKS: [(&str, bool); 2] = [("jwt=", true), ("eyJ", false)];

/// `text` with `…` in place of every token: the value of each `jwt=`, and whatever looks like one anywhere.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    if !MARKS.iter().any(|(mark, _)| text.contains(mark)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let next = MARKS
            .iter()
            .filter_map(|&(mark, keep)| Some((rest.find(mark)?, mark, keep)))
            .min_by_key(|&(at, ..)| at);
        let Some((at, mark, keep)) = next else {
            out.push_str(rest);
            return Cow::Owned(out);
        };
        out.push_str(&rest[..at]);
        if keep {
            out.push_str(mark);
        }
        let value = &rest[at + mark.len()..];
        let end = value
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.~%+/=".contains(c)))
            .unwrap_or(value.len());
        if end > 0 || !keep {
            out.push('…');
        }
        rest = &value[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_out_wherever_they_are() {
        for (text, clean) in [
            ("https://a/b?jwt=eyJx.y-z_.w&x=1", "https://a/b?jwt=…&x=1"),
            ("query: Some(\"jwt=abc\")", "query: Some(\"jwt=…\")"),
            ("jwt=a jwt=b", "jwt=… jwt=…"),
            ("token eyJhbGciOi.eyJwdXQi.c2ln ends", "token … ends"),
            ("?jwt=&x", "?jwt=&x"),
            ("?jwt=a%2Eb", "?jwt=…"),
            ("nothing here", "nothing here"),
        ] {
            assert_eq!(redact(text), clean);
        }
    }
}
