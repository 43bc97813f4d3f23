//! The versions of moq-lite: their names, how they are negotiated, and what each of them has.

use std::{fmt, str::FromStr};

use crate::{
    Error,
    coding::{Form, Varint},
};

/// The token shared by every version that is negotiated inside the first stream (01, 02).
const MOQL: &str = "moql";

/// One version of moq-lite.
///
/// Code asks what a version *has* (`has_fetch()`), it does not list versions: the answers live here, once. They name the version that
/// brought or retired a thing, and whatever is newer has the answer of the newest. The order is that of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// moq-lite-01, negotiated by CLIENT_SETUP.
    Lite01,
    /// moq-lite-02, negotiated by CLIENT_SETUP.
    Lite02,
    /// moq-lite-03.
    Lite03,
    /// moq-lite-04.
    Lite04,
    /// moq-lite-05-wip: an opt-in branch of its own between 04 and 05, with SUBSCRIBE_OK and FETCH_OK.
    Lite05Wip,
    /// moq-lite-05.
    Lite05,
    /// moq-lite-06.
    Lite06,
    /// moq-lite-07-wip: opt-in, and the only version with leading-ones integers.
    Lite07Wip,
}

/// What the token agreed on with the transport says about the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negotiation {
    /// The token names one version: streams may be opened at once.
    Fixed(Version),
    /// `moql` or no token: the client opens a stream with CLIENT_SETUP and the server answers with the version.
    InStream,
}

impl Version {
    /// Every version, newest first.
    pub const ALL: [Self; 8] = [
        Self::Lite07Wip,
        Self::Lite06,
        Self::Lite05,
        Self::Lite05Wip,
        Self::Lite04,
        Self::Lite03,
        Self::Lite02,
        Self::Lite01,
    ];

    /// What is offered unless told otherwise, newest first. The two `-wip` versions are opt-in.
    pub const DEFAULT: [Self; 6] = [
        Self::Lite06,
        Self::Lite05,
        Self::Lite04,
        Self::Lite03,
        Self::Lite02,
        Self::Lite01,
    ];

    /// The name people use for it, e.g. `moq-lite-05`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lite01 => "moq-lite-01",
            Self::Lite02 => "moq-lite-02",
            Self::Lite03 => "moq-lite-03",
            Self::Lite04 => "moq-lite-04",
            Self::Lite05Wip => "moq-lite-05-wip",
            Self::Lite05 => "moq-lite-05",
            Self::Lite06 => "moq-lite-06",
            Self::Lite07Wip => "moq-lite-07-wip",
        }
    }

    /// The ALPN or WebTransport sub-protocol token: the name, except that 01 and 02 share `moql`.
    pub const fn alpn(self) -> &'static str {
        match self {
            Self::Lite01 | Self::Lite02 => MOQL,
            _ => self.name(),
        }
    }

    /// The tokens to offer for these versions, in the same order and each once.
    pub fn alpns(versions: &[Self]) -> Vec<&'static str> {
        let mut tokens = Vec::with_capacity(versions.len());
        for version in versions {
            if !tokens.contains(&version.alpn()) {
                tokens.push(version.alpn());
            }
        }
        tokens
    }

    /// What the negotiated token means; `None` (the transport negotiated nothing) is read as `moql`.
    ///
    /// # Errors
    /// [`Error::UnknownAlpn`] for a token of no known version. Whether the version was offered is the caller's to check.
    pub fn from_alpn(token: Option<&str>) -> Result<Negotiation, Error> {
        match token {
            None | Some(MOQL) => Ok(Negotiation::InStream),
            Some(token) => Self::ALL
                .into_iter()
                .find(|version| version.alpn() == token)
                .map(Negotiation::Fixed)
                .ok_or(Error::UnknownAlpn),
        }
    }

    /// The number that stands for it in CLIENT_SETUP and SERVER_SETUP. 05 and 05-wip share one, which never travels.
    pub const fn code(self) -> u64 {
        match self {
            Self::Lite01 => 0xff0d_ad01,
            Self::Lite02 => 0xff0d_ad02,
            Self::Lite03 => 0xff0d_ad03,
            Self::Lite04 => 0xff0d_ad04,
            Self::Lite05Wip | Self::Lite05 => 0xff0d_ad05,
            Self::Lite06 => 0xff0d_ad06,
            Self::Lite07Wip => 0xff0d_ad07,
        }
    }

    /// The version a CLIENT_SETUP or SERVER_SETUP number means, among those that are negotiated that way.
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            0xff0d_ad01 => Some(Self::Lite01),
            0xff0d_ad02 => Some(Self::Lite02),
            _ => None,
        }
    }
}

/// What travels on the wire, version by version (moq-lite.md §1).
impl Version {
    const fn is_before(self, other: Self) -> bool {
        (self as u8) < (other as u8)
    }

    const fn is_from(self, first: Self) -> bool {
        !self.is_before(first)
    }

    /// Integers carry their length in leading one bits instead of QUIC's two-bit prefix (07).
    pub const fn has_leading_ones(self) -> bool {
        self.is_from(Self::Lite07Wip)
    }

    /// Negotiated by CLIENT_SETUP on a stream that stays open for the life of the session (01, 02).
    pub const fn has_session_stream(self) -> bool {
        self.is_before(Self::Lite03)
    }

    /// Each side opens one unidirectional stream with SETUP parameters (05 and later, not 05-wip).
    pub const fn has_setup_stream(self) -> bool {
        self.is_from(Self::Lite05)
    }

    /// The announce stream starts with ANNOUNCE_INIT, a list of every path (01, 02).
    pub const fn has_announce_init(self) -> bool {
        self.is_before(Self::Lite03)
    }

    /// The announce stream starts with ANNOUNCE_OK: the responder's hop id and the size of the initial set (05-wip and later).
    pub const fn has_announce_ok(self) -> bool {
        self.is_from(Self::Lite05Wip)
    }

    /// ANNOUNCE_REQUEST names a hop whose routes are to be left out (04, 05-wip, 05).
    pub const fn has_exclude_hop(self) -> bool {
        self.has_hop_ids() && self.is_before(Self::Lite06)
    }

    /// ANNOUNCE_REQUEST says whether hidden paths are wanted (07).
    pub const fn has_hidden(self) -> bool {
        self.is_from(Self::Lite07Wip)
    }

    /// Announcements carry at least the length of the hop chain (03 and later).
    pub const fn has_hops(self) -> bool {
        self.is_from(Self::Lite03)
    }

    /// Announcements carry the ids of the hops, not only their number (04 and later).
    pub const fn has_hop_ids(self) -> bool {
        self.is_from(Self::Lite04)
    }

    /// The sender of an announcement appends itself to the chain; from 05-wip on the receiver does (03, 04).
    pub const fn stamps_itself(self) -> bool {
        self.has_hops() && self.is_before(Self::Lite05Wip)
    }

    /// Announcements are numbered, typed, and withdrawn or updated by their number (06 and later).
    pub const fn has_announce_ids(self) -> bool {
        self.is_from(Self::Lite06)
    }

    /// A second `active` for a live path replaces the first (05-wip, 05); elsewhere it is a protocol violation.
    pub const fn replaces_active(self) -> bool {
        self.has_announce_ok() && self.is_before(Self::Lite06)
    }

    /// Announcements carry a warm and a cold price (06 and later).
    pub const fn has_route_cost(self) -> bool {
        self.has_announce_ids()
    }

    /// Announcements may refer to parts of earlier ones (07).
    pub const fn has_announce_compression(self) -> bool {
        self.is_from(Self::Lite07Wip)
    }

    /// SUBSCRIBE carries an order byte, retired since (03 to 05).
    pub const fn has_ordered(self) -> bool {
        self.has_update() && self.is_before(Self::Lite06)
    }

    /// SUBSCRIBE carries a latency budget and group bounds, and SUBSCRIBE_UPDATE exists (03 and later).
    pub const fn has_update(self) -> bool {
        self.is_from(Self::Lite03)
    }

    /// An absent start means the latest group; from 06 on it means the oldest cached group within the latency budget.
    pub const fn starts_at_latest(self) -> bool {
        self.is_before(Self::Lite06)
    }

    /// SUBSCRIBE and FETCH carry frame bounds, and a group stream may start inside its group (06 and later).
    pub const fn has_frame_bounds(self) -> bool {
        self.is_from(Self::Lite06)
    }

    /// A subscription is confirmed by SUBSCRIBE_OK (01 to 05-wip); later ones accept implicitly.
    pub const fn has_subscribe_ok(self) -> bool {
        !self.has_setup_stream()
    }

    /// Replies on a subscribe stream carry a type (03 and later).
    pub const fn has_typed_replies(self) -> bool {
        self.has_update()
    }

    /// SUBSCRIBE_START and SUBSCRIBE_END exist (05 and later, not 05-wip); elsewhere the FIN alone ends a track.
    pub const fn has_subscribe_end(self) -> bool {
        self.has_setup_stream()
    }

    /// SUBSCRIBE_DROP exists (03 to 06).
    pub const fn has_subscribe_drop(self) -> bool {
        self.has_update() && self.is_before(Self::Lite07Wip)
    }

    /// SUBSCRIBE_END counts the group streams that were opened (07).
    pub const fn has_stream_count(self) -> bool {
        self.is_from(Self::Lite07Wip)
    }

    /// Track properties are asked for on a stream of their own (05 and later, not 05-wip).
    pub const fn has_track_stream(self) -> bool {
        self.has_setup_stream()
    }

    /// FETCH is served (05-wip and later).
    pub const fn has_fetch(self) -> bool {
        self.has_timestamps()
    }

    /// The answer to FETCH begins with FETCH_OK (05-wip).
    pub const fn has_fetch_ok(self) -> bool {
        matches!(self, Self::Lite05Wip)
    }

    /// FETCH may start inside a group (05-wip, 06 and later).
    pub const fn has_fetch_frame_start(self) -> bool {
        self.has_frame_bounds() || self.has_fetch_ok()
    }

    /// Frames of a timed track carry timestamps (05-wip and later).
    pub const fn has_timestamps(self) -> bool {
        self.has_announce_ok()
    }

    /// A track may have no timescale (up to 05-wip); later versions have no word for it.
    pub const fn has_untimed(self) -> bool {
        !self.has_setup_stream()
    }

    /// One-frame groups may travel as QUIC datagrams (05 and later, not 05-wip).
    pub const fn has_datagrams(self) -> bool {
        self.has_setup_stream()
    }

    /// The probe stream exists (03 and later). From 05 on it is opened only if the peer's SETUP offers it.
    pub const fn has_probe(self) -> bool {
        self.has_update()
    }

    /// PROBE carries the round-trip time beside the bitrate (04 and later).
    pub const fn has_probe_rtt(self) -> bool {
        self.has_hop_ids()
    }

    /// The goaway stream exists (04 and later).
    pub const fn has_goaway(self) -> bool {
        self.has_hop_ids()
    }

    /// Streams and session share one table of decimal error codes (05-wip).
    pub const fn has_decimal_codes(self) -> bool {
        matches!(self, Self::Lite05Wip)
    }

    /// A message whose length disagrees with its content ends the session (06 and later); before, only its stream.
    pub const fn length_mismatch_ends_session(self) -> bool {
        self.is_from(Self::Lite06)
    }
}

impl Form for Version {
    fn varint(self) -> Varint {
        match self.has_leading_ones() {
            true => Varint::LeadingOnes,
            false => Varint::Quic,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Version {
    type Err = Error;

    /// Reads the name people use. `moql` is not one: it stands for two versions.
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|version| version.name() == name)
            .ok_or(Error::Version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_and_tokens_lead_back_to_their_version() {
        for version in Version::ALL {
            assert_eq!(version.name().parse::<Version>().unwrap(), version);
            let expected = match version {
                Version::Lite01 | Version::Lite02 => Negotiation::InStream,
                other => Negotiation::Fixed(other),
            };
            assert_eq!(Version::from_alpn(Some(version.alpn())).unwrap(), expected);
        }
        assert_eq!(Version::from_alpn(None).unwrap(), Negotiation::InStream);
        assert_eq!(
            Version::from_alpn(Some("moq-lite-06-wip")),
            Err(Error::UnknownAlpn)
        );
        assert_eq!("moql".parse::<Version>(), Err(Error::Version));
    }

    #[test]
    fn versions_sharing_a_token_offer_it_once() {
        assert_eq!(
            Version::alpns(&Version::DEFAULT),
            [
                "moq-lite-06",
                "moq-lite-05",
                "moq-lite-04",
                "moq-lite-03",
                "moql"
            ]
        );
    }

    #[test]
    fn only_versions_negotiated_in_the_stream_have_a_number_there() {
        for version in Version::ALL {
            let expected = version.has_session_stream().then_some(version);
            assert_eq!(Version::from_code(version.code()), expected);
        }
    }

    #[test]
    fn features_match_the_table_of_versions() {
        // Columns: 01 02 03 04 05-wip 05 06 07-wip.
        let columns: [Version; 8] = [
            Version::Lite01,
            Version::Lite02,
            Version::Lite03,
            Version::Lite04,
            Version::Lite05Wip,
            Version::Lite05,
            Version::Lite06,
            Version::Lite07Wip,
        ];
        type Question = fn(Version) -> bool;
        let table: [(&str, Question, &str); 32] = [
            ("leading ones", Version::has_leading_ones, "-------y"),
            ("session stream", Version::has_session_stream, "yy------"),
            ("setup stream", Version::has_setup_stream, "-----yyy"),
            ("announce init", Version::has_announce_init, "yy------"),
            ("announce ok", Version::has_announce_ok, "----yyyy"),
            ("exclude hop", Version::has_exclude_hop, "---yyy--"),
            ("hidden", Version::has_hidden, "-------y"),
            ("hops", Version::has_hops, "--yyyyyy"),
            ("hop ids", Version::has_hop_ids, "---yyyyy"),
            ("stamps itself", Version::stamps_itself, "--yy----"),
            ("announce ids", Version::has_announce_ids, "------yy"),
            ("replaces active", Version::replaces_active, "----yy--"),
            ("route cost", Version::has_route_cost, "------yy"),
            (
                "announce compression",
                Version::has_announce_compression,
                "-------y",
            ),
            ("ordered", Version::has_ordered, "--yyyy--"),
            ("update", Version::has_update, "--yyyyyy"),
            ("starts at latest", Version::starts_at_latest, "yyyyyy--"),
            ("frame bounds", Version::has_frame_bounds, "------yy"),
            ("subscribe ok", Version::has_subscribe_ok, "yyyyy---"),
            ("typed replies", Version::has_typed_replies, "--yyyyyy"),
            ("subscribe end", Version::has_subscribe_end, "-----yyy"),
            ("subscribe drop", Version::has_subscribe_drop, "--yyyyy-"),
            ("stream count", Version::has_stream_count, "-------y"),
            ("track stream", Version::has_track_stream, "-----yyy"),
            ("fetch", Version::has_fetch, "----yyyy"),
            ("fetch ok", Version::has_fetch_ok, "----y---"),
            (
                "fetch frame start",
                Version::has_fetch_frame_start,
                "----y-yy",
            ),
            ("untimed", Version::has_untimed, "yyyyy---"),
            ("datagrams", Version::has_datagrams, "-----yyy"),
            ("probe", Version::has_probe, "--yyyyyy"),
            ("goaway", Version::has_goaway, "---yyyyy"),
            ("length", Version::length_mismatch_ends_session, "------yy"),
        ];
        for (name, question, row) in table {
            let answers: String = columns
                .map(|version| if question(version) { 'y' } else { '-' })
                .iter()
                .collect();
            assert_eq!(answers, row, "{name}");
        }
    }
}
