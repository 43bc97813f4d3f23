//! What the relay has carried and what it holds, for whoever watches over it.
//!
//! No label ever is a path, a name or a token: clients choose those, and each would be a series of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moq_net::{Flow, Session, Stats, Traffic};

/// Whom a session is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// A client.
    External,
    /// Another relay: one that was dialed, or one that proved to be of the same operator.
    Internal,
}

const TIERS: [(Tier, &str); 2] = [(Tier::External, "external"), (Tier::Internal, "internal")];

/// The counts of one relay. Clones are the same counts.
#[derive(Clone, Default)]
pub struct Metrics {
    tiers: Arc<[Mutex<Sessions>; 2]>,
}

#[derive(Default)]
struct Sessions {
    opened: u64,
    closed: u64,
    /// What those have carried that are over.
    past: Traffic,
    live: BTreeMap<u64, Session>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    fn lock(&self, tier: Tier) -> MutexGuard<'_, Sessions> {
        let table = &self.tiers[tier as usize];
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a session, and what it carries for as long as the count is kept.
    pub fn open(&self, tier: Tier, session: &Session) -> Counted {
        let mut sessions = self.lock(tier);
        let id = sessions.opened;
        sessions.opened += 1;
        sessions.live.insert(id, session.clone());
        Counted {
            metrics: self.clone(),
            tier,
            id,
        }
    }

    /// Counts a group that is fetched over HTTP.
    pub(crate) fn fetch(&self) -> Fetched {
        let flow = Flow {
            fetches: 1,
            groups: 1,
            ..Flow::default()
        };
        Fetched {
            metrics: self.clone(),
            flow,
        }
    }

    /// Sessions begun and ended, and what all of them have carried.
    fn sum(&self, tier: Tier) -> (u64, u64, Traffic) {
        let sessions = self.lock(tier);
        let mut sum = sessions.past;
        for session in sessions.live.values() {
            sum += session.traffic();
        }
        (sessions.opened, sessions.closed, sum)
    }

    /// Everything in the text format of Prometheus, with what the core holds.
    pub(crate) fn text(&self, stats: Stats, panics: u64) -> String {
        let mut text = String::new();
        let sums = TIERS.map(|(tier, name)| (name, self.sum(tier)));
        for (which, help) in [("opened", "begun"), ("closed", "ended")] {
            let name = format!("moq_relay_sessions_{which}_total");
            head(&mut text, &name, "counter", &format!("Sessions {help}."));
            for (tier, (opened, closed, _)) in &sums {
                let value = if which == "opened" { opened } else { closed };
                line(&mut text, &name, &format!("{{tier=\"{tier}\"}}"), *value);
            }
        }
        for (name, help, get) in FLOWS {
            let name = format!("moq_relay_{name}_total");
            head(&mut text, &name, "counter", help);
            for (tier, (_, _, traffic)) in &sums {
                for (role, flow) in [
                    ("subscriber", traffic.sent),
                    ("publisher", traffic.received),
                ] {
                    let labels = format!("{{tier=\"{tier}\",role=\"{role}\"}}");
                    line(&mut text, &name, &labels, get(&flow));
                }
            }
        }
        for (name, kind, help, value) in gauges(stats, panics) {
            let name = format!("moq_relay_{name}");
            head(&mut text, &name, kind, help);
            line(&mut text, &name, "", value);
        }
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: u64) {
    let _ = writeln!(text, "{name}{labels} {value}");
}

/// The name of a counter, what it is, and where it stands.
type Counter = (&'static str, &'static str, fn(&Flow) -> u64);

/// Of each role: `subscriber` is what peers read from the relay, `publisher` what it reads from them.
const FLOWS: [Counter; 8] = [
    ("bytes", "Bytes of payload.", |flow| flow.bytes),
    ("frames", "Frames.", |flow| flow.frames),
    ("groups", "Groups.", |flow| flow.groups),
    ("fetches", "Fetches answered.", |flow| flow.fetches),
    ("subscriptions_opened", "Subscriptions confirmed.", |flow| {
        flow.subscriptions
    }),
    ("subscriptions_closed", "Subscriptions ended.", |flow| {
        flow.subscriptions_ended
    }),
    (
        "viewers_opened",
        "Broadcasts of a session that got their first subscription.",
        |flow| flow.broadcasts,
    ),
    (
        "viewers_closed",
        "Broadcasts of a session that lost their last subscription.",
        |flow| flow.broadcasts_ended,
    ),
];

/// What the core holds now, and what it has counted.
fn gauges(stats: Stats, panics: u64) -> Vec<(&'static str, &'static str, &'static str, u64)> {
    // All of it: what is new must be named here.
    let Stats {
        origins,
        broadcasts,
        tracks,
        groups,
        frames,
        producers,
        consumers,
        subscriptions,
        announcements,
        interests,
        served_subscriptions,
        served_streams,
        served_groups,
        upstream_fetches,
        assembly_bytes,
        unsent_bytes,
        cached_bytes,
        evicted_groups,
        dropped_datagrams,
        refused_datagrams,
        empty_streams,
        rescaled_tracks,
    } = stats;
    let held = [
        ("origins", "Origins.", origins),
        ("broadcasts", "Broadcasts.", broadcasts),
        ("tracks", "Tracks.", tracks),
        ("cached_groups", "Groups in the cache or in use.", groups),
        ("partial_frames", "Frames held in pieces.", frames),
        ("producers", "Objects with a writer.", producers),
        ("consumers", "Reading handles.", consumers),
        ("subscriptions", "Subscriptions of tracks.", subscriptions),
        ("announcements", "Announcements of peers.", announcements),
        ("interests", "Announce streams of peers.", interests),
        (
            "served_subscriptions",
            "Subscriptions of peers.",
            served_subscriptions,
        ),
        (
            "served_streams",
            "Streams of peers that are read or served.",
            served_streams,
        ),
        (
            "served_groups",
            "Groups on their way to peers.",
            served_groups,
        ),
        (
            "upstream_fetches",
            "Fetches under way upstream.",
            upstream_fetches,
        ),
        (
            "assembly_bytes",
            "Bytes of frames that have not come whole.",
            assembly_bytes,
        ),
        (
            "unsent_bytes",
            "Bytes of groups that wait for slow peers.",
            unsent_bytes,
        ),
        ("cached_bytes", "Bytes of the cache.", cached_bytes),
    ];
    let counted = [
        (
            "evicted_groups_total",
            "Groups given up because the cache was full.",
            evicted_groups,
        ),
        (
            "dropped_datagrams_total",
            "Datagrams that were too old or too many.",
            dropped_datagrams,
        ),
        (
            "refused_datagrams_total",
            "Datagrams that were malformed or of no subscription.",
            refused_datagrams,
        ),
        (
            "empty_streams_total",
            "Streams that ended before their first byte.",
            empty_streams,
        ),
        (
            "rescaled_tracks_total",
            "Tracks given timestamps in another scale than their own.",
            rescaled_tracks,
        ),
        ("panics_total", "Faults of the relay itself.", panics),
    ];
    let held = held.map(|(name, help, value)| (name, "gauge", help, value as u64));
    let counted = counted.map(|(name, help, value)| (name, "counter", help, value));
    held.into_iter().chain(counted).collect()
}

/// A session that is counted, for as long as this is kept.
pub struct Counted {
    metrics: Metrics,
    tier: Tier,
    id: u64,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut sessions = self.metrics.lock(self.tier);
        sessions.closed += 1;
        let session = sessions.live.remove(&self.id);
        if let Some(session) = &session {
            sessions.past += session.traffic();
        }
        drop(sessions);
        // Unlocked: a session may close as its last handle goes.
        drop(session);
    }
}

/// A fetch over HTTP, counted when it is over.
pub(crate) struct Fetched {
    metrics: Metrics,
    flow: Flow,
}

impl Fetched {
    /// Another frame.
    pub(crate) const fn frame(&mut self) {
        self.flow.frames += 1;
    }

    /// Some of its bytes.
    pub(crate) const fn bytes(&mut self, count: usize) {
        self.flow.bytes += count as u64;
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.metrics.lock(Tier::External).past.sent += self.flow;
    }
}
