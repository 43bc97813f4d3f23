//! The broadcasts that one announce stream brought.

use std::{sync::Arc, task::Poll};

use kio::Shared;
use web_transport_trait as wt;

use crate::{
    AnnounceEvent, BroadcastDynamic, BroadcastInfo, BroadcastProducer, Cost, Error, Origin,
    OriginList, OriginPublish, PathOwned, Result, Route,
    lite::{serve, session::Link},
    map::Map,
};

/// What is announced by one stream, each as a broadcast whose tracks are served from the peer.
pub(super) struct Routes<T: wt::Session> {
    link: Arc<Link<T>>,
    /// What paths on this stream are relative to.
    prefix: PathOwned,
    /// The peer's own id, where the receiver adds it to every chain: 0 if it is withheld.
    sender: Option<u64>,
    /// The peer is about to go: what it has is used only while nobody else has it.
    draining: bool,
    live: Map<PathOwned, Live>,
}

/// One announced broadcast. It is withdrawn when this goes.
struct Live {
    withdrawn: Shared<bool>,
    announcement: OriginPublish,
    info: BroadcastInfo,
}

impl Live {
    /// Whether a new route brings the same broadcast another way or at another price: then what is read of it goes on. The wire only
    /// says who published it; the same route once more can only mean that its publisher has put another one in its place.
    fn is_same_by(&self, info: &BroadcastInfo) -> bool {
        let (old, new) = (self.info.hops.as_slice(), info.hops.as_slice());
        // Nameless publishers share the name of their connection.
        let same = old == new || (!info.anonymous && old.first() == new.first());
        same && self.info != *info
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        *self.withdrawn.lock() = true;
    }
}

impl<T: wt::Session> Routes<T> {
    pub(super) fn new(link: Arc<Link<T>>, prefix: PathOwned) -> Self {
        Self {
            link,
            prefix,
            sender: None,
            draining: false,
            live: Map::new(),
        }
    }

    /// Sets the id that completes every chain on this stream; 0 if the peer withholds it.
    pub(super) fn set_sender(&mut self, hop: u64) {
        self.sender = Some(hop);
    }

    pub(super) const fn is_draining(&self) -> bool {
        self.draining
    }

    /// Makes everything from this peer the last resort.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        for live in self.live.values() {
            live.announcement.update(BroadcastInfo {
                cost: Cost::MAX,
                ..live.info.clone()
            });
        }
    }

    /// Follows one change.
    pub(super) fn apply(&mut self, event: AnnounceEvent) {
        let (path, live) = match event {
            AnnounceEvent::Active(route) | AnnounceEvent::Restart(route) => {
                let info = self.info(&route);
                if let Ok(info) = &info
                    && let Some(live) = self.live.get_mut(&route.path)
                    && live.is_same_by(info)
                {
                    live.announcement.update(info.clone());
                    live.info = info.clone();
                    return;
                }
                let live = info.and_then(|info| self.announce(&route.path, info));
                if let Err(error) = &live {
                    tracing::debug!(path = route.path.as_str(), %error, "announcement ignored");
                }
                (route.path, live.ok())
            }
            AnnounceEvent::Ended(path) => (path, None),
        };
        // The new one is there before the old one goes: who follows the path sees no gap.
        let _old = match live {
            Some(live) => self.live.insert(path, live),
            None => self.live.remove(&path),
        };
    }

    /// Puts a broadcast into the origin.
    ///
    /// # Errors
    /// Why this route is of no use.
    fn announce(&self, path: &PathOwned, info: BroadcastInfo) -> Result<Live> {
        let link = &self.link;
        let origin = link.subscribe.as_ref().ok_or(Error::Unauthorized)?;
        let path = self.prefix.join(path)?;
        let broadcast = info.clone().produce(&link.runtime);
        // The handler first: whoever sees the announcement may ask at once.
        let dynamic = broadcast.dynamic();
        let announcement = origin.publish_broadcast(&path, &broadcast)?;
        let withdrawn = Shared::new(false);
        link.tasks.push(requests(
            link.clone(),
            path,
            broadcast,
            dynamic,
            withdrawn.clone(),
        ));
        Ok(Live {
            withdrawn,
            announcement,
            info,
        })
    }

    /// The way the broadcast came.
    ///
    /// # Errors
    /// [`Error::Duplicate`] for a loop, [`Error::BoundsExceeded`] for a chain that is too long.
    fn info(&self, route: &Route) -> Result<BroadcastInfo> {
        let link = &self.link;
        let mut hops = route.hops.clone();
        if let Some(sender) = self.sender {
            if sender != 0 && hops.contains(&sender) {
                return Err(Error::Duplicate);
            }
            hops.push(sender);
        }
        let loops = hops.iter().any(|hop| link.is_own(*hop));
        if loops && !kio::fault::mutant("keep-loops") {
            return Err(Error::Duplicate);
        }
        // Somebody who does not say who it is gets a name for as long as it is connected.
        let anonymous = hops.first().is_none_or(|hop| *hop == 0);
        if anonymous {
            hops.insert(0, link.anonymous.id);
        }
        let hops: Vec<Origin> = hops.into_iter().map(Origin::from).collect();
        let cost = match link.version.has_route_cost() {
            _ if self.draining => Cost::MAX,
            true => link.price(route.cost),
            // As if every link had the usual price. A route that became free on its way would make a ring of relays go
            // round for ever: each would prefer what depends on the other's choice.
            false => Cost::default().over(hops.len() as u64),
        };
        Ok(BroadcastInfo {
            hops: OriginList::try_from(hops)?,
            cost,
            anonymous,
            session: link.id,
        })
    }
}

/// Serves the tracks of a broadcast until it is withdrawn.
async fn requests<T: wt::Session>(
    link: Arc<Link<T>>,
    path: PathOwned,
    broadcast: BroadcastProducer,
    mut dynamic: BroadcastDynamic,
    withdrawn: Shared<bool>,
) {
    loop {
        let request = kio::wait(|waiter| {
            let gone = withdrawn.poll(waiter, |withdrawn| match withdrawn {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            match gone {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => dynamic.poll_requested_track(waiter).map(Result::ok),
            }
        })
        .await;
        let Some(request) = request else { break };
        let task = serve::serve(link.clone(), path.clone(), request, withdrawn.clone());
        link.tasks.push(task);
    }
    // Closed for those who still hold it; tracks that flow go on to their own end.
    drop(broadcast);
}
