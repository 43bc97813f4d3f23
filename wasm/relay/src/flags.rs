//! The command line, one struct per concern.

use std::net::SocketAddr;

use clap::{Args, Parser};
use moq_net::Version;

use crate::auth::AuthFlags;
use crate::dial::DialFlags;
use crate::tools::Command;

/// A MoQ relay: WebTransport and raw QUIC on UDP, WebSocket and HTTP on TCP, one port for both.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Flags {
    /// Something else than relaying.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where it listens.
    #[command(flatten)]
    pub listen: Listen,
    /// Who may do what.
    #[command(flatten)]
    pub auth: AuthFlags,
    /// Which other relays it connects to.
    #[command(flatten)]
    pub dial: DialFlags,
    /// What it speaks.
    #[command(flatten)]
    pub session: Session,
    /// Seconds that sessions may take to go elsewhere when the relay is told to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub drain: u8,
    /// Print a line of figures to standard output every this many seconds.
    #[arg(long)]
    pub figures: Option<u64>,
}

/// Where the relay listens, and with which certificate.
#[derive(Debug, Args)]
pub struct Listen {
    /// Address to listen on; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:4443")]
    pub bind: SocketAddr,
    /// Name or address the self-signed certificate is for; repeatable.
    #[arg(long = "name", default_values_t = ["localhost".to_owned(), "127.0.0.1".to_owned()])]
    pub names: Vec<String>,
    /// Address for `/metrics`, which asks nobody who they are; port 0 lets the system choose.
    #[arg(long)]
    pub internal: Option<SocketAddr>,
    /// Let `--internal` be an address that others can reach.
    #[arg(long, requires = "internal")]
    pub internal_public: bool,
}

impl Listen {
    /// Where metrics are to be had, if anywhere.
    ///
    /// # Errors
    /// Others could reach it, and were not meant to.
    pub fn internal(&self) -> Result<Option<SocketAddr>, String> {
        let check = |address| crate::internal::check(address, self.internal_public);
        self.internal.map(check).transpose()
    }
}

/// What sessions speak.
#[derive(Debug, Args)]
pub struct Session {
    /// Offer only these versions, newest first (for example `moq-lite-05`); repeatable.
    #[arg(long = "version-only", value_name = "VERSION", value_parser = version)]
    versions: Vec<Version>,
}

/// # Errors
/// There is none of that name.
fn version(text: &str) -> Result<Version, String> {
    text.parse().map_err(|_unknown| {
        let names = Version::ALL.map(Version::name);
        format!("the versions are {}", names.join(", "))
    })
}

impl Session {
    /// The versions to offer, newest first: the default ones unless some were named.
    #[must_use]
    pub fn versions(&self) -> Vec<Version> {
        if self.versions.is_empty() {
            Version::DEFAULT.to_vec()
        } else {
            self.versions.clone()
        }
    }
}
