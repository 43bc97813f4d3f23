//! The other relays this one is connected to.

use std::sync::Arc;
use std::time::Duration;

use moq_net::{Config, Upstreams};
use tokio::task::JoinSet;

use crate::dial::{self, DialFlags, Dialer, TlsError};
use crate::relay::Relay;

/// The connections to other relays, each made again when it is lost. They end when this is dropped.
#[derive(Debug)]
pub struct Links {
    tasks: JoinSet<()>,
    dialer: Option<Arc<Dialer>>,
}

/// How long the other relays are waited for at the end.
const GOODBYE: Duration = Duration::from_secs(2);

impl Links {
    /// Connects `relay` to the upstreams and peers of these flags.
    ///
    /// A peer is given everything and may announce everything: both directions, one origin. An upstream is given nothing; what
    /// it has is served to those who ask for it, and is not announced.
    ///
    /// # Errors
    /// A file that the flags name cannot be used.
    pub fn start(relay: &Arc<Relay>, flags: &DialFlags) -> Result<Self, TlsError> {
        let mut tasks = JoinSet::new();
        if flags.is_empty() {
            return Ok(Self {
                tasks,
                dialer: None,
            });
        }
        let dialer = Arc::new(Dialer::new(flags)?);
        let runtime = relay.runtime();
        let metrics = relay.metrics();
        let config = || Config::new(runtime.clone()).with_versions(relay.versions());
        // Where hops have no names nobody can tell a route from its echo.
        let named: Vec<_> = relay
            .versions()
            .iter()
            .copied()
            .filter(|version| version.has_hop_ids())
            .collect();
        for url in flags.peer.clone() {
            let (dialer, metrics) = (dialer.clone(), metrics.clone());
            let config = config()
                .with_versions(named.clone())
                .with_publish(relay.origin().consume())
                .with_subscribe(relay.origin().clone())
                .with_peer(true);
            tasks.spawn(async move { dial::keep(&dialer, &url, &config, &metrics).await });
        }
        if !flags.upstream.is_empty() {
            let mut upstreams = Upstreams::new(relay.origin(), runtime);
            for url in flags.upstream.clone() {
                let (dialer, metrics) = (dialer.clone(), metrics.clone());
                let config = upstreams.add().config(config());
                tasks.spawn(async move { dial::keep(&dialer, &url, &config, &metrics).await });
            }
            tasks.spawn(upstreams.run());
        }
        let dialer = Some(dialer);
        Ok(Self { tasks, dialer })
    }

    /// Ends the connections, and waits a little for the other relays to hear of it: a program that just exits leaves them in
    /// the dark, with everything it had announced, until they lose patience.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
        if let Some(dialer) = &self.dialer {
            let _late = tokio::time::timeout(GOODBYE, dialer.idle()).await;
        }
    }
}
