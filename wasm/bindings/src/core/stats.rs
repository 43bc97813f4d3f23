//! Figures.

use std::collections::BTreeMap;

use wasm_bindgen::prelude::wasm_bindgen;

use super::Core;
use crate::{error::Result, json::Object, object};

#[wasm_bindgen]
impl Core {
    /// Live counts as JSON: `CoreStats` of the worker without the memory size, which it knows itself.
    pub fn stats(&self) -> String {
        let mut handles = BTreeMap::new();
        for (_, object) in self.objects.borrow().iter() {
            *handles.entry(object.name()).or_insert(0.0) += 1.0;
        }
        let (sessions, streams) = self.network.counts();
        let stats = self.runtime.stats();
        let model = [
            ("origins", stats.origins),
            ("broadcasts", stats.broadcasts),
            ("tracks", stats.tracks),
            ("groups", stats.groups),
            ("frames", stats.frames),
            ("producers", stats.producers),
            ("consumers", stats.consumers),
            ("subscriptions", stats.subscriptions),
            ("transports", sessions),
            ("streams", streams),
        ];
        Object::new()
            .numbers("handles", handles)
            .numbers("model", model.map(|(name, count)| (name, count as f64)))
            .number("operations", self.operations.len() as f64)
            .number("tasks", self.executor.len() as f64)
            .number("cachedBytes", stats.cached_bytes as f64)
            .end()
    }

    /// Figures of one session as JSON: `SessionStatsData` of the worker.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = sessionStats)]
    pub fn session_stats(&self, session: f64) -> Result<String> {
        let objects = self.objects.borrow();
        let object::Connected {
            session, transport, ..
        } = objects.session(session)?;
        let bandwidth = session.bandwidth();
        let figures = transport.figures();
        let mut json = Object::new();
        if let Some(rtt) = bandwidth.rtt {
            json.number("rttMs", rtt.as_millis() as f64);
        }
        if let Some(bits) = bandwidth.receive {
            json.number("bitsPerSecond", bits as f64);
        }
        json.number("bytesSent", figures.sent as f64)
            .number("bytesReceived", figures.received as f64)
            .number("unreadBytes", figures.unread as f64)
            .number("openStreams", f64::from(figures.streams));
        Ok(json.end())
    }
}
