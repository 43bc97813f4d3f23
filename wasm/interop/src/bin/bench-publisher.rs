//! Publishes a steady load through the published moq-net crate, so that every reader under
//! measurement gets the same bytes from the same sender.
//!
//! Each payload starts with a 24-byte header, little endian: `u64` frame number from 0, `f64` send
//! time in milliseconds since the Unix epoch, `u32` payload size, `u32` zero. The rest is filler.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use clap::Parser;
use published_moq_net::{Timescale, Timestamp};

const HEADER: usize = 24;
const TRACK: &str = "bench";

/// Publishes frames at a steady rate until interrupted or for a given time.
#[derive(Parser)]
struct Args {
    /// Relay to publish to; `http://` pins the certificate the relay announces.
    #[arg(long)]
    relay: url::Url,
    /// Path of the broadcast; its only track is called `bench`.
    #[arg(long)]
    broadcast: String,
    /// Frames per second.
    #[arg(long)]
    fps: u32,
    /// Bytes per frame, header included.
    #[arg(long)]
    size: usize,
    /// Frames per group.
    #[arg(long)]
    group: u64,
    /// Stop after this many seconds; without it, run until interrupted.
    #[arg(long)]
    seconds: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(args.size >= HEADER, "--size must be at least {HEADER}");
    ensure!(
        args.fps > 0 && args.group > 0,
        "--fps and --group must be positive"
    );

    let origin = moq_tokio::origin::spawn();
    let client = moq_tokio::connect::Config::default().init(Default::default())?;
    let connection = client.with_publisher(&origin).connect(args.relay.clone());
    let broadcast = origin.create_broadcast(args.broadcast.as_str())?;
    broadcast.announce(Default::default())?;

    let sent = tokio::select! {
        result = publish(&args, &broadcast) => result?,
        result = connection.closed() => {
            result.context("the relay closed the session")?;
            anyhow::bail!("the relay closed the session");
        }
    };
    broadcast.close();
    println!("bench-publisher sent {sent} frames");
    Ok(())
}

async fn publish(
    args: &Args,
    broadcast: &published_moq_net::broadcast::Producer,
) -> anyhow::Result<u64> {
    let info = published_moq_net::track::Info::default()
        .with_timescale(Timescale::MICRO)
        .with_max_age(Duration::from_secs(30));
    let track = broadcast.create_track(TRACK, info)?;
    let interval = Duration::from_secs(1) / args.fps;
    let start = tokio::time::Instant::now();
    let end = args
        .seconds
        .map(|seconds| start + Duration::from_secs(seconds));
    let mut payload = vec![0xa5; args.size];
    let mut group = track.append_group()?;
    let mut number = 0u64;
    loop {
        let due = start + interval.mul_f64(number as f64);
        if end.is_some_and(|end| due >= end) {
            group.finish()?;
            return Ok(number);
        }
        tokio::select! {
            // Timers are as coarse as a millisecond: a faster load goes out in small bursts.
            () = tokio::time::sleep_until(due) => {}
            _ = tokio::signal::ctrl_c() => {
                group.finish()?;
                return Ok(number);
            }
        }
        if number > 0 && number.is_multiple_of(args.group) {
            group.finish()?;
            group = track.append_group()?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1_000.0;
        payload[..8].copy_from_slice(&number.to_le_bytes());
        payload[8..16].copy_from_slice(&now.to_le_bytes());
        payload[16..20].copy_from_slice(&u32::try_from(args.size)?.to_le_bytes());
        payload[20..24].fill(0);
        let micros = u64::try_from(start.elapsed().as_micros())?;
        let timestamp = Timestamp::new(micros, Timescale::MICRO)?;
        group.write_frame(timestamp, bytes::Bytes::copy_from_slice(&payload))?;
        number += 1;
    }
}
