//! The host transport as the worker sees it: calls in, commands out.

use bytes::Bytes;
use futures_util::FutureExt;
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use super::{
    CHUNK_LIMIT, DATAGRAM_BACKLOG, Network, SESSION_UNREAD_LIMIT, STREAM_UNREAD_LIMIT,
    STREAM_WINDOW, Session, TransportError,
};
use crate::{
    command::{Ask, Command},
    slab::Key,
};

fn pair() -> (Network, Session) {
    let network = Network::default();
    let session = network.session(Some("moq-lite-05".to_owned()), 1200);
    (network, session)
}

fn commands(network: &Network) -> Vec<Command> {
    network.commands(crate::command::Commands::take)
}

/// Hand bytes over as the worker does. `None`: refused.
fn feed(network: &Network, stream: Key, data: &[u8], fin: bool) -> Option<bool> {
    let pointer = network.reserve(stream, data.len())?;
    // SAFETY: `reserve` made room for this many bytes.
    #[allow(unsafe_code)]
    unsafe {
        std::ptr::copy_nonoverlapping(data.as_ptr(), pointer, data.len());
    }
    Some(network.commit(stream, data.len(), fin))
}

fn opened(network: &Network) -> Key {
    match commands(network).pop() {
        Some(Command::Stream {
            stream,
            ask: Ask::OpenBi | Ask::OpenUni,
            ..
        }) => {
            network.opened(stream, Ok(()));
            stream
        }
        other => panic!("expected an open, got {other:?}"),
    }
}

#[test]
fn committed_chunks_come_out_in_order_and_by_reference() {
    let (network, session) = pair();
    let stream = network.accepted(session.key(), false).unwrap();
    let mut recv = session.accept_uni().now_or_never().unwrap().unwrap();
    assert_eq!(feed(&network, stream, b"hello ", false), Some(true));
    assert_eq!(feed(&network, stream, b"world", true), Some(true));
    let first = recv.read_chunk(3).now_or_never().unwrap().unwrap().unwrap();
    let second = recv
        .read_chunk(100)
        .now_or_never()
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((&first[..], &second[..]), (&b"hel"[..], &b"lo "[..]));
    assert_eq!(
        first.as_ptr().addr() + 3,
        second.as_ptr().addr(),
        "one buffer, split"
    );
    assert_eq!(
        recv.read_chunk(100)
            .now_or_never()
            .unwrap()
            .unwrap()
            .unwrap(),
        "world"
    );
    assert_eq!(recv.read_chunk(100).now_or_never().unwrap().unwrap(), None);
    assert!(recv.closed().now_or_never().unwrap().is_ok());
    drop(recv);
    assert!(
        commands(&network).is_empty(),
        "a stream read to its end needs no stop"
    );
    assert_eq!(network.counts(), (1, 0));
}

#[test]
fn a_stream_pauses_at_its_bound_and_resumes_at_half() {
    let (network, session) = pair();
    let stream = network.accepted(session.key(), false).unwrap();
    let mut recv = session.accept_uni().now_or_never().unwrap().unwrap();
    let chunk = vec![0; CHUNK_LIMIT];
    for _ in 1..STREAM_UNREAD_LIMIT / CHUNK_LIMIT {
        assert_eq!(feed(&network, stream, &chunk, false), Some(true));
    }
    assert_eq!(
        feed(&network, stream, &chunk, false),
        Some(false),
        "the bound is reached"
    );
    recv.read_chunk(CHUNK_LIMIT)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert!(commands(&network).is_empty(), "still above half");
    recv.read_chunk(CHUNK_LIMIT)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert!(
        matches!(commands(&network)[..], [Command::Stream { stream: key, ask: Ask::Resume, .. }] if key == stream)
    );
}

#[test]
fn a_full_session_pauses_data_streams_but_not_control_streams() {
    let (network, session) = pair();
    let chunk = vec![0; CHUNK_LIMIT];
    let mut held = Vec::new();
    for _ in 0..SESSION_UNREAD_LIMIT / CHUNK_LIMIT {
        let stream = network.accepted(session.key(), false).unwrap();
        held.push(session.accept_uni().now_or_never().unwrap().unwrap());
        feed(&network, stream, &chunk, false).unwrap();
    }
    let late = network.accepted(session.key(), false).unwrap();
    assert_eq!(feed(&network, late, b"x", false), Some(false));
    let control = network.accepted(session.key(), true).unwrap();
    assert_eq!(feed(&network, control, b"x", false), Some(true));
    held.truncate(held.len() / 2 - 1);
    let resumed: Vec<_> = commands(&network)
        .into_iter()
        .filter_map(|command| match command {
            Command::Stream {
                stream,
                ask: Ask::Resume,
                ..
            } => Some(stream),
            _ => None,
        })
        .collect();
    assert_eq!(resumed.last(), Some(&late), "room for half the bound again");
}

#[test]
fn chunks_over_the_limit_and_chunks_nobody_wants_are_refused() {
    let (network, session) = pair();
    let stream = network.accepted(session.key(), false).unwrap();
    assert!(network.reserve(stream, CHUNK_LIMIT + 1).is_none());
    let recv = session.accept_uni().now_or_never().unwrap().unwrap();
    drop(recv);
    assert!(matches!(
        commands(&network)[..],
        [Command::Stream {
            ask: Ask::Stop(0),
            ..
        }]
    ));
    assert_eq!(feed(&network, stream, b"late", false), None);
    assert!(
        !network.commit(stream, 4, false),
        "a commit without reserve changes nothing"
    );
}

#[test]
fn a_reset_discards_what_was_buffered_and_names_its_code() {
    let (network, session) = pair();
    let stream = network.accepted(session.key(), false).unwrap();
    let mut recv = session.accept_uni().now_or_never().unwrap().unwrap();
    feed(&network, stream, b"partial", false);
    network.reset_by_peer(stream, Some(0x34));
    let result = recv.read_chunk(100).now_or_never().unwrap();
    assert_eq!(result, Err(TransportError::Stream(0x34)));
    assert_eq!(session.figures().unread, 0);
}

#[test]
fn an_open_waits_for_the_worker_and_a_dropped_one_is_taken_back() {
    let (network, session) = pair();
    let mut open = Box::pin(session.open_uni());
    assert!((&mut open).now_or_never().is_none());
    drop(open);
    assert!(
        matches!(commands(&network)[..], [Command::Stream { stream: asked, ask: Ask::OpenUni, .. }, Command::Stream { stream, ask: Ask::Reset(0), .. }] if asked == stream)
    );
    assert_eq!(network.counts(), (1, 0));

    let mut open = Box::pin(session.open_bi());
    assert!((&mut open).now_or_never().is_none());
    let Some(Command::Stream {
        stream,
        ask: Ask::OpenBi,
        ..
    }) = commands(&network).pop()
    else {
        panic!("no open")
    };
    network.opened(stream, Err("too many streams".to_owned()));
    let error = (&mut open).now_or_never().unwrap().err();
    assert_eq!(
        error,
        Some(TransportError::Open("too many streams".to_owned()))
    );
    drop(open);
    assert!(
        commands(&network).is_empty(),
        "the worker has nothing to reset"
    );
    assert_eq!(network.counts(), (1, 0));
}

#[test]
fn writes_stay_within_the_window_until_the_worker_reports_them_taken() {
    let (network, session) = pair();
    let mut open = Box::pin(session.open_uni());
    assert!((&mut open).now_or_never().is_none());
    let stream = opened(&network);
    let mut send = open.now_or_never().unwrap().unwrap();
    let data = Bytes::from(vec![7; STREAM_WINDOW + 10]);
    let mut write = Box::pin(send.write_chunk(data.clone()));
    assert!((&mut write).now_or_never().is_none());
    let taken = commands(&network);
    let [
        Command::Stream {
            ask: Ask::Write(first),
            ..
        },
    ] = &taken[..]
    else {
        panic!("one write, got {taken:?}")
    };
    assert_eq!(first.len(), STREAM_WINDOW);
    assert_eq!(first.as_ptr(), data.as_ptr(), "by reference");
    network.written(stream, 4);
    assert!((&mut write).now_or_never().is_none());
    network.written(stream, 100);
    assert!((&mut write).now_or_never().unwrap().is_ok());
    let rest: usize = commands(&network)
        .iter()
        .map(|command| match command {
            Command::Stream {
                ask: Ask::Write(data),
                ..
            } => data.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(rest, 10);
}

#[test]
fn a_stopped_stream_fails_its_writer_and_goes_when_released() {
    let (network, session) = pair();
    let mut open = Box::pin(session.open_uni());
    assert!((&mut open).now_or_never().is_none());
    let stream = opened(&network);
    let mut send = open.now_or_never().unwrap().unwrap();
    network.send_settled(stream, Err(Some(9)));
    let result = send
        .write_chunk(Bytes::from_static(b"x"))
        .now_or_never()
        .unwrap();
    assert_eq!(result, Err(TransportError::Stream(9)));
    assert_eq!(
        send.closed().now_or_never().unwrap(),
        Err(TransportError::Stream(9))
    );
    drop(send);
    assert!(commands(&network).is_empty(), "nothing to reset any more");
    assert_eq!(network.counts(), (1, 0));
}

#[test]
fn a_finished_stream_stays_until_the_worker_says_it_is_out() {
    let (network, session) = pair();
    let mut open = Box::pin(session.open_uni());
    assert!((&mut open).now_or_never().is_none());
    let stream = opened(&network);
    let mut send = open.now_or_never().unwrap().unwrap();
    send.finish().unwrap();
    assert_eq!(send.finish(), Err(TransportError::Ended));
    assert!(send.closed().now_or_never().is_none());
    drop(send);
    assert!(matches!(
        commands(&network)[..],
        [Command::Stream {
            ask: Ask::Finish,
            ..
        }]
    ));
    assert_eq!(network.counts(), (1, 1));
    network.send_settled(stream, Ok(()));
    assert_eq!(network.counts(), (1, 0));
}

#[test]
fn an_unfinished_stream_is_reset_when_dropped() {
    let (network, session) = pair();
    let mut open = Box::pin(session.open_uni());
    assert!((&mut open).now_or_never().is_none());
    opened(&network);
    drop(open.now_or_never().unwrap().unwrap());
    assert!(matches!(
        commands(&network)[..],
        [Command::Stream {
            ask: Ask::Reset(0),
            ..
        }]
    ));
    assert_eq!(network.counts(), (1, 0));
}

#[test]
fn the_end_of_a_session_reaches_everything_in_it_once() {
    let (network, session) = pair();
    let stream = network.accepted(session.key(), true).unwrap();
    let (mut send, mut recv) = session.accept_bi().now_or_never().unwrap().unwrap();
    feed(&network, stream, b"last words", false);
    let error = TransportError::Closed {
        code: 2,
        reason: "go away".to_owned(),
    };
    network.ended(session.key(), error.clone());
    network.ended(
        session.key(),
        TransportError::Lost("second report".to_owned()),
    );
    assert_eq!(session.closed().now_or_never(), Some(error.clone()));
    assert_eq!(
        recv.read_chunk(100)
            .now_or_never()
            .unwrap()
            .unwrap()
            .unwrap(),
        "last words"
    );
    assert_eq!(
        recv.read_chunk(100).now_or_never().unwrap(),
        Err(error.clone())
    );
    assert_eq!(send.closed().now_or_never().unwrap(), Err(error.clone()));
    assert!(matches!(session.accept_uni().now_or_never().unwrap(), Err(found) if found == error));
    assert_eq!(network.accepted(session.key(), false), None);
    drop((send, recv, session));
    assert!(
        commands(&network).is_empty(),
        "nothing is said to a session that is over"
    );
    assert_eq!(network.counts(), (0, 0));
}

#[test]
fn dropping_the_last_handle_closes_and_refuses_what_nobody_accepted() {
    let (network, session) = pair();
    network.accepted(session.key(), false).unwrap();
    network.accepted(session.key(), true).unwrap();
    let other = session.clone();
    drop(session);
    assert!(commands(&network).is_empty());
    drop(other);
    assert!(matches!(
        commands(&network)[0],
        Command::Close { code: 0, .. }
    ));
    assert_eq!(network.counts(), (0, 0));
}

#[test]
fn old_datagrams_make_room_for_new_ones() {
    let (network, session) = pair();
    for index in 0..=DATAGRAM_BACKLOG {
        network.datagram(session.key(), Bytes::from(vec![index as u8]));
    }
    let first = session.recv_datagram().now_or_never().unwrap().unwrap();
    assert_eq!(first[0], 1);
    session.send_datagram(Bytes::from(vec![0; 1201])).unwrap();
    assert!(commands(&network).is_empty(), "too large for the session");
    session.send_datagram(Bytes::from(vec![0; 1200])).unwrap();
    assert_eq!(commands(&network).len(), 1);
}
