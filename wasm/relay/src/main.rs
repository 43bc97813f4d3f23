//! The embedded MoQ relay as a program.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use moq_net::{Limits, Version};
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;
use tracing_subscriber::EnvFilter;

/// A MoQ relay: WebTransport and raw QUIC on UDP, WebSocket and HTTP on TCP, one port for both.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Address to listen on; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:4443")]
    bind: SocketAddr,
    /// Name or address the self-signed certificate is for; repeatable.
    #[arg(long = "name", default_values_t = ["localhost".to_owned(), "127.0.0.1".to_owned()])]
    names: Vec<String>,
    /// Offer only these versions, newest first (for example `moq-lite-05`); repeatable.
    #[arg(long = "version-only")]
    versions: Vec<Version>,
    /// Print a line of figures to standard output every this many seconds.
    #[arg(long)]
    figures: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(Args::parse()).await {
        Ok(()) => {
            println!("relay stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("relay failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let versions = if args.versions.is_empty() {
        Version::DEFAULT.to_vec()
    } else {
        args.versions
    };
    let certificate = Certificate::self_signed(&args.names)?;
    let relay = Relay::new(Limits::relay(), versions);
    let server = Server::bind(args.bind, &certificate, relay.clone())?;
    println!("relay listening on {}", server.address());
    println!("certificate {}", certificate.fingerprint);
    if let Some(seconds) = args.figures {
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_secs(seconds.max(1)));
            loop {
                interval.tick().await;
                println!("sessions {}", relay.sessions());
            }
        });
    }
    Ok(server.run(stopped()).await?)
}

/// Resolves on Ctrl-C, and on SIGTERM where there is one.
async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
