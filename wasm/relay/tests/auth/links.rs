//! Relays that dial others: what they show of themselves, and to whom.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use moq_net::{
    Config, Error, Limits, Origin, OriginProducer, Path, Runtime, Server, Session, Subscription,
    Version,
};
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::dial::{self, DialFlags, Dialer};
use moq_worker_relay::host::TokioHost;
use moq_worker_relay::links::Links;
use moq_worker_relay::relay::Relay;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};

use super::peers::authority;
use super::world::{Directory, soon, start};

fn path(text: &str) -> Path<'_> {
    Path::parse(text).unwrap()
}

/// A relay with nobody but those it dials itself.
fn edge(flags: &DialFlags) -> (Arc<Relay>, Links) {
    let relay = Relay::new(Limits::relay(), Version::DEFAULT.to_vec());
    let links = Links::start(&relay, flags).unwrap();
    (relay, links)
}

/// A certificate as the text of a PEM file.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn a_peer_is_known_by_the_certificate_it_shows() {
    let directory = Directory::new();
    let ca = authority();
    let root = directory.write("ca.pem", &ca.pem);
    let relay = start(&["--auth-peer-ca", &root, "--auth-peer", "edge.example=ours"]).await;
    let (cert, key) = ca.client_pem("edge.example");
    let flags = |scheme: &str| DialFlags {
        peer: vec![
            dial::address(&format!("{scheme}://localhost:{}", relay.address.port())).unwrap(),
        ],
        dial_root: vec![
            directory
                .write("server.pem", &pem(&relay.certificate))
                .into(),
        ],
        dial_cert: Some(directory.write("edge.pem", &cert).into()),
        dial_key: Some(directory.write("edge.key", &key).into()),
        ..DialFlags::default()
    };
    for scheme in ["https", "moqt"] {
        let (edge, links) = edge(&flags(scheme));
        let mine = edge.origin().create_broadcast(&path("ours/room")).unwrap();
        let _not_shared = edge.origin().create_broadcast(&path("private")).unwrap();
        let there = relay.relay.origin().consume();
        let room = path("ours/room");
        let found = there.announced_broadcast(&room);
        assert!(soon("the announcement", found).await.is_some(), "{scheme}");
        assert_eq!(relay.get("/announced", &[]).await.0, 401, "nobody else may");
        let theirs = relay
            .relay
            .origin()
            .create_broadcast(&path("ours/other"))
            .unwrap();
        let here = edge.origin().consume();
        let other = path("ours/other");
        let found = here.announced_broadcast(&other);
        assert!(
            soon("their announcement", found).await.is_some(),
            "{scheme}"
        );
        assert!(
            there.request_broadcast(&path("private")).is_err(),
            "{scheme}"
        );
        drop((mine, theirs, links));
        soon("the withdrawal", async {
            while there.request_broadcast(&room).is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    // Who shows nothing is not let in.
    let nameless = DialFlags {
        dial_cert: None,
        dial_key: None,
        ..flags("moqt")
    };
    let dialer = Dialer::new(&nameless).unwrap();
    let runtime = Runtime::new(TokioHost::default(), Limits::default());
    let dialed = soon(
        "dialing",
        dialer.dial(&nameless.peer[0], Config::new(runtime)),
    )
    .await;
    let (session, driver) = dialed.unwrap();
    tokio::spawn(driver);
    let answer = soon("the answer", session.ready()).await;
    assert_eq!(answer, Err(Error::Unauthorized));
}

#[tokio::test]
async fn a_relay_behind_tls_is_dialed_by_web_socket() {
    let directory = Directory::new();
    let relay = start(&[]).await;
    let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
    let root = directory.write("front.pem", &pem(&certificate.chain[0]));
    let settings = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(certificate.chain, certificate.key)
    .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(settings));
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = front.local_addr().unwrap().port();
    let back = relay.address;
    tokio::spawn(async move {
        while let Ok((socket, _)) = front.accept().await {
            // A client that does not trust the certificate is gone again.
            if let Ok(mut socket) = acceptor.accept(socket).await {
                let mut inside = TcpStream::connect(back).await.unwrap();
                tokio::spawn(async move {
                    tokio::io::copy_bidirectional(&mut socket, &mut inside)
                        .await
                        .ok();
                });
            }
        }
    });
    let url = |host: &str| dial::address(&format!("wss://{host}:{port}")).unwrap();
    let trusting = |host: &str| DialFlags {
        upstream: vec![url(host)],
        dial_root: vec![root.clone().into()],
        ..DialFlags::default()
    };
    let broadcast = relay
        .relay
        .origin()
        .create_broadcast(&path("room"))
        .unwrap();
    let track = broadcast.create_track("data", None).unwrap();
    track.write_frame("hello").unwrap();
    let (edge, _links) = edge(&trusting("localhost"));
    assert_eq!(soon("a frame", first_frame(&edge, "room")).await, "hello");
    let dialer = Dialer::new(&trusting("127.0.0.1")).unwrap();
    let runtime = Runtime::new(TokioHost::default(), Limits::default());
    let dialed = soon(
        "dialing",
        dialer.dial(&url("127.0.0.1"), Config::new(runtime)),
    )
    .await;
    assert!(dialed.is_err(), "the certificate names another host");
}

/// The first frame of the track "data" of an unannounced broadcast, as soon as it can be had.
async fn first_frame(relay: &Relay, name: &str) -> bytes::Bytes {
    let origin = relay.origin().consume();
    loop {
        let got = async {
            let broadcast = origin.request_broadcast(&path(name))?.await?;
            let mut reader = broadcast
                .track("data")?
                .subscribe(Subscription::default())?
                .await?;
            let mut group = reader.recv_group().await?.ok_or(Error::NotFound)?;
            group.read_frame().await?.ok_or(Error::NotFound)
        };
        match got.await {
            Ok(frame) => return frame,
            Err(_not_yet) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Lets one relay in by WebSocket, and gives what it asked for.
async fn visit(
    listener: &TcpListener,
    origin: &OriginProducer,
    runtime: &Runtime,
) -> (String, Session) {
    let (socket, _) = soon("a visit", listener.accept()).await.unwrap();
    let mut head = [0; 256];
    let target = soon("the request", async {
        loop {
            let length = socket.peek(&mut head).await.unwrap();
            let line = std::str::from_utf8(&head[..length]).unwrap();
            match line.split(' ').nth(2) {
                Some(_version) => break line.split(' ').nth(1).unwrap().to_owned(),
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let upgrade = qmux::ws::Server::new().with_protocol(Version::Lite06.alpn(), &[]);
    let transport = soon("the upgrade", upgrade.accept(socket)).await.unwrap();
    let server = Server::new(Config::new(runtime.clone()));
    let request = soon("the handshake", server.accept(transport))
        .await
        .unwrap();
    let (session, driver) = request.ok(Some(origin.consume()), None);
    tokio::spawn(driver);
    (target, session)
}

#[tokio::test]
async fn a_relay_that_asks_to_move_is_followed_on_its_host_and_gets_no_token_there() {
    let directory = Directory::new();
    let runtime = Runtime::new(TokioHost::default(), Limits::relay());
    let origin = Origin::random(&runtime).produce(&runtime);
    let listen = || TcpListener::bind("127.0.0.1:0");
    let (home, other) = (listen().await.unwrap(), listen().await.unwrap());
    let address = |listener: &TcpListener, path: &str| {
        format!("ws://{}{path}", listener.local_addr().unwrap())
    };
    let (edge, _links) = edge(&DialFlags {
        upstream: vec![dial::address(&address(&home, "/")).unwrap()],
        dial_token: Some(directory.write("token", "secret\n").into()),
        ..DialFlags::default()
    });
    let (target, first) = visit(&home, &origin, &runtime).await;
    assert_eq!(target, "/?jwt=secret");
    first.goaway(&address(&other, "/1"));
    let (target, second) = visit(&other, &origin, &runtime).await;
    assert_eq!(target, "/1");
    // It is of use there.
    let broadcast = origin.create_broadcast(&path("room")).unwrap();
    let track = broadcast.create_track("data", None).unwrap();
    track.write_frame("hello").unwrap();
    assert_eq!(soon("a frame", first_frame(&edge, "room")).await, "hello");
    second.goaway(&address(&other, "/2"));
    let (target, third) = visit(&other, &origin, &runtime).await;
    assert_eq!(target, "/2");
    third.goaway(&address(&other, "/3"));
    let (target, fourth) = visit(&other, &origin, &runtime).await;
    assert_eq!(target, "/3");
    // Enough of that: it is back to where it was told to go.
    fourth.goaway(&address(&other, "/4"));
    let (target, _fifth) = visit(&home, &origin, &runtime).await;
    assert_eq!(target, "/?jwt=secret");
}
