//! Rooms in which everybody writes small messages and reads all others.

use std::time::Duration;

use clap::Args;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    check::Delivery,
    dial::{Dialer, PATIENCE, Part},
    reader::{read, subscribe},
    report::Report,
    window::Timing,
    writer::{Pace, Sent, Writer},
};

/// The load: one small group per message.
#[derive(Debug, Args)]
pub(crate) struct Chat {
    /// How many sessions there are.
    #[arg(long, default_value_t = 60)]
    sessions: usize,
    /// How many of them share a room.
    #[arg(long, default_value_t = 10)]
    room: usize,
    /// Messages per second and session.
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// Bytes per message.
    #[arg(long, default_value_t = 100)]
    size: usize,
}

impl Chat {
    /// Runs it.
    pub(crate) async fn run(self, dialer: &Dialer, timing: Timing) -> anyhow::Result<Report> {
        let pace = Pace {
            rate: self.rate,
            size: self.size,
            group: 1,
        };
        let room = |session: usize| session / self.room.max(1);
        let paths = (0..self.sessions).map(|session| format!("load/room-{}", room(session)));
        let peers = dialer.dial_all(paths, Part::Both).await?;
        let mut writers = Vec::new();
        for (number, peer) in peers.iter().enumerate() {
            let name = format!("member-{number}");
            let writer = u32::try_from(number)?;
            writers.push(Writer::new(
                &peer.origin,
                &name,
                writer,
                Duration::from_secs(5),
            )?);
        }
        let mut readers = JoinSet::new();
        for (number, peer) in peers.iter().enumerate() {
            let others = (0..self.sessions).filter(|&other| other != number);
            for other in others.filter(|&other| room(other) == room(number)) {
                let found = peer.find(&format!("member-{other}")).await?;
                let track = subscribe(&found).await?;
                let writer = u32::try_from(other)?;
                readers.spawn(async move { (other, read(track, writer, pace).await) });
            }
        }
        let (stop, stopped) = watch::channel(false);
        let mut writing = Vec::new();
        for (number, writer) in writers.into_iter().enumerate() {
            // Spread over the time between two messages, as people are.
            let offset = number as f64 / self.sessions as f64 / self.rate;
            writing.push(writer.spawn(pace, Duration::from_secs_f64(offset), stopped.clone()));
        }
        let window = timing.measure(dialer.pid).await?;
        stop.send_replace(true);
        let mut sent: Vec<Sent> = Vec::new();
        let mut kept = Vec::new();
        for task in writing {
            let (writer, times) = task.await??;
            kept.push(writer);
            sent.push(times);
        }

        let mut report = Report::default();
        let mut delivery = Delivery::default();
        while let Some(received) = timeout(PATIENCE, readers.join_next()).await.transpose() {
            let Ok(received) = received else {
                report.unfinished(format!("{} readers saw no end", readers.len()));
                break;
            };
            let (writer, received) = received?;
            if let Some(error) = &received.broken {
                report.unfinished(format!("a reader was cut off: {error}"));
            }
            delivery.add(&sent[writer], &received, 1, &window);
        }
        delivery.note(self.size, &window, &mut report);
        Ok(report)
    }
}
