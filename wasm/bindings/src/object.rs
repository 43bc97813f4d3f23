//! What handles mean: one table for every object the worker holds.

use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    rc::Rc,
};

use moq_net::{
    Bandwidth, BroadcastConsumer, BroadcastProducer, FrameProducer, GroupProducer, OriginProducer,
    OriginPublish, PathOwned, Session, TrackConsumer, TrackProducer,
};

use crate::{
    core::{
        dynamic::{Asked, Handler},
        rival::Halves,
    },
    error::{ErrorData, Result},
    number,
    reader::Reader,
    slab::{Key, Slab},
    transport::Session as Transport,
};

/// A producer whose cursor several waits share.
pub(crate) type Watch = Rc<RefCell<TrackProducer>>;

/// A broadcast of our own.
pub(crate) enum Own {
    /// Announced as long as this lives.
    Announced {
        // Withdrawn before the broadcast closes.
        publish: OriginPublish,
        broadcast: BroadcastProducer,
        /// The task that holds requests for unknown tracks back for a while.
        hold: Key,
    },
    /// To be announced there.
    Planned {
        origin: OriginProducer,
        path: PathOwned,
        broadcast: BroadcastProducer,
    },
    /// For whoever is given it.
    Bare(BroadcastProducer),
}

impl Deref for Own {
    type Target = BroadcastProducer;

    fn deref(&self) -> &BroadcastProducer {
        match self {
            Self::Announced { broadcast, .. }
            | Self::Planned { broadcast, .. }
            | Self::Bare(broadcast) => broadcast,
        }
    }
}

/// A session with the transport it runs on, for its figures.
pub(crate) struct Connected {
    pub(crate) session: Session,
    pub(crate) transport: Transport,
    /// What it publishes and what it brings, where it does both.
    pub(crate) halves: Option<Rc<Halves>>,
    /// The estimate that was reported last.
    pub(crate) seen: Rc<Cell<Bandwidth>>,
}

/// One live object.
pub(crate) enum Object {
    /// An origin of this worker.
    Origin(OriginProducer),
    /// A task that reports announcements.
    Listener { task: Key },
    /// A broadcast of our own.
    Broadcast(Own),
    /// An announcement of somebody's broadcast, which ends when this is dropped.
    Publication { _guard: OriginPublish },
    /// A broadcast to read from.
    Source(BroadcastConsumer),
    /// A track to read from.
    Track(TrackConsumer),
    /// A subscription or a group being read.
    Reader { reader: Reader, task: Key },
    /// A track of our own, and the clone that knows what `subscriptionChanged` last reported.
    Producer { track: TrackProducer, watch: Watch },
    /// A group of our own.
    Group(GroupProducer),
    /// A frame of our own that is written in pieces.
    Frame(FrameProducer),
    /// A handler of requests, shared by those who wait for the next.
    Handler(Rc<RefCell<Handler>>),
    /// A request that has no answer yet.
    Request(Asked),
    /// A session.
    Session(Connected),
}

impl Object {
    /// The task that works for this object only, and ends with it.
    pub(crate) const fn task(&self) -> Option<Key> {
        match self {
            Self::Listener { task }
            | Self::Reader { task, .. }
            | Self::Broadcast(Own::Announced { hold: task, .. }) => Some(*task),
            _ => None,
        }
    }

    /// Its name in errors and statistics.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Origin(_) => "origin",
            Self::Listener { .. } => "listener",
            Self::Broadcast(_) => "broadcastProducer",
            Self::Publication { .. } => "publication",
            Self::Source(_) => "broadcast",
            Self::Track(_) => "track",
            Self::Reader { .. } => "reader",
            Self::Producer { .. } => "trackProducer",
            Self::Group(_) => "groupProducer",
            Self::Frame(_) => "frameProducer",
            Self::Handler(_) => "dynamic",
            Self::Request(_) => "request",
            Self::Session(_) => "session",
        }
    }
}

/// Every live object by its handle.
#[derive(Default)]
pub(crate) struct Objects(Slab<Object>);

/// One typed look-up per kind of object.
macro_rules! typed {
    ($($name:ident: $variant:ident => $type:ty),* $(,)?) => {$(
        pub(crate) fn $name(&self, handle: f64) -> Result<&$type> {
            match self.get(handle)? {
                Object::$variant(found) => Ok(found),
                other => Err(mistyped(handle, other)),
            }
        }
    )*};
}

impl Objects {
    typed! {
        origin: Origin => OriginProducer,
        broadcast: Broadcast => Own,
        source: Source => BroadcastConsumer,
        track: Track => TrackConsumer,
        group: Group => GroupProducer,
        frame: Frame => FrameProducer,
        handler: Handler => Rc<RefCell<Handler>>,
        request: Request => Asked,
        session: Session => Connected,
    }

    pub(crate) fn producer(&self, handle: f64) -> Result<&TrackProducer> {
        self.produced(handle).map(|(track, _)| track)
    }

    pub(crate) fn watch(&self, handle: f64) -> Result<Watch> {
        self.produced(handle).map(|(_, watch)| watch.clone())
    }

    fn produced(&self, handle: f64) -> Result<(&TrackProducer, &Watch)> {
        match self.get(handle)? {
            Object::Producer { track, watch } => Ok((track, watch)),
            other => Err(mistyped(handle, other)),
        }
    }

    pub(crate) fn reader(&self, handle: f64) -> Result<&Reader> {
        match self.get(handle)? {
            Object::Reader { reader, .. } => Ok(reader),
            other => Err(mistyped(handle, other)),
        }
    }

    /// For batches on their way: the reader may be gone by now.
    pub(crate) fn find_reader(&self, key: Key) -> Option<&Reader> {
        match self.0.get(key) {
            Some(Object::Reader { reader, .. }) => Some(reader),
            _ => None,
        }
    }

    /// Take a group out: finishing or aborting uses its handle up.
    pub(crate) fn take_group(&mut self, handle: f64) -> Result<GroupProducer> {
        self.group(handle)?;
        match self.remove(handle)? {
            Object::Group(group) => Ok(group),
            other => Err(mistyped(handle, &other)),
        }
    }

    pub(crate) fn insert(&mut self, object: Object) -> f64 {
        self.insert_with(|_| object)
    }

    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Key) -> Object) -> f64 {
        self.0.insert_with(make) as f64
    }

    pub(crate) fn remove(&mut self, handle: f64) -> Result<Object> {
        self.0.remove(key(handle)).ok_or_else(|| unused(handle))
    }

    pub(crate) fn drain(&mut self) -> Vec<Object> {
        self.0.drain()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &Object)> {
        self.0.iter()
    }

    pub(crate) fn get(&self, handle: f64) -> Result<&Object> {
        self.0.get(key(handle)).ok_or_else(|| unused(handle))
    }

    /// Put another object in the place of one.
    pub(crate) fn replace(&mut self, handle: f64, object: Object) -> Result<Object> {
        let place = self.0.get_mut(key(handle)).ok_or_else(|| unused(handle))?;
        Ok(std::mem::replace(place, object))
    }
}

/// A handle as the slab's key; what is no handle at all becomes 0, which never is one.
pub(crate) fn key(handle: f64) -> Key {
    if handle.fract() == 0.0 && handle > 0.0 {
        handle as Key
    } else {
        0
    }
}

fn unused(handle: f64) -> ErrorData {
    ErrorData::usage(format!(
        "handle {} is not in use: never given out, or freed",
        number::shown(handle)
    ))
}

fn mistyped(handle: f64, object: &Object) -> ErrorData {
    ErrorData::usage(format!(
        "handle {} is a {}, which this call does not take",
        number::shown(handle),
        object.name()
    ))
}
