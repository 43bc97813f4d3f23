//! The table: what may come from a peer, and what that ends.

use bytes::BytesMut;
use moq_net::{
    Error, Limits, PathOwned, Scope, Version,
    coding::Encode,
    lite::{Preferences, Subscribe, SubscribeUpdate},
};

/// Who gets the input, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A bidirectional stream to a session that publishes.
    Request,
    /// A unidirectional stream to a session that has a live subscription with id 0.
    Data,
    /// As `Data`, when the subscription is over.
    Late,
    /// A datagram to a session that has a live subscription with id 0.
    Datagram,
    /// The announce stream of a session that subscribes, behind its preamble.
    Announce,
    /// The same from the first byte on.
    Preamble,
    /// The subscribe stream of a live subscription.
    Reply,
    /// The SETUP of a server.
    ServerSetup,
    /// The SETUP of a client whose transport named a path.
    ClientSetup,
    /// A second SETUP.
    SecondSetup,
}

/// What follows the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    Open,
    Fin,
    Reset(u32),
}

/// What is over after it. Everything else must live.
#[derive(Clone, Debug)]
pub(crate) enum Ends {
    /// Nothing at all.
    Nothing,
    /// That stream, refused with this code where there is still something to refuse.
    Stream(u32),
    /// That group, with this error for its readers; its stream is refused with the code, if there is one.
    Group(Error, Option<u32>),
    /// The readers that fell behind.
    Reader(Error),
    /// The track, with this error.
    Track(Error),
    /// The announcement of "room", of which nobody hears.
    Announcement,
    /// The session, closed with this code.
    Session(u32),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) input: &'static str,
    pub(crate) place: Place,
    /// A group stream that comes before, with its FIN.
    pub(crate) before: Option<String>,
    pub(crate) bytes: String,
    pub(crate) then: Then,
    pub(crate) ends: Ends,
}

/// The limits under which the table holds: low enough to be passed by a few bytes.
pub(crate) fn limits() -> Limits {
    Limits {
        max_frame: 1000,
        group_frames: 4,
        control_message: 512,
        ..Limits::default()
    }
}

/// A value as it travels, in hexadecimal.
pub(crate) fn wire(value: &impl Encode<Version>, version: Version) -> String {
    let mut buf = BytesMut::new();
    value.encode(&mut buf, version).expect("expressible");
    buf.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A SUBSCRIBE for this track of "room", with its stream type.
pub(crate) fn subscribe(version: Version, id: u64, broadcast: &str, track: &str) -> String {
    let message = Subscribe {
        id,
        broadcast: PathOwned::parse_owned(broadcast).expect("a path"),
        track: track.to_owned(),
        preferences: Preferences {
            max_latency: match version.has_update() {
                true => std::time::Duration::from_secs(5),
                false => Preferences::UNLIMITED,
            },
            ..Preferences::default()
        },
    };
    format!("02{}", wire(&message, version))
}

/// A number below 64, which every version writes as one byte, in front of a text.
fn counted(bytes: &str) -> String {
    let length = bytes.bytes().filter(|byte| *byte != b' ').count() / 2;
    assert!(length < 64, "too long for one byte");
    format!("{length:02x}{bytes}")
}

/// An announcement of "room" by these hops.
pub(crate) fn announce(version: Version, hops: &[u8]) -> String {
    let ids: String = hops.iter().map(|hop| format!("{hop:02x}")).collect();
    let count = format!("{:02x}", hops.len());
    match version {
        Version::Lite01 | Version::Lite02 => counted("0104726f6f6d"),
        Version::Lite03 => counted(&format!("0104726f6f6d{count}")),
        Version::Lite06 => format!("00{}", counted(&format!("04726f6f6d{count}{ids}0000"))),
        Version::Lite07Wip => {
            let body = format!("000004726f6f6d00{count}{ids}000000");
            format!("00{}", counted(&body))
        }
        _ => counted(&format!("0104726f6f6d{count}{ids}")),
    }
}

/// What begins an announce stream: hop 1 where the sender says so, and nothing yet.
pub(crate) fn preamble(version: Version) -> &'static str {
    match version {
        _ if version.has_announce_init() => "0100",
        _ if version.has_announce_ok() => "020100",
        _ => "",
    }
}

/// All lines that a version can say.
pub(crate) fn table(version: Version) -> Vec<Row> {
    let mut table = Table {
        version,
        rows: Vec::new(),
    };
    table.streams();
    table.requests();
    table.announcements();
    table.setups();
    table.groups();
    table.replies();
    table.rows
}

struct Table {
    version: Version,
    rows: Vec<Row>,
}

impl Table {
    fn add(
        &mut self,
        input: &'static str,
        place: Place,
        bytes: impl Into<String>,
        then: Then,
        ends: Ends,
    ) -> &mut Row {
        self.rows.push(Row {
            input,
            place,
            before: None,
            bytes: bytes.into(),
            then,
            ends,
        });
        self.rows.last_mut().expect("just added")
    }

    /// The code of the registry, or of the one table of 05-wip.
    const fn code(&self, hex: u32, decimal: u32) -> u32 {
        match self.version.has_decimal_codes() {
            true => decimal,
            false => hex,
        }
    }

    const fn stream(&self, hex: u32, decimal: u32) -> Ends {
        Ends::Stream(self.code(hex, decimal))
    }

    const fn violation(&self) -> Ends {
        Ends::Session(self.code(3, 15))
    }

    /// What a message whose length disagrees with its content ends.
    const fn length(&self) -> Ends {
        match self.version.length_mismatch_ends_session() {
            true => Ends::Session(3),
            false => self.stream(0x12, 5),
        }
    }

    fn streams(&mut self) {
        let unknown = self.stream(0, 10);
        for kind in ["00", "07", "3f"] {
            let input = "a stream of an unknown type";
            self.add(input, Place::Request, kind, Then::Open, unknown.clone());
        }
        let input = "a data stream of an unknown type";
        self.add(input, Place::Data, "05 00", Then::Open, unknown.clone());
        if !self.version.has_setup_stream() {
            let input = "a SETUP on a version without";
            self.add(input, Place::Data, "01 01 00", Then::Open, unknown);
        }
        for place in [Place::Request, Place::Data] {
            let input = "a stream that ends before its first byte";
            self.add(input, place, "", Then::Fin, Ends::Nothing);
            self.add(input, place, "", Then::Reset(0x2a), Ends::Nothing);
        }
    }

    fn requests(&mut self) {
        let version = self.version;
        let malformed = self.stream(0x12, 5);
        let bounds = self.stream(0x12, 11);
        let whole = subscribe(version, 3, "room", "v");
        // The kinds of requests that begin with a path, and what comes before it.
        let mut kinds = vec![("02", "00"), ("01", "")];
        if version.has_track_stream() {
            kinds.push(("06", ""));
        }
        if version.has_fetch() {
            kinds.push(("03", ""));
        }
        let deep = format!("4041{}61", "612f".repeat(32));
        let deep = match version.has_leading_ones() {
            true => deep.replacen("4041", "41", 1),
            false => deep,
        };
        for (kind, id) in kinds {
            let mut add = |input, body: &str, then, ends: &Ends| {
                let length = body.bytes().filter(|byte| *byte != b' ').count() as u64 / 2;
                let bytes = format!("{kind}{}{body}", wire(&length, version));
                self.add(input, Place::Request, bytes, then, ends.clone());
            };
            let rest = "00".repeat(12);
            add(
                "a request that is not UTF-8",
                &format!("{id}04ff6f6f6d{rest}"),
                Then::Open,
                &malformed,
            );
            add(
                "a path of 33 parts",
                &format!("{id}{deep}{rest}"),
                Then::Open,
                &bounds,
            );
            let large = format!("{kind}{}", wire(&513_u64, version));
            let input = "a request over the size limit";
            self.add(input, Place::Request, large, Then::Open, malformed.clone());
            let huge = format!("{kind}{}", wire(&((1_u64 << 62) - 1), version));
            self.add(input, Place::Request, huge, Then::Open, malformed.clone());
            let longer = format!(
                "{kind}03{id}{}",
                if id.is_empty() { "047261" } else { "0472" }
            );
            let input = "a string longer than its message";
            self.add(input, Place::Request, longer, Then::Open, self.length());
            let input = "a request that ends inside";
            let cut = format!("{kind}20{id}04726f");
            self.add(input, Place::Request, cut, Then::Fin, malformed.clone());
        }
        if version.has_leading_ones() {
            let bytes = format!("02 09 {}", "ff".repeat(9));
            let input = "a number the version does not have";
            self.add(input, Place::Request, bytes, Then::Open, bounds.clone());
        }
        let input = "bytes behind the content of a message";
        let mut request = whole.clone();
        let length = u8::from_str_radix(&request[2..4], 16).expect("one byte") + 1;
        request.replace_range(2..4, &format!("{length:02x}"));
        self.add(
            input,
            Place::Request,
            request + "00",
            Then::Open,
            self.length(),
        );

        if version.has_update() {
            let ordered = if version.has_ordered() { "00" } else { "" };
            let frames = if version.has_frame_bounds() {
                "0000"
            } else {
                ""
            };
            // From 2 to 1; a start of one more where 0 is none.
            let start = if version.has_frame_bounds() {
                "02"
            } else {
                "03"
            };
            let body = format!("0304726f6f6d017600{ordered}00{start}02{frames}");
            let input = "bounds that are impossible";
            let bytes = format!("02{}", counted(&body));
            self.add(input, Place::Request, bytes, Then::Open, malformed.clone());
            let update = SubscribeUpdate {
                preferences: Preferences::default(),
            };
            let mut update = wire(&update, version);
            let length = u8::from_str_radix(&update[..2], 16).expect("one byte") + 1;
            update.replace_range(..2, &format!("{length:02x}"));
            let input = "an update whose length is wrong";
            let bytes = format!("{whole}{update}00");
            self.add(input, Place::Request, bytes, Then::Open, self.length());
        }
        if version.has_frame_bounds() {
            let input = "frame bounds without a group";
            let bytes = format!(
                "02{}",
                counted("0304726f6f6d01760000000000 02".replace(' ', "").as_str())
            );
            self.add(input, Place::Request, bytes, Then::Open, malformed.clone());
        }
        let unroutable = self.stream(0x36, 13);
        let input = "a request outside what is granted";
        let bytes = subscribe(version, 3, "secret", "v");
        self.add(input, Place::Request, bytes, Then::Open, unroutable.clone());
        if version.has_track_stream() {
            let bytes = "06 09 06736563726574 0176";
            self.add(input, Place::Request, bytes, Then::Open, unroutable);
        }
        if version.has_probe() {
            let input = "a probe that is malformed";
            let bytes = format!("04{}", wire(&((1_u64 << 62) - 1), version));
            self.add(input, Place::Request, bytes, Then::Open, malformed);
            self.add(input, Place::Request, "04 01 40", Then::Open, self.length());
        }
    }

    fn announcements(&mut self) {
        let version = self.version;
        let violation = self.violation();
        let mut add = |input, bytes: String, then, ends: &Ends| {
            self.add(input, Place::Announce, bytes, then, ends.clone());
        };
        let good = announce(version, &[9]);
        let kind = if version.has_announce_ids() { 2 } else { 0 };
        let mut longer = good.clone();
        let length = u8::from_str_radix(&good[kind..kind + 2], 16).expect("one byte") + 1;
        longer.replace_range(kind..kind + 2, &format!("{length:02x}"));
        add(
            "an announcement with bytes behind it",
            longer + "00",
            Then::Open,
            &violation,
        );
        let text = good.replace("04726f6f6d", "04ff6f6f6d");
        add(
            "an announcement that is not UTF-8",
            text,
            Then::Open,
            &violation,
        );
        let cut = good[..good.len() - 2].to_owned();
        add(
            "an announcement that ends inside",
            cut,
            Then::Fin,
            &violation,
        );
        let ends = if version.replaces_active() {
            Ends::Nothing
        } else {
            violation.clone()
        };
        add(
            "an announcement that is already live",
            format!("{good}{good}"),
            Then::Open,
            &ends,
        );
        if version.has_announce_ids() {
            for id in ["010100", "01013f"] {
                add(
                    "the end of an announcement that is not",
                    id.into(),
                    Then::Open,
                    &violation,
                );
            }
            let ended = format!("{good} 010100 010100");
            add(
                "the end of an announcement that is not",
                ended,
                Then::Open,
                &violation,
            );
        } else {
            // By path: perhaps an old one.
            let ended = match version.has_hops() {
                true => "0700047a6f6f6d00",
                false => "0600047a6f6f6d",
            };
            add(
                "the end of a path that is not announced",
                ended.into(),
                Then::Open,
                &Ends::Nothing,
            );
            let status = good.replacen("0104726f6f6d", "0304726f6f6d", 1);
            add(
                "an announcement of no known status",
                status,
                Then::Open,
                &violation,
            );
        }
        if version.has_hop_ids() {
            let twice = announce(version, &[9, 9]);
            add("a hop that is there twice", twice, Then::Open, &violation);
            let own = announce(version, &[9, 2]);
            add(
                "a chain with our own id",
                own,
                Then::Open,
                &Ends::Announcement,
            );
            let long: Vec<u8> = (10..43).collect();
            let long = announce(version, &long);
            add(
                "a chain of more than 32 hops",
                long,
                Then::Open,
                &Ends::Announcement,
            );
        }
        if !preamble(version).is_empty() {
            let wrong = if version.has_announce_ok() {
                "03010000"
            } else {
                "020000"
            };
            let input = "a preamble whose length is wrong";
            self.add(input, Place::Preamble, wrong, Then::Open, violation);
        }
    }

    fn setups(&mut self) {
        if !self.version.has_setup_stream() {
            return;
        }
        let violation = self.violation();
        for (input, place, bytes) in [
            ("a second SETUP", Place::SecondSetup, "01 01 00".to_owned()),
            ("a second SETUP", Place::SecondSetup, "01".to_owned()),
            (
                "a parameter twice",
                Place::ServerSetup,
                "01 07 02 05 01 02 05 01 02".to_owned(),
            ),
            (
                "a parameter twice",
                Place::ClientSetup,
                "01 07 02 05 01 02 05 01 02".to_owned(),
            ),
            (
                "a SETUP with bytes behind it",
                Place::ServerSetup,
                "01 04 00 05 01 02".to_owned(),
            ),
            (
                "a SETUP over 64 KiB",
                Place::ServerSetup,
                "01 ".to_owned() + &wire(&65_537_u64, self.version),
            ),
            (
                "a SETUP over 64 KiB",
                Place::ClientSetup,
                "01 ".to_owned() + &wire(&65_537_u64, self.version),
            ),
            (
                "a path from a server",
                Place::ServerSetup,
                "01 05 01 02 02 2f61".to_owned(),
            ),
            (
                "a role from a server",
                Place::ServerSetup,
                "01 04 01 03 01 01".to_owned(),
            ),
            (
                "a path where the transport has one",
                Place::ClientSetup,
                "01 05 01 02 02 2f61".to_owned(),
            ),
        ] {
            self.add(input, place, bytes, Then::Fin, violation.clone());
        }
        let input = "a parameter nobody knows";
        for place in [Place::ServerSetup, Place::ClientSetup] {
            self.add(
                input,
                place,
                "01 05 01 20 02 aabb",
                Then::Fin,
                Ends::Nothing,
            );
        }
    }

    /// A group stream of subscription 0 up to its first frame.
    fn group(&self, sequence: u8) -> String {
        match self.version.has_frame_bounds() {
            true => format!("000300{sequence:02x}00"),
            false => format!("000200{sequence:02x}"),
        }
    }

    /// A frame of one byte.
    fn frame(&self) -> &'static str {
        match self.version.has_timestamps() {
            true => "000161",
            false => "0161",
        }
    }

    fn groups(&mut self) {
        let version = self.version;
        let (group, frame) = (self.group(0), self.frame());
        let time = if version.has_timestamps() { "00" } else { "" };
        let unknown = self.stream(1, 0);
        let other = group
            .replacen("0300", "0309", 1)
            .replacen("0200", "0209", 1);
        let input = "a group of a subscription that is not";
        self.add(input, Place::Data, other, Then::Open, unknown.clone());
        self.add(input, Place::Late, group.clone(), Then::Open, unknown);

        let input = "a group header whose length is wrong";
        let wrong = group
            .replacen("0300", "0400", 1)
            .replacen("0200", "0300", 1)
            + "00";
        self.add(input, Place::Data, wrong, Then::Open, self.length());
        let input = "a group header that ends inside";
        let ends = self.stream(0x12, 5);
        self.add(input, Place::Data, "000200", Then::Fin, ends);

        let input = "a frame over the limit";
        for size in [1001_u64, 1 << 32, (1 << 62) - 1] {
            let bytes = format!("{group}{time}{}", wire(&size, version));
            let ends = Ends::Group(Error::FrameTooLarge, Some(self.code(0x38, 27)));
            self.add(input, Place::Data, bytes, Then::Open, ends);
        }
        let input = "more frames than a group holds";
        let bytes = format!("{group}{}", frame.repeat(6));
        self.add(
            input,
            Place::Data,
            bytes,
            Then::Fin,
            Ends::Reader(Error::CacheFull),
        );

        let input = "a group that was there";
        let twice = self.stream(1, 12);
        self.add(input, Place::Data, group.clone(), Then::Open, twice)
            .before = Some(format!("{group}{frame}"));

        let cut = Ends::Group(Error::WrongSize, None);
        let bytes = format!("{group}{time}05 6162");
        self.add(
            "the end inside a payload",
            Place::Data,
            bytes,
            Then::Fin,
            cut.clone(),
        );
        let half = if version.has_leading_ones() {
            "c0"
        } else {
            "80"
        };
        let bytes = format!("{group}{frame}{half}");
        self.add(
            "the end inside a frame header",
            Place::Data,
            bytes,
            Then::Fin,
            cut,
        );

        let reset = Ends::Group(
            Error::Remote {
                code: 0x2a,
                scope: Scope::Stream,
            },
            None,
        );
        let bytes = format!("{group}{frame}");
        self.add(
            "a reset of no known meaning",
            Place::Data,
            bytes,
            Then::Reset(0x2a),
            reset,
        );

        if version.has_timestamps() {
            let ends = Ends::Group(Error::BoundsExceeded, Some(self.code(0x12, 11)));
            let back = format!("{group} 02 01 61 03 01 62");
            self.add(
                "a time before the first",
                Place::Data,
                back,
                Then::Open,
                ends.clone(),
            );
            let far = wire(&((1_u64 << 62) - 2), version);
            let over = format!("{group}{}", format!("{far}0161").repeat(3));
            self.add(
                "a time beyond all numbers",
                Place::Data,
                over,
                Then::Open,
                ends,
            );
        }
        if version.has_datagrams() {
            let input = "a datagram that is malformed or of no subscription";
            for bytes in ["", "00", "0002", "0902006162", "80"] {
                self.add(input, Place::Datagram, bytes, Then::Open, Ends::Nothing);
            }
        }
    }

    fn replies(&mut self) {
        let remote = Error::Remote {
            code: 0x2a,
            scope: Scope::Stream,
        };
        let input = "a reset of a subscription of no known meaning";
        self.add(
            input,
            Place::Reply,
            "",
            Then::Reset(0x2a),
            Ends::Track(remote),
        );
        if !self.version.has_typed_replies() {
            return;
        }
        let ends = match self.version.length_mismatch_ends_session() {
            true => Ends::Session(3),
            false => Ends::Track(Error::Decode(moq_net::coding::DecodeError::Length)),
        };
        // SUBSCRIBE_DROP on old versions, SUBSCRIBE_END on new ones: both longer than this.
        let input = "an answer whose length is wrong";
        self.add(input, Place::Reply, "01 00", Then::Open, ends);
    }
}
