//! What lies between the two ends of a connection.

use std::time::Duration;

/// What crosses the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A stream begins.
    Open,
    /// So many bytes of a stream.
    Bytes(usize),
    /// A stream ends.
    Fin,
    /// The writer gives a stream up.
    Reset,
    /// The reader gives a stream up.
    Stop,
    /// The reader makes room, for bytes or streams.
    Credit,
    /// A datagram of so many bytes.
    Datagram(usize),
    /// The session is closed.
    Close,
}

/// Decides when what one end does reaches the other.
///
/// The order within a stream is kept whatever the wire says; between streams there is none.
pub trait Wire: Send + 'static {
    /// The time at which something that side `from` (0: client, 1: server) does at `now` arrives; `None` when it is lost,
    /// which only datagrams can be.
    fn arrival(&mut self, now: Duration, from: usize, what: What) -> Option<Duration>;
}
