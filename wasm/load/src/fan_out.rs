//! One publisher, many viewers.

use std::time::Duration;

use clap::Args;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    check::Delivery,
    dial::{Dialer, PATIENCE, Part},
    reader::{read, subscribe},
    report::Report,
    window::Timing,
    writer::{Pace, Writer},
};

/// The load: by default a picture stream of 1 Mbit/s in groups of a second.
#[derive(Debug, Args)]
pub(crate) struct FanOut {
    /// How many view.
    #[arg(long, default_value_t = 50)]
    viewers: usize,
    /// Payloads per second.
    #[arg(long, default_value_t = 30.0)]
    rate: f64,
    /// Bytes per payload.
    #[arg(long, default_value_t = 4167)]
    size: usize,
    /// Payloads per group.
    #[arg(long, default_value_t = 30)]
    group: u64,
}

/// The broadcast.
const PATH: &str = "load/fan-out";

impl FanOut {
    /// Runs it.
    pub(crate) async fn run(self, dialer: &Dialer, timing: Timing) -> anyhow::Result<Report> {
        let pace = Pace {
            rate: self.rate,
            size: self.size,
            group: self.group,
        };
        let publisher = dialer.dial("", Part::Publish).await?;
        let writer = Writer::new(&publisher.origin, PATH, 1, Duration::from_secs(5))?;
        let viewers = dialer
            .dial_all(vec![String::new(); self.viewers], Part::View)
            .await?;
        let mut readers = JoinSet::new();
        for viewer in &viewers {
            let track = subscribe(&viewer.find(PATH).await?).await?;
            readers.spawn(read(track, 1, pace));
        }
        let (stop, stopped) = watch::channel(false);
        let writing = writer.spawn(pace, Duration::ZERO, stopped);
        let window = timing.measure(dialer.pid).await?;
        stop.send_replace(true);
        let (_writer, sent) = writing.await??;

        let mut report = Report::default();
        let mut delivery = Delivery::default();
        while let Some(received) = timeout(PATIENCE, readers.join_next()).await.transpose() {
            let Ok(received) = received else {
                report.unfinished(format!("{} viewers saw no end", readers.len()));
                break;
            };
            let received = received?;
            if let Some(error) = &received.broken {
                report.unfinished(format!("a viewer was cut off: {error}"));
            }
            delivery.add(&sent, &received, pace.group, &window);
        }
        delivery.note(self.size, &window, &mut report);
        Ok(report)
    }
}
