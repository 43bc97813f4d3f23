//! What a token says.

use std::time::{Duration, SystemTime};

use moq_net::PathOwned;
use serde::{Deserialize, Serialize};

use super::Refusal;
use super::grant::{self, Grants};

/// The claims of a token. Others are ignored; `sub` is one of them, because JWT reserves it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Claims {
    /// What `put` and `get` are relative to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub root: String,
    /// Prefixes the bearer may publish under; `""` is everything under the root.
    #[serde(alias = "pub", skip_serializing_if = "Prefixes::is_empty")]
    pub put: Prefixes,
    /// Prefixes the bearer may read.
    #[serde(skip_serializing_if = "Prefixes::is_empty")]
    pub get: Prefixes,
    /// When the token ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "whole")]
    pub exp: Option<f64>,
    /// When the token begins.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "whole")]
    pub nbf: Option<f64>,
    /// When the token was made; informational.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "ignored",
        rename = "iat"
    )]
    pub iat: Option<u64>,
}

/// A list of prefixes; one alone may be written as a string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "Written")]
pub struct Prefixes(pub Vec<String>);

impl Prefixes {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Many(Vec<String>),
    None(()),
}

impl From<Written> for Prefixes {
    fn from(written: Written) -> Self {
        Self(match written {
            Written::One(prefix) => vec![prefix],
            Written::Many(prefixes) => prefixes,
            Written::None(()) => Vec::new(),
        })
    }
}

/// Whole seconds are written without a fraction: other relays read nothing else.
fn whole<S: serde::Serializer>(time: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        // What is whole and up to here is exact.
        Some(seconds) if seconds.fract() == 0.0 && (0.0..9e15).contains(seconds) => {
            serializer.serialize_u64(*seconds as u64)
        }
        time => time.serialize(serializer),
    }
}

/// `iat` decides nothing, so whatever stands there is taken.
fn ignored<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer)?;
    Ok(None)
}

impl Claims {
    /// Whether the bearer could do nothing at all with it.
    #[must_use]
    pub fn is_useless(&self) -> bool {
        self.put.is_empty() && self.get.is_empty()
    }

    /// Checks the times against `now`, and says when the token ends.
    pub(super) fn valid_at(&self, now: SystemTime) -> Result<Option<SystemTime>, Refusal> {
        if seconds(self.nbf)?.is_some_and(|start| since_epoch(now) < start) {
            return Err(Refusal::Unauthorized("the token is not valid yet"));
        }
        let Some(end) = seconds(self.exp)? else {
            return Ok(None);
        };
        if since_epoch(now) >= end {
            return Err(Refusal::Expired);
        }
        // A date too far away to count is no end.
        let since = Duration::try_from_secs_f64(end).ok();
        Ok(since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)))
    }

    /// The rights as absolute prefixes.
    pub(super) fn grants(&self) -> Result<Grants, Refusal> {
        let root = grant::prefix(&self.root)?;
        let all = |prefixes: &Prefixes| -> Result<Vec<PathOwned>, Refusal> {
            let under = |prefix: &String| {
                let path = grant::prefix(prefix)?;
                root.join(&path).map_err(|_too_long| Refusal::MALFORMED)
            };
            prefixes.0.iter().map(under).collect()
        };
        Ok(Grants {
            put: all(&self.put)?,
            get: all(&self.get)?,
        })
    }
}

/// A time in seconds since 1970, if it makes sense.
fn seconds(time: Option<f64>) -> Result<Option<f64>, Refusal> {
    let sensible = time.is_none_or(|seconds| seconds.is_finite() && seconds >= 0.0);
    sensible.then_some(time).ok_or(Refusal::MALFORMED)
}

fn since_epoch(now: SystemTime) -> f64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Result<Claims, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_string_and_a_list_of_one_are_equal_and_unknown_claims_are_ignored() {
        let list = claims(r#"{"put":["me"],"get":[""],"cluster":true,"sub":"all"}"#).unwrap();
        let one = claims(r#"{"put":"me","get":"","iat":"yesterday"}"#).unwrap();
        assert_eq!(list, one);
        assert_eq!(claims(r#"{"pub":"me","get":""}"#).unwrap(), one);
    }

    #[test]
    fn nothing_granted_is_useless_and_sub_grants_nothing() {
        for json in [r"{}", r#"{"put":[],"get":null}"#, r#"{"sub":["a"]}"#] {
            assert!(claims(json).unwrap().is_useless(), "{json}");
        }
        assert!(!claims(r#"{"get":""}"#).unwrap().is_useless());
    }

    #[test]
    fn whole_seconds_are_written_as_every_reader_takes_them() {
        let text = |json| serde_json::to_string(&claims(json).unwrap()).unwrap();
        assert_eq!(
            text(r#"{"get":"","exp":1795321265,"nbf":7}"#),
            r#"{"get":[""],"exp":1795321265,"nbf":7}"#
        );
        assert_eq!(text(r#"{"exp":1.5}"#), r#"{"exp":1.5}"#);
    }

    #[test]
    fn times_are_numbers_that_make_sense() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let valid = |json| claims(json).unwrap().valid_at(at);
        assert_eq!(valid(r#"{"exp":null}"#), Ok(None));
        assert_eq!(valid(r#"{"exp":100}"#), Err(Refusal::Expired));
        assert_eq!(
            valid(r#"{"exp":100.5}"#),
            Ok(Some(at + Duration::from_millis(500)))
        );
        assert_eq!(valid(r#"{"exp":-1}"#), Err(Refusal::MALFORMED));
        assert_eq!(valid(r#"{"nbf":100}"#), Ok(None));
        assert!(valid(r#"{"nbf":101}"#).is_err());
        assert!(valid(r#"{"nbf":1e300}"#).is_err());
        assert_eq!(valid(r#"{"exp":1e300}"#), Ok(None));
        assert!(claims(r#"{"exp":"100"}"#).is_err());
    }
}
