//! Reading tracks, with what comes, and how it ends, compared with the ledger.

use std::{cell::RefCell, collections::BTreeSet, pin::pin, rc::Rc, task::Poll, time::Duration};

use futures_util::{
    StreamExt,
    future::{LocalBoxFuture, poll_fn},
    stream::FuturesUnordered,
};
use kio::Waiter;
use moq_net::{Error, GroupConsumer, InOrder, Subscription, TrackSubscriber};

use crate::{
    oracle::Suspects,
    plan::Family,
    reading::{self, Reading},
    rng::Rng,
    sequence::Sequence,
    stage::{Phase, Stage},
};

/// A group may take this long to be written.
const WRITING: Duration = Duration::from_secs(2);
/// A subscription may take this long to reach the publisher.
const SETTLING: Duration = Duration::from_secs(3);

/// How a track is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Arrival,
    Sequence,
    Complete,
    Frames,
    Datagrams,
}

/// A subscription that is being read.
struct Reader {
    reading: Rc<Reading>,
    subscriber: TrackSubscriber,
    order: Order,
    /// What it was told, in order.
    told: Sequence,
    /// The first group it asked for: what it reads may have been fetched, or be in the cache.
    first: Option<u64>,
    /// The last group it asked for.
    last: Option<u64>,
    /// When it began.
    began: Duration,
    /// How long a missing group is waited for; `None` once that was changed on the way.
    budget: Option<Duration>,
    /// Whether every group from some time on is expected.
    strict: bool,
    /// What is read to the end of each group, and whether that was whole.
    groups: FuturesUnordered<LocalBoxFuture<'static, (u64, bool)>>,
    /// Groups that came whole.
    delivered: BTreeSet<u64>,
}

/// What a subscription brings.
enum Next {
    Group(GroupConsumer),
    /// Something that needs no further reading.
    Piece,
    End,
}

/// Reads a track until it ends, or enough.
pub async fn track(
    stage: &Rc<Stage>,
    node: usize,
    path: &str,
    subscriber: TrackSubscriber,
    wish: Subscription,
    rng: &mut Rng,
) {
    let began = stage.now();
    let name = subscriber.name().to_string();
    let operation = stage.operation(node, format!("reading {path}/{name}"));
    let budget = subscriber.info().cache.min(wish.max_latency);
    let order = match rng.below(16) {
        0..6 => Order::Arrival,
        6..8 => Order::Sequence,
        8..14 => Order::Complete,
        14 => Order::Frames,
        _ => Order::Datagrams,
    };
    let enough = match stage.plan.has(Family::Fickle) && rng.chance(60) {
        true => rng.millis(0, 6_000),
        false => Duration::from_secs(3_600),
    };
    stage.note(format_args!(
        "node {node}: reads {path}/{name} by {order:?} for {enough:?}"
    ));
    let mut reader = Reader {
        reading: Rc::new(Reading::new(stage, node, path, &name)),
        subscriber,
        order,
        told: Sequence {
            start: wish.group_start,
            next: wish.group_start,
        },
        first: wish.group_start,
        last: wish.group_end,
        began,
        budget: Some(budget),
        strict: matches!(order, Order::Arrival | Order::Complete) && wish.group_start.is_none(),
        groups: FuturesUnordered::new(),
        delivered: BTreeSet::new(),
    };
    // What is capped never ends by itself: the cap might still be lifted.
    let last = match wish.group_end {
        Some(_) => Phase::Finish,
        None => Phase::Leave,
    };
    let end = stage
        .within(enough, stage.until(last, reader.read(wish, rng)))
        .await
        .flatten();
    match &end {
        Some(Ok(())) => reader.ended().await,
        Some(Err(error)) => reader.failed(error).await,
        None => {}
    }
    stage.note(format_args!(
        "node {node}: read {path}/{name} {} groups, {end:?}",
        reader.delivered.len()
    ));
    stage.count_in_order(reader.subscriber.in_order_stats());
    drop(operation);
}

impl Reader {
    /// Reads to the end of the track.
    async fn read(&mut self, wish: Subscription, rng: &mut Rng) -> Result<(), Error> {
        loop {
            if self.reading.stage.plan.has(Family::Fickle) && rng.chance(5) {
                self.budget = None;
                self.subscriber.update(
                    wish.with_priority(rng.below(256) as u8)
                        .with_max_latency(rng.millis(0, 20_000)),
                );
            }
            let group = match self.next().await? {
                Next::Group(group) => group,
                Next::Piece => continue,
                Next::End => return Ok(()),
            };
            let sequence = group.sequence();
            // A range may be fetched, and a fetch is answered by the publication of its moment.
            let fetched = self.first.is_some() || self.is_crossed();
            let mut rng = rng.fork(sequence);
            let reading = self.reading.clone();
            // Some read one after the other, as pages do.
            if self.order == Order::Complete && rng.chance(50) {
                let whole = reading::group(&reading, group, &mut rng, fetched).await;
                if whole.is_ok() {
                    self.delivered.insert(sequence);
                }
                continue;
            }
            self.groups.push(Box::pin(async move {
                let whole = reading::group(&reading, group, &mut rng, fetched).await;
                (sequence, whole.is_ok())
            }));
        }
    }

    /// What comes next, while the groups before are being read.
    async fn next(&mut self) -> Result<Next, Error> {
        let Self {
            reading,
            subscriber,
            order,
            told,
            budget,
            groups,
            delivered,
            ..
        } = self;
        let highest = delivered.iter().next_back().copied();
        let seen = RefCell::new(delivered);
        let next = async {
            let next = match order {
                Order::Arrival => subscriber.recv_group().await?.map(Next::Group),
                Order::Sequence => subscriber.next_group().await?.map(Next::Group),
                Order::Complete => subscriber.next_in_order().await?.map(|next| match next {
                    InOrder::Group(group) => {
                        told.group(reading, group.sequence());
                        Next::Group(group)
                    }
                    InOrder::Gap(gap) => {
                        told.gap(reading, &gap, *budget);
                        Next::Piece
                    }
                }),
                Order::Frames => subscriber.read_frame().await?.map(|frame| {
                    reading.frame(&frame);
                    Next::Piece
                }),
                Order::Datagrams => subscriber.recv_datagram().await?.map(|datagram| {
                    reading.datagram(&datagram);
                    Next::Piece
                }),
            };
            if let Some(Next::Group(group)) = &next {
                let sequence = group.sequence();
                if *order == Order::Arrival && seen.borrow().contains(&sequence) {
                    reading.violate(sequence, "was delivered twice");
                }
                if *order == Order::Sequence && highest.is_some_and(|highest| sequence <= highest) {
                    reading.violate(sequence, "came after a later one");
                }
            }
            Ok(next.unwrap_or(Next::End))
        };
        let mut next = pin!(next);
        poll_fn(|cx| {
            while let Poll::Ready(Some((sequence, whole))) = groups.poll_next_unpin(cx) {
                if whole {
                    seen.borrow_mut().insert(sequence);
                }
            }
            next.as_mut().poll(cx)
        })
        .await
    }

    /// Checks a clean end.
    async fn ended(&mut self) {
        // What came has to end by itself, now that everything is on its way.
        while let Some((sequence, whole)) = self.groups.next().await {
            if whole {
                self.delivered.insert(sequence);
            }
        }
        let nobody = Waiter::noop();
        let over = |again| matches!(again, Poll::Ready(Ok(None)));
        let ended = match self.order {
            Order::Arrival => over(self.subscriber.poll_recv_group(&nobody)),
            Order::Sequence => over(self.subscriber.poll_next_group(&nobody)),
            Order::Complete => match self.subscriber.poll_next_in_order(&nobody) {
                Poll::Ready(Ok(None)) => true,
                // The end of a range is not that of the track, which may have failed meanwhile.
                Poll::Ready(Err(_)) => self.last.is_some(),
                _ => false,
            },
            Order::Frames | Order::Datagrams => true,
        };
        if !ended {
            self.reading.violate(0, "goes on after its end");
        }
        if self.order == Order::Complete {
            let finished = self.subscriber.poll_finished(&nobody);
            let boundary = match finished {
                Poll::Ready(Ok(boundary)) => Some(boundary),
                _ => None,
            };
            self.told.ended(&self.reading, boundary, self.last);
        }
        let suspects = self.reading.suspects();
        let stage = &self.reading.stage;
        if let Poll::Ready(Ok(boundary)) = self.subscriber.poll_finished(&Waiter::noop()) {
            let ledger = stage.ledger.borrow();
            let known = ledger.track_end(&suspects, &self.reading.track, boundary);
            // Versions without SUBSCRIBE_END only know what came.
            let mut links = stage.plan.links.iter();
            if !known && links.all(|link| link.version.has_subscribe_end()) {
                self.reading.violate(boundary, "is said to be the end");
            }
        }
        if self.strict {
            self.complete(&suspects);
        }
    }

    /// Checks that a track failed for a cause, and stays failed.
    async fn failed(&mut self, error: &Error) {
        // A subscription that was never served may have come after the end of the track. Of a range, groups in the cache are
        // delivered before that is known.
        if !self.delivered.is_empty()
            && self.first.is_none()
            && self.is_calm()
            && let Some(boundary) = self.boundary()
        {
            self.reading.violate(
                boundary,
                &format!("is where the track ends, but it failed: {error}"),
            );
        }
        let again = self.subscriber.poll_recv_group(&Waiter::noop());
        if !matches!(again, Poll::Ready(Err(_))) {
            self.reading.violate(0, "goes on after it failed");
        }
        // Groups in hand go on to ends of their own.
        while self.groups.next().await.is_some() {}
    }

    /// Where the track ends, if there is no doubt which one it is, and nobody could take its path over.
    fn boundary(&self) -> Option<u64> {
        let publication = self.reading.suspects().only()?;
        let stage = &self.reading.stage;
        let ledger = stage.ledger.borrow();
        let since = self.began.saturating_sub(stage.spread());
        if ledger.is_contested(publication, since) {
            return None;
        }
        ledger.publications[publication].tracks[&self.reading.track].boundary
    }

    /// Whether the subscription met a new publisher of its path on the way: the new one answers for a track that may still hold
    /// groups which were fetched from the old one. No version of the protocol says which of them is asked.
    fn is_crossed(&self) -> bool {
        let stage = &self.reading.stage;
        let ledger = stage.ledger.borrow();
        let spread = stage.spread();
        ledger.is_taken_over(
            &self.reading.path,
            self.began.saturating_sub(spread)..=self.began + spread,
        )
    }

    /// Whether nothing happened all the time that may cost a group or a track.
    fn is_calm(&self) -> bool {
        let stage = &self.reading.stage;
        if stage.ledger.borrow().hijacked.contains(&self.reading.path) {
            return false;
        }
        let undisturbed = stage.disrupted() < self.began || stage.disrupted().is_zero();
        let lossy = [Family::Narrow, Family::Tight];
        undisturbed && !lossy.into_iter().any(|family| stage.plan.has(family))
    }

    /// Checks that nothing is missing without a cause.
    fn complete(&self, suspects: &Suspects) {
        let publication = suspects.only().filter(|_| self.is_calm());
        let stage = &self.reading.stage;
        // What the network and the writer may cost.
        let links = stage.plan.relay_count() as u32 + 2;
        let cost = links * (stage.plan.latency() + stage.plan.jitter()) + WRITING;
        let spare = self.budget.and_then(|budget| budget.checked_sub(cost));
        let (Some(publication), Some(spare)) = (publication, spare) else {
            return;
        };
        let ledger = stage.ledger.borrow();
        let track = &ledger.publications[publication].tracks[&self.reading.track];
        let settled = self.began + SETTLING;
        let before = track
            .groups
            .iter()
            .filter(|(_, group)| group.begun < settled);
        let first = before.map(|(sequence, _)| sequence + 1).max().unwrap_or(0);
        // A reader in order has no use for what is older than that with which it began.
        let first = first.max(self.told.start.unwrap_or(0));
        for (sequence, group) in track.groups.range(first..) {
            // What its publisher begins that much later than what comes after it is late for the reader too.
            let due = track
                .passed(*sequence)
                .is_none_or(|passed| group.begun <= passed + spare);
            let whole = group.finished.is_some() && !group.datagram;
            if whole && due && !self.delivered.contains(sequence) {
                self.reading.violate(*sequence, "is missing for no reason");
            }
        }
    }
}
