//! The part of the command line about other relays.

use std::path::PathBuf;

use clap::Args;
use url::Url;

/// The other relays this one connects to.
#[derive(Clone, Debug, Default, Args)]
pub struct DialFlags {
    /// Relay that serves what nobody has announced here, without it being announced here; repeatable, the first one is
    /// asked first.
    #[arg(long, value_name = "URL", value_parser = super::address)]
    pub upstream: Vec<Url>,
    /// Relay to share everything with, in both directions; repeatable. It is enough if one of the two names the other.
    #[arg(long, value_name = "URL", value_parser = super::address)]
    pub peer: Vec<Url>,
    /// PEM file with authorities that other relays' certificates are checked with instead of the system's; repeatable.
    #[arg(long, value_name = "FILE")]
    pub dial_root: Vec<PathBuf>,
    /// SHA-256 of the certificate that another relay must show, instead of a check of its chain and name; repeatable.
    #[arg(long, value_name = "HEX", conflicts_with = "dial_root")]
    pub dial_fingerprint: Vec<String>,
    /// Do not check the certificates of other relays. Anybody on the way can read and change everything.
    #[arg(long, conflicts_with_all = ["dial_root", "dial_fingerprint"])]
    pub dial_insecure: bool,
    /// PEM file with the client certificate to show other relays.
    #[arg(long, value_name = "FILE", requires = "dial_key")]
    pub dial_cert: Option<PathBuf>,
    /// PEM file with the key of the client certificate.
    #[arg(long, value_name = "FILE", requires = "dial_cert")]
    pub dial_key: Option<PathBuf>,
    /// File with the token for other relays whose address holds none (`?jwt=`). It is read again for every connection.
    #[arg(long, value_name = "FILE")]
    pub dial_token: Option<PathBuf>,
}

impl DialFlags {
    /// Whether there is anybody to connect to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.upstream.is_empty() && self.peer.is_empty()
    }
}
