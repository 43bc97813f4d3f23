//! Finding out whether an upstream asks us in turn.
//!
//! Requests carry no trace of who passed them on, so relays that are each other's upstream, over however many links, would wait
//! for one another. A question with a name that only this process knows goes where unannounced paths go; if it comes back, the
//! peer that brings it asks us for what we ask the upstream for, and is not served from there.

use std::{collections::BTreeMap, fmt::Write as _};

use kio::Shared;

use crate::{Origin, Path, PathOwned, Viewer};

/// The second to last part of such a name. It begins with a dot: it is nothing for people.
const MARK: &str = ".moq-worker-ring";

/// The questions under way, with the names of those who brought them back.
#[derive(Default)]
pub(super) struct Ring {
    asked: Shared<BTreeMap<u64, Vec<Origin>>>,
}

/// A question on its way. It is withdrawn when this goes.
pub(super) struct Question<'a> {
    ring: &'a Ring,
    token: u64,
}

impl Ring {
    /// Makes up a question.
    pub(super) fn ask(&self, token: u64) -> Question<'_> {
        self.asked.lock().insert(token, Vec::new());
        Question { ring: self, token }
    }

    /// Whether this is a question of ours that came back; notes who brought it.
    pub(super) fn is_own(&self, path: &Path<'_>, viewers: &[Viewer]) -> bool {
        let Some(token) = token(path) else {
            return false;
        };
        let mut asked = self.asked.lock();
        let Some(names) = asked.get_mut(&token) else {
            return false;
        };
        names.extend(
            viewers
                .iter()
                .flat_map(|viewer| viewer.hops.iter().copied()),
        );
        true
    }
}

impl Question<'_> {
    /// Its path.
    pub(super) fn path(&self) -> PathOwned {
        let mut text = format!("{MARK}/");
        // Writing to a string does not fail.
        let _infallible = write!(text, "{:016x}", self.token);
        Path::parse(&text).map_or(Path::ROOT, Path::into_owned)
    }

    /// The names of those who brought it back so far.
    pub(super) fn brought_by(&self) -> Vec<Origin> {
        let asked = self.ring.asked.lock();
        asked.get(&self.token).cloned().unwrap_or_default()
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.ring.asked.lock().remove(&self.token);
    }
}

/// Whether a path is such a question, of whomever. Whoever connects below the root asks for it below that.
pub(super) fn is_question(path: &Path<'_>) -> bool {
    token(path).is_some()
}

fn token(path: &Path<'_>) -> Option<u64> {
    let (before, token) = path.as_str().rsplit_once('/')?;
    let mark = before.rsplit_once('/').map_or(before, |(_, mark)| mark);
    match mark == MARK && token.len() == 16 {
        true => u64::from_str_radix(token, 16).ok(),
        false => None,
    }
}
