//! The side that is dialed.

use web_transport_trait as wt;

use crate::{
    Error, Negotiation, OriginConsumer, OriginProducer, Result, Role, Version,
    client::Config,
    lite::establish,
    session::{Driver, Session},
};

/// Makes sessions over transports that this side accepted.
#[derive(Debug, Clone)]
pub struct Server {
    config: Config,
}

impl Server {
    /// A server for sessions of this kind. What each client may read and write is decided per [`Request`].
    pub const fn new(config: Config) -> Self {
        Self { config }
    }

    /// The ALPN or sub-protocol tokens to accept, best first.
    pub fn protocols(&self) -> Vec<&'static str> {
        Version::alpns(&self.config.versions)
    }

    /// Learns what the client of a connected transport wants: its version, and on 05 and later its SETUP.
    ///
    /// # Errors
    /// [`Error::Version`] or [`Error::UnknownAlpn`] when the sides have no version in common, [`Error::Timeout`] when
    /// the client says nothing, [`Error::ProtocolViolation`] and decode errors when it says something wrong, or how
    /// the transport failed. The transport is closed with the matching code.
    pub async fn accept<T: wt::Session>(&self, transport: T) -> Result<Request<T>> {
        match self.try_accept(&transport).await {
            Ok(agreed) => Ok(Request {
                transport,
                agreed,
                config: self.config.clone(),
            }),
            Err(error) => {
                establish::refuse(&transport, &error, &error.to_string());
                Err(error)
            }
        }
    }

    async fn try_accept<T: wt::Session>(&self, transport: &T) -> Result<establish::Agreed<T>> {
        match self.config.negotiate(transport.protocol())? {
            Negotiation::Fixed(version) if version.has_setup_stream() => {
                establish::client_setup(transport, &self.config, version).await
            }
            Negotiation::Fixed(version) => Ok(establish::Agreed::token(version)),
            Negotiation::InStream => establish::answer(transport, &self.config).await,
        }
    }
}

/// A client that waits to be let in. Dropping it closes the transport as dropping the transport does.
#[must_use = "the client waits for an answer"]
pub struct Request<T: wt::Session> {
    transport: T,
    agreed: establish::Agreed<T>,
    config: Config,
}

impl<T: wt::Session> Request<T> {
    /// The version both sides speak.
    pub const fn version(&self) -> Version {
        self.agreed.version
    }

    /// The path (and query) the client asked for: that of the request URI, else of its SETUP.
    pub fn path(&self) -> Option<&str> {
        let setup = self.agreed.setup.as_ref();
        self.config
            .path
            .as_deref()
            .or_else(|| setup?.path.as_deref())
    }

    /// The one role the client restricts itself to, if it does.
    pub fn role(&self) -> Option<Role> {
        self.agreed.setup.as_ref()?.role
    }

    /// Says that the client is a relay; see [`Config::peer`].
    pub const fn from_relay(mut self) -> Self {
        self.config.peer = true;
        self
    }

    /// Lets the client in: it may read `publish`, and announce into `subscribe`.
    pub fn ok(
        mut self,
        publish: Option<OriginConsumer>,
        subscribe: Option<OriginProducer>,
    ) -> (Session, Driver) {
        self.config.publish = publish;
        self.config.subscribe = subscribe;
        establish::start(
            self.transport,
            &self.config,
            self.agreed,
            establish::Side::Server,
        )
    }

    /// Turns the client away with the session code of `error`, and a text for the people there.
    pub fn close(self, error: &Error, reason: &str) {
        establish::refuse(&self.transport, error, reason);
    }
}

impl<T: wt::Session> std::fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}
