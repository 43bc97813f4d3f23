//! From announcements to events.

use super::{Announce, AnnounceInit, Chain, Suffix, wire};
use crate::{AnnounceEvent, Cost, MAX_HOPS, Route};
use crate::{Error, Path, PathOwned, Result, Version, coding::DecodeError, map::Map};

/// What one announce stream has said so far, and what that makes of the next message.
///
/// Every error here ends the session. It keeps what is announced; the caller bounds that with [`Self::len`].
#[derive(Debug)]
pub struct AnnounceDecoder {
    version: Version,
    /// The announcements that are live, by path, and whether an event told of them: one whose chain is too long is live
    /// (it has an id, and its path is taken) and yet unknown to everybody else.
    live: Map<PathOwned, bool>,
    /// From 06 on, the live ones by id. Their paths are those of `live`.
    ids: Map<u64, Numbered>,
    /// The id of the next START. Every START counts, whatever becomes of it.
    next: u64,
}

#[derive(Debug)]
struct Numbered {
    path: PathOwned,
    /// As it travelled, for references to it; `None` when it was too long.
    hops: Option<Vec<u64>>,
}

impl AnnounceDecoder {
    /// A stream on which nothing was said yet.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            live: Map::new(),
            ids: Map::new(),
            next: 0,
        }
    }

    /// How many announcements are live, those that nobody was told of included.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether nothing is announced.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// What the initial list of 01 and 02 says.
    ///
    /// # Errors
    /// [`Error::ProtocolViolation`] if a path is in it twice.
    pub fn init(&mut self, init: AnnounceInit) -> Result<Vec<AnnounceEvent>> {
        if !self.is_empty() {
            return Err(Error::ProtocolViolation);
        }
        for path in &init.suffixes {
            if self.live.insert(path.clone(), true).is_some() {
                return Err(Error::ProtocolViolation);
            }
        }
        let events = init.suffixes.into_iter().map(|path| {
            AnnounceEvent::Active(Route {
                path,
                hops: Vec::new(),
                cost: Cost::UNPRICED,
            })
        });
        Ok(events.collect())
    }

    /// What the next message says; `None` if it changes nothing.
    ///
    /// # Errors
    /// [`Error::ProtocolViolation`] when a live path is announced again (elsewhere than on 05), and
    /// [`DecodeError::UnknownAnnounce`] for a reference to nothing.
    pub fn decode(&mut self, message: Announce) -> Result<Option<AnnounceEvent>> {
        match message {
            Announce::Active { suffix, hops, cost } => self.active(suffix, hops, cost),
            Announce::Update { id, hops, cost } => self.update(id, hops, cost),
            Announce::Ended { suffix } => Ok(self.ended(suffix)),
            Announce::End { id } => {
                let numbered = self.ids.remove(&id).ok_or(DecodeError::UnknownAnnounce)?;
                Ok(self.ended(numbered.path))
            }
            Announce::Unknown => Ok(None),
        }
    }

    fn active(&mut self, suffix: Suffix, hops: Chain, cost: Cost) -> Result<Option<AnnounceEvent>> {
        let path = self.path(suffix)?;
        let hops = self.hops(hops)?;
        if self.live.contains_key(&path) && !self.version.replaces_active() {
            return Err(Error::ProtocolViolation);
        }
        if self.version.has_announce_ids() {
            let numbered = Numbered {
                path: path.clone(),
                hops: hops.clone(),
            };
            self.ids.insert(self.next, numbered);
            self.next += 1;
        }
        Ok(self.route(path, hops, cost))
    }

    fn update(&mut self, id: u64, hops: Chain, cost: Cost) -> Result<Option<AnnounceEvent>> {
        // Resolved before the old chain goes: it may refer to that one.
        let hops = self.hops(hops)?;
        let numbered = self.ids.get_mut(&id).ok_or(DecodeError::UnknownAnnounce)?;
        numbered.hops.clone_from(&hops);
        let path = numbered.path.clone();
        Ok(self.route(path, hops, cost))
    }

    /// The path is live from now on, by this route if there is one that can be used.
    fn route(
        &mut self,
        path: PathOwned,
        hops: Option<Vec<u64>>,
        cost: Cost,
    ) -> Option<AnnounceEvent> {
        let told = self
            .live
            .insert(path.clone(), hops.is_some())
            .unwrap_or(false);
        match hops {
            Some(hops) => {
                let route = Route { path, hops, cost };
                Some(match told {
                    true => AnnounceEvent::Restart(route),
                    false => AnnounceEvent::Active(route),
                })
            }
            // The route that was told before is gone, and the new one is of no use.
            None => told.then_some(AnnounceEvent::Ended(path)),
        }
    }

    fn ended(&mut self, path: PathOwned) -> Option<AnnounceEvent> {
        let told = self.live.remove(&path)?;
        told.then_some(AnnounceEvent::Ended(path))
    }

    fn path(&self, suffix: Suffix) -> Result<PathOwned> {
        if suffix.base == 0 {
            return Ok(suffix.rest);
        }
        let base: &Path<'_> = &self.base(suffix.base)?.path;
        match usize::try_from(suffix.keep) {
            Ok(keep) if keep <= base.segments().count() => {
                base.first_segments(keep).join(&suffix.rest)
            }
            _ => Err(DecodeError::UnknownAnnounce.into()),
        }
    }

    fn hops(&self, chain: Chain) -> Result<Option<Vec<u64>>> {
        if chain.base == 0 {
            return Ok(chain.ids);
        }
        let base = self.base(chain.base)?;
        let Some(kept) = &base.hops else {
            // Nobody kept the chain that it refers to; with nothing taken from it, that does not matter.
            return Ok(chain.ids.filter(|_| chain.keep == 0));
        };
        let first = usize::try_from(chain.keep)
            .ok()
            .and_then(|keep| kept.len().checked_sub(keep))
            .ok_or(DecodeError::UnknownAnnounce)?;
        let Some(mut hops) = chain.ids else {
            return Ok(None);
        };
        hops.extend_from_slice(&kept[first..]);
        if wire::has_repeats(&hops) {
            return Err(DecodeError::Duplicate.into());
        }
        Ok(Some(hops).filter(|hops| hops.len() <= MAX_HOPS))
    }

    fn base(&self, back: u64) -> Result<&Numbered, DecodeError> {
        let id = self.next.checked_sub(back);
        id.and_then(|id| self.ids.get(&id))
            .ok_or(DecodeError::UnknownAnnounce)
    }
}
