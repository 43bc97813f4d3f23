//! A client that begins handshakes and hears no answer, as one does that lies about its address.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use web_transport_quinn::quinn::{
    self, AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller,
    udp::{RecvMeta, Transmit},
};

use crate::world::World;

/// An endpoint that only sends, until it is dropped.
pub(crate) struct Deaf {
    endpoint: quinn::Endpoint,
    config: quinn::ClientConfig,
    address: SocketAddr,
    begun: tokio::task::JoinSet<()>,
}

impl Deaf {
    pub(crate) fn new(world: &World) -> Self {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let runtime = Arc::new(TokioRuntime);
        let socket = runtime.wrap_udp_socket(socket).unwrap();
        let endpoint = quinn::Endpoint::new_with_abstract_socket(
            quinn::EndpointConfig::default(),
            None,
            Arc::new(Silence(socket)),
            runtime,
        );
        Self {
            endpoint: endpoint.unwrap(),
            config: world.client_config(),
            address: world.address,
            begun: tokio::task::JoinSet::new(),
        }
    }

    /// Begins a handshake that will never end.
    pub(crate) fn connect(&mut self) {
        let config = self.config.clone();
        let connecting = self
            .endpoint
            .connect_with(config, self.address, "localhost");
        let connecting = connecting.unwrap();
        self.begun.spawn(async move { drop(connecting.await) });
    }
}

/// A socket on which nothing arrives.
struct Silence(Arc<dyn AsyncUdpSocket>);

impl fmt::Debug for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsyncUdpSocket for Silence {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.0.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(transmit)
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        _: &mut [IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
