//! Finding out whether an upstream asks us in turn.
//!
//! Requests carry no trace of who passed them on, so relays that are each other's upstream, over however many links, would wait
//! for one another. A question with a name that only this process knows goes where unannounced paths go; if it comes back, the
//! peer that brings it asks us for what we ask the upstream for, and is not served from there.

use std::{collections::BTreeMap, fmt::Write as _, task::Poll, time::Duration};

use kio::{Shared, Waiter};

use super::{Inner, Upstream};
use crate::{
    Error, Instant, Origin, Path, PathOwned, Result, TrackRequest, TrackSubscribe, Viewer,
};

/// How long an upstream that is asked whether it asks us in turn may take to say so.
const RING_PATIENCE: Duration = Duration::from_secs(2);
/// How long the answer counts: who dials whom may change.
const RING_MEMORY: Duration = Duration::from_secs(10);
/// How long it counts that there was none, and the upstream is not asked for anything.
const RING_DOUBT: Duration = Duration::from_secs(1);

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

/// Who asks us for what we ask an upstream for.
#[derive(Default)]
pub(super) struct Neighbours {
    asking: bool,
    pub(super) known: Option<Known>,
}

/// What was found out about them.
pub(super) struct Known {
    /// When it was asked: whoever came later is not part of it.
    pub(super) at: Instant,
    /// Through which session.
    pub(super) session: u64,
    /// Whether the upstream has answered.
    pub(super) answered: bool,
    pub(super) names: Vec<Origin>,
}

impl Inner {
    /// Finds out who asks us for what we ask this upstream for, unless that is known of all who came before `since`.
    pub(super) async fn neighbours(&self, link: &Upstream, peer: &Viewer, since: Instant) {
        let fresh = |known: &Known| {
            let memory = match known.answered {
                true => RING_MEMORY,
                false => RING_DOUBT,
            };
            let age = self.runtime.now().duration_since(known.at);
            known.session == peer.session && known.at >= since && age < memory
        };
        let known = kio::wait(|waiter| {
            link.ring.poll(waiter, |ring| match ring.asking {
                true => Poll::Pending,
                false => Poll::Ready(ring.known.as_ref().is_some_and(fresh)),
            })
        })
        .await;
        if known || std::mem::replace(&mut link.ring.lock().asking, true) {
            return;
        }
        let _asking = Asking(link);
        let at = self.runtime.now();
        let question = self.ring.ask(self.runtime.random_u64());
        let request = TrackRequest::new("ring", &self.runtime);
        // Where properties are not asked for, a subscription is what makes the publisher answer.
        let wanted = request.consume().subscribe(None);
        let path = question.path();
        let mut asked = std::pin::pin!(link.supply.serve(path, request));
        let mut timer = self.runtime.sleep(RING_PATIENCE);
        let answered = std::future::poll_fn(|cx| match asked.as_mut().poll(cx) {
            Poll::Ready(returned) => Poll::Ready(Some(returned)),
            Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
        })
        .await;
        let answered = match answered {
            Some(Some((_unanswerable, error))) => is_answer(&error),
            // Some versions take every subscription, and then give it up.
            Some(None) => given_up(wanted).is_none_or(|error| is_answer(&error)),
            None => false,
        };
        link.ring.lock().known = Some(Known {
            at,
            session: peer.session,
            answered,
            names: match kio::fault::mutant("ask-in-circles") {
                true => Vec::new(),
                false => question.brought_by(),
            },
        });
    }
}

/// Why a question ended that had been taken.
fn given_up(wanted: Result<kio::Pending<TrackSubscribe>>) -> Option<Error> {
    let subscribed = match wanted {
        Ok(pending) => pending.into_inner(),
        Err(error) => return Some(error),
    };
    match kio::Future::poll(&subscribed, &Waiter::noop()) {
        Poll::Ready(Err(error)) => Some(error),
        Poll::Ready(Ok(mut track)) => match track.poll_recv_group(&Waiter::noop()) {
            Poll::Ready(Err(error)) => Some(error),
            _ => None,
        },
        Poll::Pending => None,
    }
}

/// Whether a question that ended so was answered: by somebody who has no such path, and not by what befell it on its way. That
/// nobody asks us must not be believed lightly: those who wait for one another do so for ever.
const fn is_answer(error: &Error) -> bool {
    !matches!(
        error,
        Error::Cancel
            | Error::Timeout
            | Error::Late { .. }
            | Error::Session(_)
            | Error::Transport(_)
            | Error::Dropped
            | Error::Closed
            | Error::GoingAway
            | Error::NoCapacity(_)
            | Error::App(_)
    )
}

/// An upstream that is being asked whether it asks us in turn.
struct Asking<'a>(&'a Upstream);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.ring.lock().asking = false;
    }
}
