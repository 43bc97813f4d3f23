//! A subscriber written by hand, on the other end of a session that publishes.

use moq_net::{
    BroadcastPublish, OriginProducer, Session, Timescale, TrackInfo, TrackProducer, Version,
};

use super::{
    net::{End, Net, path},
    raw::Raw,
    transport::{Options, Recv, Send},
};

/// A session that publishes "room" with the timed track "v", and what the test's subscriber holds of it.
pub struct Downstream<'a> {
    pub net: &'a Net,
    pub origin: OriginProducer,
    pub broadcast: BroadcastPublish,
    pub track: TrackProducer,
    pub session: Session,
    pub raw: Raw<'a>,
    pub stream: Option<(Send, Recv)>,
}

impl<'a> Downstream<'a> {
    /// Connects; the subscriber goes by hop 2 where it can say so.
    pub fn new(net: &'a Net, version: Version) -> Self {
        Self::with(net, version, Net::options(version))
    }

    /// As [`new`](Self::new), over a connection of one's own making.
    pub fn with(net: &'a Net, version: Version, options: Options) -> Self {
        let this = Self::silent(net, version, options);
        if version.has_setup_stream() {
            // One parameter: hop 2.
            this.raw.uni_fin("01 04 01 05 01 02");
        }
        this
    }

    /// As [`with`](Self::with), before the subscriber has said anything.
    pub fn silent(net: &'a Net, version: Version, options: Options) -> Self {
        let origin = net.origin(1);
        let broadcast = origin.create_broadcast(&path("room")).expect("free");
        let info = TrackInfo::default().with_timescale(Timescale::MILLI);
        let track = broadcast.create_track("v", info).expect("free");
        let (session, transport, stream) =
            net.client_with(options, version, &End::publish(&origin));
        let raw = Raw {
            executor: &net.executor,
            transport,
        };
        if version.has_setup_stream() {
            // One parameter besides what the transport knows: the role of a publisher; and hop 1.
            let (setup, _) = raw.read_uni().expect("a SETUP");
            assert!(setup.starts_with("01"), "{setup}");
        }
        Self {
            net,
            origin,
            broadcast,
            track,
            session,
            raw,
            stream,
        }
    }

    /// Publishes a finished group of frames at these milliseconds, each named by its time.
    pub fn group(&self, sequence: u64, times: &[u64]) {
        let group = self.track.create_group(sequence).expect("new");
        for time in times {
            let timestamp = moq_net::Timestamp::from_millis(*time);
            group
                .write_timed(timestamp, time.to_string())
                .expect("open");
        }
        group.finish().expect("open");
    }
}
