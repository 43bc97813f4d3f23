//! One group on its way to one subscriber.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use kio::Waiter;
use web_transport_trait as wt;

use super::{frames::Content, order::Order, pins::Pin};
use crate::{
    Error, GroupConsumer, Result, Runtime, Sleep,
    coding::Codes,
    lite::Writer,
    lite::{
        DataType, GroupHeader,
        session::{Link, kio_poll},
    },
    tasks::yield_now,
};

/// Batches written before other streams get a turn.
const TURN: usize = 16;

/// The group streams of one subscription, which the end of a track counts on 07.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) opened: AtomicU64,
    /// Groups that wait for one, and may get too old for it.
    pub(super) opening: AtomicU64,
    /// Groups that get none, of which the subscriber has not been told.
    left_out: Mutex<Vec<u64>>,
}

impl Streams {
    pub(super) fn left_out(&self) -> MutexGuard<'_, Vec<u64>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one group stream is made from.
pub(super) struct Outgoing<T: wt::Session> {
    pub(super) link: Arc<Link<T>>,
    pub(super) subscribe: u64,
    pub(super) order: Order,
    pub(super) streams: Arc<Streams>,
    pub(super) group: GroupConsumer,
    /// The last frame of it that is wanted, inclusive.
    pub(super) end: Option<u64>,
}

impl<T: wt::Session> Outgoing<T> {
    /// Sends the group, unless it gets too old before it has a stream.
    ///
    /// # Errors
    /// Why the stream was reset, or never opened.
    pub(super) async fn send(self) -> Result<()> {
        let pin = self.link.pins.pin(&self.group);
        let opened = pin.unless_given_up(pin.blocked(0, self.open())).await;
        self.streams.opening.fetch_sub(1, Ordering::Relaxed);
        let mut writer = opened.inspect_err(|_error| {
            self.streams.left_out().push(self.group.sequence());
        })?;
        self.streams.opened.fetch_add(1, Ordering::Relaxed);
        let meter = &self.link.held.sent;
        let mut content = Content::new(self.group.clone(), self.end, self.link.version, meter);
        let writing = self.write(&mut writer, &mut content, &pin);
        let sent = pin.unless_given_up(writing).await;
        if let Err(error) = &sent {
            writer.reset(error);
        }
        sent
    }

    /// Opens a stream while that makes sense: a group that is stale by then gets none.
    async fn open(&self) -> Result<Writer<T::SendStream>> {
        if self.group.is_stale() {
            return Err(Error::Old);
        }
        let mut open = pin!(self.link.transport.open_uni());
        let opened = kio_poll(|waiter, cx| {
            if let Poll::Ready(opened) = open.as_mut().poll(cx) {
                return Poll::Ready(opened.map_err(|error| self.link.version.of_stream(&error)));
            }
            self.group.poll_stale(waiter).map(|()| Err(Error::Old))
        });
        Ok(Writer::new(opened.await?, self.link.version))
    }

    async fn write(
        &self,
        writer: &mut Writer<T::SendStream>,
        content: &mut Content,
        pin: &Pin<'_>,
    ) -> Result<()> {
        let sequence = self.group.sequence();
        let mut order = self.order.of(sequence);
        writer.set_priority(order);
        writer.put(&DataType::Group)?;
        writer.put(&GroupHeader {
            subscribe: self.subscribe,
            sequence,
            frame_start: content.group().index(),
        })?;

        let mut turn = 0;
        loop {
            let ended = content.collect(writer)?;
            if writer.queued() > 0 {
                let sent = content.sent().saturating_sub(writer.queued());
                pin.blocked(sent, self.flush(writer)).await?;
            }
            if ended {
                break;
            }
            turn += 1;
            if turn % TURN == 0 {
                yield_now().await;
            }
            if let Some(next) = self.wait(writer, content, order).await? {
                order = next;
                writer.set_priority(order);
            }
        }
        writer.finish().await?;
        self.acknowledged(writer).await
    }

    /// Waits for more to write (`None`) or a new order, unless the subscriber refuses the rest.
    async fn wait(
        &self,
        writer: &mut Writer<T::SendStream>,
        content: &mut Content,
        order: i32,
    ) -> Result<Option<i32>> {
        let sequence = self.group.sequence();
        let mut closed = pin!(writer.closed());
        kio_poll(|waiter, cx| {
            if let Poll::Ready(ready) = content.poll_ready(waiter) {
                return Poll::Ready(ready.map(|()| None));
            }
            if let Poll::Ready(next) = self.order.poll_changed(waiter, sequence, order) {
                return Poll::Ready(next.map(Some));
            }
            // Nobody closes a stream we have not finished, unless to refuse it.
            let refused = closed.as_mut().poll(cx);
            refused.map(|closed| Err(closed.err().unwrap_or(Error::Cancel)))
        })
        .await
    }

    /// Writes what is queued. A group that is stale by the time it is blocked makes way for newer ones.
    async fn flush(&self, writer: &mut Writer<T::SendStream>) -> Result<()> {
        let mut patience = Patience::new(&self.link.runtime);
        let mut flush = pin!(writer.flush());
        kio_poll(|waiter, cx| match flush.as_mut().poll(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed),
            Poll::Pending => patience.poll(&self.group, waiter, cx).map(Err),
        })
        .await
    }

    /// Waits until all of it arrived, so that letting go cannot discard the tail.
    async fn acknowledged(&self, writer: &mut Writer<T::SendStream>) -> Result<()> {
        let mut patience = Patience::new(&self.link.runtime);
        let mut closed = pin!(writer.closed());
        kio_poll(|waiter, cx| match closed.as_mut().poll(cx) {
            Poll::Ready(closed) => Poll::Ready(closed),
            Poll::Pending => patience.poll(&self.group, waiter, cx).map(Err),
        })
        .await
    }
}

/// How long a stream may be stuck: shorter once its group is stale.
struct Patience<'a> {
    runtime: &'a Runtime,
    stall: Option<Sleep>,
    stale: Option<Sleep>,
}

impl<'a> Patience<'a> {
    const fn new(runtime: &'a Runtime) -> Self {
        Self {
            runtime,
            stall: None,
            stale: None,
        }
    }

    fn poll(
        &mut self,
        group: &GroupConsumer,
        waiter: &Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<Error> {
        let limits = self.runtime.limits();
        if poll_timer(&mut self.stall, self.runtime, limits.stall, cx).is_ready() {
            return Poll::Ready(Error::Timeout);
        }
        if group.poll_stale(waiter).is_ready() {
            return poll_timer(&mut self.stale, self.runtime, limits.stale_grace, cx)
                .map(|()| Error::Old);
        }
        Poll::Pending
    }
}

/// Polls a timer that starts when it is first asked for.
fn poll_timer(
    timer: &mut Option<Sleep>,
    runtime: &Runtime,
    delay: Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| runtime.sleep(delay));
    timer.as_mut().poll(cx)
}
