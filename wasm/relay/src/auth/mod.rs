//! Who may read and publish what. Every entry point asks [`Relay::authorize`](crate::relay::Relay::authorize); what it
//! gives out is scoped, so nothing behind it can reach further.

mod access;
mod asked;
mod authority;
mod claims;
mod crypto;
mod flags;
mod grant;
mod jwk;
mod keys;
mod lease;
mod mint;
mod peers;
mod site;
mod source;
mod token;

pub use access::{Access, Refusal};
pub use asked::Asked;
pub use authority::Authority;
pub use claims::{Claims, Prefixes};
pub use flags::AuthFlags;
pub use grant::Grants;
pub use jwk::{Key, KeyError};
pub use lease::Lease;
pub use mint::{ALGORITHMS, SigningKey};
pub use token::verify;

pub(crate) use authority::Granted;
pub(crate) use keys::is_key_name;

/// Why a relay cannot start as it was told to.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Nobody said who may connect to an address that others can reach.
    #[error(
        "the relay would be open to everybody who can reach it: name a key with --auth-key, or say \
         --auth-public \"\" if that is meant"
    )]
    Nothing,
    /// Neither a file nor an address that keys may come from.
    #[error("keys cannot come from {0}: only from files, https, and http on this machine")]
    Source(String),
    /// The HTTP client cannot be made.
    #[error("keys cannot be read over HTTP: {0}")]
    Client(String),
    /// The keys cannot be read.
    #[error("there is no usable key in {0}")]
    Unreadable(String),
    /// There is nothing where the key should be.
    #[error("there is no key at {0}")]
    Missing(String),
    /// The directory of keys cannot be read.
    #[error("keys cannot be read from the directory {0}: {1}")]
    Directory(String, std::io::Error),
    /// A prefix is too long.
    #[error("{0:?} cannot be a prefix")]
    Prefix(String),
    /// Not `scheme://host[:port]`.
    #[error("{0:?} is not an origin such as https://app.example, nor \"*\"")]
    Origin(String),
    /// Not `NAME=PREFIX`.
    #[error("{0:?} is not NAME=PREFIX with the DNS name of a certificate")]
    Peer(String),
    /// The authorities for client certificates cannot be used.
    #[error("the authorities in {0} cannot be used: {1}")]
    Authorities(String, String),
}
