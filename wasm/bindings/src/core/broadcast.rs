//! Broadcasts, both sides.

use wasm_bindgen::prelude::wasm_bindgen;

use super::{Core, origin::parse};
use crate::{
    error::{ErrorData, Fault, Result},
    object::Object,
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
        Ok(self.insert(Object::Broadcast(broadcast)))
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
