//! The embedded MoQ relay as a program.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use moq_net::Limits;
use moq_worker_relay::auth::Authority;
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::flags::Flags;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(Flags::parse()).await {
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

async fn run(flags: Flags) -> Result<(), Box<dyn std::error::Error>> {
    let certificate = Certificate::self_signed(&flags.listen.names)?;
    let authority = Authority::new(&flags.auth, flags.listen.bind, &flags.listen.names).await?;
    let relay = Relay::with_authority(Limits::relay(), flags.session.versions(), authority);
    let server = Server::bind(flags.listen.bind, &certificate, relay.clone())?;
    println!("relay listening on {}", server.address());
    println!("certificate {}", certificate.fingerprint);
    if let Some(seconds) = flags.figures {
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
