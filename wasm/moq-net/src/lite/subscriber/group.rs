//! One group from the peer.

use std::sync::Arc;

use web_transport_trait as wt;

use super::{
    UNWANTED,
    frames::{self, Intake},
};
use crate::{
    Error, Group, GroupProducer, Result,
    lite::Reader,
    lite::{GroupHeader, session::Link},
};

/// Reads which group it is.
///
/// # Errors
/// What is wrong with the header.
pub(super) async fn header<T: wt::Session>(
    link: &Arc<Link<T>>,
    recv: &mut Reader<T::RecvStream>,
) -> Result<GroupHeader> {
    let limit = link.runtime.limits().control_timeout;
    link.deadline(limit, recv.decode()).await
}

/// Takes a group stream into the track it belongs to.
///
/// # Errors
/// Why the rest of the stream is refused. The track lives.
pub(super) async fn receive<T: wt::Session>(
    link: &Arc<Link<T>>,
    recv: &mut Reader<T::RecvStream>,
    header: GroupHeader,
) -> Result<()> {
    // Ids are ours: one we do not know is over.
    let subscription = link.subscriptions.get(header.subscribe).ok_or(UNWANTED)?;
    if let Err(error) = subscription.arrive(header.sequence) {
        if link.version.has_frame_bounds() {
            subscription.violate();
        }
        return Err(error);
    }
    if header.frame_start != 0 {
        // We only ask for whole groups, and this one is not.
        return Err(Error::ProtocolViolation);
    }
    let track = subscription.track().await.ok_or(UNWANTED)?;
    // Groups cost something however small they are: more than that must wait, and their publisher with them.
    subscription.pace.wait(&link.runtime).await;
    let intake = Intake {
        runtime: &link.runtime,
        assembly: &link.assembly,
        priority: subscription.priority(),
        compression: subscription.compression(),
    };
    let created = track.create_group(Group {
        sequence: header.sequence + u64::from(kio::fault::mutant("wrong-group")),
    });
    subscription.count_stream();
    let group = created?;
    subscription.account(header.sequence);
    drop((subscription, track));
    take(link, recv, group, &intake).await
}

/// Fills `group` from the stream.
async fn take<T: wt::Session>(
    link: &Link<T>,
    recv: &mut Reader<T::RecvStream>,
    group: GroupProducer,
    intake: &Intake<'_>,
) -> Result<()> {
    let guard = Unfinished { link, group };
    if kio::fault::mutant("leak-group") && kio::fault::delay(20) {
        std::mem::forget(guard.group.clone());
    }
    let received = frames::receive(intake, recv, &guard.group).await;
    if received.is_err() && kio::fault::mutant("truncate") {
        let _over = guard.group.finish();
    }
    if let Err(error) = &received {
        // Already over: then there is nothing left to fail.
        let _over = guard.group.abort(error.clone().of_sender());
    }
    received
}

/// A group that ends for the session's reason if the session ends first.
struct Unfinished<'a, T: wt::Session> {
    link: &'a Link<T>,
    group: GroupProducer,
}

impl<T: wt::Session> Drop for Unfinished<'_, T> {
    fn drop(&mut self) {
        let _over = self.group.abort(self.link.control.cause());
    }
}
