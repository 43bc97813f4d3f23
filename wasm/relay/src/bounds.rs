//! What clients may cost the relay before and beside their sessions, as one value.

use std::time::Duration;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The bounds of the relay around the core, whose own are [`moq_net::Limits`]. Each may be lowered; what happens at a bound is
/// said on the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one connection that nobody has read, once its session is admitted. Then the client is blocked.
    pub recv_window: usize,
    /// As `recv_window`, before that.
    pub early_recv_window: usize,
    /// As `recv_window`, while `session_bytes` is passed.
    pub tight_recv_window: usize,
    /// Bytes of one stream that nobody has read. Then the client is blocked.
    pub stream_window: usize,
    /// Bytes that wait to be sent or acknowledged, per connection. Then writing waits, and the core skips by its own rules.
    pub send_window: usize,
    /// Streams of each kind a client may have open before its session is admitted. It gets no credit for more.
    pub early_streams: usize,
    /// Requests (bidirectional streams) an admitted client may have open. It gets no credit for more.
    pub bidi_streams: usize,
    /// Groups (unidirectional streams) an admitted client may have open. It gets no credit for more.
    pub uni_streams: usize,
    /// Streams of each kind another relay of the same operator may have open.
    pub peer_streams: usize,
    /// Time without a packet after which a connection is lost.
    pub idle_timeout: Duration,
    /// Time after which an idle connection is probed.
    pub keep_alive: Duration,
    /// From the first packet to an admitted session, for the head of an HTTP request, and for reading a short answer to one.
    /// Then the connection is closed.
    pub handshake_timeout: Duration,
    /// How long a client that is not let in waits to hear so. A browser opens its first streams together with SETUP, and
    /// a Chromium (156) that is still opening one when the session closes loses the whole page.
    pub refusal_pause: Duration,

    /// Connections whose session is not admitted yet. New ones are refused.
    pub handshakes: usize,
    /// As `handshakes`: from here on a client has to prove its address first, which costs it a round trip.
    pub unproven_handshakes: usize,
    /// As `handshakes`, from one address (or IPv6 /64). New ones are refused. The relay's own machine is exempt.
    pub address_handshakes: usize,
    /// Bytes of first packets of connections that nobody has looked at. More are dropped.
    pub handshake_bytes: usize,
    /// Admitted sessions. New connections are refused.
    pub sessions: usize,
    /// Memory of all sessions together, besides the cache; an estimate. From here on new sessions get `tight_recv_window`, and
    /// the session that holds most is closed.
    pub session_bytes: usize,

    /// HTTP requests at a time, WebSockets whose session is not admitted yet included. Beyond it a request is answered with 503.
    pub requests: usize,
    /// As `requests`, from one address (or IPv6 /64). The relay's own machine is exempt.
    pub address_requests: usize,
    /// From a request for a group to the last byte of the answer. Then it is answered with 504, or the answer is cut off.
    pub fetch_timeout: Duration,
    /// Bytes of the target of a request. A longer one is answered with 414.
    pub target: usize,
    /// Bytes of the head of a request. A longer one is answered with 431.
    pub head: usize,
    /// Bytes of one WebSocket message. A larger one closes the connection.
    pub message: usize,
    /// Bytes that wait to be sent over one WebSocket. Then the connection is closed.
    pub unsent: usize,
    /// Time without a message after which a WebSocket is lost.
    pub socket_idle: Duration,

    /// Lines of the log (not of debugging) that one client may cause in a second. More are counted, and the count is logged.
    pub log_lines: u32,
    /// Bytes of a text from a client in the log. A longer one is cut.
    pub log_text: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            recv_window: 16 * MIB,
            early_recv_window: 96 * KIB,
            tight_recv_window: 256 * KIB,
            stream_window: MIB,
            send_window: 8 * MIB,
            early_streams: 8,
            bidi_streams: 1024,
            uni_streams: 2048,
            peer_streams: 8192,
            // As published endpoints: a silent peer is given up after 10 s, an idle one kept at a third of that.
            idle_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(3),
            handshake_timeout: Duration::from_secs(10),
            refusal_pause: Duration::from_millis(250),
            handshakes: 1024,
            unproven_handshakes: 256,
            address_handshakes: 16,
            handshake_bytes: 16 * MIB,
            sessions: 4096,
            session_bytes: 1024 * MIB,
            requests: 256,
            address_requests: 32,
            fetch_timeout: Duration::from_secs(30),
            target: 8 * KIB,
            head: 64 * KIB,
            message: 64 * KIB,
            unsent: MIB,
            socket_idle: Duration::from_secs(30),
            log_lines: 10,
            log_text: 256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_limits_lists_every_setting_and_no_other() {
        let page = include_str!("../../../docs/limits.md");
        let section = page.split("\n## ").find(|part| part.starts_with("Relay"));
        let mut listed: Vec<(&str, &str)> = section
            .expect("a section")
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| `")?.split(" | ");
                let name = cells.next()?.trim_end_matches('`');
                // The figure as it is, perhaps with a more readable one behind it.
                Some((name, cells.next()?.split(" (").next()?))
            })
            .collect();
        listed.sort_unstable();
        let settings = format!("{:#?}", Bounds::default());
        let mut settings: Vec<(&str, &str)> = settings
            .lines()
            .filter_map(|line| {
                line.strip_prefix("    ")?
                    .strip_suffix(',')?
                    .split_once(": ")
            })
            .collect();
        settings.sort_unstable();
        assert_eq!(listed, settings);
    }
}
