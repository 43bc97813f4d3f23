//! Serving what somebody asks for and nobody has: handlers, and the requests they are given.

use std::{cell::RefCell, rc::Rc, task::Poll};

use kio::Waiter;
use moq_net::{
    BroadcastDynamic, BroadcastRequest, Error, GroupRequest, OriginDynamic, OriginProducer,
    TrackDynamic, TrackRequest,
};
use wasm_bindgen::prelude::wasm_bindgen;

use super::{
    Core,
    origin::parse,
    producer::{info, reason},
};
use crate::{
    command::Outcome,
    error::{ErrorData, Fault, Result},
    json, number,
    object::{Object, key},
};

/// A handler of one of the three kinds.
pub(crate) enum Handler {
    Origin(OriginDynamic),
    Broadcast(BroadcastDynamic),
    Track(TrackDynamic),
}

/// What a handler was asked for.
pub(crate) enum Request {
    Broadcast(BroadcastRequest),
    Track(TrackRequest),
    Group(GroupRequest),
}

/// A request, until it is answered. Waits share it with the table.
pub(crate) type Asked = Rc<RefCell<Option<Request>>>;

impl Handler {
    fn poll_next(&mut self, waiter: &Waiter) -> Poll<moq_net::Result<Request>> {
        match self {
            Self::Origin(handler) => handler
                .poll_requested_broadcast(waiter)
                .map_ok(Request::Broadcast),
            Self::Broadcast(handler) => handler.poll_requested_track(waiter).map_ok(Request::Track),
            Self::Track(handler) => handler.poll_requested_group(waiter).map_ok(Request::Group),
        }
    }
}

impl Request {
    /// A peer may ask for a group by a number that the page cannot hold: nobody here has it.
    fn is_nameable(&self) -> bool {
        match self {
            Self::Group(group) => group.sequence().max(group.frame_start()) <= number::MAX,
            _ => true,
        }
    }

    fn poll_unused(&self, waiter: &Waiter) -> Poll<()> {
        match self {
            Self::Broadcast(request) => request.poll_unused(waiter),
            Self::Track(request) => request.poll_unused(waiter),
            Self::Group(request) => request.poll_unused(waiter),
        }
    }

    fn reject(self, error: Error) {
        match self {
            Self::Broadcast(request) => request.reject(error),
            Self::Track(request) => request.reject(error),
            Self::Group(request) => request.reject(error),
        }
    }
}

#[wasm_bindgen]
impl Core {
    /// A handler: for paths of an origin below `prefix`, for tracks of a broadcast, or for groups of a track of ours or of a
    /// request for one.
    ///
    /// # Errors
    /// `usage`; `unauthorized` when the prefix is out of reach.
    pub fn dynamic(&mut self, of: f64, prefix: &str) -> Result<f64> {
        self.touch();
        let handler = {
            let objects = self.objects.borrow();
            match objects.get(of)? {
                Object::Origin(origin) => Handler::Origin(narrowed(origin, prefix)?.dynamic()),
                Object::Broadcast(broadcast) => Handler::Broadcast(broadcast.dynamic()),
                Object::Producer { track, .. } => Handler::Track(track.dynamic()),
                Object::Request(asked) => match &*asked.borrow() {
                    Some(Request::Track(request)) => Handler::Track(request.dynamic()),
                    _ => return Err(wrong(of)),
                },
                _ => return Err(wrong(of)),
            }
        };
        Ok(self.insert(Object::Handler(Rc::new(RefCell::new(handler)))))
    }

    /// Settles with the next request, as a handle.
    ///
    /// # Errors
    /// `usage`; settles with what ended whatever the handler serves.
    #[wasm_bindgen(js_name = nextRequest)]
    pub fn next_request(&mut self, handler: f64) -> Result<f64> {
        let asking = self.objects.borrow().handler(handler)?.clone();
        let objects = self.objects.clone();
        Ok(self.start_on(handler, async move {
            loop {
                let next = kio::wait(|waiter| asking.borrow_mut().poll_next(waiter)).await;
                let request =
                    next.map_err(|error| ErrorData::of(&error, Fault::Peer, "handler"))?;
                if request.is_nameable() {
                    let asked = Object::Request(Rc::new(RefCell::new(Some(request))));
                    return Ok(Outcome::Handle(objects.borrow_mut().insert(asked) as u64));
                }
                request.reject(Error::NotFound);
            }
        }))
    }

    /// What was asked for, as JSON: `RequestData` of the worker without the subscription.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = requestData)]
    pub fn request_data(&self, request: f64) -> Result<String> {
        let asked = self.objects.borrow().request(request)?.clone();
        let mut object = json::Object::new();
        match &*asked.borrow() {
            Some(Request::Broadcast(request)) => object.text("path", request.path().as_str()),
            Some(Request::Track(request)) => object.text("name", request.name()),
            Some(Request::Group(request)) => object
                .number("sequence", request.sequence() as f64)
                .number("priority", f64::from(request.priority()))
                .number("frameStart", request.frame_start() as f64),
            None => &mut object,
        };
        Ok(object.end())
    }

    /// Settles when nobody waits for the answer any more.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = requestUnused)]
    pub fn request_unused(&mut self, request: f64) -> Result<f64> {
        let asked = self.objects.borrow().request(request)?.clone();
        Ok(self.start_on(request, async move {
            kio::wait(|waiter| match &*asked.borrow() {
                Some(request) => request.poll_unused(waiter),
                None => Poll::Ready(()),
            })
            .await;
            Ok(Outcome::Done)
        }))
    }

    /// Fail everybody who waits; uses the handle up. With a code the error is the application's, else the one of `kind`.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = rejectRequest)]
    pub fn reject_request(&mut self, request: f64, kind: &str, code: f64) -> Result<()> {
        let error = reason(kind, code)?;
        self.answer(request, Ok)?.reject(error);
        Ok(())
    }

    /// Give a broadcast, ours or somebody's, to everybody who waits; uses the handle of the request up.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = acceptBroadcast)]
    pub fn accept_broadcast(&mut self, request: f64, broadcast: f64) -> Result<()> {
        let source = {
            let objects = self.objects.borrow();
            match objects.get(broadcast)? {
                Object::Broadcast(broadcast) => broadcast.consume(),
                _ => objects.source(broadcast)?.clone(),
            }
        };
        let asked = self.answer(request, |asked| match asked {
            Request::Broadcast(request) => Ok(request),
            other => Err(other),
        })?;
        asked.accept(source);
        Ok(())
    }

    /// Confirm a track; uses the handle of the request up. NaN takes the default, as in `createTrack`.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = acceptTrack)]
    pub fn accept_track(
        &mut self,
        request: f64,
        timescale: f64,
        cache_ms: f64,
        priority: f64,
        ordered: bool,
        compress: bool,
    ) -> Result<f64> {
        let info = info(timescale, cache_ms, priority, ordered, compress)?;
        let asked = self.answer(request, |asked| match asked {
            Request::Track(request) => Ok(request),
            other => Err(other),
        })?;
        Ok(self.insert_producer(asked.accept(info)))
    }

    /// Open the group that was asked for; uses the handle of the request up. The properties count only for a track that was not
    /// confirmed yet.
    ///
    /// # Errors
    /// `usage`, `duplicate` when it has come meanwhile, `closed`, what aborted the track.
    #[wasm_bindgen(js_name = acceptGroup)]
    pub fn accept_group(
        &mut self,
        request: f64,
        timescale: f64,
        cache_ms: f64,
        priority: f64,
        ordered: bool,
        compress: bool,
    ) -> Result<f64> {
        let info = info(timescale, cache_ms, priority, ordered, compress)?;
        let asked = self.answer(request, |asked| match asked {
            Request::Group(request) => Ok(request),
            other => Err(other),
        })?;
        let group = asked
            .accept(info)
            .map_err(|error| ErrorData::of(&error, Fault::Caller, "group"))?;
        Ok(self.insert(Object::Group(group)))
    }
}

impl Core {
    /// Take a request out to answer it, if `pick` takes it. What waits for it hears that it is gone.
    fn answer<R>(
        &mut self,
        request: f64,
        pick: impl FnOnce(Request) -> std::result::Result<R, Request>,
    ) -> Result<R> {
        self.touch();
        let asked = self.objects.borrow().request(request)?.clone();
        let taken = asked.borrow_mut().take();
        let picked = taken.ok_or_else(|| wrong(request))?;
        let picked = match pick(picked) {
            Ok(picked) => picked,
            Err(other) => {
                *asked.borrow_mut() = Some(other);
                return Err(wrong(request));
            }
        };
        self.objects.borrow_mut().remove(request)?;
        self.operations.abandon(&mut self.executor, key(request));
        Ok(picked)
    }
}

/// The part of an origin below a prefix.
fn narrowed(origin: &OriginProducer, prefix: &str) -> Result<OriginProducer> {
    origin.scope(&[parse(prefix)?]).ok_or_else(|| {
        ErrorData::of(
            &Error::Unauthorized,
            Fault::Caller,
            &format!("prefix {prefix}"),
        )
    })
}

fn wrong(handle: f64) -> ErrorData {
    ErrorData::usage(format!(
        "handle {} is of a kind that this call does not take",
        number::shown(handle)
    ))
}
