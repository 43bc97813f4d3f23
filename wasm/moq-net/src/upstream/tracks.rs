//! The tracks of a broadcast that is put together from upstreams.

use std::task::Poll;

use futures_util::{StreamExt, stream::FuturesUnordered};
use kio::{Shared, Waiter};

use super::{Inner, Upstream, Way, poll_both};
use crate::{BroadcastDynamic, BroadcastProducer, Error, PathOwned, Sleep, TrackRequest};

/// Serves the tracks of a broadcast this way, until it is over, or nobody has wanted any for a while.
pub(super) async fn serve(
    inner: &Inner,
    path: &PathOwned,
    broadcast: BroadcastProducer,
    mut dynamic: BroadcastDynamic,
    (over, way): (&Shared<bool>, &Way),
) {
    let mut passing: FuturesUnordered<_> = FuturesUnordered::new();
    let mut idle: Option<Sleep> = None;
    loop {
        let request = poll_both(|waiter, cx| {
            let gone = over.poll(waiter, |over| match over {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            if gone.is_ready() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(request) = dynamic.poll_requested_track(waiter) {
                return Poll::Ready(request.ok());
            }
            while let Poll::Ready(Some(())) = passing.poll_next_unpin(cx) {}
            if !passing.is_empty() {
                idle = None;
                return Poll::Pending;
            }
            // Another one takes its place, which asks whoever there is now.
            if inner.poll_other(waiter, &way.seen).is_ready() {
                return Poll::Ready(None);
            }
            let runtime = &inner.runtime;
            let timer = idle.get_or_insert_with(|| runtime.sleep(runtime.limits().upstream_idle));
            timer.as_mut().poll(cx).map(|()| None)
        })
        .await;
        match request {
            Some(request) => passing.push(pass(inner, path, (over, &way.sessions), request)),
            None => break,
        }
    }
    forget(inner, path, over);
    // Closed for those who still hold it; tracks that flow go on to their own end.
    drop((dynamic, broadcast));
    while let Some(()) = passing.next().await {}
}

/// Takes note that a broadcast is not served any more, unless another has taken its place.
fn forget(inner: &Inner, path: &PathOwned, over: &Shared<bool>) {
    let mut served = inner.served.lock();
    if served.get(path).is_some_and(|held| held.over.same(over)) {
        served.remove(path);
    }
}

/// Asks one upstream after the other for a track.
async fn pass(
    inner: &Inner,
    path: &PathOwned,
    (over, sessions): (&Shared<bool>, &[u64]),
    mut request: TrackRequest,
) {
    let mut reason = None;
    let mut left_out = false;
    for link in in_order(inner, path) {
        // Of another session it is not known whether it leads to somebody who asks for this: who asks again has it found out.
        if link.supply.poll_other(&Waiter::noop(), sessions).is_ready() {
            left_out = true;
            continue;
        }
        let returned = link.supply.serve(path.clone(), request).await;
        let Some((again, error)) = returned else {
            return;
        };
        request = again;
        if request.poll_unused(&Waiter::noop()).is_ready() {
            return request.reject(error);
        }
        // An upstream that says no tells more than one that is not there.
        if reason.is_none() || error == Error::NotFound {
            reason = Some(error);
        }
    }
    // The same if there was nobody to ask: that all are gone says nothing about what they have, and who asks again waits for one.
    if left_out || reason.is_none() {
        *over.lock() = true;
    }
    request.reject(reason.unwrap_or(Error::Dropped));
}

/// The upstreams that can be asked now, those that have announced the path first.
fn in_order(inner: &Inner, path: &PathOwned) -> Vec<Upstream> {
    let open = inner.links.iter().filter(|link| link.is_open());
    let announces = |link: &&Upstream| link.mirror.consume().request_broadcast(path).is_ok();
    let (first, then): (Vec<_>, Vec<_>) = open.partition(announces);
    first.into_iter().chain(then).cloned().collect()
}
