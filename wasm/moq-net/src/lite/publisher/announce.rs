//! Telling the peer what there is to read.

use std::{collections::BTreeMap, sync::Arc};

use web_transport_trait as wt;

use super::{Refusal, Served, abandoned, request, seat};
use crate::{
    AnnounceConsumer, AnnounceEvent, Announced, BroadcastConsumer, Error, MAX_HOPS, OriginConsumer,
    PathOwned, Result, Route,
    cost::held::Gauge,
    lite::{
        Announce, AnnounceEncoder, AnnounceOk, AnnounceRequest,
        session::{Link, first},
    },
    lite::{Reader, Writer},
};

/// Announces everything below a prefix, then every change. The stream is never reset by us unless the peer breaks its rules:
/// published peers close the session over it.
pub(super) async fn serve<T: wt::Session>(
    link: &Arc<Link<T>>,
    send: &mut Writer<T::SendStream>,
    recv: &mut Reader<T::RecvStream>,
) -> Served {
    let request: AnnounceRequest = request(link, recv).await?;
    // As for subscriptions: on the heap from here on.
    Box::pin(announced(link, send, recv, request)).await
}

async fn announced<T: wt::Session>(
    link: &Arc<Link<T>>,
    send: &mut Writer<T::SendStream>,
    recv: &mut Reader<T::RecvStream>,
    request: AnnounceRequest,
) -> Served {
    let _seat = seat(link, Gauge::Interests, link.runtime.limits().interests)?;
    if let Some(hop) = request.exclude_hop {
        link.add_peer_hop(hop);
    }
    let origin = link.view();
    let origin = origin.and_then(|origin| origin.with_root(&request.prefix));
    let prefixes = origin.as_ref().map(OriginConsumer::prefixes);
    let _interest = link.control.interest(prefixes.unwrap_or_default());
    let mut announcing = Announcing {
        link,
        hidden: request.hidden || !link.version.has_hidden(),
        encoder: AnnounceEncoder::new(link.version),
        told: BTreeMap::new(),
    };
    let mut cursor = origin.as_ref().map(OriginConsumer::announced);
    let first_messages = announcing
        .initial(cursor.as_mut(), send)
        .map_err(Refusal::control)?;

    let changes = async {
        for message in first_messages {
            tell(send, &message).await?;
        }
        send.flush().await?;
        announcing.changes(cursor, send).await
    };
    let gone = async { Err(abandoned(recv, true).await.error) };
    let revoked = async { Err(link.control.revoked().await) };
    match first(first(changes, gone), revoked).await {
        // The peer has heard enough.
        Ok(()) | Err(Error::Cancel) => send.finish().await.map_err(Refusal::control),
        Err(error) => Err(Refusal::control(error)),
    }
}

/// Bytes of announcements that are put together for one write.
const BATCH: usize = 16 * 1024;

/// Queues a message, and writes what is queued once that is enough: however many there are, few wait here.
async fn tell<S: wt::SendStream>(send: &mut Writer<S>, message: &Announce) -> Result<()> {
    send.put(message)?;
    match send.queued() >= BATCH {
        true => send.flush().await,
        false => Ok(()),
    }
}

struct Announcing<'a, T: wt::Session> {
    link: &'a Link<T>,
    /// Whether paths with a segment that begins with a dot are told of too.
    hidden: bool,
    encoder: AnnounceEncoder,
    /// A number for what was said last of each path, on versions that cannot say all that changes.
    told: BTreeMap<PathOwned, u64>,
}

impl<T: wt::Session> Announcing<'_, T> {
    /// What is announced now; how many that are is queued where the version has a word for it, or else all of it where it is one
    /// message.
    fn initial(
        &mut self,
        cursor: Option<&mut AnnounceConsumer>,
        send: &mut Writer<T::SendStream>,
    ) -> Result<Vec<Announce>> {
        let mut events = Vec::new();
        if let Some(cursor) = cursor {
            while let Some((path, announced)) = cursor.try_next() {
                events.extend(self.event(path, announced));
            }
        }
        let version = self.link.version;
        if version.has_announce_init() {
            let paths = events.into_iter().filter_map(|event| match event {
                AnnounceEvent::Active(route) | AnnounceEvent::Restart(route) => Some(route.path),
                AnnounceEvent::Ended(_) => None,
            });
            send.put(&self.encoder.init(paths))?;
            return Ok(Vec::new());
        }
        let messages: Vec<_> = events
            .into_iter()
            .flat_map(|event| self.encoder.encode(event))
            .collect();
        if version.has_announce_ok() {
            send.put(&AnnounceOk {
                hop: Some(self.link.hop().id),
                active: beginnings(&messages),
            })?;
        }
        Ok(messages)
    }

    /// Tells every change, until the origin is gone or the peer does not read any more.
    async fn changes(
        &mut self,
        cursor: Option<AnnounceConsumer>,
        send: &mut Writer<T::SendStream>,
    ) -> Result<()> {
        if let Some(mut cursor) = cursor {
            while let Some((path, announced)) = cursor.next().await {
                let mut event = self.event(path, announced);
                // What else has changed by now shares the write.
                loop {
                    for message in event.map_or_else(Vec::new, |event| self.encoder.encode(event)) {
                        tell(send, &message).await?;
                    }
                    match cursor.try_next() {
                        Some((path, announced)) => event = self.event(path, announced),
                        None => break,
                    }
                }
                send.flush().await?;
            }
        }
        // Nothing will ever change; the stream stays, since its end would mean something.
        std::future::pending().await
    }

    /// What of a change concerns the peer.
    fn event(&mut self, path: PathOwned, announced: Announced) -> Option<AnnounceEvent> {
        let shown = announced
            .broadcast()
            .and_then(|broadcast| Some((self.route(&path, &broadcast)?, broadcast.number())));
        let Some((route, number)) = shown else {
            self.told.remove(&path);
            let live = self.encoder.is_live(&path);
            return live.then_some(AnnounceEvent::Ended(path));
        };
        if !self.link.version.has_route_cost() {
            let words = self.words(&route, number);
            if self.told.get(&path) == Some(&words) {
                // The same broadcast, and the same words: the price is another.
                return None;
            }
            self.told.insert(path, words);
        }
        Some(AnnounceEvent::Active(route))
    }

    /// A number for what a version without prices says of a route to the broadcast with this number.
    fn words(&self, route: &Route, number: u64) -> u64 {
        let version = self.link.version;
        let hops = route.hops.iter().filter(|_| version.has_hops());
        // Unknown ones where only their number travels.
        let hops = hops.map(|hop| if version.has_hop_ids() { *hop } else { 0 });
        hops.fold(number, |words, hop| {
            (words.rotate_left(7) ^ hop)
                .wrapping_add(1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    /// The route as the wire tells it, unless it is not for this peer.
    fn route(&self, path: &PathOwned, broadcast: &BroadcastConsumer) -> Option<Route> {
        if !self.link.may_show(broadcast) || (!self.hidden && is_hidden(path)) {
            return None;
        }
        let info = broadcast.info();
        let mut hops: Vec<u64> = info.hops.iter().map(|hop| hop.id).collect();
        if info.anonymous {
            // A publisher without a name stays one on its whole way, or relays with one each would go round for ever: each would
            // prefer what it hears of the other's publisher to its own. The name made up for it here is nobody else's business.
            hops.drain(..hops.len().min(1));
            if hops.first() != Some(&0) {
                hops.insert(0, 0);
            }
        }
        if self.link.version.stamps_itself() {
            hops.push(self.link.hop().id);
        }
        if hops.len() > MAX_HOPS {
            tracing::warn!(path = path.as_str(), "not announced: too many hops");
            return None;
        }
        Some(Route {
            path: path.clone(),
            hops,
            cost: info.cost,
        })
    }
}

/// How many of the messages announce something. What changes while the beginning is put together is told in the same breath.
fn beginnings(messages: &[Announce]) -> u64 {
    let active = messages
        .iter()
        .filter(|message| matches!(message, Announce::Active { .. }));
    active.count() as u64
}

/// Whether a path is only for those who ask for hidden ones.
fn is_hidden(path: &PathOwned) -> bool {
    path.segments().any(|segment| segment.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Version, lite::check::path};
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_beginnings_count_as_what_there_is() {
        let mut encoder = AnnounceEncoder::new(Version::Lite06);
        let active = |name| {
            AnnounceEvent::Active(Route {
                path: path(name),
                hops: Vec::new(),
                cost: crate::Cost::default(),
            })
        };
        // "a" came, changed and went while it was looked at.
        let events = [
            active("a"),
            active("a"),
            AnnounceEvent::Ended(path("a")),
            active("b"),
        ];
        let messages: Vec<_> = events
            .into_iter()
            .flat_map(|event| encoder.encode(event))
            .collect();
        assert_eq!(messages.len(), 4);
        assert_eq!(beginnings(&messages), 2);
    }
}
