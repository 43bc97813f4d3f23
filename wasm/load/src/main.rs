//! Loads a relay with publishers and readers in one process, and prints what arrived and what it cost as one line of JSON.
//!
//! Every payload carries its number, its send time and a checksum, so that what is lost, late or damaged is counted. The CPU time
//! of the relay and of this process come from the process table; where this process is the bottleneck the figures are the
//! client's, not the relay's, and whoever reads them has to know.

mod announce;
mod chat;
mod check;
mod counted;
mod dial;
mod fan_out;
mod fetch;
mod payload;
mod process;
mod reader;
mod report;
mod window;
mod writer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{dial::Dialer, report::Report, window::Timing};

/// Loads a relay, and says what arrived and what it cost.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    target: dial::Target,
    #[command(flatten)]
    timing: Timing,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// One publisher, many viewers of the same track.
    FanOut(fan_out::FanOut),
    /// Rooms in which everybody writes small messages and reads all others.
    Chat(chat::Chat),
    /// Many broadcasts appear at once, and then some come and go.
    Announce(announce::Storm),
    /// Many clients fetch the same groups.
    Fetch(fetch::Storm),
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(report) => {
            println!("{}", report.to_json());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<Report> {
    // On one core a second thread would only make it change threads.
    let alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut builder = match alone {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()?.block_on(async {
        let dialer = Dialer::new(&args.target)?;
        match args.scenario {
            Scenario::FanOut(load) => load.run(&dialer, args.timing).await,
            Scenario::Chat(load) => load.run(&dialer, args.timing).await,
            Scenario::Announce(load) => load.run(&dialer).await,
            Scenario::Fetch(load) => load.run(&dialer).await,
        }
    })
}
