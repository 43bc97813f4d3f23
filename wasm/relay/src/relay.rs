//! What every connection shares: one origin, one runtime, one way in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moq_net::{
    Config, Error, Limits, Origin, OriginConsumer, OriginProducer, Path, Runtime, Server, Version,
};

use crate::host::{HANDSHAKE_TIMEOUT, TokioHost};

/// The relay itself: everything published by one session is offered to all others.
pub struct Relay {
    origin: OriginProducer,
    runtime: Runtime,
    versions: Vec<Version>,
    sessions: AtomicU64,
}

impl Relay {
    /// A relay with an empty origin and a fresh random identity.
    #[must_use]
    pub fn new(limits: Limits, versions: Vec<Version>) -> Arc<Self> {
        let runtime = Runtime::new(TokioHost::default(), limits);
        let origin = Origin::random(&runtime).produce(&runtime);
        Arc::new(Self {
            origin,
            runtime,
            versions,
            sessions: AtomicU64::new(0),
        })
    }

    /// Versions offered and accepted, newest first.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// Sessions being served now.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// A reader of everything below `path`, for the HTTP routes.
    #[must_use]
    pub fn reader(&self, path: &Path<'_>) -> Option<OriginConsumer> {
        self.origin.consume().with_root(path)
    }

    /// The rights of a peer that connected with `target` (URL path and query): both directions
    /// below that path. Every transport asks here, so that none can forget the check.
    fn authorize(&self, target: &str) -> Result<(OriginConsumer, OriginProducer), Error> {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let root = Path::parse(path)?;
        let subscribe = self.origin.with_root(&root).ok_or(Error::Unauthorized)?;
        Ok((subscribe.consume(), subscribe))
    }

    /// Serves one peer until its session ends.
    ///
    /// `target` is the path and query of the request URL; `None` on raw QUIC, where it arrives in
    /// the SETUP message from moq-lite-05 on.
    ///
    /// # Errors
    /// The reason the handshake or the session ended, unless it closed cleanly.
    pub async fn serve<T: web_transport_trait::Session>(
        &self,
        transport: T,
        target: Option<String>,
    ) -> Result<(), Error> {
        let mut config = Config::new(self.runtime.clone()).with_versions(self.versions.clone());
        config.path = target;
        let server = Server::new(config);
        let request = tokio::time::timeout(HANDSHAKE_TIMEOUT, server.accept(transport))
            .await
            .map_err(|_elapsed| Error::Timeout)??;
        let (publish, subscribe) = match self.authorize(request.path().unwrap_or_default()) {
            Ok(rights) => rights,
            Err(error) => {
                request.close(&error);
                return Err(error);
            }
        };
        let version = request.version();
        let (session, driver) = request.ok(Some(publish), Some(subscribe));
        let _counted = Counted::new(&self.sessions);
        tracing::info!(%version, "session started");
        let result = driver.await;
        drop(session);
        result
    }
}

struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
