//! The time in which a scenario is measured.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use crate::{payload::now, process::Usage, report::Report};

/// How long a scenario with a steady load runs.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Timing {
    /// Milliseconds between the last subscription and the first measured moment.
    #[arg(long, default_value_t = 1500)]
    settle: u64,
    /// Milliseconds that are measured.
    #[arg(long, default_value_t = 5000)]
    window: u64,
}

/// After the window the writers go on for as long, so that its last payloads see the same load as the first.
const TAIL: Duration = Duration::from_millis(300);

impl Timing {
    /// Waits for the load to settle, measures, and returns what was used meanwhile.
    pub(crate) async fn measure(self, pid: u32) -> anyhow::Result<Window> {
        sleep(Duration::from_millis(self.settle)).await;
        let meter = Meter::start(pid)?;
        sleep(Duration::from_millis(self.window)).await;
        let window = meter.stop()?;
        sleep(TAIL).await;
        Ok(window)
    }
}

/// A measurement that has begun.
pub(crate) struct Meter {
    pid: u32,
    open: u64,
    relay: Usage,
    client: Usage,
}

impl Meter {
    /// Begins to measure this process and the relay, which is process `pid`.
    pub(crate) fn start(pid: u32) -> anyhow::Result<Self> {
        Ok(Self {
            pid,
            relay: Usage::of(Some(pid))?,
            client: Usage::of(None)?,
            open: now(),
        })
    }

    /// Ends the measurement.
    pub(crate) fn stop(self) -> anyhow::Result<Window> {
        let close = now();
        let relay = Usage::of(Some(self.pid))?;
        let client = Usage::of(None)?;
        Ok(Window {
            open: self.open,
            close,
            relay_cpu: relay.cpu.saturating_sub(self.relay.cpu),
            client_cpu: client.cpu.saturating_sub(self.client.cpu),
            relay_rss: relay.rss,
            relay_switches: relay.switches.saturating_sub(self.relay.switches),
        })
    }
}

/// A measured time, and what was used in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Its first microsecond, by [`now`].
    pub(crate) open: u64,
    /// The first microsecond after it.
    pub(crate) close: u64,
    /// CPU time of the relay.
    pub(crate) relay_cpu: Duration,
    client_cpu: Duration,
    relay_rss: u64,
    relay_switches: u64,
}

impl Window {
    /// A window in which nothing was used.
    #[cfg(test)]
    pub(crate) const fn of(open: u64, close: u64) -> Self {
        Self {
            open,
            close,
            relay_cpu: Duration::ZERO,
            client_cpu: Duration::ZERO,
            relay_rss: 0,
            relay_switches: 0,
        }
    }

    /// Its length in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        (self.close - self.open) as f64 / 1e6
    }

    /// Notes what both processes used, under names that begin with `prefix`.
    pub(crate) fn note(&self, prefix: &str, report: &mut Report) {
        let seconds = self.seconds();
        let mut figure = |name: &str, value| report.figure(format!("{prefix}{name}"), value);
        figure("seconds", seconds);
        figure("relayCpu", self.relay_cpu.as_secs_f64());
        figure("relayShare", self.relay_cpu.as_secs_f64() / seconds);
        figure("clientShare", self.client_cpu.as_secs_f64() / seconds);
        figure("relayRss", self.relay_rss as f64);
        figure("relaySwitches", self.relay_switches as f64);
    }

    /// `amount` per second of CPU time of the relay. A window in which the relay used less than can be counted gives nothing.
    pub(crate) fn per_cpu_second(&self, amount: f64) -> Option<f64> {
        (!self.relay_cpu.is_zero()).then(|| amount / self.relay_cpu.as_secs_f64())
    }
}
