//! Two connected sessions in one process: ours and the published one.

use moq_net::{Client, Config, Origin, OriginProducer, Runtime, Server, Version};
use published_moq_net as published;

use crate::{
    link,
    ours::Ours,
    published::Published,
    world::{PATIENCE, runtime},
};

/// Who of both connects.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Ours is the client.
    WeDial,
    /// Theirs is.
    TheyDial,
}

/// Two connected sessions: ours on one origin, theirs on another.
pub struct Pair {
    /// What we publish, and what we hear of.
    pub ours: OriginProducer,
    /// The same on their side.
    pub theirs: published::origin::Producer,
    /// What both speak.
    pub version: Version,
    /// Our end.
    pub session: moq_net::Session,
    /// Theirs.
    pub published: published::Session,
}

/// Connects both, of this version alone.
///
/// # Panics
/// When that takes too long or fails.
pub async fn connect(version: Version, role: Role) -> Pair {
    let runtime = runtime();
    let ours = Origin::random(&runtime).produce(&runtime);
    connect_to(&runtime, ours, version, role).await
}

/// As [`connect`], to an origin of ours that may have other sessions.
///
/// # Panics
/// As there.
pub async fn connect_to(
    runtime: &Runtime,
    ours: OriginProducer,
    version: Version,
    role: Role,
) -> Pair {
    let theirs = moq_tokio::origin::spawn();
    let (a, b) = link::pair();
    // moq-lite-01 and 02 share a token; the version itself is agreed in the first messages.
    let token = Some(version.alpn());
    let (a, b) = (Ours::new(a, token), Published::new(b, token));
    let config = Config::new(runtime.clone()).with_versions([version]);
    let only: published::Version = version
        .name()
        .parse()
        .expect("the published crate knows the version");
    let now = std::time::Instant::now();

    let (session, peer) = match role {
        Role::WeDial => {
            let server = published::Server::new()
                .with_versions(only.into())
                .with_origin(theirs.clone());
            let config = config
                .with_publish(ours.consume())
                .with_subscribe(ours.clone());
            let client = Client::new(config);
            let dial = async {
                let (session, driver) = client.connect(a).await.expect("our client connects");
                tokio::spawn(driver);
                session
            };
            let accept = async {
                let (peer, driver) = server.accept(now, b).await.expect("their server accepts");
                tokio::spawn(published::time::run(driver));
                peer
            };
            let (session, peer) = soon("the handshake", async { tokio::join!(dial, accept) }).await;
            (session, peer)
        }
        Role::TheyDial => {
            let client = published::Client::new()
                .with_versions(only.into())
                .with_origin(theirs.clone());
            let accept = async {
                let server = Server::new(config);
                let request = server.accept(a).await.expect("our server accepts");
                let (session, driver) = request.ok(Some(ours.consume()), Some(ours.clone()));
                tokio::spawn(driver);
                session
            };
            let dial = async {
                let (peer, driver) = client.connect(now, b).await.expect("their client connects");
                tokio::spawn(published::time::run(driver));
                peer
            };
            soon("the handshake", async { tokio::join!(accept, dial) }).await
        }
    };
    assert_eq!(session.version(), version);
    Pair {
        ours,
        theirs,
        version,
        session,
        published: peer,
    }
}

/// Waits, but not for ever.
///
/// # Panics
/// When `what` takes too long.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} takes too long"))
}

/// Lets both sides do all that they can do now: everything is in this process, on one thread, and nothing tells what theirs waits for.
pub async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}
