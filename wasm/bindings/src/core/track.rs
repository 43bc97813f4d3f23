//! Tracks to read from.

use std::time::Duration;

use moq_net::{Fetch, Subscription, TrackInfo};
use wasm_bindgen::prelude::wasm_bindgen;

use super::Core;
use crate::{
    command::Outcome,
    error::{ErrorData, Fault, Result},
    json, number,
    object::Object,
    operation,
    reader::{Reader, fetched, subscribed},
};

#[wasm_bindgen]
impl Core {
    /// Settles with the properties once the publisher confirmed them.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = trackInfo)]
    pub fn track_info(&mut self, track: f64) -> Result<f64> {
        self.touch();
        let (query, doing) = {
            let objects = self.objects.borrow();
            let track = objects.track(track)?;
            (track.info(), format!("track {}", track.name()))
        };
        Ok(self.start(async move {
            let info = query
                .await
                .map_err(|error| ErrorData::of(&error, Fault::Peer, &doing))?;
            Ok(operation::json(info_json(&info)?))
        }))
    }

    /// Subscribe; the handle is a reader. Nothing flows before the first grant. `groupStart` and `groupEnd`: NaN for none.
    ///
    /// # Errors
    /// `usage`, or what ended the track.
    #[allow(clippy::too_many_arguments)]
    pub fn subscribe(
        &mut self,
        track: f64,
        priority: f64,
        ordered: bool,
        max_latency_ms: f64,
        group_start: f64,
        group_end: f64,
        batch_ms: f64,
    ) -> Result<f64> {
        self.touch();
        let wish = wish(priority, ordered, max_latency_ms, group_start, group_end)?;
        let hold = Duration::from_millis(number::whole("batchMs", batch_ms)?);
        let (subscribe, doing) = {
            let objects = self.objects.borrow();
            let track = objects.track(track)?;
            let doing = format!("track {}", track.name());
            let subscribe = track
                .subscribe(wish)
                .map_err(|error| ErrorData::of(&error, Fault::Peer, &doing))?;
            (subscribe, doing)
        };
        let runtime = self.runtime.clone();
        Ok(self.insert_reader(|reader| subscribed(reader, runtime, subscribe, hold, doing)))
    }

    /// Settles with the properties of the track when the subscription is confirmed.
    ///
    /// # Errors
    /// `usage`.
    pub fn confirmed(&mut self, subscription: f64) -> Result<f64> {
        let reader: Reader = self.objects.borrow().reader(subscription)?.clone();
        Ok(self.start_on(subscription, async move {
            let info = kio::wait(|waiter| reader.poll_info(waiter)).await?;
            Ok(operation::json(info_json(&info)?))
        }))
    }

    /// One group, cached or asked from the publisher; settles with a reader.
    ///
    /// # Errors
    /// `usage`, `not-found`, `dropped`.
    #[wasm_bindgen(js_name = fetchGroup)]
    pub fn fetch_group(
        &mut self,
        track: f64,
        sequence: f64,
        priority: f64,
        frame_start: f64,
    ) -> Result<f64> {
        self.touch();
        let sequence = number::whole("sequence", sequence)?;
        let fetch = Fetch::default()
            .with_priority(number::byte("priority", priority)?)
            .with_frame_start(number::whole("frameStart", frame_start)?);
        let (pending, doing) = {
            let objects = self.objects.borrow();
            let track = objects.track(track)?;
            let doing = format!("group {sequence} of track {}", track.name());
            let pending = track
                .fetch_group(sequence, fetch)
                .map_err(|error| ErrorData::of(&error, Fault::Peer, &doing))?;
            (pending, doing)
        };
        let (runtime, objects, dirty, network) = (
            self.runtime.clone(),
            self.objects.clone(),
            self.dirty.clone(),
            self.network.clone(),
        );
        // The task that waits for the group goes on to read it.
        Ok(self
            .operations
            .start_with(&mut self.executor, |settle| async move {
                let group = match pending.await {
                    Ok(group) => group,
                    Err(error) => {
                        return settle.done(Err(ErrorData::of(&error, Fault::Peer, &doing)));
                    }
                };
                let mut created = None;
                let handle = objects.borrow_mut().insert_with(|handle| {
                    let reader = Reader::new(handle, dirty, network);
                    created = Some(reader.clone());
                    Object::Reader {
                        reader,
                        task: settle.task(),
                    }
                });
                settle.done(Ok(Outcome::Handle(handle as u64)));
                if let Some(reader) = created {
                    fetched(reader, runtime, group).await;
                }
            }))
    }

    /// A reader of a group in the cache; 0 when it is not there.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = getGroup)]
    pub fn get_group(&mut self, track: f64, sequence: f64) -> Result<f64> {
        self.touch();
        let sequence = number::whole("sequence", sequence)?;
        let Some(group) = self.objects.borrow().track(track)?.get_group(sequence) else {
            return Ok(0.0);
        };
        let runtime = self.runtime.clone();
        Ok(self.insert_reader(|reader| fetched(reader, runtime, group)))
    }
}

/// Preferences from the caller.
pub(super) fn wish(
    priority: f64,
    ordered: bool,
    max_latency_ms: f64,
    group_start: f64,
    group_end: f64,
) -> Result<Subscription> {
    Ok(Subscription::default()
        .with_priority(number::byte("priority", priority)?)
        .with_ordered(ordered)
        .with_max_latency(if max_latency_ms == f64::INFINITY {
            // As long as the track keeps groups.
            Duration::MAX
        } else {
            Duration::from_millis(number::whole("maxLatencyMs", max_latency_ms)?)
        })
        .with_group_start(number::optional("groupStart", group_start)?)
        .with_group_end(number::optional("groupEnd", group_end)?))
}

/// Preferences on their way out, `null` for none.
pub(super) fn wish_json(wish: Option<&Subscription>) -> Result<String> {
    let Some(wish) = wish else {
        return Ok("null".to_owned());
    };
    let mut object = json::Object::new();
    object
        .number("priority", f64::from(wish.priority))
        .flag("ordered", wish.ordered)
        // "Without a limit" is more milliseconds than a number holds exactly.
        .number("maxLatencyMs", whole_millis(wish.max_latency));
    if let Some(start) = wish.group_start {
        object.number("groupStart", number::out("groupStart", start)?);
    }
    if let Some(end) = wish.group_end {
        object.number("groupEnd", number::out("groupEnd", end)?);
    }
    Ok(object.end())
}

fn info_json(info: &TrackInfo) -> Result<String> {
    let mut object = json::Object::new();
    if let Some(scale) = info.timescale {
        object.number("timescale", number::out("timescale", scale.get())?);
    }
    object
        .number("cacheMs", whole_millis(info.cache))
        .number("priority", f64::from(info.priority))
        .flag("ordered", info.ordered)
        .flag("compress", info.compress);
    Ok(object.end())
}

fn whole_millis(time: Duration) -> f64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .min(number::MAX) as f64
}
