//! Somebody who publishes and somebody who watches, and must not notice the flood.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use moq_net::{BroadcastPublish, TrackProducer, TrackSubscriber};

use crate::world::{Honest, soon};

/// Groups of one song.
const GROUPS: u64 = 20;

pub(crate) struct Canary {
    track: TrackProducer,
    subscriber: TrackSubscriber,
    next: u64,
    /// How long each group took since they were last looked at.
    taken: Vec<Duration>,
    _broadcast: BroadcastPublish,
    _ends: [Honest; 2],
}

impl Canary {
    pub(crate) const fn new(
        track: TrackProducer,
        subscriber: TrackSubscriber,
        broadcast: BroadcastPublish,
        ends: [Honest; 2],
    ) -> Self {
        Self {
            track,
            subscriber,
            next: 0,
            taken: Vec::new(),
            _broadcast: broadcast,
            _ends: ends,
        }
    }

    /// Twenty groups arrive, and none is missing or comes twice.
    pub(crate) async fn sings(&mut self) {
        let (first, end) = (self.next, self.next + GROUPS);
        self.next = end;
        let (tell, told) = std::sync::mpsc::channel();
        let track = &self.track;
        let singing = async {
            for sequence in first..end {
                tell.send((sequence, Instant::now())).unwrap();
                track.create_group(sequence).and_then(|group| {
                    group.write_frame(vec![7; 1000])?;
                    group.finish()
                })?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok::<_, moq_net::Error>(())
        };
        let subscriber = &mut self.subscriber;
        let mut missing = BTreeMap::new();
        let taken = &mut self.taken;
        let listening = async {
            for _ in 0..GROUPS {
                let group = soon("a group", subscriber.recv_group()).await;
                let mut group = group.unwrap().expect("the track lives");
                let frame = soon("its frame", group.read_frame()).await.unwrap();
                assert_eq!(frame.map(|frame| frame.len()), Some(1000));
                missing.extend(told.try_iter());
                let sung = missing.remove(&group.sequence());
                taken.push(sung.expect("a group came twice").elapsed());
            }
            assert!(missing.is_empty(), "{missing:?} never came");
        };
        let (sung, ()) = tokio::join!(singing, listening);
        sung.unwrap();
    }

    /// Sings until `flood` is over, at least once.
    pub(crate) async fn sings_during<T>(&mut self, flood: impl Future<Output = T>) -> T {
        let mut flood = std::pin::pin!(flood);
        let mut over = None;
        while over.is_none() {
            let mut song = std::pin::pin!(self.sings());
            // Each song to its end: a group that was begun has to arrive.
            loop {
                tokio::select! {
                    result = &mut flood, if over.is_none() => over = Some(result),
                    () = &mut song => break,
                }
            }
        }
        over.expect("the loop ends with it")
    }

    /// How long 99 of 100 groups took at most, of those since this was last asked.
    pub(crate) fn p99(&mut self) -> Duration {
        let mut taken = std::mem::take(&mut self.taken);
        taken.sort_unstable();
        taken[(taken.len() * 99).div_ceil(100) - 1]
    }
}
