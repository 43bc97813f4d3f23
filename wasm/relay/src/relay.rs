//! What every connection shares: one origin, one runtime, one way in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moq_net::{Config, Error, Limits, Origin, OriginProducer, Path, Runtime, Server, Version};

use crate::auth::{Access, Asked, Lease, Refusal};
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

    /// The rights of a client. Every transport and every HTTP route asks here, so that none can forget a check; there
    /// is no other way to a handle of the relay's origin.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn authorize(&self, asked: &Asked<'_>) -> Result<Access, Refusal> {
        let root = Path::parse(asked.path).map_err(|_too_long| Refusal::Invalid)?;
        let write = self.origin.with_root(&root).ok_or(Refusal::Unauthorized)?;
        Ok(Access {
            read: Some(write.consume()),
            write: Some(write),
            lease: Lease::default(),
        })
    }

    /// Serves one client until its session or its access ends.
    ///
    /// # Errors
    /// The reason the handshake or the session ended, unless it closed cleanly.
    pub async fn serve<T: web_transport_trait::Session>(
        &self,
        transport: T,
        entry: Entry,
    ) -> Result<(), Error> {
        let mut config = Config::new(self.runtime.clone()).with_versions(self.versions.clone());
        // A client may name a path in SETUP only where nothing else has.
        let granted = match entry {
            Entry::Target(target) => {
                config.path = Some(target);
                None
            }
            Entry::Granted(access) => {
                config.path = Some(String::new());
                Some(access)
            }
            Entry::Setup => None,
        };
        let server = Server::new(config);
        let request = tokio::time::timeout(HANDSHAKE_TIMEOUT, server.accept(transport))
            .await
            .map_err(|_elapsed| Error::Timeout)??;
        let access = match granted {
            Some(access) => access,
            None => {
                let asked = Asked::target(request.path().unwrap_or_default());
                match self.authorize(&asked).await {
                    Ok(access) => access,
                    Err(refusal) => {
                        let error = refusal.into();
                        request.close(&error);
                        return Err(error);
                    }
                }
            }
        };
        let version = request.version();
        let (session, mut driver) = request.ok(access.read, access.write);
        let _counted = Counted::new(&self.sessions);
        tracing::info!(%version, "session started");
        let refusal = tokio::select! {
            result = &mut driver => return result,
            refusal = access.lease.ended() => refusal,
        };
        let error = Error::from(refusal);
        session.close(error.clone(), &refusal.to_string());
        // Nothing more is served; this only lets the peer hear why.
        let _late = tokio::time::timeout(GOODBYE, driver).await;
        Err(error)
    }
}

/// How long a session whose access is over may take to say so.
const GOODBYE: Duration = Duration::from_millis(500);

/// How far a client has come when its transport is ready.
pub enum Entry {
    /// The request URI of the transport says what it asks for: path and query.
    Target(String),
    /// It was already let in.
    Granted(Access),
    /// There is no request URI: moq-lite-05 and later say in SETUP, earlier versions ask for the root.
    Setup,
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
