//! A peer written by hand: bytes in, bytes out, named by what they are.

use bytes::Bytes;
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use super::{
    executor::Executor,
    transport::{Error, Recv, Send, Transport},
};

/// How reading a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset(u32),
    /// Nothing more for now.
    Open,
}

/// Bytes from hexadecimal text; spaces are for the reader.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| char::from(byte).to_digit(16).expect("hexadecimal") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One end of a connection, moved by the test.
pub struct Raw<'a> {
    pub executor: &'a Executor,
    pub transport: Transport,
}

impl Raw<'_> {
    /// Opens a bidirectional stream and writes to it.
    pub fn bidi(&self, bytes: &str) -> Bidi<'_> {
        let (send, recv) = self
            .executor
            .run_until(self.transport.open_bi())
            .expect("opened");
        let mut bidi = Bidi {
            executor: self.executor,
            send,
            recv,
            peeked: String::new(),
        };
        bidi.write(bytes);
        bidi
    }

    /// Opens a unidirectional stream and writes to it.
    pub fn uni(&self, bytes: &str) -> Send {
        let mut send = self
            .executor
            .run_until(self.transport.open_uni())
            .expect("opened");
        write(self.executor, &mut send, bytes);
        send
    }

    /// As [`uni`](Self::uni), with a FIN that comes along with the bytes.
    pub fn uni_fin(&self, bytes: &str) -> Send {
        let mut send = self
            .executor
            .run_until(self.transport.open_uni())
            .expect("opened");
        poll_once(send.write_chunk(Bytes::from(hex(bytes))))
            .expect("room")
            .expect("open");
        send.finish().expect("open");
        self.executor.run_until_idle();
        send
    }

    /// The next bidirectional stream the session opened.
    pub fn accept_bidi(&self) -> Option<Bidi<'_>> {
        self.executor.run_until_idle();
        let accepted = poll_once(self.transport.accept_bi())?;
        let (send, recv) = accepted.ok()?;
        Some(Bidi {
            executor: self.executor,
            send,
            recv,
            peeked: String::new(),
        })
    }

    /// The next unidirectional stream the session opened.
    pub fn accept_uni(&self) -> Option<Recv> {
        self.executor.run_until_idle();
        poll_once(self.transport.accept_uni())?.ok()
    }

    /// Everything on the next unidirectional stream so far, and how it stands.
    pub fn read_uni(&self) -> Option<(String, End)> {
        let mut recv = self.accept_uni()?;
        Some(read(self.executor, &mut recv))
    }

    /// The next datagram.
    pub fn datagram(&self) -> Option<String> {
        self.executor.run_until_idle();
        let datagram = poll_once(self.transport.recv_datagram())?;
        Some(text(&datagram.expect("open")))
    }

    /// The code the session was closed with, if it was.
    pub fn closed(&self) -> Option<u32> {
        self.executor.run_until_idle();
        match self.transport.close_reason()? {
            Error::Closed { code, .. } => Some(code),
            other => panic!("not closed by the session: {other}"),
        }
    }
}

/// A bidirectional stream, moved by the test.
pub struct Bidi<'a> {
    pub executor: &'a Executor,
    pub send: Send,
    pub recv: Recv,
    /// Read to see what the stream is, and not yet taken.
    peeked: String,
}

impl<'a> Bidi<'a> {
    /// A stream of which `peeked` was read to see what it is.
    pub fn from_parts(executor: &'a Executor, send: Send, recv: Recv, peeked: String) -> Self {
        Self {
            executor,
            send,
            recv,
            peeked,
        }
    }

    pub fn write(&mut self, bytes: &str) {
        write(self.executor, &mut self.send, bytes);
    }

    pub fn fin(&mut self) {
        self.send.finish().expect("finished");
        self.executor.run_until_idle();
    }

    pub fn reset(&mut self, code: u32) {
        self.send.reset(code);
        self.executor.run_until_idle();
    }

    /// Everything that has come, and how the stream stands.
    pub fn read(&mut self) -> (String, End) {
        let (rest, end) = read(self.executor, &mut self.recv);
        (std::mem::take(&mut self.peeked) + &rest, end)
    }

    /// The halves, and what has come so far.
    pub fn into_parts(mut self) -> (Send, Recv, String) {
        let (bytes, _) = self.read();
        (self.send, self.recv, bytes)
    }

    /// Whether the session asked to stop sending, and with which code.
    pub fn stopped(&mut self) -> Option<u32> {
        self.executor.run_until_idle();
        stopped(&mut self.send)
    }
}

/// Whether the session asked to stop sending, and with which code.
pub fn stopped(send: &mut Send) -> Option<u32> {
    match poll_once(send.closed())? {
        Err(Error::Stopped(code)) => Some(code),
        _ => None,
    }
}

/// Writes bytes and lets everybody take notice.
pub fn write(executor: &Executor, send: &mut Send, bytes: &str) {
    executor.run_until_idle();
    let bytes = hex(bytes);
    if !bytes.is_empty() {
        // What is refused meanwhile shows when the test asks for it.
        let _refused = poll_once(send.write_chunk(Bytes::from(bytes)));
    }
    executor.run_until_idle();
}

/// Everything that has come, and how the stream stands.
pub fn read(executor: &Executor, recv: &mut Recv) -> (String, End) {
    executor.run_until_idle();
    let mut bytes = Vec::new();
    let end = loop {
        match poll_once(recv.read_chunk(usize::MAX)) {
            Some(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
            Some(Ok(None)) => break End::Fin,
            Some(Err(Error::Reset(code))) => break End::Reset(code),
            Some(Err(error)) => panic!("the connection is over: {error}"),
            None => break End::Open,
        }
        executor.run_until_idle();
    };
    executor.run_until_idle();
    (text(&bytes), end)
}

/// The result of a future that is ready at once.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::noop();
    match future
        .as_mut()
        .poll(&mut std::task::Context::from_waker(waker))
    {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
