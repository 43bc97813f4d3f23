//! What every connection shares: one origin, one runtime, one way in.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use moq_net::{
    Config, Error, Limits, Origin, OriginProducer, Path, PathOwned, Runtime, Server, Session,
    Version,
};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use tokio::sync::Semaphore;

use crate::admission::{Door, Full};
use crate::auth::{Access, Asked, Authority, Granted, Refusal};
use crate::bounds::Bounds;
use crate::budget::Budget;
use crate::drain::{Drain, Guard};
use crate::host::TokioHost;
use crate::metrics::{Metrics, Tier};

/// The relay itself: everything published by one session is offered to all others.
pub struct Relay {
    origin: OriginProducer,
    authority: Authority,
    runtime: Runtime,
    versions: Vec<Version>,
    fetches: Arc<Semaphore>,
    bounds: Arc<Bounds>,
    sessions: Door,
    drain: Drain,
    budget: Budget,
    metrics: Metrics,
    panics: AtomicU64,
}

impl Relay {
    /// A relay with an empty origin and a fresh random identity, open to everybody who can reach it but web pages that are
    /// not of this machine.
    #[must_use]
    pub fn new(limits: Limits, versions: Vec<Version>) -> Arc<Self> {
        Self::with_authority(limits, versions, Authority::open())
    }

    /// The same, with other bounds around the core.
    #[must_use]
    pub fn with_bounds(limits: Limits, versions: Vec<Version>, bounds: Bounds) -> Arc<Self> {
        Self::bounded(limits, versions, Authority::open(), bounds)
    }

    /// The same, open to those that `authority` lets in.
    #[must_use]
    pub fn with_authority(
        limits: Limits,
        versions: Vec<Version>,
        authority: Authority,
    ) -> Arc<Self> {
        Self::bounded(limits, versions, authority, Bounds::default())
    }

    fn bounded(
        limits: Limits,
        versions: Vec<Version>,
        authority: Authority,
        bounds: Bounds,
    ) -> Arc<Self> {
        let runtime = Runtime::new(TokioHost::default(), limits);
        let origin = Origin::random(&runtime).produce(&runtime);
        Arc::new(Self {
            origin,
            authority,
            runtime,
            versions,
            fetches: Arc::new(Semaphore::new(bounds.requests)),
            sessions: Door::new(bounds.sessions, bounds.sessions),
            drain: Drain::new(),
            budget: Budget::new(bounds.session_bytes),
            metrics: Metrics::default(),
            bounds: Arc::new(bounds),
            panics: AtomicU64::new(0),
        })
    }

    /// Everything there is, for whoever runs this relay and the relays it was told to connect to. Clients only ever get what
    /// [`authorize`](Self::authorize) gives them.
    pub const fn origin(&self) -> &OriginProducer {
        &self.origin
    }

    /// The seats of those who fetch over HTTP.
    pub(crate) fn fetches(&self) -> Arc<Semaphore> {
        self.fetches.clone()
    }

    pub(crate) const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What checks the client certificates of peers, if any are asked for.
    pub(crate) fn client_verifier(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        self.authority.verifier()
    }

    /// Versions offered and accepted, newest first.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// Sessions being served now.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions.inside() as u64
    }

    /// Sessions that ended because of a fault of the relay itself. Anything but 0 is a defect.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// What clients may cost it, besides what the core bounds.
    #[must_use]
    pub const fn bounds(&self) -> &Arc<Bounds> {
        &self.bounds
    }

    /// What all sessions hold together, and who is let go when that is too much.
    pub(crate) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What its sessions carry.
    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether another session would be turned away.
    pub(crate) fn is_full(&self) -> bool {
        self.sessions.inside() >= self.bounds.sessions
    }

    /// What the core holds for all sessions together.
    #[must_use]
    pub fn stats(&self) -> moq_net::Stats {
        self.runtime.stats()
    }

    /// The rights of a client. Every transport and every HTTP route asks here, so that none can forget a check;
    /// clients have no other way to a handle of the relay's origin.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn authorize(&self, asked: &Asked<'_>) -> Result<Access, Refusal> {
        let granted = self.authority.decide(asked).await;
        let granted = granted.inspect_err(|refusal| tracing::info!(?asked, %refusal, "refused"))?;
        let Granted {
            root,
            grants,
            peer,
            lease,
        } = granted;
        let below = self.origin.with_root(&root).ok_or(Refusal::Path)?;
        let scope = |prefixes: &[PathOwned]| {
            let prefixes: Vec<_> = prefixes.iter().map(Path::as_ref).collect();
            // An empty list is a handle for nothing, which nobody needs.
            (!prefixes.is_empty())
                .then(|| below.scope(&prefixes))
                .flatten()
        };
        Ok(Access {
            read: scope(&grants.get).map(|origin| origin.consume()),
            write: scope(&grants.put),
            peer,
            lease,
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
        self.serve_from(transport, Carrier::Quic, entry, |_admitted| {})
            .await
    }

    /// As [`serve`](Self::serve); `admit` is called once it is clear that the client may come in, and what it is.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub(crate) async fn serve_from<T: web_transport_trait::Session>(
        &self,
        transport: T,
        carrier: Carrier,
        entry: Entry,
        admit: impl FnOnce(&Access),
    ) -> Result<(), Error> {
        let mut guard = self.drain.guard();
        let result = self
            .session(transport.clone(), carrier, entry, admit, &mut guard)
            .await;
        // Letting go of the transport cuts short what it has to say, and the peer would not hear why.
        let _late = tokio::time::timeout(GOODBYE, transport.closed()).await;
        drop(guard);
        result
    }

    /// Tells every session that the relay ends, and waits until all are over. Those that have not gone elsewhere within
    /// `time`, and those whose version has no word for it at once, are closed as [`Error::GoingAway`].
    pub async fn drain(&self, time: Duration) {
        self.drain.begin(time);
        // Those that are not let in yet are not waited for any longer.
        let _late = tokio::time::timeout(time + GOODBYE, self.drain.done()).await;
    }

    async fn session<T: web_transport_trait::Session>(
        &self,
        transport: T,
        carrier: Carrier,
        entry: Entry,
        admit: impl FnOnce(&Access),
        guard: &mut Guard,
    ) -> Result<(), Error> {
        let mut config = Config::new(self.runtime.clone()).with_versions(self.versions.clone());
        if let Carrier::WebSocket = carrier {
            config = config.with_ample_credit();
        }
        if !matches!(entry, Entry::Setup { .. }) {
            // The request URI said it; the client may then say no more.
            config.path = Some(String::new());
        }
        let server = Server::new(config);
        let request = tokio::time::timeout(self.bounds.handshake_timeout, server.accept(transport))
            .await
            .map_err(|_elapsed| Error::Timeout)??;
        let decided = match entry {
            Entry::Decided(decided) => decided,
            Entry::Setup { certificate } => {
                let mut asked = Asked::target(request.path().unwrap_or_default());
                asked.certificate = certificate.as_ref();
                self.authorize(&asked).await
            }
        };
        let admitted = match decided {
            Ok(access) => match self.sessions.enter(None) {
                Ok(guest) => Ok((access, guest)),
                Err(full @ (Full::All | Full::Address)) => Err((BUSY, full.to_string())),
            },
            // The browser shows a page neither status nor body of a session that is not opened: it is told here.
            Err(refusal) => Err((refusal.into(), refusal.to_string())),
        };
        let (access, _guest) = match admitted {
            Ok(admitted) => admitted,
            Err((error, reason)) => {
                tokio::time::sleep(self.bounds.refusal_pause).await;
                request.close(&error, &reason);
                return Err(error);
            }
        };
        admit(&access);
        let version = request.version();
        let (request, tier) = match access.peer {
            Some(_) => (request.from_relay(), Tier::Internal),
            None => (request, Tier::External),
        };
        let (session, driver) = request.ok(access.read, access.write);
        // A fault of ours ends the session it happened in, and no other. What they share is left in order by every step of
        // the core, whose locks are for that reason not poisoned.
        let mut driver = AssertUnwindSafe(driver).catch_unwind();
        let _member = self.budget.join(&session);
        let _counted = self.metrics.open(tier, &session);
        tracing::info!(%version, "session started");
        let ended = async {
            tokio::select! {
                refusal = access.lease.ended() => (refusal.into(), refusal.to_string()),
                () = leave(&session, guard) => (Error::GoingAway, ENDING.to_owned()),
            }
        };
        let (error, reason) = tokio::select! {
            result = &mut driver => return result.unwrap_or_else(|_panic| {
                self.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(parent: None, "a session ended because of a fault of the relay");
                Err(Error::Dropped)
            }),
            ended = ended => ended,
        };
        // A browser that loses the reason of the close, as Chromium (156) does now and then, has it from here.
        session.revoke(error.clone());
        let _over = tokio::time::timeout(REST, &mut driver).await;
        // The driver rests, so nothing is written any more. Closing in the middle of a write breaks both off over WebSocket.
        tokio::time::sleep(REST).await;
        session.close(error.clone(), &reason);
        // Nothing more is served; this only ends what is under way.
        let _late = tokio::time::timeout(GOODBYE, driver).await;
        Err(error)
    }
}

/// Waits until the relay ends; then tells the peer, and waits until its time is over.
async fn leave(session: &Session, guard: &mut Guard) {
    let time = guard.begun().await;
    if session.version().has_goaway() && !time.is_zero() {
        session.goaway("");
        tokio::time::sleep(time).await;
    }
}

/// What a client hears when the relay ends.
const ENDING: &str = "the relay is shutting down";

/// What a client hears when there are too many: 503, in the range of the application.
const BUSY: Error = Error::App(503);

/// How long what was written last may take to leave, and to be read.
const REST: Duration = Duration::from_millis(50);

/// How long the end of a session may take: published peers need a round trip to take notice.
const GOODBYE: Duration = Duration::from_secs(2);

/// What carries the streams of a session.
#[derive(Clone, Copy)]
pub(crate) enum Carrier {
    /// Browsers give credit for a hundred streams.
    Quic,
    /// Our own page gives credit for a thousand.
    WebSocket,
}

/// How far a client has come when its transport is ready.
pub enum Entry {
    /// It said in the request URI of its transport what it asks for, and this is the answer. A refusal is told as the code
    /// the session is closed with.
    Decided(Result<Access, Refusal>),
    /// There is no request URI: moq-lite-05 and later say in SETUP, earlier versions ask for the root.
    Setup {
        /// What the client proved to own during the TLS handshake.
        certificate: Option<CertificateDer<'static>>,
    },
}
