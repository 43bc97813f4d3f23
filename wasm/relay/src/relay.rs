//! What every connection shares: one origin, one runtime, one way in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moq_net::{
    Config, Error, Limits, Origin, OriginProducer, Path, PathOwned, Runtime, Server, Version,
};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use tokio::sync::Semaphore;

use crate::auth::{Access, Asked, Authority, Granted, Refusal};
use crate::host::{HANDSHAKE_TIMEOUT, TokioHost};

/// The relay itself: everything published by one session is offered to all others.
pub struct Relay {
    origin: OriginProducer,
    authority: Authority,
    runtime: Runtime,
    versions: Vec<Version>,
    sessions: AtomicU64,
    fetches: Arc<Semaphore>,
}

/// Groups that are sent over HTTP at a time.
const HTTP_FETCHES: usize = 256;

impl Relay {
    /// A relay with an empty origin and a fresh random identity, open to everybody who can reach it but web pages that are
    /// not of this machine.
    #[must_use]
    pub fn new(limits: Limits, versions: Vec<Version>) -> Arc<Self> {
        Self::with_authority(limits, versions, Authority::open())
    }

    /// The same, open to those that `authority` lets in.
    #[must_use]
    pub fn with_authority(
        limits: Limits,
        versions: Vec<Version>,
        authority: Authority,
    ) -> Arc<Self> {
        let runtime = Runtime::new(TokioHost::default(), limits);
        let origin = Origin::random(&runtime).produce(&runtime);
        Arc::new(Self {
            origin,
            authority,
            runtime,
            versions,
            sessions: AtomicU64::new(0),
            fetches: Arc::new(Semaphore::new(HTTP_FETCHES)),
        })
    }

    /// Everything there is, for the relays this one was told to connect to. Clients only ever get what
    /// [`authorize`](Self::authorize) gives them.
    pub(crate) const fn origin(&self) -> &OriginProducer {
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
        self.sessions.load(Ordering::Relaxed)
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
        let mut config = Config::new(self.runtime.clone()).with_versions(self.versions.clone());
        if !matches!(entry, Entry::Setup { .. }) {
            // The request URI said it; the client may then say no more.
            config.path = Some(String::new());
        }
        let server = Server::new(config);
        let request = tokio::time::timeout(HANDSHAKE_TIMEOUT, server.accept(transport))
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
        let access = match decided {
            Ok(access) => access,
            Err(refusal) => {
                let error = refusal.into();
                request.close(&error);
                return Err(error);
            }
        };
        let version = request.version();
        let request = match access.peer {
            Some(_) => request.from_relay(),
            None => request,
        };
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
    /// It said in the request URI of its transport what it asks for, and this is the answer. A refusal is told as the code
    /// the session is closed with.
    Decided(Result<Access, Refusal>),
    /// There is no request URI: moq-lite-05 and later say in SETUP, earlier versions ask for the root.
    Setup {
        /// What the client proved to own during the TLS handshake.
        certificate: Option<CertificateDer<'static>>,
    },
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
