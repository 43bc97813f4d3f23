//! Binds one port for UDP and TCP and serves both until told to stop.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use web_transport_quinn::quinn;

use crate::certificate::{Certificate, Fingerprint};
use crate::http;
use crate::internal;
use crate::quic::{self, ListenError};
use crate::relay::Relay;
use crate::web;

/// How many ports to try when the system picks one that is taken for the other protocol.
const PORT_ATTEMPTS: usize = 16;

/// How often it is looked whether the certificate comes to its end. By the clock on the wall: machines sleep.
const LOOK: Duration = Duration::from_secs(3600);

/// How long the last packets may take to leave.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A relay that is listening.
pub struct Server {
    address: SocketAddr,
    endpoint: quinn::Endpoint,
    web: tokio::net::TcpListener,
    router: axum::Router,
    internal: Option<tokio::net::TcpListener>,
    relay: Arc<Relay>,
    certificate: Certificate,
    fingerprint: Fingerprint,
}

impl Server {
    /// Listens on `address` for UDP and TCP alike; port 0 lets the system choose.
    ///
    /// # Errors
    /// The address cannot be bound, or the certificate is unusable.
    pub fn bind(
        address: SocketAddr,
        certificate: &Certificate,
        relay: Arc<Relay>,
    ) -> Result<Self, ListenError> {
        let (tcp, udp) = sockets(address).map_err(|error| ListenError::Address(address, error))?;
        tcp.set_nonblocking(true)?;
        let address = tcp.local_addr()?;
        let fingerprint = Fingerprint::from(certificate.fingerprint.as_str());
        Ok(Self {
            address,
            endpoint: quic::endpoint(udp, certificate, &relay)?,
            web: tokio::net::TcpListener::from_std(tcp)?,
            router: web::router(relay.clone(), fingerprint.clone()),
            internal: None,
            relay,
            certificate: certificate.clone(),
            fingerprint,
        })
    }

    /// Listens on `address` as well, for those who watch over the relay: its metrics are there, and nobody is asked who they
    /// are.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn with_internal(self, address: SocketAddr) -> Result<Self, ListenError> {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.map_err(|error| ListenError::Address(address, error))?;
        Ok(Self {
            internal: Some(listener),
            ..self
        })
    }

    /// Where the internal listener is, if there is one.
    #[must_use]
    pub fn internal_address(&self) -> Option<SocketAddr> {
        self.internal.as_ref()?.local_addr().ok()
    }

    /// Where the relay listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then closes every connection at once, as with [`run_and_drain`](Self::run_and_drain)
    /// and no time to leave.
    ///
    /// # Errors
    /// The HTTP listener failed.
    pub async fn run(self, stop: impl Future<Output = ()>) -> std::io::Result<()> {
        self.run_and_drain(stop, Duration::ZERO).await
    }

    /// Serves until `stop` resolves. From then on no client is let in; those that are here are told, and after `drain` those
    /// who are still here are closed as [`GoingAway`](moq_net::Error::GoingAway).
    ///
    /// # Errors
    /// The HTTP listener failed.
    pub async fn run_and_drain(
        self,
        stop: impl Future<Output = ()>,
        drain: Duration,
    ) -> std::io::Result<()> {
        let relay = self.relay.clone();
        let bounds = self.relay.bounds().clone();
        let budget = self.relay.budget().clone();
        let watched = internal::router(self.relay.clone());
        let renewing = renew(
            self.endpoint.clone(),
            self.certificate,
            self.fingerprint,
            self.relay.clone(),
        );
        let accept = quic::accept(self.endpoint.clone(), self.relay);
        let web = http::serve(self.web, self.router, bounds.clone());
        let internal = async {
            match self.internal {
                Some(listener) => http::serve(listener, watched, bounds).await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            () = accept => Ok(()),
            result = web => result,
            result = internal => result,
            () = budget.watch() => Ok(()),
            () = renewing => Ok(()),
            () = stop => Ok(()),
        };
        tokio::select! {
            () = relay.drain(drain) => {}
            () = refuse(&self.endpoint) => {}
        }
        self.endpoint.close(0u32.into(), b"shutting down");
        let _late = tokio::time::timeout(LAST_WORD, self.endpoint.wait_idle()).await;
        result
    }
}

/// Refuses every client: one that comes to a relay that ends should not wait for an answer.
async fn refuse(endpoint: &quinn::Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        incoming.refuse();
    }
    std::future::pending().await
}

/// Gives the endpoint a new certificate whenever the old one comes to its end. Connections that there are stay.
async fn renew(
    endpoint: quinn::Endpoint,
    mut certificate: Certificate,
    fingerprint: Fingerprint,
    relay: Arc<Relay>,
) {
    loop {
        let next = certificate.successor().map_err(ListenError::from);
        let next = next.and_then(|next| {
            let next = next.map(|next| Ok((quic::config(&next, &relay)?, next)));
            next.transpose()
        });
        match next {
            Ok(Some((config, next))) => {
                endpoint.set_server_config(Some(config));
                fingerprint.set(&next.fingerprint);
                tracing::info!(fingerprint = %next.fingerprint, "new certificate");
                certificate = next;
            }
            Ok(None) => {}
            // There is still a day to try again in.
            Err(error) => tracing::error!(%error, "no new certificate"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn sockets(address: SocketAddr) -> std::io::Result<(TcpListener, UdpSocket)> {
    let mut attempt = 0;
    loop {
        let tcp = TcpListener::bind(address)?;
        match UdpSocket::bind(tcp.local_addr()?) {
            Ok(udp) => return Ok((tcp, udp)),
            Err(error) if address.port() != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(_taken) => attempt += 1,
        }
    }
}
