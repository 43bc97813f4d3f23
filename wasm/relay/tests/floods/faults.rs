//! Faults of the relay itself, and of sessions that hold too much: each ends one session.

use moq_net::Error;
use moq_worker_relay::auth::Asked;
use moq_worker_relay::bounds::Bounds;
use moq_worker_relay::relay::Entry;
use web_transport_trait as wt;

use crate::world::{VERSION, World, soon, until};

/// A transport whose datagrams are the end of whoever waits for them.
#[derive(Clone)]
struct Cursed(moq_worker_world::transport::Transport);

impl wt::Session for Cursed {
    type SendStream = <moq_worker_world::transport::Transport as wt::Session>::SendStream;
    type RecvStream = <moq_worker_world::transport::Transport as wt::Session>::RecvStream;
    type Error = <moq_worker_world::transport::Transport as wt::Session>::Error;

    async fn accept_uni(&self) -> Result<Self::RecvStream, Self::Error> {
        self.0.accept_uni().await
    }

    async fn accept_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        self.0.accept_bi().await
    }

    async fn open_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        self.0.open_bi().await
    }

    async fn open_uni(&self) -> Result<Self::SendStream, Self::Error> {
        self.0.open_uni().await
    }

    fn send_datagram(&self, payload: bytes::Bytes) -> Result<(), Self::Error> {
        self.0.send_datagram(payload)
    }

    async fn recv_datagram(&self) -> Result<bytes::Bytes, Self::Error> {
        self.0.recv_datagram().await?;
        panic!("injected")
    }

    fn max_datagram_size(&self) -> usize {
        self.0.max_datagram_size()
    }

    fn protocol(&self) -> Option<&str> {
        self.0.protocol()
    }

    fn close(&self, code: u32, reason: &str) {
        self.0.close(code, reason);
    }

    async fn closed(&self) -> Self::Error {
        self.0.closed().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_the_session_it_happens_in_and_no_other() {
    let world = World::new(Bounds::default());
    let mut canary = world.canary().await;
    let options = moq_worker_world::transport::Options::protocol(VERSION.alpn());
    let (theirs, ours) = moq_worker_world::transport::pair(options);
    let relay = world.relay.clone();
    let served = tokio::spawn(async move {
        let access = relay.authorize(&Asked::target("/")).await;
        relay.serve(Cursed(ours), Entry::Decided(access)).await
    });
    let mut setup = wt::Session::open_uni(&theirs).await.unwrap();
    wt::SendStream::write_chunk(&mut setup, vec![1, 1, 0].into())
        .await
        .unwrap();
    wt::SendStream::finish(&mut setup).unwrap();
    until("admission", || world.relay.sessions() == 3).await;
    wt::Session::send_datagram(&theirs, vec![0].into()).unwrap();
    let ended = soon("the end", served).await.expect("the task outlives it");
    assert_eq!(ended, Err(Error::Dropped));
    assert_eq!(world.relay.panics(), 1);
    until("its place", || world.relay.sessions() == 2).await;
    canary.sings().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_that_holds_most_goes_when_all_hold_too_much() {
    let bounds = Bounds {
        session_bytes: 1 << 20,
        ..Bounds::default()
    };
    let world = World::new(bounds);
    let mut canary = world.canary().await;
    let flooder = world.flooder().await;
    // Streams that are never finished, until they cost more than there is.
    let mut kept = Vec::new();
    for _ in 0..700 {
        let (mut send, recv) = flooder.connection.open_bi().await.unwrap();
        if send.write_all(&[2]).await.is_err() {
            break;
        }
        kept.push((send, recv));
    }
    let (_, reason) = flooder.closed().await;
    assert_eq!(reason, "limit passed: session_bytes");
    canary.sings().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_too_many_is_turned_away() {
    let bounds = Bounds {
        sessions: 2,
        ..Bounds::default()
    };
    let world = World::new(bounds);
    let mut canary = world.canary().await;
    until("both sessions", || world.relay.sessions() == 2).await;
    let endpoint = web_transport_quinn::quinn::Endpoint::client("127.0.0.1:0".parse().unwrap());
    let connecting =
        endpoint
            .unwrap()
            .connect_with(world.client_config(), world.address, "localhost");
    let refused = soon("a refusal", connecting.unwrap()).await;
    assert!(refused.is_err());
    canary.sings().await;
}
