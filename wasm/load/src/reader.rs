//! Reads a track to its end and notes what came.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use moq_net::{BroadcastConsumer, Error, GroupConsumer, Subscription, TrackSubscriber};
use tokio::time::timeout;

use crate::{
    dial::PATIENCE,
    payload::{Stamp, now},
    writer::{Pace, TRACK},
};

/// How old a group may be and still be wanted: long enough that only a relay that loses groups loses one.
const BUDGET: Duration = Duration::from_secs(5);

/// One payload that came whole and in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    /// Its number.
    pub(crate) number: u64,
    /// Microseconds from the writer's call to the reader's.
    pub(crate) latency: u32,
}

/// What a reader got.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Every payload, in the order of arrival.
    pub(crate) marks: Vec<Mark>,
    /// Payloads that were damaged or not where they belong.
    pub(crate) corrupt: u64,
    /// Why it ended before the track did.
    pub(crate) broken: Option<Error>,
}

/// Subscribes to the track of a broadcast.
pub(crate) async fn subscribe(broadcast: &BroadcastConsumer) -> anyhow::Result<TrackSubscriber> {
    let wish = Subscription::default().with_max_latency(BUDGET);
    let pending = broadcast.track(TRACK)?.subscribe(wish)?;
    Ok(timeout(PATIENCE, pending).await??)
}

/// Reads what `writer` writes until the track ends.
pub(crate) async fn read(mut track: TrackSubscriber, writer: u32, pace: Pace) -> Received {
    let mut received = Received::default();
    let mut groups = FuturesUnordered::new();
    let mut live = true;
    while live || !groups.is_empty() {
        tokio::select! {
            next = track.recv_group(), if live => match next {
                Ok(Some(group)) => groups.push(read_group(group, writer, pace)),
                Ok(None) => live = false,
                Err(error) => {
                    live = false;
                    received.broken = Some(error);
                }
            },
            Some(group) = groups.next() => {
                received.marks.extend(group.marks);
                received.corrupt += group.corrupt;
            }
        }
    }
    received
}

/// Reads one group as far as it comes; what is missing shows where the numbers are compared with those that were sent.
pub(crate) async fn read_group(mut group: GroupConsumer, writer: u32, pace: Pace) -> Received {
    let mut received = Received::default();
    let mut expected = group.sequence() * pace.group;
    while let Ok(Some(payload)) = group.read_frame().await {
        match Stamp::open(&payload, pace.size) {
            Some(stamp) if stamp.writer == writer && stamp.number == expected => {
                let latency = u32::try_from(now().saturating_sub(stamp.sent));
                received.marks.push(Mark {
                    number: stamp.number,
                    latency: latency.unwrap_or(u32::MAX),
                });
            }
            _ => received.corrupt += 1,
        }
        expected += 1;
    }
    received
}
