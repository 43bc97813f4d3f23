//! A publisher written by hand, on the other end of a session that subscribes.

use std::cell::RefCell;

use moq_net::{BroadcastConsumer, Error, OriginProducer, Session, Version};

use super::{
    net::{End, Net, path},
    raw::{Bidi, Raw},
    transport::{Recv, Send},
};

/// A client session that subscribes into an origin, and what the test's publisher holds of it.
pub struct Upstream<'a> {
    pub net: &'a Net,
    pub origin: OriginProducer,
    pub session: Session,
    pub raw: Raw<'a>,
    pub version: Version,
    /// The stream that negotiated the version, where there is one.
    pub stream: Option<(Send, Recv)>,
    /// Streams of types nobody has asked for yet, with what has been read of them.
    accepted: RefCell<Vec<(Send, Recv, String)>>,
}

impl<'a> Upstream<'a> {
    /// Connects as far as both SETUPs.
    pub fn new(net: &'a Net, version: Version) -> Self {
        let origin = net.origin(2);
        let (session, transport, stream) = net.client(version, &End::subscribe(&origin));
        let raw = Raw {
            executor: &net.executor,
            transport,
        };
        if version.has_setup_stream() {
            let (setup, _) = raw.read_uni().expect("a SETUP");
            assert!(setup.starts_with("01"), "{setup}");
            // No parameters: no probe, no hop.
            raw.uni_fin("01 01 00");
        }
        Self::over(net, version, origin, session, raw, stream)
    }

    /// As [`new`](Self::new), where the test's publisher is the client.
    pub fn server(net: &'a Net, version: Version) -> Self {
        let origin = net.origin(2);
        let (session, transport, stream) =
            net.server(version, &End::subscribe(&origin), "01 01 00", None);
        let raw = Raw {
            executor: &net.executor,
            transport,
        };
        if version.has_setup_stream() {
            raw.read_uni().expect("a SETUP");
        }
        Self::over(
            net,
            version,
            origin,
            session.expect("accepted"),
            raw,
            stream,
        )
    }

    fn over(
        net: &'a Net,
        version: Version,
        origin: OriginProducer,
        session: Session,
        raw: Raw<'a>,
        stream: Option<(Send, Recv)>,
    ) -> Self {
        Self {
            net,
            origin,
            session,
            raw,
            version,
            stream,
            accepted: RefCell::default(),
        }
    }

    /// Announces "room" and returns the stream and the broadcast.
    pub fn announce(&self) -> (Bidi<'_>, BroadcastConsumer) {
        let mut stream = self.accept("01");
        stream.write(match self.version {
            Version::Lite01 | Version::Lite02 => "06 01 04726f6f6d",
            Version::Lite03 => "07 01 04726f6f6d 01",
            Version::Lite04 => "08 01 04726f6f6d 01 01",
            Version::Lite05Wip => "02 01 01  07 01 04726f6f6d 00",
            Version::Lite05 => "02 00 01  07 01 04726f6f6d 00",
            Version::Lite07Wip => "02 00 01  00 0c 00 00 04726f6f6d 00 00 00 00 00",
            _ => "02 00 01  00 08 04726f6f6d 00 00 00",
        });
        let broadcast = self.net.executor.run_until(async {
            self.origin
                .consume()
                .announced_broadcast(&path("room"))
                .await
        });
        (stream, broadcast.expect("announced"))
    }

    /// The next stream of this type the session opened, with its type and request still to be read.
    pub fn accept(&self, kind: &str) -> Bidi<'_> {
        self.try_accept(kind)
            .unwrap_or_else(|| panic!("no stream of type {kind}"))
    }

    /// As [`accept`](Self::accept), if there is one. Streams of other types wait for their turn.
    pub fn try_accept(&self, kind: &str) -> Option<Bidi<'_>> {
        while let Some(stream) = self.raw.accept_bidi() {
            let (send, recv, peeked) = stream.into_parts();
            self.accepted.borrow_mut().push((send, recv, peeked));
        }
        let mut accepted = self.accepted.borrow_mut();
        let position = accepted
            .iter()
            .position(|(_, _, bytes)| bytes.starts_with(kind))?;
        let (send, recv, peeked) = accepted.remove(position);
        Some(Bidi::from_parts(self.raw.executor, send, recv, peeked))
    }

    /// Answers the question for the properties of a track, on versions that ask.
    pub fn answer_track(&self) {
        if self.version.has_track_stream() {
            assert!(self.try_answer_track(), "no stream of type 06");
        }
    }

    /// As [`answer_track`](Self::answer_track), if it was asked.
    pub fn try_answer_track(&self) -> bool {
        let Some(mut track) = self.try_accept("06") else {
            return false;
        };
        track.read();
        track.write(match self.version {
            Version::Lite05 => "06 7f 00 5388 43e8",
            Version::Lite07Wip => "05 7f 9388 83e8",
            _ => "05 7f 5388 43e8",
        });
        track.fin();
        true
    }

    /// The next SUBSCRIBE, confirmed on versions that do, and its bytes.
    pub fn answer_subscribe(&self) -> (Bidi<'_>, String) {
        let mut stream = self.accept("02");
        let (request, _) = stream.read();
        match self.version {
            Version::Lite01 => stream.write("01 00"),
            Version::Lite02 => stream.write("00"),
            Version::Lite03 | Version::Lite04 => stream.write("00 05 00 00 00 00 00"),
            Version::Lite05Wip => stream.write("00 0a 00 00 00 00 00 43e8 5388 00"),
            _ => {}
        }
        (stream, request)
    }

    /// The header of a group stream of subscription `id`.
    pub fn group(&self, id: u8, sequence: u8) -> String {
        match self.version.has_frame_bounds() {
            true => format!("00 03 {id:02x} {sequence:02x} 00"),
            false => format!("00 02 {id:02x} {sequence:02x}"),
        }
    }

    /// One frame: timestamp 0 where there are any.
    pub fn frame(&self, payload: &str) -> String {
        let time = if self.version.has_timestamps() {
            "00"
        } else {
            ""
        };
        let bytes: String = payload.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{time} {:02x} {bytes}", payload.len())
    }

    /// Why the session ended, if it did.
    pub fn ended(&self) -> Option<Error> {
        self.net.executor.run_until_idle();
        self.session.close_reason().map(|close| close.error)
    }
}
