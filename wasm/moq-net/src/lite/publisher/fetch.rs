//! Answering FETCH: one group, from the cache or from wherever it can be had.

use std::sync::Arc;

use web_transport_trait as wt;

use super::{
    Refusal, Served, abandoned, delivered, frames::Content, lookup, order::of_fetch, request,
};
use crate::{
    Fetch as Wish, GroupConsumer, Result,
    cost::traffic::Count,
    lite::{
        Compression, Fetch, FetchOk,
        session::{Link, kio_poll},
    },
    lite::{Reader, Writer},
    tasks::yield_now,
};

/// Batches written before other streams get a turn.
const TURN: usize = 16;

/// Serves one group. Nobody is subscribed by it, and it waits for an upstream if it has to.
pub(super) async fn serve<T: wt::Session>(
    link: &Arc<Link<T>>,
    send: &mut Writer<T::SendStream>,
    recv: &mut Reader<T::RecvStream>,
) -> Served {
    let fetch: Fetch = request(link, recv).await?;
    // As for subscriptions: on the heap from here on.
    Box::pin(fetched(link, send, recv, fetch)).await
}

async fn fetched<T: wt::Session>(
    link: &Arc<Link<T>>,
    send: &mut Writer<T::SendStream>,
    recv: &mut Reader<T::RecvStream>,
    fetch: Fetch,
) -> Served {
    // Published 05 reads an early FIN as a cancel; 05-wip, where it was an ordinary thing to do, does not.
    let fin_cancels = !link.version.has_fetch_ok();
    let work = async {
        let track = lookup::track(
            link,
            &fetch.broadcast,
            &fetch.track,
            lookup::Proof::Asked,
            |track| std::future::ready(Ok(track)),
        )
        .await?;
        let wish = Wish::default()
            .with_priority(fetch.priority)
            .with_frame_start(fetch.frame_start);
        let pending = track
            .fetch_group(fetch.group, wish)
            .map_err(Refusal::data)?;
        let group = pending.await.map_err(Refusal::data)?;
        link.held.sent.add(Count::Fetches, 1);
        // From here on it is media, not control.
        send.set_priority(of_fetch(fetch.priority));
        if link.version.has_fetch_ok() {
            send.put(&FetchOk {
                group: fetch.group,
                timescale: group.timescale(),
                compression: Compression::None,
            })
            .map_err(Refusal::control)?;
        }
        write(link, send, group, fetch.frame_end)
            .await
            .map_err(Refusal::data)
    };
    let gone = async { Err(abandoned(recv, fin_cancels).await) };
    crate::lite::session::first(work, gone).await
}

/// Writes the frames, as they come, and the end.
async fn write<T: wt::Session>(
    link: &Link<T>,
    send: &mut Writer<T::SendStream>,
    group: GroupConsumer,
    end: Option<u64>,
) -> Result<()> {
    let stall = link.runtime.limits().stall;
    let pin = link.pins.pin(&group);
    let mut content = Content::new(group, end, link.version, &link.held.sent);
    let mut turn = 0;
    let writing = async {
        loop {
            let ended = content.collect(send)?;
            if send.queued() > 0 {
                let sent = content.sent().saturating_sub(send.queued());
                link.deadline(stall, pin.blocked(sent, send.flush()))
                    .await?;
            }
            if ended {
                return link.deadline(stall, delivered(send)).await;
            }
            turn += 1;
            if turn % TURN == 0 {
                yield_now().await;
            }
            kio_poll(|waiter, _| content.poll_ready(waiter)).await?;
        }
    };
    pin.unless_given_up(writing).await
}
