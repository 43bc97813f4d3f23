//! Reading, with every byte and every end compared with the ledger.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{LocalBoxFuture, poll_fn},
    stream::FuturesUnordered,
};
use kio::Waiter;
use moq_net::{Error, GroupConsumer, Subscription, TrackSubscriber};

use crate::{
    oracle::Suspects,
    plan::Family,
    publisher::covers,
    rng::Rng,
    stage::{Phase, Stage},
};

/// Groups that lie further behind than this are not expected, whatever else is true.
const PATIENT: Duration = Duration::from_secs(30);
/// A subscription may take this long to reach the publisher.
const SETTLING: Duration = Duration::from_secs(3);

/// Something that is read, and where it may be from.
pub struct Reading {
    stage: Rc<Stage>,
    node: usize,
    path: String,
    track: String,
    suspects: RefCell<Option<Suspects>>,
}

impl Reading {
    /// A track below `path`, as read by `node`.
    pub fn new(stage: &Rc<Stage>, node: usize, path: &str, track: &str) -> Self {
        Self {
            stage: stage.clone(),
            node,
            path: path.to_owned(),
            track: track.to_owned(),
            suspects: RefCell::default(),
        }
    }

    /// Where a group may be from: from nowhere if the reader may not have it.
    fn anybody(&self) -> Suspects {
        if !covers(&self.stage.plan.nodes[self.node].scope, &self.path) {
            return Suspects::default();
        }
        self.stage.ledger.borrow().suspects(&self.path, &self.track)
    }

    /// Where the next group may be from.
    fn suspects(&self) -> Suspects {
        let mut suspects = self.anybody();
        if let Some(before) = &*self.suspects.borrow() {
            suspects.agree(before);
        }
        suspects
    }

    /// All groups of one subscription are from one publication.
    fn settle(&self, suspects: &Suspects) -> bool {
        let mut all = self.suspects.borrow_mut();
        match all.as_mut() {
            Some(all) => all.agree(suspects),
            None => {
                *all = Some(suspects.clone());
                true
            }
        }
    }

    fn violate(&self, sequence: u64, text: &str) {
        self.stage.violate(format_args!(
            "node {}: {}/{}/{sequence} {text}",
            self.node, self.path, self.track
        ));
    }
}

/// Reads a group to its end: whether it was whole.
///
/// # Errors
/// How it ended otherwise.
pub async fn group(
    reading: &Reading,
    mut group: GroupConsumer,
    rng: &mut Rng,
    fetched: bool,
) -> Result<(), Error> {
    let stage = reading.stage.clone();
    let sequence = group.sequence();
    let what = format!("reading {}/{}/{sequence}", reading.path, reading.track);
    let _operation = stage.operation(reading.node, what);
    let mut suspects = match fetched {
        // What a path means may have changed since the rest was read.
        true => reading.anybody(),
        false => reading.suspects(),
    };
    if !stage
        .ledger
        .borrow()
        .begins(&mut suspects, &reading.track, sequence)
    {
        reading.violate(sequence, "was never published");
        return Err(Error::NotFound);
    }
    let first = group.index();
    let result = frames(reading, &mut group, rng, &mut suspects).await;
    match &result {
        // From behind its end on a group is empty.
        Ok(()) if fetched && group.index() == first => {}
        Ok(()) => {
            let whole = group.index();
            if !stage
                .ledger
                .borrow()
                .group_end(&mut suspects, &reading.track, sequence, whole)
            {
                reading.violate(
                    sequence,
                    &format!("ended after {whole} frames as if that were all"),
                );
            }
            stage.count_group();
        }
        Err(error) => stage.note(format_args!(
            "node {}: {}/{}/{sequence} broke off: {error}",
            reading.node, reading.path, reading.track
        )),
    }
    if !fetched && !reading.settle(&suspects) {
        reading.violate(
            sequence,
            "is from another publication than the groups before",
        );
    }
    // What is over stays over.
    let again = group.poll_next_frame(&Waiter::noop());
    if !matches!(
        (&result, again),
        (Ok(()), Poll::Ready(Ok(None))) | (Err(_), Poll::Ready(Err(_)))
    ) {
        reading.violate(sequence, "goes on after its end");
    }
    result
}

async fn frames(
    reading: &Reading,
    group: &mut GroupConsumer,
    rng: &mut Rng,
    suspects: &mut Suspects,
) -> Result<(), Error> {
    let stage = &reading.stage;
    let sequence = group.sequence();
    let slow = stage.plan.has(Family::Fickle) && rng.chance(20);
    loop {
        let index = group.index();
        let Some(mut frame) = group.next_frame().await? else {
            return Ok(());
        };
        if group.index() != index + 1 {
            reading.violate(
                sequence,
                &format!("skipped from {index} to {}", group.index()),
            );
        }
        let timestamp = frame
            .info()
            .timestamp
            .map(|timestamp| timestamp.as_duration().as_millis() as u64);
        // Times are only comparable where every link carries them; elsewhere somebody made them up.
        let timestamp = timestamp.filter(|_| {
            stage
                .plan
                .links
                .iter()
                .all(|link| link.version.has_timestamps())
        });
        let payload = match rng.chance(50) {
            true => kio::wait(|waiter| frame.poll_read_all_chunks(waiter)).await?,
            false => {
                let mut chunks = Vec::new();
                while let Some(chunk) = frame.read_chunk().await? {
                    chunks.push(chunk);
                }
                chunks
            }
        };
        let at = (sequence, index);
        let same = stage
            .ledger
            .borrow()
            .frame(suspects, &reading.track, at, &payload, timestamp);
        if !same {
            let size: usize = payload.iter().map(bytes::Bytes::len).sum();
            reading.violate(
                sequence,
                &format!("frame {index} ({size} bytes at {timestamp:?}) is not what was published"),
            );
            return Err(Error::WrongSize);
        }
        stage
            .trace
            .borrow_mut()
            .mix(&[reading.node as u64, sequence, index]);
        if slow {
            stage.sleep(rng.millis(0, 400)).await;
        }
    }
}

/// How a track is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Arrival,
    Sequence,
    Frames,
    Datagrams,
}

/// Reads a track until it ends, or enough.
pub async fn track(
    stage: &Rc<Stage>,
    node: usize,
    path: &str,
    mut subscriber: TrackSubscriber,
    wish: Subscription,
    rng: &mut Rng,
) {
    let began = stage.now();
    let name = subscriber.name().to_string();
    let operation = stage.operation(node, format!("reading {path}/{name}"));
    let info = *subscriber.info();
    let reading = Rc::new(Reading::new(stage, node, path, &name));
    let order = match rng.below(10) {
        0..6 => Order::Arrival,
        6..8 => Order::Sequence,
        8 => Order::Frames,
        _ => Order::Datagrams,
    };
    let enough = match stage.plan.has(Family::Fickle) && rng.chance(60) {
        true => rng.millis(0, 6_000),
        false => Duration::from_secs(3_600),
    };
    stage.note(format_args!(
        "node {node}: reads {path}/{name} by {order:?} for {enough:?}"
    ));
    let strict = Cell::new(order == Order::Arrival && wish.group_start.is_none());
    let mut delivered = BTreeSet::new();
    let mut groups: FuturesUnordered<LocalBoxFuture<'_, (u64, bool)>> = FuturesUnordered::new();
    let end = {
        let work = async {
            loop {
                if stage.plan.has(Family::Fickle) && rng.chance(5) {
                    strict.set(false);
                    subscriber.update(
                        wish.with_priority(rng.below(256) as u8)
                            .with_max_latency(rng.millis(0, 20_000)),
                    );
                }
                let next = next(
                    &mut subscriber,
                    order,
                    &reading,
                    &mut delivered,
                    &mut groups,
                )
                .await;
                let group = match next {
                    Ok(Some(Some(group))) => group,
                    Ok(Some(None)) => continue,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                };
                let sequence = group.sequence();
                let mut rng = rng.fork(sequence);
                let reading = reading.clone();
                groups.push(Box::pin(async move {
                    let whole = self::group(&reading, group, &mut rng, false).await;
                    (sequence, whole.is_ok())
                }));
            }
        };
        // What is capped never ends by itself: the cap might still be lifted.
        let last = match wish.group_end {
            Some(_) => Phase::Finish,
            None => Phase::Leave,
        };
        stage
            .within(enough, stage.until(last, work))
            .await
            .flatten()
    };
    match &end {
        Some(Ok(())) => {
            // What came has to end by itself, now that everything is on its way.
            while let Some((sequence, whole)) = groups.next().await {
                if whole {
                    delivered.insert(sequence);
                }
            }
            ended(
                &reading,
                &mut subscriber,
                order,
                info.cache.min(wish.max_latency),
                (began, strict.get()),
                &delivered,
            );
        }
        Some(Err(error)) => {
            // What was never served may have ended meanwhile.
            if !delivered.is_empty() {
                failed(&reading, began, error);
            }
            if !matches!(
                subscriber.poll_recv_group(&Waiter::noop()),
                Poll::Ready(Err(_))
            ) {
                reading.violate(0, "goes on after it failed");
            }
            // Groups in hand go on to ends of their own.
            while groups.next().await.is_some() {}
        }
        None => {}
    }
    stage.note(format_args!(
        "node {node}: read {path}/{name} {} groups, {end:?}",
        delivered.len()
    ));
    drop(operation);
}

/// The next group, while those before are being read. `None` inside: something else came that needs no reading.
async fn next(
    subscriber: &mut TrackSubscriber,
    order: Order,
    reading: &Reading,
    delivered: &mut BTreeSet<u64>,
    groups: &mut FuturesUnordered<LocalBoxFuture<'_, (u64, bool)>>,
) -> Result<Option<Option<GroupConsumer>>, Error> {
    let highest = delivered.iter().next_back().copied();
    let seen = RefCell::new(delivered);
    let next = async {
        Ok(match order {
            Order::Arrival => {
                let group = subscriber.recv_group().await?;
                if let Some(group) = &group {
                    unseen(reading, &seen.borrow(), group.sequence());
                }
                group.map(Some)
            }
            Order::Sequence => {
                let group = subscriber.next_group().await?;
                if let Some(group) = &group
                    && highest.is_some_and(|highest| group.sequence() <= highest)
                {
                    reading.violate(group.sequence(), "came after a later one");
                }
                group.map(Some)
            }
            Order::Frames => subscriber.read_frame().await?.map(|_| None),
            Order::Datagrams => subscriber.recv_datagram().await?.map(|datagram| {
                self::datagram(reading, &datagram);
                None
            }),
        })
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

fn unseen(reading: &Reading, delivered: &BTreeSet<u64>, sequence: u64) {
    if delivered.contains(&sequence) {
        reading.violate(sequence, "was delivered twice");
    }
}

fn datagram(reading: &Reading, datagram: &moq_net::Datagram) {
    let ledger = reading.stage.ledger.borrow();
    let mut suspects = reading.suspects();
    let payload = [datagram.payload.clone()];
    let at = (datagram.sequence, 0);
    if !ledger.frame(&mut suspects, &reading.track, at, &payload, None) {
        reading.violate(datagram.sequence, "is not the datagram that was published");
    }
}

/// Checks the clean end of a subscription.
fn ended(
    reading: &Reading,
    subscriber: &mut TrackSubscriber,
    order: Order,
    budget: Duration,
    (began, strict): (Duration, bool),
    delivered: &BTreeSet<u64>,
) {
    let again = match order {
        Order::Arrival => subscriber.poll_recv_group(&Waiter::noop()),
        _ => subscriber.poll_next_group(&Waiter::noop()),
    };
    if matches!(order, Order::Arrival | Order::Sequence) && !matches!(again, Poll::Ready(Ok(None)))
    {
        reading.violate(0, "goes on after its end");
    }
    let suspects = reading.suspects();
    if let Poll::Ready(Ok(boundary)) = subscriber.poll_finished(&Waiter::noop()) {
        let known = reading
            .stage
            .ledger
            .borrow()
            .track_end(&suspects, &reading.track, boundary);
        // Versions without SUBSCRIBE_END only know what came.
        let told = reading
            .stage
            .plan
            .links
            .iter()
            .all(|link| link.version.has_subscribe_end());
        if told && !known {
            reading.violate(boundary, "is said to be the end");
        }
    }
    if strict && budget >= PATIENT {
        complete(reading, &suspects, began, delivered);
    }
}

/// Whether nothing happened since `began` that may cost a group or a track.
fn calm(reading: &Reading, began: Duration) -> bool {
    let stage = &reading.stage;
    if stage.ledger.borrow().hijacked.contains(&reading.path) {
        return false;
    }
    let undisturbed = stage.disrupted() < began || stage.disrupted().is_zero();
    let lossy = [Family::Narrow, Family::Tight];
    undisturbed && !lossy.into_iter().any(|family| stage.plan.has(family))
}

/// Checks that a track failed for a cause.
fn failed(reading: &Reading, began: Duration, error: &Error) {
    let Some(publication) = reading.suspects().only() else {
        return;
    };
    let ledger = reading.stage.ledger.borrow();
    let track = &ledger.publications[publication].tracks[&reading.track];
    if let (Some(boundary), true) = (track.boundary, calm(reading, began)) {
        reading.violate(
            boundary,
            &format!("is where the track ends, but it failed: {error}"),
        );
    }
}

/// Checks that nothing is missing without a cause.
fn complete(reading: &Reading, suspects: &Suspects, began: Duration, delivered: &BTreeSet<u64>) {
    let stage = &reading.stage;
    if !calm(reading, began) {
        return;
    }
    let Some(publication) = suspects.only() else {
        return;
    };
    let ledger = stage.ledger.borrow();
    let track = &ledger.publications[publication].tracks[&reading.track];
    let settled = began + SETTLING;
    let before = track
        .groups
        .iter()
        .filter(|(_, group)| group.begun < settled);
    let first = before.map(|(sequence, _)| sequence + 1).max().unwrap_or(0);
    for (sequence, group) in track.groups.range(first..) {
        if group.finished.is_some() && !group.datagram && !delivered.contains(sequence) {
            reading.violate(*sequence, "is missing for no reason");
        }
    }
}
