//! Finding the track that a request names.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use web_transport_trait as wt;

use super::{Refusal, Served};
use crate::{
    BroadcastConsumer, Error, Instant, OriginConsumer, PathOwned, TrackConsumer,
    cost::rate::{Bucket, Rate},
    lite::session::Link,
    map::Map,
};

/// Tracks of one session that are told apart, at 16 bytes each.
const FOUND: usize = 8192;

/// What one session has asked for that was not here.
pub(crate) struct Lookups {
    /// How often it may ask for more.
    pace: Bucket,
    /// What was found so far, by the hash of its name. Two names with one hash cost a lookup, and nothing else.
    found: Mutex<Map<u64, ()>>,
    /// What was not found a moment ago.
    missing: Mutex<BTreeMap<Key, Missing>>,
}

type Key = (PathOwned, String);

struct Missing {
    until: Instant,
    refusal: Refusal,
}

impl Lookups {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            pace: Bucket::new(rate),
            found: Mutex::new(Map::new()),
            missing: Mutex::new(BTreeMap::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Missing>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was not found a moment ago.
    fn check(&self, key: &Key, now: Instant) -> Served {
        let missing = self.lock();
        match missing.get(key).filter(|missing| missing.until > now) {
            Some(missing) => Err(missing.refusal.clone()),
            None => Ok(()),
        }
    }

    /// Takes note of a track that exists. The first time that is no fault of the session, and costs it nothing.
    fn found(&self, key: &Key) {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < FOUND && found.insert(hasher.finish(), ()).is_none() {
            self.pace.give_back();
        }
    }

    fn remember(&self, key: Key, missing: Missing, now: Instant) {
        let mut all = self.lock();
        all.retain(|_, missing| missing.until > now);
        all.insert(key, missing);
    }
}

/// What the success of a lookup says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The publisher has answered: the track exists.
    Exists,
    /// The track was asked for.
    Asked,
}

/// Finds the track, which may have to be asked for first, and does `then` with it. What is not here costs the session one of its
/// lookups until it turns out to exist, the first time; and what turned out not to exist is not looked for again at once.
pub(super) async fn track<T: wt::Session, V, F: Future<Output = Served<V>>>(
    link: &Link<T>,
    path: &PathOwned,
    name: &str,
    proof: Proof,
    then: impl FnOnce(TrackConsumer) -> F,
) -> Served<V> {
    let origin = link.view().ok_or_else(|| Refusal::route(Error::NotFound))?;
    if is_here(&origin, path, name) {
        return then(find(link, &origin, path, name).await?).await;
    }
    // Before anything is counted or queued: what may not be asked for costs nothing.
    if !origin.may_request(path) {
        return Err(Refusal::route(Error::NotFound));
    }
    let key = (path.clone(), name.to_owned());
    link.lookups.check(&key, link.runtime.now())?;
    link.lookups.pace.wait(&link.runtime).await;
    let found = match find(link, &origin, path, name).await {
        Ok(track) => then(track).await,
        Err(refusal) => Err(refusal),
    };
    match &found {
        Ok(_) if proof == Proof::Exists => link.lookups.found(&key),
        Err(refusal) if refusal.error == Error::NotFound => {
            let now = link.runtime.now();
            let missing = Missing {
                until: now + link.runtime.limits().not_found,
                refusal: refusal.clone(),
            };
            link.lookups.remember(key, missing, now);
        }
        _ => {}
    }
    found
}

/// Whether the answer costs nobody anything.
fn is_here(origin: &OriginConsumer, path: &PathOwned, name: &str) -> bool {
    let known = origin.peek_broadcast(path);
    known.is_some_and(|broadcast| broadcast.has_track(name))
}

async fn find<T: wt::Session>(
    link: &Link<T>,
    origin: &OriginConsumer,
    path: &PathOwned,
    name: &str,
) -> Served<TrackConsumer> {
    let broadcast = broadcast(link, origin, path).await?;
    broadcast.track_for_peer(name).map_err(Refusal::data)
}

/// Finds the broadcast, wherever it comes from but the peer itself.
async fn broadcast<T: wt::Session>(
    link: &Link<T>,
    origin: &OriginConsumer,
    path: &PathOwned,
) -> Served<BroadcastConsumer> {
    let pending = origin.request_broadcast(path).map_err(Refusal::route)?;
    let broadcast = pending.await.map_err(Refusal::route)?;
    match link.may_show(&broadcast) {
        true => Ok(broadcast),
        false => Err(Refusal::route(Error::NotFound)),
    }
}
