//! Every session and stream of one core, and what the worker reports about them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use kio::WaiterList;

use super::{
    ACCEPT_BACKLOG, CHUNK_LIMIT, DATAGRAM_BACKLOG, SESSION_UNREAD_LIMIT, SESSION_WINDOW,
    STREAM_UNREAD_LIMIT, STREAM_WINDOW, Session, TransportError, inbound::Reserved,
};
use crate::{
    command::{Ask, Command, Commands},
    slab::{Key, Slab},
};

/// Shared by the worker's calls, the sessions and their streams.
#[derive(Clone, Default)]
pub(crate) struct Network(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    pub(super) commands: Commands,
    pub(super) sessions: Slab<SessionState>,
    pub(super) streams: Slab<StreamState>,
}

/// One session. It stays until its last handle is gone, however it ended.
pub(super) struct SessionState {
    pub(super) accept_uni: VecDeque<Key>,
    pub(super) accept_bi: VecDeque<Key>,
    pub(super) datagrams: VecDeque<Bytes>,
    pub(super) end: Option<TransportError>,
    pub(super) unread: usize,
    /// Room left in [`SESSION_WINDOW`].
    pub(super) window: usize,
    /// Streams that were paused and have to be told to go on.
    paused: Vec<Key>,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) streams: u32,
    /// Acceptors, datagram readers, whoever waits for the end, writers that wait for the session's window.
    pub(super) waiters: WaiterList,
}

/// One stream. It stays until its handles are gone and the sending half has settled with the transport.
pub(super) struct StreamState {
    pub(super) session: Key,
    pub(super) open: Open,
    pub(super) recv: Option<RecvState>,
    pub(super) send: Option<SendState>,
}

/// Whether the browser has opened the stream yet.
pub(super) enum Open {
    Waiting(WaiterList),
    Failed(String),
    Done,
}

#[derive(Default)]
pub(super) struct RecvState {
    pub(super) chunks: VecDeque<Bytes>,
    pub(super) unread: usize,
    reserved: Option<Reserved>,
    paused: bool,
    /// Nothing follows the chunks: a FIN, or the error.
    pub(super) end: Option<Result<(), TransportError>>,
    pub(super) waiters: WaiterList,
}

pub(super) struct SendState {
    pub(super) window: usize,
    /// What we did to it: finished or reset.
    pub(super) ended: bool,
    /// What the transport said last.
    pub(super) settled: Option<Result<(), TransportError>>,
    /// The `SendStream` is gone.
    pub(super) released: bool,
    pub(super) waiters: WaiterList,
}

impl SendState {
    pub(super) fn new() -> Self {
        Self {
            window: STREAM_WINDOW,
            ended: false,
            settled: None,
            released: false,
            waiters: WaiterList::new(),
        }
    }
}

impl Network {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Work on the command buffer.
    pub(crate) fn commands<R>(&self, work: impl FnOnce(&mut Commands) -> R) -> R {
        work(&mut self.lock().commands)
    }

    /// A session over a transport the worker has opened.
    pub(crate) fn session(&self, protocol: Option<String>, max_datagram: usize) -> Session {
        let key = self.lock().sessions.insert(SessionState {
            accept_uni: VecDeque::new(),
            accept_bi: VecDeque::new(),
            datagrams: VecDeque::new(),
            end: None,
            unread: 0,
            window: SESSION_WINDOW,
            paused: Vec::new(),
            bytes_sent: 0,
            bytes_received: 0,
            streams: 0,
            waiters: WaiterList::new(),
        });
        Session::new(self.clone(), key, protocol, max_datagram)
    }

    /// The peer opened a stream. `None`: refuse it.
    pub(crate) fn accepted(&self, session: Key, bidirectional: bool) -> Option<Key> {
        let mut state = self.lock();
        let State {
            sessions, streams, ..
        } = &mut *state;
        let peer = sessions.get_mut(session)?;
        let backlog = if bidirectional {
            &mut peer.accept_bi
        } else {
            &mut peer.accept_uni
        };
        if peer.end.is_some() || backlog.len() >= ACCEPT_BACKLOG {
            return None;
        }
        let stream = streams.insert(StreamState {
            session,
            open: Open::Done,
            recv: Some(RecvState::default()),
            send: bidirectional.then(SendState::new),
        });
        backlog.push_back(stream);
        peer.streams += 1;
        let waiters = peer.waiters.take();
        drop(state);
        waiters.wake();
        Some(stream)
    }

    /// A stream we asked for is open, or could not be opened.
    pub(crate) fn opened(&self, stream: Key, result: Result<(), String>) {
        let mut state = self.lock();
        let Some(found) = state.streams.get_mut(stream) else {
            return;
        };
        let next = result.map_or_else(Open::Failed, |()| Open::Done);
        if let Open::Waiting(waiters) = std::mem::replace(&mut found.open, next) {
            drop(state);
            waiters.wake();
        }
    }

    /// Room for the next bytes of a stream. `None`: nobody wants them.
    pub(crate) fn reserve(&self, stream: Key, length: usize) -> Option<*mut u8> {
        let mut state = self.lock();
        let recv = state.streams.get_mut(stream)?.recv.as_mut()?;
        if recv.end.is_some() || length > CHUNK_LIMIT {
            return None;
        }
        Some(recv.reserved.insert(Reserved::new(length)).pointer())
    }

    /// The reserved bytes have been written. False: stop reading until told to resume.
    pub(crate) fn commit(&self, stream: Key, length: usize, fin: bool) -> bool {
        let reserved = {
            let mut state = self.lock();
            let recv = state
                .streams
                .get_mut(stream)
                .and_then(|stream| stream.recv.as_mut());
            recv.and_then(|recv| recv.reserved.take())
        };
        let bytes = match reserved {
            // SAFETY: `commit` is called by `worker/core/memory.ts` only, which wrote `length` bytes after `reserve`.
            #[allow(unsafe_code)]
            Some(reserved) => unsafe { reserved.filled(length) },
            None => Some(Bytes::new()),
        };
        self.received(stream, bytes.unwrap_or_default(), fin)
    }

    pub(crate) fn received(&self, stream: Key, bytes: Bytes, fin: bool) -> bool {
        let mut state = self.lock();
        let State {
            sessions, streams, ..
        } = &mut *state;
        let Some(found) = streams.get_mut(stream) else {
            return false;
        };
        let (Some(recv), Some(session)) = (found.recv.as_mut(), sessions.get_mut(found.session))
        else {
            return false;
        };
        if recv.end.is_some() {
            return false;
        }
        if !bytes.is_empty() {
            recv.unread += bytes.len();
            session.unread += bytes.len();
            session.bytes_received += bytes.len() as u64;
            recv.chunks.push_back(bytes);
        }
        if fin {
            recv.end = Some(Ok(()));
        }
        // Control streams go on while the session is over its bound: they are small, and everything else hangs on them.
        let session_full = session.unread >= SESSION_UNREAD_LIMIT && found.send.is_none();
        let pause = !fin && (recv.unread >= STREAM_UNREAD_LIMIT || session_full);
        if pause && !recv.paused {
            recv.paused = true;
            session.paused.push(stream);
        }
        let waiters = recv.waiters.take();
        drop(state);
        waiters.wake();
        !pause
    }

    /// The peer reset its sending side, or the stream broke.
    pub(crate) fn reset_by_peer(&self, stream: Key, code: Option<u32>) {
        let mut state = self.lock();
        let Some(found) = state.streams.get_mut(stream) else {
            return;
        };
        let session = found.session;
        let Some(recv) = found.recv.as_mut().filter(|recv| recv.end.is_none()) else {
            return;
        };
        recv.end = Some(Err(
            code.map_or(TransportError::Broken, TransportError::Stream)
        ));
        // A reset overtakes what was buffered, as in QUIC.
        let unread = std::mem::take(&mut recv.unread);
        recv.chunks.clear();
        let waiters = recv.waiters.take();
        state.release_unread(session, unread);
        drop(state);
        waiters.wake();
    }

    /// The transport took bytes of earlier writes.
    pub(crate) fn written(&self, stream: Key, bytes: usize) {
        let mut state = self.lock();
        let State {
            sessions, streams, ..
        } = &mut *state;
        let Some(found) = streams.get_mut(stream) else {
            return;
        };
        let Some(send) = found.send.as_mut() else {
            return;
        };
        let bytes = bytes.min(STREAM_WINDOW - send.window);
        send.window += bytes;
        let mut waiters = vec![send.waiters.take()];
        if let Some(session) = sessions.get_mut(found.session) {
            if session.window == 0 {
                waiters.push(session.waiters.take());
            }
            session.window += bytes;
        }
        drop(state);
        waiters.into_iter().for_each(WaiterList::wake);
    }

    /// The sending half is over for the transport: delivered whole, or stopped by the peer (without a code: broken).
    pub(crate) fn send_settled(&self, stream: Key, result: Result<(), Option<u32>>) {
        let result =
            result.map_err(|code| code.map_or(TransportError::Broken, TransportError::Stream));
        let mut state = self.lock();
        let waiters = state.settle_send(stream, result);
        drop(state);
        waiters.wake();
    }

    /// A datagram arrived.
    pub(crate) fn datagram(&self, session: Key, data: Bytes) {
        let mut state = self.lock();
        let Some(found) = state
            .sessions
            .get_mut(session)
            .filter(|session| session.end.is_none())
        else {
            return;
        };
        if found.datagrams.len() == DATAGRAM_BACKLOG {
            found.datagrams.pop_front();
        }
        found.datagrams.push_back(data);
        let waiters = found.waiters.take();
        drop(state);
        waiters.wake();
    }

    /// The session is over. The first report counts; buffered bytes stay readable.
    pub(crate) fn ended(&self, session: Key, error: TransportError) {
        let mut state = self.lock();
        let waiters = state.end_session(session, error);
        drop(state);
        waiters.into_iter().for_each(WaiterList::wake);
    }

    /// Sessions and streams alive.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.sessions.len(), state.streams.len())
    }
}

impl State {
    pub(super) fn end_session(&mut self, session: Key, error: TransportError) -> Vec<WaiterList> {
        let Some(found) = self
            .sessions
            .get_mut(session)
            .filter(|session| session.end.is_none())
        else {
            return Vec::new();
        };
        found.end = Some(error.clone());
        let mut waiters = vec![found.waiters.take()];
        let streams: Vec<Key> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.session == session)
            .map(|(key, _)| key)
            .collect();
        for key in streams {
            waiters.push(self.settle_send(key, Err(error.clone())));
            // A settled sending half may have been all that kept the stream.
            let Some(stream) = self.streams.get_mut(key) else {
                continue;
            };
            if let Some(recv) = &mut stream.recv {
                recv.end.get_or_insert_with(|| Err(error.clone()));
                waiters.push(recv.waiters.take());
            }
            if let Open::Waiting(list) = &mut stream.open {
                waiters.push(list.take());
                stream.open = Open::Failed(error.to_string());
            }
        }
        waiters
    }

    pub(super) fn settle_send(
        &mut self,
        stream: Key,
        result: Result<(), TransportError>,
    ) -> WaiterList {
        let Some(send) = self
            .streams
            .get_mut(stream)
            .and_then(|stream| stream.send.as_mut())
        else {
            return WaiterList::new();
        };
        send.settled.get_or_insert(result);
        let waiters = send.waiters.take();
        self.sweep(stream);
        waiters
    }

    /// Bytes were read or dropped: let paused streams go on once there is room for half a bound again.
    pub(super) fn release_unread(&mut self, session: Key, bytes: usize) {
        let Some(found) = self.sessions.get_mut(session) else {
            return;
        };
        found.unread -= bytes;
        if found.paused.is_empty() {
            return;
        }
        let room = found.unread <= SESSION_UNREAD_LIMIT / 2;
        let Self {
            streams, commands, ..
        } = self;
        found.paused.retain(|key| {
            let Some(stream) = streams.get_mut(*key) else {
                return false;
            };
            let control = stream.send.is_some();
            let Some(recv) = stream.recv.as_mut().filter(|recv| recv.end.is_none()) else {
                return false;
            };
            if recv.unread > STREAM_UNREAD_LIMIT / 2 || !(room || control) {
                return true;
            }
            recv.paused = false;
            commands.push(Command::stream(session, *key, Ask::Resume));
            false
        });
    }

    /// Forget a stream that nobody holds and the transport is done with.
    pub(super) fn sweep(&mut self, key: Key) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        let send_done = stream
            .send
            .as_ref()
            .is_none_or(|send| send.released && send.settled.is_some());
        if stream.recv.is_some() || !send_done {
            return;
        }
        let Some(stream) = self.streams.remove(key) else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(stream.session) {
            session.streams -= 1;
            // What the transport never reported as taken is no longer ours to wait for.
            session.window += stream.send.map_or(0, |send| STREAM_WINDOW - send.window);
        }
    }
}
