//! Tracks that are written at a steady rate.

use std::time::Duration;

use moq_net::{
    BroadcastPublish, GroupProducer, OriginProducer, Path, Timescale, Timestamp, TrackInfo,
    TrackProducer,
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use crate::payload::{Stamp, now};

/// The one track of every broadcast.
pub(crate) const TRACK: &str = "load";

/// What is written, and how fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Payloads per second.
    pub(crate) rate: f64,
    /// Bytes per payload.
    pub(crate) size: usize,
    /// Payloads per group.
    pub(crate) group: u64,
}

/// A broadcast with its track.
pub(crate) struct Writer {
    number: u32,
    track: TrackProducer,
    _broadcast: BroadcastPublish,
}

/// When each payload of a writer was sent, by its number.
pub(crate) type Sent = Vec<u64>;

impl Writer {
    /// Announces `path` with an empty track.
    pub(crate) fn new(
        origin: &OriginProducer,
        path: &str,
        number: u32,
        cache: Duration,
    ) -> moq_net::Result<Self> {
        let broadcast = origin.create_broadcast(&Path::parse(path)?)?;
        let info = TrackInfo::default()
            .with_timescale(Timescale::MICRO)
            .with_cache(cache);
        let track = broadcast.create_track(TRACK, info)?;
        Ok(Self {
            number,
            track,
            _broadcast: broadcast,
        })
    }

    /// Writes one whole group of `frames` payloads, the first of which is `first`.
    pub(crate) fn write_group(&self, first: u64, frames: u64, size: usize) -> moq_net::Result<()> {
        let group = self.track.append_group()?;
        for number in first..first + frames {
            self.write(&group, number, size)?;
        }
        group.finish()
    }

    fn write(&self, group: &GroupProducer, number: u64, size: usize) -> moq_net::Result<u64> {
        let sent = now();
        let stamp = Stamp {
            writer: self.number,
            number,
            sent,
        };
        let time = Timestamp::new(sent, Timescale::MICRO);
        group.write_timed(time, stamp.seal(size))?;
        Ok(sent)
    }

    /// Writes until `stop` is true, beginning after `offset`, then ends the track. The broadcast lives as long as the task's result.
    pub(crate) fn spawn(
        self,
        pace: Pace,
        offset: Duration,
        mut stop: watch::Receiver<bool>,
    ) -> JoinHandle<moq_net::Result<(Self, Sent)>> {
        tokio::spawn(async move {
            let start = Instant::now() + offset;
            let mut sent = Sent::new();
            let mut group = None;
            loop {
                let number = sent.len() as u64;
                let due = start + Duration::from_secs_f64(number as f64 / pace.rate);
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    _ = stop.wait_for(|stop| *stop) => break,
                }
                let open = match group.take() {
                    Some(open) => open,
                    None => self.track.append_group()?,
                };
                sent.push(self.write(&open, number, pace.size)?);
                match (number + 1).is_multiple_of(pace.group) {
                    true => open.finish()?,
                    false => group = Some(open),
                }
            }
            if let Some(open) = group {
                open.finish()?;
            }
            self.track.finish()?;
            Ok((self, sent))
        })
    }
}
