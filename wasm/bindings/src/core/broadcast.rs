//! Broadcasts, both sides.

use std::time::Duration;

use moq_net::{BroadcastInfo, Origin, OriginList};
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Core, origin::parse};
use crate::{
    error::{ErrorData, Fault, Result},
    json,
    object::{Object, Own},
    operation::error_value,
};

/// For so long after it was announced a broadcast holds requests for tracks it has not got: a page that announces first and then makes
/// its tracks one after the other is not told from one that has none. Longer than most of them take; short enough that a wrong name is
/// soon called wrong.
const HOLD: Duration = Duration::from_secs(1);

#[wasm_bindgen]
impl Core {
    /// A broadcast of our own, announced until freed, or once `announceBroadcast` is called. `hops`: ids of the origins it has passed
    /// already, each after a space.
    ///
    /// # Errors
    /// `usage`, `unauthorized`; `duplicate` when it has passed this origin.
    #[wasm_bindgen(js_name = createBroadcast)]
    pub fn create_broadcast(
        &mut self,
        origin: f64,
        path: &str,
        hops: &str,
        announce: bool,
    ) -> Result<f64> {
        self.touch();
        let info = BroadcastInfo::new().with_hops(parse_hops(hops)?);
        let planned = Own::Planned {
            origin: self.objects.borrow().origin(origin)?.clone(),
            path: parse(path)?.into_owned(),
            broadcast: info.produce(&self.runtime),
        };
        let own = if announce {
            self.announced_broadcast(&planned)?.unwrap_or(planned)
        } else {
            planned
        };
        Ok(self.insert(Object::Broadcast(own)))
    }

    /// Announce a broadcast that was created to be announced later. Nothing changes for one that is announced.
    ///
    /// # Errors
    /// `usage` for one that is announced nowhere; `unauthorized`; `duplicate` when it has passed its origin.
    #[wasm_bindgen(js_name = announceBroadcast)]
    pub fn announce_broadcast(&mut self, broadcast: f64) -> Result<()> {
        self.touch();
        let objects = self.objects.clone();
        let announced = self.announced_broadcast(objects.borrow().broadcast(broadcast)?)?;
        if let Some(own) = announced {
            let _planned = objects
                .borrow_mut()
                .replace(broadcast, Object::Broadcast(own))?;
        }
        Ok(())
    }

    /// Whether the session offers the broadcast to a peer that has not asked for announcements where it is.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = isUnheard)]
    pub fn is_unheard(&self, broadcast: f64, session: f64) -> Result<bool> {
        let objects = self.objects.borrow();
        let heard = match objects.broadcast(broadcast)? {
            Own::Announced { publish, .. } => objects.session(session)?.session.hears_of(publish),
            Own::Planned { .. } | Own::Bare(_) => None,
        };
        Ok(heard == Some(false))
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

    /// The route it came by, as JSON.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = broadcastInfo)]
    pub fn broadcast_info(&self, broadcast: f64) -> Result<String> {
        let objects = self.objects.borrow();
        let hops = hops(objects.source(broadcast)?.info());
        Ok(json::Object::new().texts("hops", hops).end())
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

impl Core {
    /// The same broadcast announced; `None` if it is already.
    fn announced_broadcast(&mut self, own: &Own) -> Result<Option<Own>> {
        let (origin, path, broadcast) = match own {
            Own::Announced { .. } => return Ok(None),
            Own::Bare(_) => {
                let message = "the broadcast was made for those who asked for it".to_owned();
                return Err(ErrorData::usage(message));
            }
            Own::Planned {
                origin,
                path,
                broadcast,
            } => (origin, path, broadcast.clone()),
        };
        // Before anybody hears of the broadcast, and asks for what it has not got yet.
        let holding = broadcast.hold();
        let publish = origin
            .publish_broadcast(path, &broadcast)
            .map_err(|error| ErrorData::of(&error, Fault::Caller, &format!("broadcast {path}")))?;
        let pause = self.runtime.sleep(HOLD);
        let hold = self.executor.spawn(async move {
            pause.await;
            holding.release();
        });
        Ok(Some(Own::Announced {
            publish,
            broadcast,
            hold,
        }))
    }
}

/// The ids of the origins it passed, as decimal text.
pub(super) fn hops(info: &BroadcastInfo) -> impl Iterator<Item = String> + '_ {
    info.hops.iter().map(|hop| hop.id.to_string())
}

fn parse_hops(hops: &str) -> Result<OriginList> {
    let mut list = OriginList::new();
    for hop in hops.split_ascii_whitespace() {
        let id: u64 = hop.parse().unwrap_or(u64::MAX);
        if id >> 62 != 0 {
            return Err(ErrorData::usage(format!("hop {hop} is no id of an origin")));
        }
        list.push(Origin { id })
            .map_err(|error| ErrorData::of(&error, Fault::Caller, "hops"))?;
    }
    Ok(list)
}
