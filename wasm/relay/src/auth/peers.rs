//! Peers that prove who they are with a client certificate.

use std::path::Path as FilePath;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier, danger::ClientCertVerifier};

use super::SettingsError;
use super::grant::{self, Grants};

/// One name that certificates may prove, and what whoever has it may do. Names that are not configured may do nothing.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) name: String,
    subject: ServerName<'static>,
    pub(super) grants: Grants,
}

impl Peer {
    /// Reads `NAME=PREFIX`: a DNS name or address in the certificate, and the prefix it may publish and read under.
    pub(super) fn parse(text: &str) -> Result<Self, SettingsError> {
        let wrong = || SettingsError::Peer(text.to_owned());
        let (name, prefix) = text.split_once('=').ok_or_else(wrong)?;
        let subject = ServerName::try_from(name.to_owned()).map_err(|_invalid| wrong())?;
        let prefix = grant::prefix(prefix).map_err(|_invalid| wrong())?;
        Ok(Self {
            name: name.to_owned(),
            subject,
            grants: Grants::under(prefix),
        })
    }

    /// Whether the certificate, which the TLS handshake has checked, names this peer.
    pub(super) fn is(&self, certificate: &CertificateDer<'_>) -> bool {
        ParsedCertificate::try_from(certificate)
            .is_ok_and(|parsed| verify_server_name(&parsed, &self.subject).is_ok())
    }
}

/// Accepts clients without a certificate, and certificates of the authorities in a PEM file.
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub(super) fn verifier(roots: &FilePath) -> Result<Arc<dyn ClientCertVerifier>, SettingsError> {
    let wrong = |error: String| SettingsError::Authorities(roots.display().to_string(), error);
    let mut store = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(roots).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        store
            .add(certificate)
            .map_err(|error| wrong(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| wrong(error.to_string()))
}
