//! Keys as JWK files (RFC 7517) hold them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use ring::digest;
use serde::{Deserialize, Serialize};

use super::{Claims, Grants, Prefixes};

/// RFC 7518 §3.2 asks for as many bytes as the hash has; this is the least any of ours has.
const MIN_SECRET: usize = 32;

/// A key is not one, or not one that may be used here.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is neither JSON nor JSON in base64url.
    #[error("not a JSON Web Key: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A member the key needs is missing, not base64url, or out of its range.
    #[error("the member `{0}` is missing or invalid")]
    Member(&'static str),
    /// `alg` is missing or one that is not supported.
    #[error("`alg` must be one of HS256/384/512, ES256/384, RS256/384/512, PS256/384/512, EdDSA")]
    Algorithm,
    /// `key_ops` or `use` does not allow what the key is asked to do.
    #[error("the key may not be used to {0}")]
    Operation(&'static str),
    /// The cryptography refuses the key.
    #[error("the key is unusable: {0}")]
    Rejected(String),
}

/// The members of a JWK that matter here. Private ones are present in signing keys only.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Jwk {
    pub(super) kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_ops: Option<Vec<String>>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) e: Option<String>,
    /// The secret of a symmetric key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) k: Option<String>,
    /// The private number of an asymmetric key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) d: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) q: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dq: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) qi: Option<String>,
    /// What tokens of this key may grant at most: no member of RFC 7517, but one that other tools write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<Scope>,
}

/// The bounds of a key, as the claims of a token say rights. Bounds that are said in another way are not ignored.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scope {
    #[serde(default)]
    root: String,
    #[serde(default)]
    put: Prefixes,
    #[serde(default)]
    get: Prefixes,
}

impl Scope {
    fn grants(&self) -> Result<Grants, KeyError> {
        let Self { root, put, get } = self.clone();
        let claims = Claims {
            root,
            put,
            get,
            ..Claims::default()
        };
        claims
            .grants()
            .map_err(|_invalid| KeyError::Member("scope"))
    }
}

impl Jwk {
    /// Reads one key: JSON, or JSON wrapped in base64url.
    pub(super) fn read(text: &str) -> Result<Self, KeyError> {
        Ok(serde_json::from_str(&unwrapped(text))?)
    }

    /// The one algorithm the key is for.
    pub(super) fn algorithm(&self) -> Result<Algorithm, KeyError> {
        let algorithm = self.alg.as_deref().and_then(|name| name.parse().ok());
        let algorithm: Algorithm = algorithm.ok_or(KeyError::Algorithm)?;
        let kty = match algorithm.family() {
            AlgorithmFamily::Hmac => "oct",
            AlgorithmFamily::Rsa => "RSA",
            AlgorithmFamily::Ec => "EC",
            AlgorithmFamily::Ed => "OKP",
        };
        let crv = match algorithm {
            Algorithm::ES256 => Some("P-256"),
            Algorithm::ES384 => Some("P-384"),
            Algorithm::EdDSA => Some("Ed25519"),
            _ => None,
        };
        if self.kty != kty {
            return Err(KeyError::Member("kty"));
        }
        if crv.is_some() && self.crv.as_deref() != crv {
            return Err(KeyError::Member("crv"));
        }
        Ok(algorithm)
    }

    /// Whether the key says it may be used for `operation` (`sign` or `verify`); one that says nothing may.
    pub(super) fn allow(&self, operation: &'static str) -> Result<(), KeyError> {
        let listed = self.key_ops.as_ref();
        let listed = listed.is_none_or(|ops| ops.iter().any(|op| op == operation));
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        (listed && signs)
            .then_some(())
            .ok_or(KeyError::Operation(operation))
    }

    /// The bytes of a member.
    pub(super) fn bytes(value: Option<&String>, name: &'static str) -> Result<Vec<u8>, KeyError> {
        let text = value.ok_or(KeyError::Member(name))?;
        BASE64
            .decode(text.trim_end_matches('='))
            .map_err(|_invalid| KeyError::Member(name))
    }

    /// A coordinate or private number: `size` bytes exactly.
    pub(super) fn sized(
        value: Option<&String>,
        name: &'static str,
        size: usize,
    ) -> Result<Vec<u8>, KeyError> {
        let bytes = Self::bytes(value, name)?;
        (bytes.len() == size)
            .then_some(bytes)
            .ok_or(KeyError::Member(name))
    }

    /// The secret of a symmetric key.
    pub(super) fn secret(&self) -> Result<Vec<u8>, KeyError> {
        let secret = Self::bytes(self.k.as_ref(), "k")?;
        (secret.len() >= MIN_SECRET)
            .then_some(secret)
            .ok_or(KeyError::Member("k"))
    }
}

fn unwrapped(text: &str) -> String {
    let text = text.trim();
    if text.starts_with(['{', '[']) {
        return text.to_owned();
    }
    let bare = text.trim_end_matches('=');
    let decoded = BASE64.decode(bare).or_else(|_| STANDARD.decode(text));
    decoded
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| text.to_owned())
}

/// A key that checks tokens.
#[derive(Clone)]
pub struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) id: Option<String>,
    pub(super) decoding: DecodingKey,
    /// What its tokens may grant at most, if that is bounded.
    pub(super) scope: Option<Grants>,
    /// Tells this key from another of the same name.
    pub(super) digest: [u8; 32],
}

impl Key {
    /// Reads the part of `text` that checks tokens: of a secret or private key, too, it needs no more.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn read(text: &str) -> Result<Self, KeyError> {
        Self::try_from(&Jwk::read(text)?)
    }

    /// Reads a key or a set of them (`{"keys": […]}`). Members of a set that are for something else are left out.
    ///
    /// # Errors
    /// See [`KeyError`]; a set without a usable key is one.
    pub fn read_all(text: &str) -> Result<Vec<Self>, KeyError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let text = unwrapped(text);
        let value: serde_json::Value = serde_json::from_str(&text)?;
        if value.get("keys").is_none() {
            return Ok(vec![Self::read(&text)?]);
        }
        let set: Set = serde_json::from_value(value)?;
        let keys: Vec<Self> = set
            .keys
            .into_iter()
            .filter_map(|member| {
                let jwk: Jwk = serde_json::from_value(member).ok()?;
                Self::try_from(&jwk).ok()
            })
            .collect();
        (!keys.is_empty())
            .then_some(keys)
            .ok_or(KeyError::Member("keys"))
    }
}

impl TryFrom<&Jwk> for Key {
    type Error = KeyError;

    fn try_from(jwk: &Jwk) -> Result<Self, KeyError> {
        let algorithm = jwk.algorithm()?;
        // A private key file says `sign` only; what it holds of the public key checks all the same.
        jwk.allow("verify").or_else(|error| {
            let private = jwk.d.is_some() || jwk.k.is_some();
            if private {
                jwk.allow("sign")
            } else {
                Err(error)
            }
        })?;
        let rejected = |error: jsonwebtoken::errors::Error| KeyError::Rejected(error.to_string());
        let (decoding, public) = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => {
                let size = coordinate(algorithm);
                let x = Jwk::sized(jwk.x.as_ref(), "x", size)?;
                let y = Jwk::sized(jwk.y.as_ref(), "y", size)?;
                let (x, y) = (BASE64.encode(x), BASE64.encode(y));
                let key = DecodingKey::from_ec_components(&x, &y).map_err(rejected)?;
                (key, format!("{x}.{y}"))
            }
            Algorithm::EdDSA => {
                let x = BASE64.encode(Jwk::sized(jwk.x.as_ref(), "x", 32)?);
                (DecodingKey::from_ed_components(&x).map_err(rejected)?, x)
            }
            _ if algorithm.family() == AlgorithmFamily::Rsa => {
                let n = Jwk::bytes(jwk.n.as_ref(), "n")?;
                let e = Jwk::bytes(jwk.e.as_ref(), "e")?;
                let text = format!("{}.{}", BASE64.encode(&n), BASE64.encode(&e));
                (DecodingKey::from_rsa_raw_components(&n, &e), text)
            }
            _ => {
                let secret = jwk.secret()?;
                (DecodingKey::from_secret(&secret), BASE64.encode(secret))
            }
        };
        let scope = jwk.scope.as_ref().map(Scope::grants).transpose()?;
        let name = format!("{algorithm:?}.{public}.{scope:?}");
        let digest = digest::digest(&digest::SHA256, name.as_bytes());
        Ok(Self {
            algorithm,
            id: jwk.kid.clone(),
            decoding,
            scope,
            digest: digest.as_ref().try_into().unwrap_or_default(),
        })
    }
}

/// Bytes of one coordinate of a curve.
pub(super) const fn coordinate(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::ES384 => 48,
        _ => 32,
    }
}

/// Names the key, never its contents.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
