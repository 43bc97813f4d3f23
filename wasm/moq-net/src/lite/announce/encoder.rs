//! From events to announcements.

use std::collections::BTreeMap;

use super::{Announce, AnnounceInit, Chain, Suffix};
use crate::AnnounceEvent;
use crate::{PathOwned, Version};

/// What was said on one announce stream so far, and how to say what comes next.
///
/// Give it what will be sent and nothing else: it counts.
#[derive(Debug)]
pub struct AnnounceEncoder {
    version: Version,
    /// The announcements that are live, with their ids (which nobody needs before 06).
    live: BTreeMap<PathOwned, u64>,
    /// The id of the next announcement.
    next: u64,
}

impl AnnounceEncoder {
    /// A stream on which nothing was said yet.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            live: BTreeMap::new(),
            next: 0,
        }
    }

    /// Whether the other side believes that the path is announced.
    pub fn is_live(&self, path: &PathOwned) -> bool {
        self.live.contains_key(path)
    }

    /// The initial list of 01 and 02.
    pub fn init(&mut self, paths: impl IntoIterator<Item = PathOwned>) -> AnnounceInit {
        for path in paths {
            self.start(path);
        }
        AnnounceInit {
            suffixes: self.live.keys().cloned().collect(),
        }
    }

    /// The messages that tell of the event: none if it is no news, two where a route cannot be replaced (01 to 04).
    ///
    /// [`AnnounceEvent::Active`] and [`AnnounceEvent::Restart`] say the same; what was said before decides.
    pub fn encode(&mut self, event: AnnounceEvent) -> Vec<Announce> {
        let route = match event {
            AnnounceEvent::Active(route) | AnnounceEvent::Restart(route) => route,
            AnnounceEvent::Ended(path) => return self.end(path).into_iter().collect(),
        };
        let hops = Chain::literal(route.hops);
        let cost = route.cost;
        if self.version.has_announce_ids()
            && let Some(id) = self.live.get(&route.path)
        {
            return vec![Announce::Update {
                id: *id,
                hops,
                cost,
            }];
        }
        let mut messages = Vec::new();
        if !self.version.replaces_active() {
            messages.extend(self.end(route.path.clone()));
        }
        self.start(route.path.clone());
        messages.push(Announce::Active {
            suffix: Suffix::literal(route.path),
            hops,
            cost,
        });
        messages
    }

    fn start(&mut self, path: PathOwned) {
        self.live.insert(path, self.next);
        self.next += 1;
    }

    fn end(&mut self, path: PathOwned) -> Option<Announce> {
        let id = self.live.remove(&path)?;
        Some(match self.version.has_announce_ids() {
            true => Announce::End { id },
            false => Announce::Ended { suffix: path },
        })
    }
}
