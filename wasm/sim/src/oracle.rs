//! Who published what: the naive memory that everything delivered is compared with.
//!
//! It knows nothing of sessions, relays or caches. A publisher enters what it is about to publish; a reader shows what it got.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use bytes::Bytes;
use moq_net::TrackInfo;

use crate::{
    rng::Rng,
    trace::{BASIS, fnv},
};

/// One broadcast of one publisher, from its announcement to its end.
pub struct Publication {
    /// Who publishes it.
    pub node: usize,
    /// The full path.
    pub path: &'static str,
    /// Whether its publisher was granted that path.
    pub granted: bool,
    /// When it was announced.
    pub begun: Duration,
    /// When it was withdrawn.
    pub ended: Option<Duration>,
    /// Its tracks by name.
    pub tracks: BTreeMap<String, Track>,
}

/// One track of a publication.
#[derive(Default)]
pub struct Track {
    /// Whether frames carry timestamps, in milliseconds.
    pub timed: bool,
    /// When it began.
    pub begun: Duration,
    /// How long groups are kept by those who carry it.
    pub cache: Duration,
    /// Its groups.
    pub groups: BTreeMap<u64, Group>,
    /// The first sequence that never comes, once that was said.
    pub boundary: Option<u64>,
    /// Its writer is done with it, one way or another.
    pub over: bool,
}

/// One group of a track.
pub struct Group {
    /// When it was begun.
    pub begun: Duration,
    /// When it was finished, cleanly.
    pub finished: Option<Duration>,
    /// It was sent as a datagram.
    pub datagram: bool,
    frames: Vec<Frame>,
}

/// What is remembered of a frame.
#[derive(Clone, Copy)]
struct Frame {
    hash: u64,
    timestamp: Option<u64>,
}

/// Everything published so far.
#[derive(Default)]
pub struct Ledger {
    /// The publications, the oldest first.
    pub publications: Vec<Publication>,
    /// Paths that somebody claimed to have who has not.
    pub forged: BTreeSet<String>,
    /// Those of them to which the claimed way was perhaps better than that of whoever has them.
    pub hijacked: BTreeSet<String>,
}

/// The publications that something delivered may be from.
#[derive(Clone, Debug, Default)]
pub struct Suspects(Vec<usize>);

impl Suspects {
    /// The only one left.
    pub fn only(&self) -> Option<usize> {
        match self.0.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// Keeps those that are in `other` too.
    pub fn agree(&mut self, other: &Self) -> bool {
        self.0.retain(|publication| other.0.contains(publication));
        !self.0.is_empty()
    }
}

impl Ledger {
    /// A publication of `node` begins.
    pub fn publish(
        &mut self,
        node: usize,
        path: &'static str,
        granted: bool,
        now: Duration,
    ) -> usize {
        self.publications.push(Publication {
            node,
            path,
            granted,
            begun: now,
            ended: None,
            tracks: BTreeMap::new(),
        });
        self.publications.len() - 1
    }

    /// A track begins.
    pub fn track(&mut self, publication: usize, name: &str, info: &TrackInfo, now: Duration) {
        let track = Track {
            timed: info.timescale.is_some(),
            begun: now,
            cache: info.cache,
            ..Track::default()
        };
        self.publications[publication]
            .tracks
            .insert(name.to_owned(), track);
    }

    /// The track, which must have begun.
    pub fn track_mut(&mut self, publication: usize, name: &str) -> &mut Track {
        let tracks = &mut self.publications[publication].tracks;
        tracks.get_mut(name).expect("tracks begin before groups")
    }

    /// Publications on `path` that were granted, by those whom `from` selects.
    fn granted(
        &self,
        path: &str,
        from: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = (usize, &Publication)> {
        let publications = self.publications.iter().enumerate();
        publications.filter(move |(_, publication)| {
            publication.granted && publication.path == path && from(publication.node)
        })
    }

    /// Whether a granted publication, by one of those whom `from` selects, is announced on `path`.
    pub fn is_live(&self, path: &str, from: impl Fn(usize) -> bool) -> bool {
        self.granted(path, from)
            .any(|(_, publication)| publication.ended.is_none())
    }

    /// Whether one of those whom `from` selects ever had `path`, or somebody claimed to.
    pub fn was_claimed(&self, path: &str, from: impl Fn(usize) -> bool) -> bool {
        self.granted(path, from).next().is_some() || self.forged.contains(path)
    }

    /// The publication that all who look at `path` have to agree on: the only one since `since`, and announced all the time.
    pub fn undisputed(
        &self,
        path: &str,
        since: Duration,
        from: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        if self.hijacked.contains(path) {
            return None;
        }
        let mut recent = self
            .granted(path, from)
            .filter(|(_, publication)| publication.ended.is_none_or(|ended| ended >= since));
        let (index, publication) = recent.next()?;
        let steady = publication.ended.is_none() && publication.begun < since;
        (steady && recent.next().is_none()).then_some(index)
    }

    /// Where something of `track` below `path` may be from: what was granted there, now or before.
    pub fn suspects(&self, path: &str, track: &str) -> Suspects {
        let publications = self.publications.iter().enumerate();
        Suspects(
            publications
                .filter(|(_, publication)| {
                    publication.granted
                        && publication.path == path
                        && publication.tracks.contains_key(track)
                })
                .map(|(index, _)| index)
                .collect(),
        )
    }

    /// Whether another publisher had the path of `publication` since `since`: the last one to claim it takes it over, and the
    /// tracks of the other one are dropped.
    pub fn is_contested(&self, publication: usize, since: Duration) -> bool {
        let own = &self.publications[publication];
        let mut others = self.granted(own.path, |node| node != own.node);
        others.any(|(_, other)| other.ended.is_none_or(|ended| ended >= since))
    }

    /// Whether a publisher of `path` began in that time, which another one had published before.
    pub fn is_taken_over(&self, path: &str, time: RangeInclusive<Duration>) -> bool {
        let mut new = self
            .granted(path, |_| true)
            .filter(|(_, new)| time.contains(&new.begun));
        new.any(|(index, new)| {
            let mut others = self.granted(path, |node| node != new.node);
            others.any(|(other, _)| other < index)
        })
    }

    /// When the first group after `sequence` was begun, of all that may be meant; `None` if there is none, or if it may have been a
    /// datagram.
    pub fn passed(&self, suspects: &Suspects, track: &str, sequence: u64) -> Option<Duration> {
        let publications = suspects.0.iter().map(|index| &self.publications[*index]);
        let tracks = || {
            publications
                .clone()
                .filter_map(|held| held.tracks.get(track))
        };
        let mut groups = tracks().flat_map(|track| track.groups.values());
        if groups.any(|group| group.datagram) {
            return None;
        }
        tracks().filter_map(|track| track.passed(sequence)).min()
    }

    fn retain(
        &self,
        suspects: &mut Suspects,
        track: &str,
        sequence: u64,
        keep: impl Fn(&Track, &Group) -> bool,
    ) -> bool {
        suspects.0.retain(|publication| {
            let track = self.publications[*publication].tracks.get(track);
            let group = track.and_then(|track| Some((track, track.groups.get(&sequence)?)));
            group.is_some_and(|(track, group)| keep(track, group))
        });
        !suspects.0.is_empty()
    }

    /// Whether a group exists at all.
    pub fn begins(&self, suspects: &mut Suspects, track: &str, sequence: u64) -> bool {
        self.retain(suspects, track, sequence, |_, _| true)
    }

    /// Whether frame `index` of a group is what was published: these bytes, at this time if times travel.
    pub fn frame(
        &self,
        suspects: &mut Suspects,
        track: &str,
        (sequence, index): (u64, u64),
        payload: &[Bytes],
        timestamp: Option<u64>,
    ) -> bool {
        let hash = payload.iter().fold(BASIS, |hash, chunk| fnv(hash, chunk));
        self.retain(suspects, track, sequence, |track, group| {
            let frame = group.frames.get(index as usize);
            frame.is_some_and(|frame| {
                let timely = !track.timed || timestamp.is_none() || timestamp == frame.timestamp;
                frame.hash == hash && timely
            })
        })
    }

    /// Whether these bytes are a frame of some group.
    pub fn has_frame(&self, suspects: &Suspects, track: &str, payload: &[u8]) -> bool {
        let hash = fnv(BASIS, payload);
        suspects.0.iter().any(|publication| {
            let track = self.publications[*publication].tracks.get(track);
            let mut groups = track.iter().flat_map(|track| track.groups.values());
            groups.any(|group| group.frames.iter().any(|frame| frame.hash == hash))
        })
    }

    /// Whether a group that was delivered as complete with `frames` frames is.
    pub fn group_end(
        &self,
        suspects: &mut Suspects,
        track: &str,
        sequence: u64,
        frames: u64,
    ) -> bool {
        self.retain(suspects, track, sequence, |_, group| {
            group.finished.is_some() && group.frames.len() as u64 == frames
        })
    }

    /// Whether a track that was delivered as complete is, with this first sequence that never comes.
    pub fn track_end(&self, suspects: &Suspects, track: &str, boundary: u64) -> bool {
        suspects.0.iter().any(|publication| {
            let track = self.publications[*publication].tracks.get(track);
            track.is_some_and(|track| track.boundary == Some(boundary))
        })
    }
}

impl Track {
    /// A group begins.
    pub fn begin(&mut self, sequence: u64, now: Duration, datagram: bool) {
        let group = Group {
            begun: now,
            finished: None,
            datagram,
            frames: Vec::new(),
        };
        self.groups.insert(sequence, group);
    }

    /// A frame is about to be published.
    pub fn frame(&mut self, sequence: u64, payload: &[u8], timestamp: Option<u64>) {
        let group = self
            .groups
            .get_mut(&sequence)
            .expect("groups begin before frames");
        group.frames.push(Frame {
            hash: fnv(BASIS, payload),
            timestamp,
        });
    }

    /// A group is about to be finished.
    pub fn end(&mut self, sequence: u64, now: Duration) {
        let group = self
            .groups
            .get_mut(&sequence)
            .expect("groups begin before they end");
        group.finished = Some(now);
    }

    /// When the first group after `sequence` was begun.
    pub fn passed(&self, sequence: u64) -> Option<Duration> {
        let after = self.groups.range(sequence + 1..);
        after.map(|(_, group)| group.begun).min()
    }

    /// The sequence after the highest.
    pub fn next(&self) -> u64 {
        let highest = self.groups.keys().next_back();
        highest.map_or(0, |highest| highest + 1)
    }
}

/// The bytes of one frame, the same whenever they are asked for.
pub fn payload(publication: usize, track: u64, sequence: u64, index: u64, size: usize) -> Bytes {
    let mut rng = Rng::new(publication as u64)
        .fork(track)
        .fork(sequence)
        .fork(index);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&rng.draw().to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}
