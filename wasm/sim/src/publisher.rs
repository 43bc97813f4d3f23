//! Publishers: what they write goes into the ledger first.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use futures_util::future::{LocalBoxFuture, join_all};
use moq_net::{
    BroadcastDynamic, Error, Frame, GroupProducer, Path, Timescale, Timestamp, TrackInfo,
    TrackProducer,
};

use crate::{
    cast::Cast,
    oracle,
    plan::Family,
    rng::Rng,
    stage::{Phase, Stage},
};

/// Tracks a broadcast may have from the start.
pub const TRACKS: [&str; 3] = ["t0", "t1", "t2"];
/// A track that is made when somebody asks for it.
pub const DYNAMIC: &str = "on-demand";

/// One broadcast after the other, until the end.
pub async fn publish(stage: Rc<Stage>, cast: Rc<Cast>, node: usize, slot: u64) {
    let mut rng = stage.rng(0x2_0000 + ((node as u64) << 8) + slot);
    stage.sleep(rng.millis(0, 3_000)).await;
    loop {
        broadcast(&stage, &cast, node, &mut rng).await;
        if stage.phase() >= Phase::Finish {
            return;
        }
        stage.sleep(rng.millis(50, 4_000)).await;
    }
}

/// One broadcast from its announcement to its end.
async fn broadcast(stage: &Rc<Stage>, cast: &Rc<Cast>, node: usize, rng: &mut Rng) {
    let path = *rng.pick(stage.plan.paths);
    let granted = covers(&stage.plan.nodes[node].scope, path);
    let parsed = Path::parse(path).expect("a valid path");
    let life = cast.actors[node].life();
    let publication = stage.publish(node, path, granted);
    let broadcast = match life.origin.create_broadcast(&parsed) {
        Ok(broadcast) => broadcast,
        Err(error) => {
            return stage.violate(format_args!("node {node}: cannot publish {path}: {error}"));
        }
    };
    stage.note(format_args!(
        "node {node}: publishes {path} as {publication}"
    ));
    let lifetime = match rng.chance(40) {
        true => rng.millis(500, 8_000),
        false => rng.millis(8_000, 60_000),
    };
    let over = stage.clock.now() + lifetime;
    let mut tracks: Vec<LocalBoxFuture<'_, ()>> = Vec::new();
    for name in &TRACKS[..rng.range(1, 3) as usize] {
        let info = info(rng);
        let mut ledger = stage.ledger.borrow_mut();
        ledger.track(publication, name, &info, stage.now());
        drop(ledger);
        match broadcast.create_track(*name, info) {
            Ok(track) => {
                let rng = rng.fork(tracks.len() as u64);
                let run = Writer::new(stage, publication, name, track, granted, rng);
                tracks.push(Box::pin(run.run(over)));
            }
            Err(error) => stage.violate(format_args!("node {node}: no track {name}: {error}")),
        }
    }
    if rng.chance(50) {
        let dynamic = broadcast.dynamic();
        let rng = rng.fork(9);
        tracks.push(Box::pin(serve(
            stage,
            publication,
            dynamic,
            granted,
            rng,
            over,
        )));
    }
    join_all(tracks).await;
    // The announcement may go before the tracks end, with them, or long after.
    if rng.chance(30) {
        stage
            .until(Phase::Leave, stage.sleep(rng.millis(100, 2_000)))
            .await;
    }
    stage.note(format_args!("node {node}: withdraws {publication}"));
    stage.withdraw(publication);
    drop(broadcast);
}

/// Whether one of `scope` is a prefix of `path`, segment by segment.
pub fn covers(scope: &[&str], path: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    scope
        .iter()
        .any(|prefix| parts(path).starts_with(&parts(prefix)))
}

fn info(rng: &mut Rng) -> TrackInfo {
    let timescale = rng.chance(50).then_some(Timescale::MILLI);
    TrackInfo::default()
        .with_timescale(timescale)
        .with_cache(*rng.pick(&[
            Duration::from_secs(1),
            Duration::from_secs(5),
            Duration::from_secs(60),
            Duration::from_secs(60),
        ]))
        .with_priority(rng.below(256) as u8)
        .with_ordered(rng.chance(50))
}

/// Makes tracks that somebody asks for.
async fn serve(
    stage: &Rc<Stage>,
    publication: usize,
    mut dynamic: BroadcastDynamic,
    granted: bool,
    mut rng: Rng,
    over: Duration,
) {
    let mut made = 0;
    loop {
        let rest = over.saturating_sub(stage.now());
        let asked = stage.within(rest, stage.until(Phase::Finish, dynamic.requested_track()));
        let Some(Some(Ok(request))) = asked.await else {
            return;
        };
        let name = request.name().clone();
        if !name.starts_with(DYNAMIC) || made >= 3 || rng.chance(10) {
            request.reject(Error::NotFound);
            continue;
        }
        made += 1;
        let info = info(&mut rng);
        // A name that is asked for again begins again, which nobody could tell from the first time: another name.
        if stage.ledger.borrow().publications[publication]
            .tracks
            .contains_key(&*name)
        {
            request.reject(Error::NotFound);
            continue;
        }
        stage
            .ledger
            .borrow_mut()
            .track(publication, &name, &info, stage.now());
        let track = request.accept(info);
        let rng = rng.fork(made);
        let stage = stage.clone();
        stage.clone().spawn(async move {
            Writer::new(&stage, publication, &name, track, granted, rng)
                .run(over)
                .await;
        });
    }
}

/// How groups of a track are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// All frames together.
    Whole,
    /// Frame by frame as time goes by, groups one after the other.
    Slow,
    /// Frames in pieces.
    Pieces,
    /// As datagrams.
    Datagram,
}

/// Writes one track.
struct Writer {
    stage: Rc<Stage>,
    publication: usize,
    name: String,
    track: TrackProducer,
    granted: bool,
    rng: Rng,
    style: Style,
    timed: bool,
    period: Duration,
}

impl Writer {
    fn new(
        stage: &Rc<Stage>,
        publication: usize,
        name: &str,
        track: TrackProducer,
        granted: bool,
        mut rng: Rng,
    ) -> Self {
        let style = match rng.below(10) {
            0..4 => Style::Whole,
            4..7 => Style::Slow,
            7..9 => Style::Pieces,
            _ => Style::Datagram,
        };
        Self {
            stage: stage.clone(),
            publication,
            name: name.to_owned(),
            timed: track.info().timescale.is_some(),
            track,
            granted,
            style,
            period: rng.millis(80, 1_200),
            rng,
        }
    }

    /// Writes until `over`, or the end.
    async fn run(mut self, over: Duration) {
        let stage = self.stage.clone();
        while stage.now() < over || stage.phase() == Phase::Heal {
            // Bursts are what overtakes itself on the way.
            let pause = match self.rng.chance(20) {
                true => Duration::ZERO,
                false => self.period.mul_f64(self.rng.range(50, 150) as f64 / 100.0),
            };
            let goes_on = stage.until(Phase::Finish, stage.sleep(pause)).await;
            if goes_on.is_none() || self.track.is_closed() {
                break;
            }
            if !self.granted && self.track.subscription().is_some() {
                stage.violate(format_args!(
                    "{}/{} is asked for, but was never granted",
                    self.publication, self.name
                ));
            }
            let sequence = self.sequence();
            match self.group(sequence).await {
                // A small cache may give up what is still being written.
                Ok(()) => continue,
                Err(Error::Evicted | Error::CacheFull) if stage.plan.has(Family::Tight) => continue,
                Err(error) => stage.violate(format_args!(
                    "{}/{}/{sequence} cannot be written: {error}",
                    self.publication, self.name
                )),
            }
            return;
        }
        self.end();
    }

    /// Mostly the next; some are left out, and some of those come later.
    fn sequence(&mut self) -> u64 {
        let mut ledger = self.stage.ledger.borrow_mut();
        let track = ledger.track_mut(self.publication, &self.name);
        let next = track.next();
        match self.rng.below(20) {
            0 => next + self.rng.range(1, 3),
            1 if next > 0 => {
                let missing = (0..next)
                    .rev()
                    .find(|sequence| !track.groups.contains_key(sequence));
                missing.unwrap_or(next)
            }
            _ => next,
        }
    }

    async fn group(&mut self, sequence: u64) -> Result<(), Error> {
        let stage = self.stage.clone();
        let datagram = self.style == Style::Datagram;
        self.log(|track, now| track.begin(sequence, now, datagram));
        if datagram {
            let (payload, timestamp) = self.frame(sequence, 0, 1_000);
            self.log(|track, now| track.end(sequence, now));
            return self.track.write_datagram_at(sequence, payload, timestamp);
        }
        let group = self.track.create_group(sequence)?;
        let frames = self.rng.range(0, 7);
        let doomed = stage.plan.has(Family::Careless) && self.rng.chance(8);
        for index in 0..frames {
            let size = match self.rng.below(12) {
                0 => 0,
                1 => self.rng.range(5_000, 40_000),
                2..6 => self.rng.range(1, 40),
                _ => self.rng.range(40, 2_000),
            };
            let (payload, timestamp) = self.frame(sequence, index, size as usize);
            match self.style {
                Style::Pieces => self.pieces(&group, payload, timestamp).await?,
                _ => write(&group, payload, timestamp)?,
            }
            if self.style == Style::Slow {
                stage.sleep(self.rng.millis(0, 120)).await;
            }
        }
        if doomed {
            stage.note(format_args!(
                "{}/{}/{sequence} aborted",
                self.publication, self.name
            ));
            return group.abort(Error::Cancel);
        }
        self.log(|track, now| track.end(sequence, now));
        group.finish()
    }

    /// The next frame of a group, which is in the ledger from now on.
    fn frame(&mut self, sequence: u64, index: u64, size: usize) -> (Bytes, Option<Timestamp>) {
        let number = self.name.bytes().map(u64::from).sum();
        let payload = oracle::payload(self.publication, number, sequence, index, size);
        let now = self.stage.now().as_millis() as u64;
        let timestamp = self.timed.then_some(now);
        self.log(|track, _| track.frame(sequence, &payload, timestamp));
        (payload, timestamp.map(Timestamp::from_millis))
    }

    async fn pieces(
        &mut self,
        group: &GroupProducer,
        mut payload: Bytes,
        timestamp: Option<Timestamp>,
    ) -> Result<(), Error> {
        let frame = group.create_frame(Frame {
            size: payload.len(),
            timestamp,
        })?;
        while !payload.is_empty() {
            let piece = payload.split_to(self.rng.range(1, payload.len() as u64) as usize);
            frame.write(piece)?;
            if self.rng.chance(30) {
                self.stage.sleep(self.rng.millis(1, 50)).await;
            }
        }
        frame.finish()
    }

    fn log(&self, change: impl FnOnce(&mut oracle::Track, Duration)) {
        let mut ledger = self.stage.ledger.borrow_mut();
        change(
            ledger.track_mut(self.publication, &self.name),
            self.stage.now(),
        );
    }

    /// Ends the track as publishers do.
    fn end(mut self) {
        self.log(|track, _| track.over = true);
        let careless = self.stage.plan.has(Family::Careless) && self.stage.phase() == Phase::Safety;
        let name = format!("{}/{}", self.publication, self.name);
        if careless && self.rng.chance(40) {
            self.stage.note(format_args!("{name} fails"));
            // Some say so, some just vanish.
            if self.rng.chance(50) {
                drop(self.track.abort(Error::Cancel));
            }
            return;
        }
        self.log(|track, _| track.boundary = Some(track.next()));
        self.stage.note(format_args!("{name} finished"));
        if let Err(error) = self.track.finish() {
            self.stage
                .violate(format_args!("{name} cannot be finished: {error}"));
        }
    }
}

fn write(group: &GroupProducer, payload: Bytes, timestamp: Option<Timestamp>) -> Result<(), Error> {
    match timestamp {
        Some(timestamp) => group.write_timed(timestamp, payload),
        None => group.write_frame(payload),
    }
}
