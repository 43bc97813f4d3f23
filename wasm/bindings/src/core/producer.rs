//! Tracks and groups of our own.

use std::{cell::RefCell, rc::Rc, task::Poll, time::Duration};

use bytes::Bytes;
use moq_net::{Error, Frame, Timescale, Timestamp, TrackInfo, TrackProducer};
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Core, dynamic::Request, track::wish_json};
use crate::{
    command::Outcome,
    error::{ErrorData, Fault, Result},
    number,
    object::Object,
    operation,
};

#[wasm_bindgen]
impl Core {
    /// A track of our own broadcast. NaN takes the default (no timescale, 5000 ms, 127).
    ///
    /// # Errors
    /// `usage`, `duplicate`, `dropped`.
    #[wasm_bindgen(js_name = createTrack)]
    #[allow(clippy::too_many_arguments)]
    pub fn create_track(
        &mut self,
        broadcast: f64,
        name: &str,
        timescale: f64,
        cache_ms: f64,
        priority: f64,
        ordered: bool,
        compress: bool,
    ) -> Result<f64> {
        self.touch();
        let info = info(timescale, cache_ms, priority, ordered, compress)?;
        let track = self
            .objects
            .borrow()
            .broadcast(broadcast)?
            .create_track(name, info)
            .map_err(|error| ErrorData::of(&error, Fault::Caller, &format!("track {name}")))?;
        Ok(self.insert_producer(track))
    }

    /// An in-process reader of our own track.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = consumeTrack)]
    pub fn consume_track(&mut self, track: f64) -> Result<f64> {
        let track = self.objects.borrow().producer(track)?.consume();
        Ok(self.insert(Object::Track(track)))
    }

    /// A group at a sequence, or with NaN the next one.
    ///
    /// # Errors
    /// `usage`, `duplicate`, `closed`, what aborted the track.
    #[wasm_bindgen(js_name = createGroup)]
    pub fn create_group(&mut self, track: f64, sequence: f64) -> Result<f64> {
        self.touch();
        let sequence = number::optional("sequence", sequence)?;
        let group = {
            let objects = self.objects.borrow();
            let track = objects.producer(track)?;
            match sequence {
                Some(sequence) => track.create_group(sequence),
                None => track.append_group(),
            }
            .map_err(|error| match sequence {
                Some(sequence) => caller(&error, &format!("group {sequence}")),
                None => caller(&error, "group"),
            })?
        };
        // Found out before anybody reads it: the page could not name it.
        number::out("group sequence", group.sequence())?;
        Ok(self.insert(Object::Group(group)))
    }

    /// The sequence of a group of ours.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = groupSequence)]
    pub fn group_sequence(&self, group: f64) -> Result<f64> {
        number::out(
            "group sequence",
            self.objects.borrow().group(group)?.sequence(),
        )
    }

    /// Largest frame in bytes: larger ones are not worth copying in.
    #[wasm_bindgen(js_name = maxFrame)]
    pub fn max_frame(&self) -> f64 {
        self.runtime.limits().max_frame as f64
    }

    /// A whole frame; NaN for no timestamp.
    ///
    /// # Errors
    /// `usage` when the timestamp does not fit the track, `too-large`, `closed`, what aborted the group.
    #[wasm_bindgen(js_name = writeFrame)]
    pub fn write_frame(&mut self, group: f64, data: Vec<u8>, timestamp: f64) -> Result<()> {
        self.touch();
        let objects = self.objects.borrow();
        let group = objects.group(group)?;
        let data = Bytes::from(data);
        match stamp(timestamp, group.timescale())? {
            Some(timestamp) => group.write_timed(timestamp, data),
            None => group.write_frame(data),
        }
        .map_err(|error| caller(&error, "frame"))
    }

    /// A frame that is written in pieces; free the handle when it is complete. NaN for no timestamp.
    ///
    /// # Errors
    /// As `writeFrame`.
    #[wasm_bindgen(js_name = createFrame)]
    pub fn create_frame(&mut self, group: f64, size: f64, timestamp: f64) -> Result<f64> {
        self.touch();
        let frame = {
            let objects = self.objects.borrow();
            let group = objects.group(group)?;
            let frame = Frame {
                size: number::size("size", size)?,
                timestamp: stamp(timestamp, group.timescale())?,
            };
            group
                .create_frame(frame)
                .map_err(|error| caller(&error, "frame"))?
        };
        Ok(self.insert(Object::Frame(frame)))
    }

    /// The next piece of a frame.
    ///
    /// # Errors
    /// `usage` when it exceeds what was declared, what aborted the frame.
    #[wasm_bindgen(js_name = writeChunk)]
    pub fn write_chunk(&mut self, frame: f64, data: Vec<u8>) -> Result<()> {
        self.touch();
        let objects = self.objects.borrow();
        let frame = objects.frame(frame)?;
        frame.write(data).map_err(|error| caller(&error, "frame"))
    }

    /// No further frame; uses the handle up.
    ///
    /// # Errors
    /// `usage`, `closed`, what aborted the group.
    #[wasm_bindgen(js_name = finishGroup)]
    pub fn finish_group(&mut self, group: f64) -> Result<()> {
        self.touch();
        let group = self.objects.borrow_mut().take_group(group)?;
        group.finish().map_err(|error| caller(&error, "group"))
    }

    /// Readers fail with this application code, or with the error of `kind` where it is NaN; uses the handle up.
    ///
    /// # Errors
    /// `usage`, `closed`.
    #[wasm_bindgen(js_name = abortGroup)]
    pub fn abort_group(&mut self, group: f64, kind: &str, code: f64) -> Result<()> {
        self.touch();
        let error = reason(kind, code)?;
        let group = self.objects.borrow_mut().take_group(group)?;
        group.abort(error).map_err(|error| caller(&error, "group"))
    }

    /// A group of one frame; returns its sequence. NaN for no timestamp.
    ///
    /// # Errors
    /// As `createGroup` and `writeFrame`.
    #[wasm_bindgen(js_name = writeTrackFrame)]
    pub fn write_track_frame(&mut self, track: f64, data: Vec<u8>, timestamp: f64) -> Result<f64> {
        self.touch();
        let objects = self.objects.borrow();
        let track = objects.producer(track)?;
        let data = Bytes::from(data);
        let sequence = match stamp(timestamp, track.info().timescale)? {
            Some(timestamp) => track.write_timed(timestamp, data),
            None => track.write_frame(data),
        };
        number::out(
            "group sequence",
            sequence.map_err(|error| caller(&error, "frame"))?,
        )
    }

    /// A datagram under this sequence. NaN for no timestamp.
    ///
    /// # Errors
    /// `usage`, `duplicate`, `closed`, `too-large`, what aborted the track.
    #[wasm_bindgen(js_name = writeDatagram)]
    pub fn write_datagram(
        &mut self,
        track: f64,
        sequence: f64,
        data: Vec<u8>,
        timestamp: f64,
    ) -> Result<()> {
        self.touch();
        let sequence = number::whole("sequence", sequence)?;
        let objects = self.objects.borrow();
        let track = objects.producer(track)?;
        let timestamp = stamp(timestamp, track.info().timescale)?;
        track
            .write_datagram_at(sequence, data, timestamp)
            .map_err(|error| caller(&error, &format!("datagram {sequence}")))
    }

    /// No further group.
    ///
    /// # Errors
    /// `usage`, `closed`.
    #[wasm_bindgen(js_name = finishTrack)]
    pub fn finish_track(&mut self, track: f64) -> Result<()> {
        self.touch();
        let objects = self.objects.borrow();
        objects
            .producer(track)?
            .finish()
            .map_err(|error| caller(&error, "track"))
    }

    /// No further group after this one, the newest.
    ///
    /// # Errors
    /// `usage`, `closed`.
    #[wasm_bindgen(js_name = finishTrackAt)]
    pub fn finish_track_at(&mut self, track: f64, sequence: f64) -> Result<()> {
        self.touch();
        let sequence = number::whole("sequence", sequence)?;
        let objects = self.objects.borrow();
        objects
            .producer(track)?
            .finish_at(sequence)
            .map_err(|error| caller(&error, "track"))
    }

    /// Readers fail with this application code, or with the error of `kind` where it is NaN.
    ///
    /// # Errors
    /// `usage`, `closed`.
    #[wasm_bindgen(js_name = abortTrack)]
    pub fn abort_track(&mut self, track: f64, kind: &str, code: f64) -> Result<()> {
        self.touch();
        let error = reason(kind, code)?;
        let objects = self.objects.borrow();
        objects
            .producer(track)?
            .abort(error)
            .map_err(|error| caller(&error, "track"))
    }

    /// Settles when somebody holds the track.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = trackUsed)]
    pub fn track_used(&mut self, track: f64) -> Result<f64> {
        let producer = self.objects.borrow().producer(track)?.clone();
        Ok(self.start_on(track, async move {
            producer
                .used()
                .await
                .map_err(|error| caller(&error, "track"))?;
            Ok(Outcome::Done)
        }))
    }

    /// Settles when nobody holds the track.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = trackUnused)]
    pub fn track_unused(&mut self, track: f64) -> Result<f64> {
        let producer = self.objects.borrow().producer(track)?.clone();
        Ok(self.start_on(track, async move {
            producer
                .unused()
                .await
                .map_err(|error| caller(&error, "track"))?;
            Ok(Outcome::Done)
        }))
    }

    /// What all subscribers of a track of ours, or of one that was asked for, want together, as JSON; `null` for none.
    ///
    /// # Errors
    /// `usage`.
    pub fn subscription(&self, track: f64) -> Result<String> {
        let objects = self.objects.borrow();
        let wish = match objects.get(track)? {
            Object::Request(asked) => match &*asked.borrow() {
                Some(Request::Track(request)) => request.subscription(),
                _ => None,
            },
            _ => objects.producer(track)?.subscription(),
        };
        wish_json(wish.as_ref())
    }

    /// Settles when that differs from what this call last reported.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = subscriptionChanged)]
    pub fn subscription_changed(&mut self, track: f64) -> Result<f64> {
        let watch = {
            let objects = self.objects.borrow();
            match objects.get(track)? {
                Object::Request(asked) => Err(asked.clone()),
                _ => Ok(objects.watch(track)?),
            }
        };
        let watch = match watch {
            Ok(watch) => watch,
            Err(asked) => {
                return Ok(self.start_on(track, async move {
                    let wish = kio::wait(|waiter| match &mut *asked.borrow_mut() {
                        Some(Request::Track(request)) => request.poll_subscription_changed(waiter),
                        _ => Poll::Ready(None),
                    })
                    .await;
                    Ok(operation::json(wish_json(wish.as_ref())?))
                }));
            }
        };
        Ok(self.start_on(track, async move {
            // The cursor belongs to the handle: what one call reported, the next one knows.
            let changed =
                kio::wait(|waiter| watch.borrow_mut().poll_subscription_changed(waiter)).await;
            let wish = changed.map_err(|error| caller(&error, "track"))?;
            Ok(operation::json(wish_json(wish.as_ref())?))
        }))
    }
}

impl Core {
    /// A track of ours, with the clone that knows what `subscriptionChanged` last reported.
    pub(super) fn insert_producer(&self, track: TrackProducer) -> f64 {
        let watch = Rc::new(RefCell::new(track.clone()));
        self.insert(Object::Producer { track, watch })
    }
}

/// Properties of a track from the caller. NaN takes the default.
pub(super) fn info(
    timescale: f64,
    cache_ms: f64,
    priority: f64,
    ordered: bool,
    compress: bool,
) -> Result<TrackInfo> {
    let mut info = TrackInfo::default()
        .with_ordered(ordered)
        .with_compress(compress);
    if let Some(units) = number::optional("timescale", timescale)? {
        let scale = Timescale::new(units).ok_or_else(|| ErrorData::usage("timescale is 0"))?;
        info = info.with_timescale(scale);
    }
    if let Some(cache) = number::optional("cacheMs", cache_ms)? {
        info = info.with_cache(Duration::from_millis(cache));
    }
    if !priority.is_nan() {
        info = info.with_priority(number::byte("priority", priority)?);
    }
    Ok(info)
}

fn caller(error: &Error, doing: &str) -> ErrorData {
    ErrorData::of(error, Fault::Caller, doing)
}

/// Why something is given up, or a request rejected.
pub(super) fn reason(kind: &str, code: f64) -> Result<Error> {
    if code.is_nan() {
        return ErrorData::from_kind(kind);
    }
    let whole = number::whole("code", code)?;
    let code = u16::try_from(whole)
        .map_err(|_| ErrorData::usage(format!("code {whole} is above 65535")))?;
    Ok(Error::App(code))
}

/// A timestamp in the units of the track; NaN for none.
fn stamp(timestamp: f64, scale: Option<Timescale>) -> Result<Option<Timestamp>> {
    let Some(value) = number::optional("timestamp", timestamp)? else {
        return Ok(None);
    };
    let scale =
        scale.ok_or_else(|| ErrorData::usage("a timestamp on a track without a timescale"))?;
    Ok(Some(Timestamp::new(value, scale)))
}
