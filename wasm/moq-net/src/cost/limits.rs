//! Every bound and deadline the core keeps, as one value.

use std::time::Duration;

use crate::Rate;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The bounds of every queue and the deadline of every wait.
///
/// One value is shared by a runtime and all its sessions and caches. Each figure may be lowered; what happens at a bound is said
/// on the field. Fields are public and the struct is built from one of the presets:
///
/// ```
/// # use moq_net::Limits;
/// let limits = Limits { max_frame: 1 << 20, ..Limits::relay() };
/// # assert_eq!(limits.max_frame, 1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest frame, in bytes. A larger one fails with `FrameTooLarge` before anything is allocated.
    pub max_frame: usize,
    /// Bytes one group may hold. Above it its oldest frames go, and reading them fails with `CacheFull`.
    pub group_bytes: usize,
    /// Frames one group may hold; as `group_bytes`.
    pub group_frames: usize,
    /// Bytes all cached groups of the process may hold together. Above it the least recently used group that is not the latest
    /// of its track goes, and its readers get `Evicted`.
    pub cache_bytes: usize,
    /// Bytes charged to `cache_bytes` for each group besides its payload, so that empty groups are not free.
    pub group_overhead: usize,
    /// Bytes charged to `cache_bytes` for each frame besides its payload, so that empty frames are not free.
    pub frame_overhead: usize,
    /// Memory of one session, besides the cache and what its transport holds; an estimate. Above it the session is closed.
    pub held_bytes: usize,
    /// As `held_bytes`, of another relay of the same operator.
    pub peer_held_bytes: usize,
    /// Bytes of frames still being received, per session, on top of `max_frame`. Above it the group of the lowest priority (of
    /// these the youngest) is reset with `FrameTooLarge`.
    pub assembly_bytes: usize,
    /// Bytes of groups that one reader in order may have waiting behind a missing one, and half of `cache_bytes` for all readers
    /// together. Above it the missing one is given up at once.
    pub reorder_bytes: usize,
    /// Groups missing in a row that a reader in order waits for. More are given up at once.
    pub reorder_gap: u64,
    /// How long a reader in order that does not know where its track begins waits for an older group than the first, and for a
    /// missing group of a track that carries datagrams.
    pub reorder_wait: Duration,
    /// How long it waits for one where the publisher has yet to say where the track begins.
    pub start_wait: Duration,
    /// Bytes of groups that wait to be sent to one session. Above it the oldest of them is reset with `CacheFull`, for that
    /// session only.
    pub viewer_bytes: usize,
    /// Groups on their way to one session, blocked or not. Above it the oldest of them is reset as for `viewer_bytes`.
    pub viewer_groups: usize,
    /// As `viewer_groups`, for another relay of the same operator.
    pub peer_viewer_groups: usize,

    /// Bytes of one control message. A longer one ends its stream.
    pub control_message: usize,
    /// Bytes of the one ANNOUNCE_INIT message of moq-lite-01 and -02.
    pub announce_init: usize,
    /// Bytes of a stream buffered beyond what is being read before reading stops.
    pub read_buffer: usize,

    /// Announcements accepted from one session. Beyond it the session is closed.
    pub announces: usize,
    /// As `announces`, from another relay of the same operator.
    pub peer_announces: usize,
    /// Announcements accepted from all sessions together. The session that passes it is closed.
    pub total_announces: usize,
    /// Changes of announcements taken from one session. Above it reading waits.
    pub announce_rate: Rate,
    /// As `announce_rate`, from another relay of the same operator.
    pub peer_announce_rate: Rate,
    /// Announce streams that one session may have open. Beyond it new ones are reset.
    pub interests: usize,
    /// Requests for unannounced broadcasts waiting in an origin, and as many again in service. Beyond it requests fail at once.
    pub broadcast_requests: usize,
    /// Requests for unknown tracks waiting in a broadcast, and as many again in service. Beyond it requests fail at once.
    pub track_requests: usize,
    /// Requests for groups that are not cached waiting in a track, and as many again in service. Beyond it requests fail at once.
    pub group_requests: usize,
    /// Upstream fetches in flight per track. Further ones wait in the queue of `group_requests`.
    pub fetches: usize,
    /// Upstream fetches in flight in the whole process. Further ones wait.
    pub total_fetches: usize,
    /// Subscriptions of one session. Beyond it new ones are reset.
    pub subscriptions: usize,
    /// As `subscriptions`, of another relay of the same operator.
    pub peer_subscriptions: usize,
    /// Requests of one session for tracks that are not here yet, which may cost an upstream something. Above it they wait. The
    /// first one for each track that turns out to exist is free.
    pub lookup_rate: Rate,
    /// As `lookup_rate`, of another relay of the same operator.
    pub peer_lookup_rate: Rate,
    /// How long one session is given the same answer when it asks again for what was not found.
    pub not_found: Duration,
    /// Streams that one session may open and give up unanswered. Above it the session is closed.
    pub reset_rate: Rate,
    /// New groups of one upstream track. Above it reading waits.
    pub group_rate: Rate,
    /// Changes of a subscription told upstream. Above it the last one waits.
    pub update_rate: Rate,
    /// Datagrams waiting in one queue; the oldest is dropped first.
    pub datagrams: usize,
    /// Age at which a waiting datagram is dropped.
    pub datagram_age: Duration,
    /// Largest datagram payload in bytes that `write_datagram` accepts.
    pub datagram_size: usize,

    /// For a control stream to be opened, for the first byte of an accepted stream, for the rest of a control message, and for the
    /// answer to a request (subscribe confirmation, track info, first byte of a fetch). Then `Timeout`.
    pub control_timeout: Duration,
    /// For a client to give credit for another control stream, while it gives none. Then `NoCapacity`. Of a relay, at a
    /// client, and where the transport has ample credit, it is `control_timeout`.
    pub credit_timeout: Duration,
    /// For the peer's SETUP. Then the session is closed.
    pub setup_timeout: Duration,
    /// For the next byte of a group stream when the subscription sets no shorter max latency. Then the stream is reset.
    pub stall: Duration,
    /// How long a group stream that makes no progress goes on once its group is stale. Then it is reset with `Old`. Long enough
    /// that a full window on a link that works is no reason to lose a group.
    pub stale_grace: Duration,
    /// How long a subscription without a max latency waits for groups that its end has overtaken.
    pub late_groups: Duration,
    /// The longest that any subscription waits for them. Every relay on the way waits as well, one after the other, and a
    /// publisher ends a subscription only after its groups: what is later than this is lost.
    pub late_groups_max: Duration,
    /// How long a track nobody reads keeps its upstream subscription before it is torn down with `Cancel`.
    pub linger: Duration,
    /// How long a session keeps running after it sent GOAWAY.
    pub drain: Duration,
    /// How long a request for an unannounced path waits for an upstream to come (back) before it fails with `Timeout`.
    pub upstream_wait: Duration,
    /// How long a broadcast put together from upstreams stays while nobody wants any of its tracks.
    pub upstream_idle: Duration,
}

impl Limits {
    /// Limits of a worker in a browser: a small cache, since the memory is the page's; and announcements as a relay makes
    /// them, since that is whom it talks to.
    pub fn browser() -> Self {
        let shared = Self::shared();
        Self {
            cache_bytes: 64 * MIB,
            held_bytes: shared.peer_held_bytes,
            announces: shared.peer_announces,
            announce_rate: shared.peer_announce_rate,
            // Only the page asks here, for as many at once as wait for their turn there.
            track_requests: 16_384,
            ..shared
        }
    }

    /// Limits of a relay process.
    pub fn relay() -> Self {
        Self {
            cache_bytes: 512 * MIB,
            ..Self::shared()
        }
    }

    fn shared() -> Self {
        Self {
            max_frame: 16 * MIB,
            // What published peers hold per group.
            group_bytes: 32 * MIB,
            group_frames: 8192,
            cache_bytes: 64 * MIB,
            group_overhead: 512,
            frame_overhead: 64,
            // With the windows of a relay's transport that stays below 64 MiB.
            held_bytes: 28 * MIB,
            peer_held_bytes: 256 * MIB,
            assembly_bytes: 8 * MIB,
            reorder_bytes: 16 * MIB,
            reorder_gap: 1024,
            reorder_wait: Duration::from_millis(100),
            start_wait: Duration::from_secs(2),
            control_message: 64 * KIB,
            announce_init: MIB,
            viewer_bytes: 32 * MIB,
            viewer_groups: 4096,
            peer_viewer_groups: 32_768,
            read_buffer: 64 * KIB,
            announces: 1024,
            peer_announces: 65_536,
            total_announces: 262_144,
            announce_rate: Rate::new(100, 1024),
            peer_announce_rate: Rate::new(10_000, 65_536),
            interests: 64,
            broadcast_requests: 1024,
            track_requests: 256,
            group_requests: 256,
            fetches: 64,
            total_fetches: 1024,
            subscriptions: 1024,
            peer_subscriptions: 8192,
            lookup_rate: Rate::new(50, 256),
            peer_lookup_rate: Rate::new(1000, 8192),
            not_found: Duration::from_secs(1),
            reset_rate: Rate::new(200, 1000),
            group_rate: Rate::new(2000, 2000),
            // Ten in any second.
            update_rate: Rate::new(8, 2),
            datagrams: 64,
            datagram_age: Duration::from_millis(50),
            // What a QUIC packet of the smallest path MTU (1200 bytes) leaves for a payload after its own and our header.
            datagram_size: 1140,
            control_timeout: Duration::from_secs(10),
            credit_timeout: Duration::from_millis(800),
            setup_timeout: Duration::from_secs(5),
            stall: Duration::from_secs(30),
            stale_grace: Duration::from_secs(1),
            late_groups: Duration::from_millis(500),
            late_groups_max: Duration::from_secs(5),
            linger: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            upstream_wait: Duration::from_secs(3),
            upstream_idle: Duration::from_secs(30),
        }
    }
}

impl Default for Limits {
    /// The smaller preset, [`Limits::browser`].
    fn default() -> Self {
        Self::browser()
    }
}
