//! A transport that counts what the other end asks for.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use moq_net::{Version, coding::Decode, lite::ControlType};
use web_transport_trait as wt;

/// How many requests for single groups have come in.
#[derive(Debug)]
pub(crate) struct Counted {
    version: Version,
    fetches: AtomicU64,
}

impl Counted {
    /// Wraps a transport on which this version is spoken.
    pub(crate) fn new<T>(inner: T, version: Version) -> (Transport<T>, Arc<Self>) {
        let counted = Arc::new(Self {
            version,
            fetches: AtomicU64::new(0),
        });
        let transport = Transport {
            inner,
            counted: counted.clone(),
        };
        (transport, counted)
    }

    /// The requests so far.
    pub(crate) fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Relaxed)
    }

    /// Looks at the first bytes of a stream.
    fn look(&self, mut bytes: &[u8]) {
        if let Ok(ControlType::Fetch) = ControlType::decode(&mut bytes, self.version) {
            self.fetches.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The transport, counting.
#[derive(Clone)]
pub(crate) struct Transport<T> {
    inner: T,
    counted: Arc<Counted>,
}

impl<T: wt::Session> wt::Session for Transport<T> {
    type SendStream = T::SendStream;
    type RecvStream = Incoming<T::RecvStream>;
    type Error = T::Error;

    async fn accept_uni(&self) -> Result<Self::RecvStream, T::Error> {
        Ok(Incoming::plain(self.inner.accept_uni().await?))
    }

    async fn accept_bi(&self) -> Result<(T::SendStream, Self::RecvStream), T::Error> {
        let (send, inner) = self.inner.accept_bi().await?;
        let counted = Some(self.counted.clone());
        Ok((send, Incoming { inner, counted }))
    }

    async fn open_bi(&self) -> Result<(T::SendStream, Self::RecvStream), T::Error> {
        let (send, inner) = self.inner.open_bi().await?;
        Ok((send, Incoming::plain(inner)))
    }

    async fn open_uni(&self) -> Result<T::SendStream, T::Error> {
        self.inner.open_uni().await
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), T::Error> {
        self.inner.send_datagram(payload)
    }

    async fn recv_datagram(&self) -> Result<Bytes, T::Error> {
        self.inner.recv_datagram().await
    }

    fn max_datagram_size(&self) -> usize {
        self.inner.max_datagram_size()
    }

    fn protocol(&self) -> Option<&str> {
        self.inner.protocol()
    }

    fn close(&self, code: u32, reason: &str) {
        self.inner.close(code, reason);
    }

    async fn closed(&self) -> T::Error {
        self.inner.closed().await
    }

    fn stats(&self) -> impl wt::Stats {
        self.inner.stats()
    }
}

/// An incoming stream; `counted` until its first bytes are known.
pub(crate) struct Incoming<R> {
    inner: R,
    counted: Option<Arc<Counted>>,
}

impl<R> Incoming<R> {
    const fn plain(inner: R) -> Self {
        Self {
            inner,
            counted: None,
        }
    }

    fn look(&mut self, bytes: &[u8]) {
        // The type of a stream is below 64, one byte in every version.
        if let Some(counted) = self.counted.take_if(|_| !bytes.is_empty()) {
            counted.look(bytes);
        }
    }
}

impl<R: wt::RecvStream> wt::RecvStream for Incoming<R> {
    type Error = R::Error;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, R::Error> {
        let size = self.inner.read(dst).await?;
        self.look(&dst[..size.unwrap_or(0)]);
        Ok(size)
    }

    async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, R::Error> {
        let chunk = self.inner.read_chunk(max).await?;
        self.look(chunk.as_deref().unwrap_or_default());
        Ok(chunk)
    }

    fn stop(&mut self, code: u32) {
        self.inner.stop(code);
    }

    async fn closed(&mut self) -> Result<(), R::Error> {
        self.inner.closed().await
    }
}
