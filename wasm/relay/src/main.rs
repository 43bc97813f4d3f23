//! The embedded MoQ relay as a program.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use moq_net::Limits;
use moq_worker_relay::auth::Authority;
use moq_worker_relay::bounds::Bounds;
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::flags::Flags;
use moq_worker_relay::links::Links;
use moq_worker_relay::log;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            warn(format_args!("failed: no threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(program());
    // A file system that does not answer must not hold up the end.
    runtime.shutdown_background();
    code
}

async fn program() -> ExitCode {
    log::init(&Bounds::default());
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => return usage(&error),
    };
    let result = match &flags.command {
        Some(command) => command.run().map(warn),
        None => run(flags).await.map(|()| say("relay stopped")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(format_args!("failed: {}", log::redact(&error.to_string())));
            ExitCode::FAILURE
        }
    }
}

/// Help, or what is wrong with the arguments. Those may hold tokens.
fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if !error.use_stderr() {
        say(text.trim_end());
        return ExitCode::SUCCESS;
    }
    warn(log::redact(text.trim_end()));
    ExitCode::from(2)
}

/// A line on standard output. A relay goes on when nobody reads it (any more).
fn say(line: impl Display) {
    let _unread = writeln!(std::io::stdout(), "{line}");
}

/// The same on standard error.
fn warn(line: impl Display) {
    let _unread = writeln!(std::io::stderr(), "{line}");
}

async fn run(flags: Flags) -> Result<(), Box<dyn std::error::Error>> {
    let internal = flags.listen.internal()?;
    let certificate = Certificate::self_signed(&flags.listen.names)?;
    let authority = Authority::new(&flags.auth, flags.listen.bind, &flags.listen.names).await?;
    let relay = Relay::with_authority(Limits::relay(), flags.session.versions(), authority);
    let mut server = Server::bind(flags.listen.bind, &certificate, relay.clone())?;
    if let Some(address) = internal {
        server = server.with_internal(address).await?;
    }
    let links = Links::start(&relay, &flags.dial)?;
    say(format_args!("relay listening on {}", server.address()));
    say(format_args!("certificate {}", certificate.fingerprint));
    if let Some(address) = server.internal_address() {
        say(format_args!("metrics on {address}"));
    }
    if let Some(seconds) = flags.figures {
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_secs(seconds.max(1)));
            loop {
                interval.tick().await;
                say(format_args!("sessions {}", relay.sessions()));
            }
        });
    }
    let drain = Duration::from_secs(flags.drain.into());
    let served = async {
        let served = server.run_and_drain(stopped(), drain).await;
        links.close().await;
        served
    };
    Ok(tokio::select! {
        served = served => served,
        // A second signal does not want to wait.
        () = async { stopped().await; stopped().await } => Ok(()),
    }?)
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
