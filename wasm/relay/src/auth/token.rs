//! Checking one token.

use std::time::SystemTime;

use jsonwebtoken::Validation;

use super::jwk::Key;
use super::keys::{self, Keys};
use super::{Claims, Refusal, crypto};

/// What a good token proved.
pub(super) struct Proof {
    pub(super) claims: Claims,
    /// When the token ends.
    pub(super) end: Option<SystemTime>,
    /// What signed it.
    pub(super) key: Key,
}

/// Checks signature, algorithm and times of a token with the key it names.
pub(super) async fn check(token: &str, keys: &Keys, now: SystemTime) -> Result<Proof, Refusal> {
    let kid = kid(token)?;
    let key = keys.find(kid.as_deref()).await?;
    let (claims, end) = check_at(token, &key, now)?;
    Ok(Proof { claims, end, key })
}

/// Checks a token as a relay with these keys would at `now`, and gives what it says.
///
/// # Errors
/// See [`Refusal`].
pub fn verify(token: &str, keys: &[Key], now: SystemTime) -> Result<Claims, Refusal> {
    let kid = kid(token)?;
    let key = keys::choose(keys, kid.as_deref()).ok_or(keys::UNKNOWN)?;
    check_at(token, key, now).map(|(claims, _end)| claims)
}

/// The name of the key. Fails for `alg: none` and everything else that is no algorithm of ours.
fn kid(token: &str) -> Result<Option<String>, Refusal> {
    let header = jsonwebtoken::decode_header(token).map_err(|_invalid| Refusal::MALFORMED)?;
    if header.crit.is_some() {
        return Err(Refusal::Unauthorized("the token needs an extension"));
    }
    Ok(header.kid)
}

fn check_at(
    token: &str,
    key: &Key,
    now: SystemTime,
) -> Result<(Claims, Option<SystemTime>), Refusal> {
    let claims = check_with(token, key)?;
    let end = claims.valid_at(now)?;
    if claims.is_useless() {
        return Err(Refusal::Unauthorized("the token grants nothing"));
    }
    Ok((claims, end))
}

/// Checks the signature and the bounds of the key only, with the algorithm of the key and no other: what the token says about itself is not asked.
pub(super) fn check_with(token: &str, key: &Key) -> Result<Claims, Refusal> {
    crypto::install();
    let mut validation = Validation::new(key.algorithm);
    // The times are checked by `Claims`, against a clock that tests can move and without leeway.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let data = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation);
    let claims = data.map(|data| data.claims).map_err(|_invalid| {
        Refusal::Unauthorized("the token is not signed by a key of this relay")
    })?;
    match &key.scope {
        Some(scope) if !scope.covers(&claims.grants()?) => Err(Refusal::Unauthorized(
            "the token grants more than its key may",
        )),
        _ => Ok(claims),
    }
}
