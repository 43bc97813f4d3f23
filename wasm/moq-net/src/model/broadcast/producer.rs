//! Publishing a broadcast.

use std::sync::Arc;

use super::{
    BroadcastConsumer, BroadcastDynamic, BroadcastHold, BroadcastInfo, Shared, state::State,
};
use crate::{
    Error, Result, Runtime,
    cost::gauges::{Kind, Live},
    model::{
        Consume,
        track::{TrackConsumer, TrackInfo, TrackProducer, TrackRequest},
    },
};

/// Publishes the tracks of one broadcast.
///
/// Clones publish the same broadcast. It keeps none of its tracks alive, and when the last producer and handler is dropped, tracks
/// whose own producers live elsewhere go on.
#[derive(Clone)]
pub struct BroadcastProducer {
    owner: Arc<Owner>,
}

/// Shared by producers and handlers: the broadcast closes when the last one goes.
pub(crate) struct Owner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) info: Arc<BroadcastInfo>,
    _live: Live,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Every handler is gone, and each took the requests with it that nobody else could serve.
        self.shared.channel.close();
    }
}

impl BroadcastProducer {
    pub(crate) fn new(info: BroadcastInfo, runtime: &Runtime) -> Self {
        Self {
            owner: Arc::new(Owner {
                shared: Shared::new(runtime),
                info: Arc::new(info),
                _live: Live::new(runtime, Kind::Producer),
            }),
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// The route it is known by here.
    pub fn info(&self) -> &BroadcastInfo {
        &self.owner.info
    }

    /// Whether both handles publish the same broadcast.
    pub fn is_clone(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.shared(), other.shared())
    }

    fn change<T>(&self, change: impl FnOnce(&mut kio::Mut<'_, State>) -> Result<T>) -> Result<T> {
        match self.shared().channel.write() {
            Ok(mut state) => change(&mut state),
            Err(_) => Err(Error::Dropped),
        }
    }

    /// Creates a track. If somebody has asked for that name and nobody has taken the request yet, this answers it.
    ///
    /// # Errors
    /// [`Error::Duplicate`] while a track of that name is open; [`Error::Dropped`].
    pub fn create_track(
        &self,
        name: impl Into<Arc<str>>,
        info: impl Into<Option<TrackInfo>>,
    ) -> Result<TrackProducer> {
        let name = name.into();
        let info = info.into();
        // One lock: nobody may ask for the name between the look and the entry. The answer, which wakes, comes after it.
        enum Made {
            Track(TrackProducer),
            Answer(TrackRequest),
        }
        let made = self.change(|state| {
            state.check_free(&name)?;
            if state.requests.get(&name).is_some()
                && let Some(request) = state.requests.fulfil(&name)
            {
                state.insert(request.shared());
                return Ok(Made::Answer(request));
            }
            let track = TrackProducer::new(name, info, self.shared().runtime());
            state.insert(track.shared());
            Ok(Made::Track(track))
        })?;
        Ok(match made {
            Made::Track(track) => track,
            Made::Answer(request) => request.accept(info),
        })
    }

    /// Makes a track known that is published elsewhere and kept alive by its own producer. A request for its name that nobody has
    /// taken yet fails with [`Error::Dropped`]: who asked may ask again and finds this track.
    ///
    /// # Errors
    /// [`Error::Duplicate`] while a track of that name is open; [`Error::Dropped`].
    pub fn insert_track(&self, track: impl Consume<TrackConsumer>) -> Result<()> {
        let track = track.consume();
        let superseded = self.change(|state| {
            state.check_free(track.name())?;
            state.insert(track.shared());
            Ok(state.requests.fulfil(track.name()))
        })?;
        // Rejects it, so not under the lock.
        drop(superseded);
        Ok(())
    }

    /// Makes the name unknown. The track itself lives on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Dropped`].
    pub fn remove_track(&self, name: &str) -> Result<()> {
        self.change(|state| {
            if !state.contains(name) {
                return Err(Error::NotFound);
            }
            state.remove(name);
            Ok(())
        })
    }

    /// The first of `0{suffix}`, `1{suffix}`, … that is free.
    pub fn unique_name(&self, suffix: &str) -> Arc<str> {
        let state = self.shared().channel.read();
        // There are fewer tracks than numbers.
        let mut number = 0u64;
        loop {
            let name: Arc<str> = format!("{number}{suffix}").into();
            if !state.is_taken(&name) {
                return name;
            }
            number += 1;
        }
    }

    /// Creates a track under a [`unique_name`](Self::unique_name).
    ///
    /// # Errors
    /// [`Error::Dropped`].
    pub fn unique_track(
        &self,
        suffix: &str,
        info: impl Into<Option<TrackInfo>>,
    ) -> Result<TrackProducer> {
        let info = info.into();
        loop {
            match self.create_track(self.unique_name(suffix), info) {
                // Another thread took the name in between.
                Err(Error::Duplicate) => {}
                result => return result,
            }
        }
    }

    /// Opts in to serving tracks on request. Make it before announcing the broadcast, or eager readers find nobody.
    pub fn dynamic(&self) -> BroadcastDynamic {
        BroadcastDynamic::new(self.owner.clone())
    }

    /// Lets peers wait for tracks that are still to be created. Make it before announcing the broadcast.
    pub fn hold(&self) -> BroadcastHold {
        BroadcastHold::new(self.owner.clone())
    }

    /// A reader.
    pub fn consume(&self) -> BroadcastConsumer {
        BroadcastConsumer::new(self.shared().clone(), self.owner.info.clone())
    }
}

impl Consume<BroadcastConsumer> for BroadcastProducer {
    fn consume(&self) -> BroadcastConsumer {
        Self::consume(self)
    }
}
