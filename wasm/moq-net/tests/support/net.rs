//! Sessions over in-memory connections, on one virtual clock.

use futures_util::future::join;
use moq_net::{
    Client, Config, Limits, Origin, OriginConsumer, OriginProducer, Path, PathOwned, Runtime,
    Server, Session, Version,
};

use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use super::{
    executor::Executor,
    raw::hex,
    transport::{Options, Recv, Send, Transport, pair},
};

/// Where everything of one test happens.
pub struct Net {
    pub executor: Executor,
    pub runtime: Runtime,
}

/// What one end of a connection publishes from and subscribes into.
#[derive(Default, Clone)]
pub struct End {
    pub publish: Option<OriginConsumer>,
    pub subscribe: Option<OriginProducer>,
}

impl End {
    /// Lets the peer read `origin`.
    pub fn publish(origin: &OriginProducer) -> Self {
        Self {
            publish: Some(origin.consume()),
            subscribe: None,
        }
    }

    /// Puts what the peer announces into `origin`.
    pub fn subscribe(origin: &OriginProducer) -> Self {
        Self {
            publish: None,
            subscribe: Some(origin.clone()),
        }
    }

    /// Both.
    pub fn both(origin: &OriginProducer) -> Self {
        Self {
            publish: Some(origin.consume()),
            subscribe: Some(origin.clone()),
        }
    }

    pub fn config(&self, runtime: &Runtime, version: Version) -> Config {
        Config {
            publish: self.publish.clone(),
            subscribe: self.subscribe.clone(),
            ..Config::new(runtime.clone()).with_versions([version])
        }
    }
}

/// A running connection between two sessions.
pub struct Connection {
    pub client: Session,
    pub server: Session,
    /// The ends of the transport below the sessions.
    pub client_end: Transport,
    pub server_end: Transport,
}

impl Net {
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        let executor = Executor::new();
        let runtime = executor.runtime(limits);
        Self { executor, runtime }
    }

    /// An empty origin.
    pub fn origin(&self, id: u64) -> OriginProducer {
        Origin::from(id).produce(&self.runtime)
    }

    /// Options of a connection that agreed on `version` as browsers do.
    pub fn options(version: Version) -> Options {
        Options::protocol(version.alpn())
    }

    /// Connects two sessions and runs them.
    pub fn connect(&self, version: Version, client: &End, server: &End) -> Connection {
        self.connect_with(Self::options(version), version, client, server)
    }

    /// As [`connect`](Self::connect), over a connection of one's own making.
    pub fn connect_with(
        &self,
        options: Options,
        version: Version,
        client: &End,
        server: &End,
    ) -> Connection {
        let (client_end, server_end) = pair(options);
        let dial = Client::new(client.config(&self.runtime, version));
        let accept = Server::new(server.config(&self.runtime, version));
        let accepted = async {
            let request = accept.accept(server_end.clone()).await.expect("accepted");
            request.ok(server.publish.clone(), server.subscribe.clone())
        };
        let dialed = async {
            let (session, driver) = dial.connect(client_end.clone()).await.expect("connected");
            // Servers wait for SETUP, which the driver sends.
            drop(self.executor.spawn(driver));
            session
        };
        let (client, (server, driver)) = self.executor.run_until(join(dialed, accepted));
        drop(self.executor.spawn(driver));
        self.executor.run_until_idle();
        Connection {
            client,
            server,
            client_end,
            server_end,
        }
    }

    /// A client session over one end of a connection whose other end is played by the test, with the stream that negotiated
    /// the version where there is one.
    pub fn client(
        &self,
        version: Version,
        end: &End,
    ) -> (Session, Transport, Option<(Send, Recv)>) {
        self.client_with(Self::options(version), version, end)
    }

    /// As [`client`](Self::client), over a connection of one's own making.
    pub fn client_with(
        &self,
        options: Options,
        version: Version,
        end: &End,
    ) -> (Session, Transport, Option<(Send, Recv)>) {
        let (ours, theirs) = pair(options);
        let client = Client::new(end.config(&self.runtime, version));
        let answer = async {
            if !version.has_session_stream() {
                return None;
            }
            let (mut send, mut recv) = theirs.accept_bi().await.expect("CLIENT_SETUP");
            recv.read_chunk(usize::MAX).await.expect("CLIENT_SETUP");
            let chosen = format!("21 00 09 c0000000{:08x} 00", version.code());
            send.write_chunk(hex(&chosen).into())
                .await
                .expect("written");
            Some((send, recv))
        };
        let (connected, stream) = self.executor.run_until(join(client.connect(ours), answer));
        let (session, driver) = connected.expect("connected");
        drop(self.executor.spawn(driver));
        self.executor.run_until_idle();
        (session, theirs, stream)
    }

    /// A server session over one end of a connection whose other end is played by the test, which has said `setup` (where
    /// there is a SETUP). `uri` is the path that the transport's own request named.
    ///
    /// # Errors
    /// Why the client was turned away.
    pub fn server(
        &self,
        version: Version,
        end: &End,
        setup: &str,
        uri: Option<&str>,
    ) -> (moq_net::Result<Session>, Transport, Option<(Send, Recv)>) {
        let (theirs, ours) = pair(Self::options(version));
        let mut config = end.config(&self.runtime, version);
        config.path = uri.map(str::to_owned);
        let server = Server::new(config);
        let hello = async {
            if version.has_setup_stream() {
                let mut send = theirs.open_uni().await.expect("open");
                send.write_chunk(hex(setup).into()).await.expect("open");
                send.finish().expect("open");
            }
            if !version.has_session_stream() {
                return None;
            }
            let (mut send, mut recv) = theirs.open_bi().await.expect("open");
            let offer = format!("20 000a 01 c0000000{:08x} 00", version.code());
            send.write_chunk(hex(&offer).into()).await.expect("open");
            recv.read_chunk(usize::MAX).await.expect("SERVER_SETUP");
            Some((send, recv))
        };
        let (request, stream) = self.executor.run_until(join(server.accept(ours), hello));
        let session = request.map(|request| {
            let (session, driver) = request.ok(end.publish.clone(), end.subscribe.clone());
            drop(self.executor.spawn(driver));
            session
        });
        self.executor.run_until_idle();
        (session, theirs, stream)
    }
}

/// A path in a test.
pub fn path(text: &str) -> PathOwned {
    Path::parse(text).expect("a valid path").into_owned()
}
