//! The self-signed certificate of a development relay, and of its next two weeks.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// Browsers accept a pinned certificate only when it is valid for at most 14 days
/// (W3C WebTransport, "custom certificate requirements"); a day less leaves room for clock skew.
const VALIDITY: Duration = Duration::days(13);

/// A relay gets a new one when no more than this is left.
const LEFT: Duration = Duration::days(1);

/// A certificate chain with its key and the hash a browser pins.
pub struct Certificate {
    /// DER, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the leaf.
    pub key: PrivateKeyDer<'static>,
    /// SHA-256 of the leaf in DER form: 64 lower-case hexadecimal digits.
    pub fingerprint: String,
    names: Vec<String>,
    end: OffsetDateTime,
}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            fingerprint: self.fingerprint.clone(),
            names: self.names.clone(),
            end: self.end,
        }
    }
}

impl Certificate {
    /// Creates an ECDSA P-256 certificate for `names`, valid from an hour ago for 13 days.
    ///
    /// # Errors
    /// Fails when a name is not a valid DNS name or address.
    pub fn self_signed(names: &[String]) -> Result<Self, rcgen::Error> {
        let start = OffsetDateTime::now_utc() - Duration::hours(1);
        Self::until(names, start + VALIDITY)
    }

    /// The same, valid up to `end`.
    ///
    /// # Errors
    /// As [`self_signed`](Self::self_signed).
    pub fn until(names: &[String], end: OffsetDateTime) -> Result<Self, rcgen::Error> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = rcgen::CertificateParams::new(names.to_vec())?;
        params.not_before = end - VALIDITY;
        params.not_after = end;
        let leaf = params.self_signed(&key)?;
        let der = leaf.der().clone();
        let fingerprint = hex(ring::digest::digest(&ring::digest::SHA256, &der).as_ref());
        Ok(Self {
            chain: vec![der],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            fingerprint,
            names: names.to_vec(),
            end,
        })
    }

    /// One for the same names to take its place, if its end is near.
    ///
    /// # Errors
    /// As [`self_signed`](Self::self_signed).
    pub(crate) fn successor(&self) -> Result<Option<Self>, rcgen::Error> {
        let near = self.end - OffsetDateTime::now_utc() <= LEFT;
        near.then(|| Self::self_signed(&self.names)).transpose()
    }
}

/// The fingerprint to tell those who ask, for as long as that is the certificate. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Fingerprint(Arc<RwLock<String>>);

impl Fingerprint {
    /// What it is now.
    #[must_use]
    pub fn get(&self) -> String {
        let text = self.0.read().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }

    pub(crate) fn set(&self, fingerprint: &str) {
        let mut text = self.0.write().unwrap_or_else(PoisonError::into_inner);
        fingerprint.clone_into(&mut text);
    }
}

impl From<&str> for Fingerprint {
    fn from(fingerprint: &str) -> Self {
        Self(Arc::new(RwLock::new(fingerprint.to_owned())))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_64_lower_case_hex_digits_of_the_leaf() {
        let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
        let expected = ring::digest::digest(&ring::digest::SHA256, &certificate.chain[0]);
        assert_eq!(certificate.fingerprint.len(), 64);
        assert_eq!(certificate.fingerprint, hex(expected.as_ref()));
        assert!(
            certificate
                .fingerprint
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
    }
}
