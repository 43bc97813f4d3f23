//! The cryptography of TLS, for libraries that ask the process.

use std::sync::Once;

/// Makes ring the provider of this process, once. An embedder that has installed another keeps it.
pub(crate) fn install() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let _already = rustls::crypto::ring::default_provider().install_default();
    });
}
