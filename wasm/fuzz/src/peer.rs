//! A peer that does what the input says: opens streams, writes, finishes, resets, waits.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use crate::{
    input::Input,
    support::{
        executor::Executor,
        transport::{Recv, Send, Transport},
    },
};

/// More streams than this at once reach nothing new.
const STREAMS: usize = 32;

/// Codes of the registries, one of applications, and some of nobody.
const CODES: [u32; 12] = [
    0,
    1,
    3,
    0x0d,
    0x33,
    0x34,
    0x36,
    0x38,
    0x41,
    0x1_0040,
    0xffff,
    u32::MAX,
];

/// Short waits, and those at which deadlines pass.
const WAITS: [u64; 8] = [0, 1, 20, 100, 600, 5_001, 10_001, 31_000];

/// One end of a connection, moved by an input.
pub(crate) struct Peer<'a> {
    executor: &'a Executor,
    transport: Transport,
    sends: Vec<Send>,
    recvs: Vec<Recv>,
    /// The bytes that came, of all streams together.
    pub(crate) received: usize,
}

impl<'a> Peer<'a> {
    pub(crate) const fn new(executor: &'a Executor, transport: Transport) -> Self {
        Self {
            executor,
            transport,
            sends: Vec::new(),
            recvs: Vec::new(),
            received: 0,
        }
    }

    /// A bidirectional stream that begins with these bytes.
    pub(crate) fn open_bidi(&mut self, bytes: &[u8]) {
        if self.recvs.len() < STREAMS
            && let Some(Ok((send, recv))) = now(self.transport.open_bi())
        {
            self.recvs.push(recv);
            self.keep(send, bytes);
        }
    }

    /// A unidirectional stream that begins with these bytes, and ends there or not.
    pub(crate) fn open_uni(&mut self, bytes: &[u8], fin: bool) {
        if let Some(Ok(send)) = now(self.transport.open_uni()) {
            self.keep(send, bytes);
            if fin && let Some(mut send) = self.sends.pop() {
                // Refused meanwhile: that is the session's right.
                let _ended = send.finish();
            }
        }
    }

    fn keep(&mut self, mut send: Send, bytes: &[u8]) {
        put(&mut send, bytes);
        // The oldest goes, and is reset by that.
        if self.sends.len() >= STREAMS {
            drop(self.sends.remove(0));
        }
        self.sends.push(send);
    }

    /// Takes what the session opened, and reads all there is.
    pub(crate) fn read(&mut self) {
        self.executor.run_until_idle();
        while let Some(Ok((send, recv))) = now(self.transport.accept_bi()) {
            self.sends.push(send);
            self.recvs.push(recv);
        }
        while let Some(Ok(recv)) = now(self.transport.accept_uni()) {
            self.recvs.push(recv);
        }
        while let Some(Ok(datagram)) = now(self.transport.recv_datagram()) {
            self.received += datagram.len();
        }
        let received = &mut self.received;
        self.recvs.retain_mut(|recv| {
            loop {
                match now(recv.read_chunk(usize::MAX)) {
                    Some(Ok(Some(chunk))) => *received += chunk.len(),
                    Some(Ok(None) | Err(_)) => return false,
                    None => return true,
                }
            }
        });
    }

    /// Does the next thing. `false`: it is for somebody else, who reads on.
    pub(crate) fn step(&mut self, input: &mut Input<'_>) -> bool {
        match input.byte() % 16 {
            0..=2 => {
                let bytes = input.bytes();
                self.open_bidi(bytes);
            }
            3 | 4 => {
                let bytes = input.bytes();
                self.open_uni(bytes, false);
            }
            5 => {
                let bytes = input.bytes();
                self.open_uni(bytes, true);
            }
            6..=8 => {
                let at = input.byte();
                let bytes = input.bytes();
                if let Some(send) = pick(&mut self.sends, at) {
                    put(send, bytes);
                }
            }
            9 => {
                let at = input.byte();
                if let Some(send) = pick(&mut self.sends, at) {
                    let _ended = send.finish();
                }
            }
            10 => {
                let (at, code) = (input.byte(), *input.pick(&CODES));
                if let Some(send) = pick(&mut self.sends, at) {
                    send.reset(code);
                }
            }
            11 => {
                let (at, code) = (input.byte(), *input.pick(&CODES));
                if let Some(recv) = pick(&mut self.recvs, at) {
                    recv.stop(code);
                }
            }
            12 => self.read(),
            13 => {
                let datagram = Bytes::copy_from_slice(input.bytes());
                // Too large or too late: it is lost, as datagrams are.
                let _lost = self.transport.send_datagram(datagram);
            }
            14 => {
                let wait = *input.pick(&WAITS);
                self.executor.advance(Duration::from_millis(wait));
            }
            _ => return false,
        }
        true
    }

    /// Leaves as the input says: in peace, with a code, or without a word.
    pub(crate) fn leave(self, how: u8) {
        match how % 3 {
            0 => self
                .transport
                .close(CODES[usize::from(how) % CODES.len()], "fuzz"),
            1 => self.transport.kill(),
            _ => drop(self),
        }
    }
}

fn pick<T>(all: &mut [T], at: u8) -> Option<&mut T> {
    let count = all.len();
    // Counted from the newest, which is most often meant.
    all.get_mut((count.checked_sub(1)?).wrapping_sub(usize::from(at) % count))
}

fn put(send: &mut Send, bytes: &[u8]) {
    if !bytes.is_empty() {
        // Without room, or refused: these bytes are not sent.
        let _unsent = now(send.write_chunk(Bytes::copy_from_slice(bytes)));
    }
}

/// The result of a future that is ready at once.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
