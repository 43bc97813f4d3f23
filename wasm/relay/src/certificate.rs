//! The self-signed certificate of a development relay.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// Browsers accept a pinned certificate only when it is valid for at most 14 days
/// (W3C WebTransport, "custom certificate requirements"); a day less leaves room for clock skew.
const VALIDITY: Duration = Duration::days(13);

/// A certificate chain with its key and the hash a browser pins.
pub struct Certificate {
    /// DER, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the leaf.
    pub key: PrivateKeyDer<'static>,
    /// SHA-256 of the leaf in DER form: 64 lower-case hexadecimal digits.
    pub fingerprint: String,
}

impl Certificate {
    /// Creates an ECDSA P-256 certificate for `names`, valid from an hour ago for 13 days.
    ///
    /// # Errors
    /// Fails when a name is not a valid DNS name or address.
    pub fn self_signed(names: &[String]) -> Result<Self, rcgen::Error> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = rcgen::CertificateParams::new(names.to_vec())?;
        let start = OffsetDateTime::now_utc() - Duration::hours(1);
        params.not_before = start;
        params.not_after = start + VALIDITY;
        let leaf = params.self_signed(&key)?;
        let der = leaf.der().clone();
        let fingerprint = hex(ring::digest::digest(&ring::digest::SHA256, &der).as_ref());
        Ok(Self {
            chain: vec![der],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            fingerprint,
        })
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
