//! Broadcasts, both sides.

use moq_net::BroadcastInfo;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Core, origin::parse};
use crate::{
    error::{ErrorData, Fault, Result},
    object::{Object, Own},
    operation::error_value,
};

#[wasm_bindgen]
impl Core {
    /// A broadcast of our own, announced until freed.
    ///
    /// # Errors
    /// `usage`, `unauthorized`.
    #[wasm_bindgen(js_name = createBroadcast)]
    pub fn create_broadcast(&mut self, origin: f64, path: &str) -> Result<f64> {
        self.touch();
        let broadcast = {
            let objects = self.objects.borrow();
            let origin = objects.origin(origin)?;
            origin.create_broadcast(&parse(path)?).map_err(|error| {
                ErrorData::of(&error, Fault::Caller, &format!("broadcast {path}"))
            })?
        };
        Ok(self.insert(Object::Broadcast(Own::Announced(broadcast))))
    }

    /// A broadcast of our own that is announced nowhere, for whoever is given it.
    #[wasm_bindgen(js_name = makeBroadcast)]
    pub fn make_broadcast(&mut self) -> f64 {
        self.touch();
        let broadcast = BroadcastInfo::new().produce(&self.runtime);
        self.insert(Object::Broadcast(Own::Bare(broadcast)))
    }

    /// Make a track known that lives elsewhere.
    ///
    /// # Errors
    /// `usage`, `duplicate`, `dropped`.
    #[wasm_bindgen(js_name = insertTrack)]
    pub fn insert_track(&mut self, broadcast: f64, track: f64) -> Result<()> {
        self.touch();
        let objects = self.objects.borrow();
        let track = match objects.get(track)? {
            Object::Producer { track, .. } => track.consume(),
            _ => objects.track(track)?.clone(),
        };
        let doing = format!("track {}", track.name());
        objects
            .broadcast(broadcast)?
            .insert_track(track)
            .map_err(|error| ErrorData::of(&error, Fault::Caller, &doing))
    }

    /// Make a name unknown; the track lives on.
    ///
    /// # Errors
    /// `usage`, `not-found`, `dropped`.
    #[wasm_bindgen(js_name = removeTrack)]
    pub fn remove_track(&mut self, broadcast: f64, name: &str) -> Result<()> {
        self.touch();
        self.objects
            .borrow()
            .broadcast(broadcast)?
            .remove_track(name)
            .map_err(|error| ErrorData::of(&error, Fault::Caller, &format!("track {name}")))
    }

    /// Announce somebody's broadcast; the handle withdraws it.
    ///
    /// # Errors
    /// `usage`, `unauthorized`.
    pub fn publish(&mut self, origin: f64, path: &str, broadcast: f64) -> Result<f64> {
        self.touch();
        let publication = {
            let objects = self.objects.borrow();
            let source = objects.source(broadcast)?.clone();
            objects
                .origin(origin)?
                .publish_broadcast(&parse(path)?, source)
                .map_err(|error| {
                    ErrorData::of(&error, Fault::Caller, &format!("broadcast {path}"))
                })?
        };
        Ok(self.insert(Object::Publication {
            _guard: publication,
        }))
    }

    /// A consumer of our own broadcast.
    ///
    /// # Errors
    /// `usage`.
    pub fn consume(&mut self, broadcast: f64) -> Result<f64> {
        self.touch();
        let source = self.objects.borrow().broadcast(broadcast)?.consume();
        Ok(self.insert(Object::Source(source)))
    }

    /// Another handle to the same consumer.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = cloneBroadcast)]
    pub fn clone_broadcast(&mut self, broadcast: f64) -> Result<f64> {
        let source = self.objects.borrow().source(broadcast)?.clone();
        Ok(self.insert(Object::Source(source)))
    }

    /// Settles with the error that ended the broadcast.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = broadcastClosed)]
    pub fn broadcast_closed(&mut self, broadcast: f64) -> Result<f64> {
        let source = self.objects.borrow().source(broadcast)?.clone();
        Ok(self.start_on(broadcast, async move {
            let error = source.closed().await;
            Ok(error_value(&ErrorData::of(
                &error,
                Fault::Peer,
                "broadcast",
            )))
        }))
    }

    /// Look a track up.
    ///
    /// # Errors
    /// `usage`, `not-found`, `dropped`.
    pub fn track(&mut self, broadcast: f64, name: &str) -> Result<f64> {
        self.touch();
        let track = self
            .objects
            .borrow()
            .source(broadcast)?
            .track(name)
            .map_err(|error| ErrorData::of(&error, Fault::Caller, &format!("track {name}")))?;
        Ok(self.insert(Object::Track(track)))
    }
}
