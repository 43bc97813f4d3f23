//! Many clients fetch the same groups: first what the relay has, then what it has to ask for, then both mixed.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, stream};
use moq_net::TrackConsumer;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    counted::Counted,
    dial::{Dialer, PATIENCE, Part},
    payload::now,
    reader::{read_group, subscribe},
    report::Report,
    window::Meter,
    writer::{Pace, TRACK, Writer},
};

/// The load.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Storm {
    /// How many fetch.
    #[arg(long, default_value_t = 20)]
    clients: usize,
    /// Groups of each of the two tracks; every client fetches each.
    #[arg(long, default_value_t = 1000)]
    groups: u64,
    /// Payloads per group.
    #[arg(long, default_value_t = 2)]
    frames: u64,
    /// Bytes per payload.
    #[arg(long, default_value_t = 1000)]
    size: usize,
    /// Requests of one client at a time.
    #[arg(long, default_value_t = 8)]
    inflight: usize,
}

/// The track that is in the relay's cache before anybody fetches, and the one that is not.
const TRACKS: [&str; 2] = ["load/fetch/hot", "load/fetch/cold"];
/// Longer than any run.
const CACHE: Duration = Duration::from_secs(600);
/// Groups written at once while the relay's cache is filled.
const BURST: u64 = 20;

/// One group of one of the tracks.
type Wish = (usize, u64);

/// What one client got.
#[derive(Default)]
struct Fetched {
    latencies: Vec<u32>,
    lost: u64,
    corrupt: u64,
}

impl Storm {
    /// Runs it.
    pub(crate) async fn run(self, dialer: &Dialer) -> anyhow::Result<Report> {
        let (publisher, counted) = dialer.dial_counted("").await?;
        let hot = Writer::new(&publisher.origin, TRACKS[0], 0, CACHE)?;
        let cold = Writer::new(&publisher.origin, TRACKS[1], 1, CACHE)?;
        for group in 0..self.groups {
            cold.write_group(group * self.frames, self.frames, self.size)?;
        }
        let viewer = dialer.dial("", Part::View).await?;
        let mut track = subscribe(&viewer.find(TRACKS[0]).await?).await?;
        let reading = tokio::spawn(async move {
            let mut groups = 0;
            while let Ok(Some(mut group)) = track.recv_group().await {
                while let Ok(Some(_payload)) = group.read_frame().await {}
                groups += u64::from(group.is_finished());
                if groups == self.groups {
                    return Some(track);
                }
            }
            None
        });
        for group in 0..self.groups {
            hot.write_group(group * self.frames, self.frames, self.size)?;
            if group.is_multiple_of(BURST) {
                // A live track is not written all at once.
                sleep(Duration::from_millis(20)).await;
            }
        }
        let mut report = Report::default();
        let Some(_watched) = timeout(PATIENCE, reading)
            .await
            .ok()
            .and_then(Result::ok)
            .flatten()
        else {
            report.unfinished("the relay's cache could not be filled");
            return Ok(report);
        };

        let ordered = |track: usize| (0..self.groups).map(move |group| (track, group));
        let phases = [
            ("hot.", ordered(0).collect()),
            ("cold.", ordered(1).collect()),
            ("mixed.", mixed(ordered(0).chain(ordered(1)).collect())),
        ];
        for (prefix, wishes) in phases {
            self.phase(dialer, prefix, wishes, &counted, &mut report)
                .await?;
        }
        Ok(report)
    }

    /// All clients fetch the same groups, over connections that are new: nobody has a cache of its own.
    async fn phase(
        self,
        dialer: &Dialer,
        prefix: &str,
        wishes: Vec<Wish>,
        counted: &Counted,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let wishes: Arc<[Wish]> = wishes.into();
        let peers = dialer
            .dial_all(vec![String::new(); self.clients], Part::View)
            .await?;
        let mut ready = Vec::new();
        for peer in &peers {
            let mut tracks = Vec::new();
            for path in TRACKS {
                tracks.push(peer.find(path).await?.track(TRACK)?);
            }
            ready.push(tracks);
        }
        let asked = counted.fetches();
        let meter = Meter::start(dialer.pid)?;
        let mut clients = JoinSet::new();
        for tracks in ready {
            let wishes = wishes.clone();
            clients
                .spawn(async move { timeout(3 * PATIENCE, self.fetch_all(tracks, &wishes)).await });
        }
        let mut all = Fetched::default();
        for fetched in clients.join_all().await {
            let Ok(fetched) = fetched else {
                report.unfinished(format!("{prefix} a client waited in vain"));
                continue;
            };
            all.latencies.extend(fetched.latencies);
            all.lost += fetched.lost;
            all.corrupt += fetched.corrupt;
        }
        let window = meter.stop()?;
        let groups = all.latencies.len() as f64;
        report.lost(all.lost, all.lost * self.frames);
        report.corrupt(all.corrupt);
        let mut figure = |name: &str, value| report.figure(format!("{prefix}{name}"), value);
        figure("groupsPerSecond", groups / window.seconds());
        figure("upstream", (counted.fetches() - asked) as f64);
        if let Some(value) = window.per_cpu_second(groups) {
            figure("groupsPerCpuSecond", value);
        }
        report.latency(prefix, all.latencies);
        window.note(prefix, report);
        Ok(())
    }

    async fn fetch_all(self, tracks: Vec<TrackConsumer>, wishes: &[Wish]) -> Fetched {
        let mut all = Fetched::default();
        let fetches = wishes.iter().copied().map(|wish| self.fetch(&tracks, wish));
        let mut fetches = stream::iter(fetches).buffer_unordered(self.inflight);
        while let Some(fetched) = fetches.next().await {
            match fetched {
                Some((latency, 0)) => all.latencies.push(latency),
                Some((_late, corrupt)) => all.corrupt += corrupt,
                None => all.lost += 1,
            }
        }
        all
    }

    /// How long a group took, in microseconds, and how many of its payloads were damaged; `None` without the whole group.
    async fn fetch(self, tracks: &[TrackConsumer], (track, group): Wish) -> Option<(u32, u64)> {
        let pace = Pace {
            rate: 0.0,
            size: self.size,
            group: self.frames,
        };
        let began = now();
        let fetched = tracks[track].fetch_group(group, None).ok()?.await.ok()?;
        let writer = u32::try_from(track).ok()?;
        let received = read_group(fetched, writer, pace).await;
        let came = received.marks.len() as u64 + received.corrupt;
        let latency = u32::try_from(now() - began).unwrap_or(u32::MAX);
        (came == self.frames).then_some((latency, received.corrupt))
    }
}

/// The same wishes in an order that is the same in every run and looks like none.
fn mixed(mut wishes: Vec<Wish>) -> Vec<Wish> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in (1..wishes.len()).rev() {
        // xorshift64: the order need not be random, only without a pattern.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        wishes.swap(index, (state % (index as u64 + 1)) as usize);
    }
    wishes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_keeps_every_wish_and_changes_the_order() {
        let ordered: Vec<Wish> = (0..100).map(|group| (0, group)).collect();
        let mut other = mixed(ordered.clone());
        assert_ne!(other, ordered);
        other.sort_unstable();
        assert_eq!(other, ordered);
    }
}
