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
    reader::{Back, Reader, fetched, subscribed},
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

    /// Settles with the sequence of the newest group; `null`: there is none.
    ///
    /// # Errors
    /// `usage`, or what ended the track.
    #[wasm_bindgen(js_name = trackLatest)]
    pub fn track_latest(&mut self, track: f64) -> Result<f64> {
        self.touch();
        let newest = self.objects.borrow().track(track)?.newest();
        Ok(self.start(async move {
            let newest = newest
                .await
                .map_err(|error| ErrorData::of(&error, Fault::Peer, "the newest group"))?;
            Ok(operation::json(match newest {
                // Not as the float it is on the page: printing one costs ten kilobytes of code.
                Some(newest) => {
                    number::out("group sequence", newest)?;
                    newest.to_string()
                }
                None => "null".to_owned(),
            }))
        }))
    }

    /// Subscribe; the handle is a reader. Nothing flows before the first grant. `groupStart` and `groupEnd`: NaN for none; a
    /// negative `groupStart` counts back from the newest group.
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
        let back = back(group_start)?;
        let wish = wish(priority, ordered, max_latency_ms, group_start, group_end)?;
        let hold = Duration::from_millis(number::whole("batchMs", batch_ms)?);
        let (subscribe, back, doing) = {
            let objects = self.objects.borrow();
            let track = objects.track(track)?;
            let doing = format!("track {}", track.name());
            // Before the subscription, which tells nothing about who watches already.
            let back = back.map(|groups| Back {
                groups,
                newest: Box::pin(track.newest()),
                wish,
            });
            // Only the newest group counts until it is known.
            let first = match back {
                Some(_) => Subscription::default().with_priority(wish.priority),
                None => wish,
            };
            let subscribe = track
                .subscribe(first)
                .map_err(|error| ErrorData::of(&error, Fault::Peer, &doing))?;
            (subscribe, back, doing)
        };
        let runtime = self.runtime.clone();
        Ok(self.insert_reader(|reader| subscribed(reader, runtime, subscribe, back, hold, doing)))
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

/// How many groups a start counts back from the newest one.
pub(super) fn back(group_start: f64) -> Result<Option<u64>> {
    match group_start < 0.0 {
        true => number::whole("groupStart", -group_start).map(Some),
        false => Ok(None),
    }
}

/// Preferences from the caller. A start that counts back is none.
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
        .with_group_start(match back(group_start)? {
            Some(_) => None,
            None => number::optional("groupStart", group_start)?,
        })
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
