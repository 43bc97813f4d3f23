//! From a connected transport to a session: agreeing on a version, and SETUP.

use std::{
    sync::{Arc, atomic::AtomicBool},
    task::Poll,
    time::Duration,
};

use futures_util::{StreamExt, future::Either, stream::FuturesUnordered};
use kio::Shared;
use web_transport_trait::{self as wt, Error as _};

use super::{
    ClientSetup, DataType, ServerSetup, Setup,
    session::{CONTROL_ORDER, Link, Peer, deadline, kio_poll, run, within},
};
use crate::{
    Config, Driver, Error, Origin, Result, Role, Session, Version,
    coding::Codes,
    cost::{held::Held, rate::Bucket},
    link::Control,
    lite::{Reader, Writer},
    tasks::TaskSet,
};

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What the handshake agreed on.
pub(crate) struct Agreed<T: wt::Session> {
    pub(crate) version: Version,
    /// The client's SETUP, as far as a server has already read it.
    pub(crate) setup: Option<Setup>,
    /// The stream of CLIENT_SETUP and SERVER_SETUP, which lives as long as the session.
    pub(super) stream: Option<Bidi<T>>,
}

/// Both halves of a bidirectional stream.
type Bidi<T> = (
    Writer<<T as wt::Session>::SendStream>,
    Reader<<T as wt::Session>::RecvStream>,
);

impl<T: wt::Session> Agreed<T> {
    /// Agreed by the transport's token alone.
    pub(crate) const fn token(version: Version) -> Self {
        Self {
            version,
            setup: None,
            stream: None,
        }
    }

    /// Agreed inside the first stream, which speaks that version from here on.
    fn inside(version: Version, (mut send, mut recv): Bidi<T>) -> Self {
        send.set_version(version);
        recv.set_version(version);
        Self {
            version,
            setup: None,
            stream: Some((send, recv)),
        }
    }
}

/// What is written and read before a version is agreed on: the versions that are negotiated in the first stream are alike up to there,
/// and their codes are those of the common registry.
const UNDECIDED: Version = Version::Lite02;

/// The first stream before the version is known.
fn first<T: wt::Session>(
    halves: std::result::Result<(T::SendStream, T::RecvStream), T::Error>,
) -> Result<Bidi<T>> {
    let (send, recv) = halves.map_err(|error| UNDECIDED.of_transport(&error))?;
    let mut send = Writer::new(send, UNDECIDED);
    send.set_priority(CONTROL_ORDER);
    let mut recv = Reader::new(recv, UNDECIDED);
    recv.set_buffer(EARLY_BUFFER);
    Ok((send, recv))
}

/// Closes a transport whose handshake failed; `reason` is for people.
pub(crate) fn refuse<T: wt::Session>(transport: &T, error: &Error, reason: &str) {
    // Nothing is agreed, so the code is that of the common registry.
    let code = UNDECIDED.session_code(error);
    transport.close(code, reason);
}

/// The client's half of the negotiation inside the first stream.
///
/// # Errors
/// [`Error::Late`], [`Error::Version`], or what the server sent instead of an answer.
pub(crate) async fn offer<T: wt::Session>(transport: &T, config: &Config) -> Result<Agreed<T>> {
    let versions = in_stream(config);
    let limit = config.runtime.limits().control_timeout;
    let what = "the answer to CLIENT_SETUP";
    let answered = async {
        let (mut send, mut recv) = first::<T>(transport.open_bi().await)?;
        send.encode(&ClientSetup::offer(&versions)).await?;

        let server: ServerSetup = match recv.decode().await {
            Ok(setup) => setup,
            Err(error) => return Err(reason(transport, config, error).await),
        };
        let version = Version::from_code(server.version).ok_or(Error::Version)?;
        if !versions.contains(&version) {
            return Err(Error::Version);
        }
        Ok(Agreed::inside(version, (send, recv)))
    };
    within(
        &config.runtime,
        limit,
        answered,
        Error::Late { what, limit },
    )
    .await
    .map_err(Error::of_handshake)
}

/// What ended a handshake whose stream broke with `error`: the code the session is closed with says more than that of the
/// stream, which a server that refuses the client may reset first.
async fn reason<T: wt::Session>(transport: &T, config: &Config, error: Error) -> Error {
    if matches!(error, Error::Decode(_)) {
        return error;
    }
    let closed = async { Ok(transport.closed().await) };
    match deadline(&config.runtime, CLOSE_FOLLOWS, closed).await {
        Ok(closed) if closed.session_error().is_some() => UNDECIDED.of_transport(&closed),
        _ => error,
    }
}

/// How long after the reset of the first stream the reason for it may come.
const CLOSE_FOLLOWS: Duration = Duration::from_secs(1);

/// The server's half of the negotiation inside the first stream.
///
/// # Errors
/// [`Error::Timeout`], [`Error::Version`], or what the client sent instead of an offer.
pub(crate) async fn answer<T: wt::Session>(transport: &T, config: &Config) -> Result<Agreed<T>> {
    let versions = in_stream(config);
    let limit = config.runtime.limits().setup_timeout;
    deadline(&config.runtime, limit, async {
        let (mut send, mut recv) = first::<T>(transport.accept_bi().await)?;
        let client: ClientSetup = recv.decode().await?;
        let version = client.choose(&versions).ok_or(Error::Version)?;
        let chosen = ServerSetup {
            version: version.code(),
            parameters: Vec::new(),
        };
        send.encode(&chosen).await?;
        Ok(Agreed::inside(version, (send, recv)))
    })
    .await
    .map_err(Error::of_handshake)
}

/// Those of the configured versions that are negotiated inside the first stream.
fn in_stream(config: &Config) -> Vec<Version> {
    let versions = config.versions.iter().copied();
    versions
        .filter(|version| version.has_session_stream())
        .collect()
}

/// Waits for the client's SETUP. Streams that come before it are refused: they cannot be served yet.
///
/// # Errors
/// [`Error::Timeout`], what is wrong with the SETUP, or how the transport failed.
pub(crate) async fn client_setup<T: wt::Session>(
    transport: &T,
    config: &Config,
    version: Version,
) -> Result<Agreed<T>> {
    let limit = config.runtime.limits().setup_timeout;
    let setup = deadline(&config.runtime, limit, async {
        // A stream that says nothing must not hide the one with the SETUP behind it.
        let mut readers = FuturesUnordered::new();
        // Of all of them one is read to its end: a stranger must not make us hold much.
        let mut found = false;
        loop {
            let accept = transport.accept_uni();
            futures_util::pin_mut!(accept);
            let event = std::future::poll_fn(|cx| {
                if let Poll::Ready(Some(read)) = readers.poll_next_unpin(cx) {
                    return Poll::Ready(Event::Read(read));
                }
                accept.as_mut().poll(cx).map(Event::Accepted)
            })
            .await;
            match event {
                Event::Accepted(recv) => {
                    let recv = recv.map_err(|error| version.of_transport(&error))?;
                    let mut reader = Reader::new(recv, version);
                    reader.set_buffer(EARLY_BUFFER);
                    readers.push(Either::Left(first_stream(reader)));
                }
                Event::Read(Some(Step::Found(_))) if found => return Err(Error::ProtocolViolation),
                Event::Read(Some(Step::Found(reader))) => {
                    found = true;
                    readers.push(Either::Right(read_setup(reader)));
                }
                Event::Read(Some(Step::Read(setup))) => return setup,
                Event::Read(None) => {}
            }
        }
    })
    .await?;
    if setup.path.is_some() && config.path.is_some() {
        // The transport's own request URI already says where to.
        return Err(Error::ProtocolViolation);
    }
    Ok(Agreed {
        version,
        setup: Some(setup),
        stream: None,
    })
}

enum Event<R, S> {
    Accepted(R),
    Read(S),
}

/// Bytes read at once of a stream of a client that is not let in yet.
const EARLY_BUFFER: usize = 1024;

/// What has become of a stream that came before the SETUP.
enum Step<R: wt::RecvStream> {
    /// It is the one.
    Found(Reader<R>),
    /// The one has been read.
    Read(Result<Setup>),
}

/// Reads what a stream is; refuses it if it is not the one with SETUP.
async fn first_stream<R: wt::RecvStream>(mut reader: Reader<R>) -> Option<Step<R>> {
    match reader.decode_maybe::<DataType>().await {
        Ok(Some(DataType::Setup)) => Some(Step::Found(reader)),
        Ok(_) => {
            reader.stop(&Error::UnexpectedStream);
            None
        }
        Err(_) => None,
    }
}

/// Reads the rest of the SETUP stream. Whatever is wrong with it ends the session.
async fn read_setup<R: wt::RecvStream>(mut reader: Reader<R>) -> Option<Step<R>> {
    let setup = async {
        let setup = reader.decode().await?;
        reader.finished().await?;
        Ok(setup)
    };
    Some(Step::Read(setup.await))
}

/// Makes the session out of what was agreed.
pub(crate) fn start<T: wt::Session>(
    transport: T,
    config: &Config,
    agreed: Agreed<T>,
    side: Side,
) -> (Session, Driver) {
    let limits = config.runtime.limits();
    let held = Held::new(&config.runtime);
    let control = Control::new(held.clone());
    let relay = config.peer;
    let number = |relays, others| if relay { relays } else { others };
    let rate = |relays, others| if relay { relays } else { others };
    let set = TaskSet::default();
    let version = agreed.version;
    let link = Arc::new(Link {
        transport,
        version,
        runtime: config.runtime.clone(),
        control_timer: super::session::control_timer(&config.runtime),
        side,
        tasks: set.tasks(),
        control: control.clone(),
        publish: config.publish.clone(),
        subscribe: config.subscribe.clone(),
        supply: config.supply.clone(),
        whole_groups: config.whole_groups,
        peer: Shared::new(Peer::default()),
        id: config.runtime.random_u64().max(1),
        anonymous: Origin::random(&config.runtime),
        began: config.runtime.now(),
        unnamed: Origin::random(&config.runtime),
        subscriptions: super::subscriber::Subscriptions::new(limits.group_rate),
        assembly: super::subscriber::Assembly::new(&config.runtime, &held),
        pins: super::publisher::Pins::new(
            limits.viewer_bytes,
            number(limits.peer_viewer_groups, limits.viewer_groups),
            &held,
        ),
        lookups: super::publisher::Lookups::new(rate(limits.peer_lookup_rate, limits.lookup_rate)),
        held_bytes: number(limits.peer_held_bytes, limits.held_bytes),
        announces: number(limits.peer_announces, limits.announces),
        subscriptions_served: number(limits.peer_subscriptions, limits.subscriptions),
        announcing: Bucket::new(rate(limits.peer_announce_rate, limits.announce_rate)),
        resets: Bucket::new(limits.reset_rate),
        credit: super::credit::Credit::new(match (side, relay || config.ample_credit) {
            (Side::Server, false) => limits.credit_timeout,
            _ => limits.control_timeout,
        }),
        held,
        going_away: AtomicBool::new(false),
    });

    if version.has_setup_stream() {
        let path = config.path.as_ref();
        link.tasks.push(send_setup(
            link.clone(),
            path.filter(|path| side == Side::Client && !path.is_empty())
                .cloned(),
        ));
    } else {
        control.state.lock().ready = true;
    }
    if let Some(setup) = agreed.setup {
        // The first one, from a client: nothing in it can be a violation.
        if let Err(error) = link.receive_setup(setup) {
            link.fail(error);
        }
    } else if version.has_setup_stream() {
        link.tasks.push(expect_setup(link.clone()));
    }
    if let Some((send, recv)) = agreed.stream {
        link.tasks.push(session_stream(link.clone(), send, recv));
    }

    let driver = Driver::new(Box::pin(run(link, set)), control.clone());
    (
        Session::new(control, version, config.publish.clone()),
        driver,
    )
}

/// Opens our SETUP stream.
async fn send_setup<T: wt::Session>(link: Arc<Link<T>>, path: Option<String>) {
    let role = match (link.side, &link.publish, &link.subscribe) {
        (Side::Client, Some(_), None) => Some(Role::Publisher),
        (Side::Client, None, Some(_)) => Some(Role::Subscriber),
        _ => None,
    };
    let setup = Setup {
        probe: super::estimate::level(&link.transport),
        path,
        role,
        cost: None,
        hop: Some(link.hop().id),
    };
    let limit = link.runtime.limits().setup_timeout;
    let sent = link
        .deadline(limit, async {
            let send = link.transport.open_uni().await;
            let send = send.map_err(|error| link.version.of_transport(&error))?;
            let mut send = Writer::new(send, link.version);
            send.set_priority(CONTROL_ORDER);
            send.put(&DataType::Setup)?;
            send.put(&setup)?;
            send.finish().await?;
            Ok(send)
        })
        .await;
    match sent {
        // Kept until it arrived, which a peer that stops reading it makes irrelevant.
        Ok(mut send) => drop(send.closed().await),
        Err(error) => link.fail(error),
    }
}

/// Ends the session if the peer's SETUP does not come.
async fn expect_setup<T: wt::Session>(link: Arc<Link<T>>) {
    let limit = link.runtime.limits().setup_timeout;
    let mut timer = link.runtime.sleep(limit);
    let late = kio_poll(|waiter, cx| {
        let here = link.peer.poll(waiter, |peer| match peer.setup {
            Some(_) => Poll::Ready(false),
            None => Poll::Pending,
        });
        match here {
            Poll::Ready(late) => Poll::Ready(late),
            Poll::Pending => timer.as_mut().poll(cx).map(|()| true),
        }
    })
    .await;
    if late {
        let what = "the peer's SETUP";
        link.fail(Error::Late { what, limit });
    }
}

/// Watches the stream that negotiated the version: it carries bitrate hints, and its end is the session's.
async fn session_stream<T: wt::Session>(
    link: Arc<Link<T>>,
    send: Writer<T::SendStream>,
    mut recv: Reader<T::RecvStream>,
) {
    let end = loop {
        match recv.decode_maybe::<super::SessionInfo>().await {
            Ok(Some(info)) => {
                link.control.state.lock().bandwidth.receive =
                    (info.bitrate > 0).then_some(info.bitrate);
            }
            Ok(None) => break Error::Closed,
            Err(error) => break error,
        }
    };
    drop(send);
    link.fail(end);
}
