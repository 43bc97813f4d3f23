//! Whom the relay believes to be another relay, and what it shows of itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::DialFlags;

/// Why certificates cannot be checked, or the own one not be shown.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read.
    #[error("{0} cannot be used: {1}")]
    File(PathBuf, String),
    /// The system has no authorities to trust.
    #[error("the system's certificate authorities cannot be used: {0}")]
    System(String),
    /// The HTTP client that asks for fingerprints cannot be made.
    #[error("fingerprints cannot be asked for: {0}")]
    Client(String),
    /// Not a SHA-256.
    #[error("{0:?} is not 64 hexadecimal digits")]
    Fingerprint(String),
    /// The client certificate or key was refused.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// How the certificate of another relay is checked.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Signed, over whatever chain, by one of these, for the name in the address.
    Roots(Arc<RootCertStore>),
    /// Exactly one of those with these SHA-256 sums, whatever it says.
    Fingerprints(Vec<[u8; 32]>),
    /// Not at all.
    Nothing,
}

impl Trust {
    /// # Errors
    /// The files cannot be used, or the sums are none.
    pub fn new(flags: &DialFlags) -> Result<Self, TlsError> {
        if flags.dial_insecure {
            return Ok(Self::Nothing);
        }
        if !flags.dial_fingerprint.is_empty() {
            let sums = flags.dial_fingerprint.iter().map(|text| fingerprint(text));
            return Ok(Self::Fingerprints(sums.collect::<Result<_, _>>()?));
        }
        let mut roots = RootCertStore::empty();
        if flags.dial_root.is_empty() {
            let system = rustls_native_certs::load_native_certs();
            if system.certs.is_empty()
                && let Some(error) = system.errors.first()
            {
                return Err(TlsError::System(error.to_string()));
            }
            // Some systems carry certificates that no longer parse; the others count.
            roots.add_parsable_certificates(system.certs);
        }
        for file in &flags.dial_root {
            for certificate in chain(file)? {
                roots.add(certificate)?;
            }
        }
        Ok(Self::Roots(Arc::new(roots)))
    }
}

/// Reads a SHA-256 in hexadecimal digits, with or without colons.
///
/// # Errors
/// It is none.
pub(super) fn fingerprint(text: &str) -> Result<[u8; 32], TlsError> {
    let wrong = || TlsError::Fingerprint(text.to_owned());
    let digits: Vec<u8> = text.trim().bytes().filter(|byte| *byte != b':').collect();
    let mut sum = [0; 32];
    if digits.len() != 2 * sum.len() {
        return Err(wrong());
    }
    for (byte, pair) in sum.iter_mut().zip(digits.chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or_else(wrong);
        let value = digit(pair[0])? << 4 | digit(pair[1])?;
        *byte = u8::try_from(value).map_err(|_never| wrong())?;
    }
    Ok(sum)
}

/// What this relay shows of itself.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// # Errors
    /// A file cannot be used.
    pub(super) fn new(flags: &DialFlags) -> Result<Option<Self>, TlsError> {
        let (Some(cert), Some(key)) = (&flags.dial_cert, &flags.dial_key) else {
            return Ok(None);
        };
        let wrong =
            |error: rustls::pki_types::pem::Error| TlsError::File(key.clone(), error.to_string());
        let identity = Self {
            chain: chain(cert)?,
            key: Arc::new(PrivateKeyDer::from_pem_file(key).map_err(wrong)?),
        };
        // Whether the two belong together shows now, not each time they are shown to somebody.
        let usable = client(&Trust::Nothing, Some(&identity), Vec::new());
        usable.map_err(|error| TlsError::File(cert.clone(), error.to_string()))?;
        Ok(Some(identity))
    }
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong =
        |error: rustls::pki_types::pem::Error| TlsError::File(file.into(), error.to_string());
    let chain: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(wrong)?;
    match chain.is_empty() {
        true => Err(TlsError::File(
            file.into(),
            "it holds no certificate".into(),
        )),
        false => Ok(chain),
    }
}

/// The TLS settings for one connection.
///
/// # Errors
/// The client certificate or key was refused.
pub(super) fn client(
    trust: &Trust,
    identity: Option<&Identity>,
    protocols: Vec<Vec<u8>>,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let tls = match trust {
        Trust::Roots(roots) => tls.with_root_certificates(roots.clone()),
        Trust::Fingerprints(sums) => {
            let sums = Some(sums.clone());
            let verifier = Arc::new(Pinned { provider, sums });
            tls.dangerous().with_custom_certificate_verifier(verifier)
        }
        Trust::Nothing => {
            let verifier = Arc::new(Pinned {
                provider,
                sums: None,
            });
            tls.dangerous().with_custom_certificate_verifier(verifier)
        }
    };
    let mut tls = match identity {
        Some(identity) => {
            tls.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?
        }
        None => tls.with_no_client_auth(),
    };
    tls.alpn_protocols = protocols;
    Ok(tls)
}

/// Accepts certificates by their SHA-256, or any. That the other side owns the key is checked all the same.
#[derive(Debug)]
struct Pinned {
    provider: Arc<CryptoProvider>,
    sums: Option<Vec<[u8; 32]>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(sums) = &self.sums else {
            return Ok(ServerCertVerified::assertion());
        };
        let sum = ring::digest::digest(&ring::digest::SHA256, end_entity);
        match sums.iter().any(|pinned| pinned == sum.as_ref()) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_64_digits_with_or_without_colons() {
        let digits = "00ff".repeat(16);
        let sum = fingerprint(&digits).unwrap();
        assert_eq!(sum[..2], [0x00, 0xff]);
        let pairs: Vec<_> = (0..32).map(|at| &digits[2 * at..2 * at + 2]).collect();
        assert_eq!(fingerprint(&pairs.join(":")).unwrap(), sum);
        for bad in ["", "00", &"0g".repeat(32), &"00".repeat(33)] {
            assert!(fingerprint(bad).is_err(), "{bad}");
        }
    }
}
