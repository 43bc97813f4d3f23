//! The side that dials.

use web_transport_trait as wt;

use crate::{
    Error, Negotiation, OriginConsumer, OriginProducer, Result, Runtime, Supply, Version,
    lite::establish,
    session::{Driver, Session},
};

/// What a session is made from, on either side.
#[derive(Clone)]
pub struct Config {
    /// The caller's clock, randomness, limits and caches.
    pub runtime: Runtime,
    /// The versions to accept, best first.
    pub versions: Vec<Version>,
    /// What the peer may read: a handle scoped to what it is allowed to see.
    pub publish: Option<OriginConsumer>,
    /// Where the peer's broadcasts go: a handle scoped to what it is allowed to announce.
    pub subscribe: Option<OriginProducer>,
    /// The path (and query) of the session. A client sets it where the transport has no request URI to carry it, and it
    /// travels in SETUP on 05 and later. A server sets what the request URI said, and the client may then not send one.
    pub path: Option<String>,
    /// Whether the other side is a relay of the same operator, which may announce more than a publisher.
    pub peer: bool,
    /// Who is asked for broadcasts that the peer has not announced; see [`Upstreams`](crate::Upstreams).
    pub supply: Option<Supply>,
    /// Whether groups are fetched whole even if only their later frames are wanted, so that the next reader finds them whole.
    pub whole_groups: bool,
    /// Whether the peer's transport gives credit for streams without counting them tightly: then a peer that gives none is busy, and is
    /// waited for as long as for any answer.
    pub ample_credit: bool,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("versions", &self.versions)
            .field("publish", &self.publish.is_some())
            .field("subscribe", &self.subscribe.is_some())
            .finish_non_exhaustive()
    }
}

impl Config {
    /// The default versions, nothing to publish and nowhere to subscribe to.
    pub fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            versions: Version::DEFAULT.to_vec(),
            publish: None,
            subscribe: None,
            path: None,
            peer: false,
            supply: None,
            whole_groups: true,
            ample_credit: false,
        }
    }

    /// Accepts only these versions, best first.
    #[must_use]
    pub fn with_versions(mut self, versions: impl Into<Vec<Version>>) -> Self {
        self.versions = versions.into();
        self
    }

    /// Lets the peer read `origin`.
    #[must_use]
    pub fn with_publish(mut self, origin: OriginConsumer) -> Self {
        self.publish = Some(origin);
        self
    }

    /// Puts the peer's broadcasts into `origin`.
    #[must_use]
    pub fn with_subscribe(mut self, origin: OriginProducer) -> Self {
        self.subscribe = Some(origin);
        self
    }

    /// Sets the path of the session.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Says that the other side is a relay of the same operator.
    #[must_use]
    pub const fn with_peer(mut self, peer: bool) -> Self {
        self.peer = peer;
        self
    }

    /// Lets `supply` ask the peer for what it has not announced.
    #[must_use]
    pub fn with_supply(mut self, supply: Supply) -> Self {
        self.supply = Some(supply);
        self
    }

    /// Fetches no more of a group than is wanted, where the version can say so: for those who serve nobody else.
    #[must_use]
    pub const fn with_partial_groups(mut self) -> Self {
        self.whole_groups = false;
        self
    }

    /// Says that the peer's transport has credit for many streams, as one of our own over WebSocket.
    #[must_use]
    pub const fn with_ample_credit(mut self) -> Self {
        self.ample_credit = true;
        self
    }

    /// What the transport's token means, if these versions include it.
    pub(crate) fn negotiate(&self, token: Option<&str>) -> Result<Negotiation> {
        let negotiation = Version::from_alpn(token)?;
        let offered = match negotiation {
            Negotiation::Fixed(version) => self.versions.contains(&version),
            Negotiation::InStream => self.versions.iter().any(|v| v.has_session_stream()),
        };
        offered.then_some(negotiation).ok_or(Error::Version)
    }
}

/// Makes sessions over transports that this side dialed.
#[derive(Debug, Clone)]
pub struct Client {
    config: Config,
}

impl Client {
    /// A client for sessions of this kind.
    pub const fn new(config: Config) -> Self {
        Self { config }
    }

    /// The ALPN or sub-protocol tokens to offer when dialing, best first.
    pub fn protocols(&self) -> Vec<&'static str> {
        Version::alpns(&self.config.versions)
    }

    /// Starts a session over a transport that is connected.
    ///
    /// With a version in the transport's token nothing is waited for: a peer that refuses shows in
    /// [`Session::ready`] and [`Session::closed`]. Otherwise this waits for SERVER_SETUP.
    ///
    /// # Errors
    /// [`Error::Version`] or [`Error::UnknownAlpn`] when the sides have no version in common, [`Error::Timeout`] when
    /// the peer does not answer, or how the transport failed. The transport is closed with the matching code.
    pub async fn connect<T: wt::Session>(&self, transport: T) -> Result<(Session, Driver)> {
        match self.try_connect(transport.clone()).await {
            Ok(session) => Ok(session),
            Err(error) => {
                establish::refuse(&transport, &error, &error.to_string());
                Err(error)
            }
        }
    }

    async fn try_connect<T: wt::Session>(&self, transport: T) -> Result<(Session, Driver)> {
        let agreed = match self.config.negotiate(transport.protocol())? {
            Negotiation::Fixed(version) => establish::Agreed::token(version),
            Negotiation::InStream => establish::offer(&transport, &self.config).await?,
        };
        Ok(establish::start(
            transport,
            &self.config,
            agreed,
            establish::Side::Client,
        ))
    }
}
