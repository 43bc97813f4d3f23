//! The part of the command line that says who may do what.

use std::path::PathBuf;

use clap::Args;

/// Who may do what. With none of these a relay on a loopback address is open to everybody there, and a relay elsewhere
/// does not start.
#[derive(Clone, Debug, Args)]
pub struct AuthFlags {
    /// Key (JWK) or set of keys that tokens are checked with: a file, or an https address.
    #[arg(long, value_name = "FILE|URL", conflicts_with = "auth_key_dir")]
    pub auth_key: Option<String>,
    /// Directory or https address with one key per `<kid>.jwk`; tokens then have to name their key.
    #[arg(long, value_name = "DIR|URL")]
    pub auth_key_dir: Option<String>,
    /// Prefix that everybody may read and publish under without a token; "" is everything; repeatable.
    #[arg(long, value_name = "PREFIX")]
    pub auth_public: Vec<String>,
    /// Prefix that everybody may read without a token; repeatable.
    #[arg(long, value_name = "PREFIX")]
    pub auth_public_get: Vec<String>,
    /// Prefix that everybody may publish under without a token; repeatable.
    #[arg(long, value_name = "PREFIX")]
    pub auth_public_put: Vec<String>,
    /// PEM file with the authorities that client certificates of peers are checked with.
    #[arg(long, value_name = "FILE", requires = "auth_peer")]
    pub auth_peer_ca: Option<PathBuf>,
    /// What the holder of a client certificate may read and publish under; repeatable.
    #[arg(long, value_name = "NAME=PREFIX", requires = "auth_peer_ca")]
    pub auth_peer: Vec<String>,
    /// Refuse tokens that never end.
    #[arg(long)]
    pub auth_require_exp: bool,
    /// Clients that may use one token at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub auth_token_sessions: usize,
    /// Page origin (`https://app.example`) that may connect, or "*"; repeatable. Without it any page may that has a
    /// token; without a token only pages of this machine may, unless the relay is on a public address.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
}

impl AuthFlags {
    /// Whether nothing says who may come in.
    pub(super) fn says_nothing(&self) -> bool {
        self.auth_key.is_none()
            && self.auth_key_dir.is_none()
            && self.auth_peer_ca.is_none()
            && self.auth_public.is_empty()
            && self.auth_public_get.is_empty()
            && self.auth_public_put.is_empty()
    }
}
