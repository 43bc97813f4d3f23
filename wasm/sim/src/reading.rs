//! Reading groups, with every byte and every end compared with the ledger.

use std::{cell::RefCell, rc::Rc, task::Poll};

use bytes::Bytes;
use kio::Waiter;
use moq_net::{Datagram, Error, GroupConsumer};

use crate::{
    oracle::Suspects,
    plan::{Family, Role},
    publisher::covers,
    rng::Rng,
    stage::Stage,
};

/// Something that is read, and where it may be from.
pub struct Reading {
    pub(crate) stage: Rc<Stage>,
    node: usize,
    pub(crate) path: String,
    pub(crate) track: String,
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
    pub(crate) fn suspects(&self) -> Suspects {
        let mut suspects = self.anybody();
        if let Some(before) = &*self.suspects.borrow() {
            suspects.agree(before);
        }
        suspects
    }

    /// All groups of one subscription are from one publication, where it is told that another one takes its place.
    fn settle(&self, suspects: &Suspects) -> bool {
        // Who asks for what is not announced is told nothing: a group that was fetched a moment ago may stand where the next
        // publication has one of the same number.
        if self.stage.plan.nodes[self.node].role == Role::Asker {
            return true;
        }
        let mut all = self.suspects.borrow_mut();
        match all.as_mut() {
            Some(all) => all.agree(suspects),
            None => {
                *all = Some(suspects.clone());
                true
            }
        }
    }

    /// Says that what must never happen did, to this group.
    pub(crate) fn violate(&self, sequence: u64, text: &str) {
        self.stage.violate(format_args!(
            "node {}: {}/{}/{sequence} {text}",
            self.node, self.path, self.track
        ));
    }

    /// Checks a datagram.
    pub(crate) fn datagram(&self, datagram: &Datagram) {
        let ledger = self.stage.ledger.borrow();
        let mut suspects = self.suspects();
        let payload = [datagram.payload.clone()];
        let at = (datagram.sequence, 0);
        if !ledger.frame(&mut suspects, &self.track, at, &payload, None) {
            self.violate(datagram.sequence, "is not the datagram that was published");
        }
    }

    /// Checks a frame of which it is not told where it belongs.
    pub(crate) fn frame(&self, payload: &Bytes) {
        let ledger = self.stage.ledger.borrow();
        if !ledger.has_frame(&self.suspects(), &self.track, payload) {
            let size = payload.len();
            self.violate(0, &format!("or later: {size} bytes are no frame of it"));
        }
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
            let size: usize = payload.iter().map(Bytes::len).sum();
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
