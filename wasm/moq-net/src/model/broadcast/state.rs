//! The tracks of a broadcast.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    Error, Result, Runtime,
    cost::{
        gauges::{Kind, Live},
        peaks::Peak,
    },
    map::Map,
    model::{
        queue::Queue,
        track::{self, TrackConsumer, TrackRequest},
    },
};

pub(crate) struct Shared {
    /// Closed when the last producer and handler is gone.
    pub(crate) channel: kio::Producer<State>,
    /// No other broadcast of this process has it.
    pub(crate) number: u64,
    live: Live,
}

static NUMBERS: AtomicU64 = AtomicU64::new(0);

impl Shared {
    pub(crate) fn new(runtime: &Runtime) -> Arc<Self> {
        let state = State {
            tracks: Map::new(),
            sweep_at: SWEEP,
            requests: Queue::new(runtime.limits().track_requests),
            holds: 0,
        };
        Arc::new(Self {
            channel: kio::Producer::new(state),
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            live: Live::new(runtime, Kind::Broadcast),
        })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.live.runtime()
    }

    /// Another publisher has the path now: every reader of a track is to look again, and may find this one again later.
    pub(crate) fn supersede(&self) {
        let Ok(mut state) = self.channel.write() else {
            return;
        };
        let waiting = state.requests.drain();
        let tracks: Vec<_> = std::mem::take(&mut state.tracks)
            .into_values()
            .filter_map(|track| track.upgrade())
            .collect();
        drop(state);
        // They end as dropped, and wake their readers: not under the lock.
        drop(waiting);
        for track in tracks {
            // One that has ended before keeps its end.
            let _ended = track.abort(Error::Dropped);
        }
    }
}

pub(crate) struct State {
    /// Never keeps a track. An entry may be dead.
    tracks: Map<Arc<str>, track::Weak>,
    /// Dead entries are looked for when the map reaches this size.
    sweep_at: usize,
    pub(crate) requests: Queue<Arc<str>, TrackRequest>,
    /// How many of its handlers only hold requests of peers.
    pub(crate) holds: usize,
}

/// Below this many entries nobody looks for dead ones.
const SWEEP: usize = 16;

impl State {
    /// The open track of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<track::Shared>> {
        let track = self.tracks.get(name)?.upgrade()?;
        let joinable = track.channel.read().is_joinable();
        joinable.then_some(track)
    }

    /// Whether the name is free.
    pub(crate) fn check_free(&self, name: &str) -> Result<()> {
        match self.find(name) {
            Some(_) => Err(Error::Duplicate),
            None => Ok(()),
        }
    }

    /// Makes a track known by its name, in place of a dead one.
    pub(crate) fn insert(&mut self, track: &Arc<track::Shared>) {
        if self.tracks.len() >= self.sweep_at {
            self.tracks.retain(|_, track| track.strong_count() > 0);
            self.sweep_at = SWEEP.max(self.tracks.len() * 2);
        }
        self.tracks
            .insert(track.tag.name.clone(), Arc::downgrade(track));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.tracks.remove(name);
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.tracks.contains_key(name)
    }

    /// Every name that cannot be used for a new track.
    pub(crate) fn is_taken(&self, name: &Arc<str>) -> bool {
        self.find(name).is_some() || self.requests.get(name).is_some()
    }
}

/// A track that was looked up. Joining one may wake its publisher, so that comes after unlocking the broadcast.
pub(crate) enum Found {
    Known(Arc<track::Shared>),
    Requested(TrackConsumer),
}

impl Found {
    pub(crate) fn join(self) -> TrackConsumer {
        match self {
            Self::Known(track) => TrackConsumer::new(track),
            Self::Requested(track) => track,
        }
    }
}

/// Finds the track of that name, or its request, or makes one. A hold is for peers only.
pub(crate) fn request(
    state: &mut kio::Mut<'_, State>,
    name: Arc<str>,
    runtime: &Runtime,
    by_peer: bool,
) -> Result<Found> {
    if let Some(track) = state.find(&name) {
        return Ok(Found::Known(track));
    }
    if let Some((waiting, _)) = state.requests.get(&name) {
        return Ok(Found::Known(waiting.shared().clone()));
    }
    let needed = if by_peer { 0 } else { state.holds };
    if state.requests.handlers() <= needed {
        return Err(Error::NotFound);
    }
    let request = TrackRequest::new(name.clone(), runtime);
    // Before a handler can see the request: without a reader it would look abandoned.
    let track = request.consume();
    state.requests.insert(name, request)?;
    runtime.mark(Peak::TrackRequests, state.requests.waiting());
    Ok(Found::Requested(track))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Limits,
        model::{broadcast::BroadcastInfo, track::TrackProducer},
        test_host::TestHost,
    };

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_of_dead_tracks_are_swept() {
        let runtime = Runtime::new(TestHost::default(), Limits::default());
        let broadcast = BroadcastInfo::new().produce(&runtime);
        let shared = broadcast.consume().shared().clone();
        let known = || shared.channel.read().tracks.len();
        let live: Vec<TrackProducer> = (0..50)
            .map(|name| {
                broadcast
                    .create_track(format!("live {name}"), None)
                    .unwrap()
            })
            .collect();
        for name in 0..1000 {
            drop(broadcast.create_track(format!("{name}"), None).unwrap());
            assert!(known() <= 2 * live.len().max(SWEEP), "{name}");
        }
        // So seldom that looking through them all costs little for each.
        assert!(shared.channel.read().sweep_at >= 2 * live.len());
        assert!(shared.channel.read().find("live 49").is_some());
    }

    #[test]
    fn a_name_is_known_while_its_track_is_here_or_asked_for() {
        let runtime = Runtime::new(TestHost::default(), Limits::default());
        let broadcast = BroadcastInfo::new().produce(&runtime);
        let consumer = broadcast.consume();
        let _handler = broadcast.dynamic();
        assert!(!consumer.has_track("here") && !consumer.has_track("asked"));
        let _track = broadcast.create_track("here", None).unwrap();
        let _asked = consumer.track("asked").unwrap();
        assert!(consumer.has_track("here") && consumer.has_track("asked"));
        assert!(!consumer.has_track("other"));
    }
}
