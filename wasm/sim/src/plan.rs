//! What a seed decides before anything runs: who there is, how they are connected, and what may go wrong.

use std::{collections::BTreeSet, time::Duration};

use moq_net::Version;

use crate::{
    echo,
    rng::Rng,
    rogue,
    topology::{self, Tie},
};

/// Paths that broadcasts have. Some are prefixes of others, by segment and only by letter.
pub const PATHS: [&str; 8] = ["a", "a/b", "ab", "a/bc", "b", "b/c", "ba", "c/d/e"];

/// No delivery is later than its link's latency says by more than this.
const JITTER: Duration = Duration::from_millis(800);

/// What may go wrong. Each family is fully on or fully off, since a little of everything hides what each does alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Every delivery takes its own time, so that streams overtake each other.
    Jitter,
    /// Streams break in the middle.
    Resets,
    /// Connections are lost.
    Kills,
    /// Connections carry nothing for a while, in one direction or both.
    Silence,
    /// Streams hold few bytes, few streams may be open, links are slow.
    Narrow,
    /// Publishers, viewers and relays leave and come back.
    Churn,
    /// Readers are slow, change their mind, or let go.
    Fickle,
    /// Publishers abort, forget to finish, leave gaps and start again.
    Careless,
    /// Caches and queues are small.
    Tight,
    /// The core yields and delays where it may.
    Delays,
    /// Somebody breaks every rule.
    Rogue,
    /// Sessions are asked to move, one or all of a relay.
    Drains,
    /// A relay announces what is not so.
    Forger,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Jitter,
        Self::Resets,
        Self::Kills,
        Self::Silence,
        Self::Narrow,
        Self::Churn,
        Self::Fickle,
        Self::Careless,
        Self::Tight,
        Self::Delays,
        Self::Rogue,
        Self::Drains,
        Self::Forger,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jitter => "jitter",
            Self::Resets => "resets",
            Self::Kills => "kills",
            Self::Silence => "silence",
            Self::Narrow => "narrow",
            Self::Churn => "churn",
            Self::Fickle => "fickle",
            Self::Careless => "careless",
            Self::Tight => "tight",
            Self::Delays => "delays",
            Self::Rogue => "rogue",
            Self::Drains => "drains",
            Self::Forger => "forger",
        }
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Faults for a while, then none: everything must settle.
    Heal,
    /// Faults without end: only what must never happen is checked.
    Storm,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Carries what others publish.
    Relay,
    /// Publishes.
    Publisher,
    /// Reads what is announced to it.
    Viewer,
    /// Asks for paths, whether they are announced or not.
    Asker,
    /// Breaks rules, with the rights of a viewer.
    Rogue,
    /// Announces what is not so, with the rights of a relay.
    Forger,
}

impl Role {
    /// Whether what happens to it concerns anybody else.
    pub const fn is_honest(self) -> bool {
        !matches!(self, Self::Rogue | Self::Forger)
    }
}

/// A participant.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it does.
    pub role: Role,
    /// Prefixes it may publish below or read below.
    pub scope: Vec<&'static str>,
}

/// A connection that is kept up: `from` dials `to`.
#[derive(Clone, Debug)]
pub struct Link {
    /// The node that dials.
    pub from: usize,
    /// The relay that is dialed, at first.
    pub to: usize,
    /// What the two are to each other.
    pub tie: Tie,
    /// The version both speak.
    pub version: Version,
    /// One way, without jitter.
    pub latency: Duration,
}

/// Everything a seed decides before the run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How the run ends.
    pub mode: Mode,
    /// Who there is.
    pub nodes: Vec<Node>,
    /// How they are connected.
    pub links: Vec<Link>,
    /// What may go wrong.
    pub families: BTreeSet<Family>,
    /// How long it may.
    pub safety: Duration,
    /// The paths that publishers use.
    pub paths: &'static [&'static str],
    /// Whether a forger claims to have better ways to paths that others publish on; else it claims worse ones.
    pub hijacks: bool,
    /// Whether a forger tells relays of ways that lead through themselves, and nothing else.
    pub echoes: bool,
}

impl Plan {
    /// The plan of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork(1);
        let mut families = BTreeSet::new();
        for family in Family::ALL {
            if rng.chance(50) {
                families.insert(family);
            }
        }
        // Some see nothing but what patience covers, so that every message has to arrive.
        if Rng::new(seed).fork(13).chance(15) {
            families.retain(|family| COVERED.contains(family));
            families.insert(Family::Jitter);
        }
        let mode = match rng.chance(20) {
            true => Mode::Storm,
            false => Mode::Heal,
        };
        let mut this = Self {
            seed,
            mode,
            nodes: Vec::new(),
            links: Vec::new(),
            families,
            safety: rng.millis(8_000, 25_000),
            // Few paths are shared by many publishers.
            paths: if rng.chance(25) { &PATHS[..2] } else { &PATHS },
            hijacks: rng.chance(30),
            echoes: Rng::new(seed).fork(12).chance(30),
        };
        let cyclic = topology::relays(&mut this, &mut rng);
        let meshed = this.nodes.len();
        if rng.chance(30) {
            topology::edges(&mut this, &mut rng);
        }
        this.clients(meshed, &mut rng);
        // What a version promises is only seen whole where all speak it.
        if rng.chance(35) {
            let version = *rng.pick(&Version::ALL);
            for link in &mut this.links {
                link.version = version;
            }
        }
        for link in &mut this.links {
            let role = this.nodes[link.from].role;
            // Without hop ids on the wire a ring cannot tell what came back: published peers of those versions never form one.
            if role == Role::Forger || (cyclic && link.tie == Tie::Peer) {
                link.version = *rng.pick(&LOOP_FREE);
            }
            match role {
                Role::Rogue => link.version = rogue::VERSION,
                Role::Forger if this.echoes => link.version = echo::VERSION,
                _ => {}
            }
        }
        this
    }

    /// Those who publish and read, and those who disturb them. The first `meshed` relays hear of everything.
    fn clients(&mut self, meshed: usize, rng: &mut Rng) {
        let relays = self.nodes.len();
        let most = match relays {
            0..7 => 6,
            _ => 4,
        };
        for index in 0..rng.range(2, most) {
            let role = match index {
                0 => Role::Publisher,
                1 => Role::Viewer,
                _ => *rng.pick(&[
                    Role::Publisher,
                    Role::Publisher,
                    Role::Viewer,
                    Role::Viewer,
                    Role::Viewer,
                    Role::Asker,
                ]),
            };
            self.client(role, relays, rng);
        }
        if relays > meshed {
            self.client(Role::Asker, relays, rng);
            self.links.last_mut().expect("just added").to =
                rng.range(meshed as u64, relays as u64 - 1) as usize;
        }
        if self.has(Family::Rogue) {
            self.client(Role::Rogue, relays, rng);
            self.nodes.last_mut().expect("just added").scope = vec![*rng.pick(&PATHS)];
        }
        if self.has(Family::Forger) {
            self.client(Role::Forger, meshed, rng);
            let node = self.nodes.len() - 1;
            self.nodes[node].scope = vec![""];
            if meshed > 1 && rng.chance(40) {
                let to = rng.below(meshed as u64) as usize;
                self.link(node, to, Tie::Client, rng);
            }
        }
    }

    /// Whether what happens to a link concerns anybody but the one who dials.
    pub fn is_honest(&self, link: &Link) -> bool {
        self.nodes[link.from].role.is_honest()
    }

    /// Whether `family` is on.
    pub fn has(&self, family: Family) -> bool {
        self.families.contains(&family)
    }

    fn client(&mut self, role: Role, relays: usize, rng: &mut Rng) {
        let node = self.nodes.len();
        let scope = match rng.chance(50) {
            true => vec![""],
            false => {
                let mut scope: Vec<_> = (0..rng.range(1, 2)).map(|_| *rng.pick(&PATHS)).collect();
                scope.sort_unstable();
                scope.dedup();
                scope
            }
        };
        self.nodes.push(Node { role, scope });
        let to = rng.below(relays as u64) as usize;
        self.link(node, to, Tie::Client, rng);
    }

    /// Another link, of any version and latency.
    pub(crate) fn link(&mut self, from: usize, to: usize, tie: Tie, rng: &mut Rng) {
        self.links.push(Link {
            from,
            to,
            tie,
            version: *rng.pick(&Version::ALL),
            latency: rng.millis(1, 60),
        });
    }

    /// The plan in words, a line each.
    pub fn describe(&self) -> Vec<String> {
        let families: Vec<&str> = self.families.iter().map(|family| family.name()).collect();
        let safety = self.safety.as_secs_f64();
        let mut lines = vec![format!(
            "{:?}; {} paths; faults for {safety:.1} s: {}",
            self.mode,
            self.paths.len(),
            families.join(", ")
        )];
        for (index, node) in self.nodes.iter().enumerate() {
            lines.push(format!("node {index}: {:?} of {:?}", node.role, node.scope));
        }
        for (index, link) in self.links.iter().enumerate() {
            let Link {
                from,
                to,
                tie,
                version,
                latency,
            } = link;
            lines.push(format!(
                "link {index}: {from} dials {to} as {tie:?}, {version}, {latency:?}"
            ));
        }
        lines
    }

    /// The longest one-way latency of any link, without jitter.
    pub fn latency(&self) -> Duration {
        let latencies = self.links.iter().map(|link| link.latency);
        latencies.max().unwrap_or_default()
    }

    /// The most by which a delivery may take longer than that, as long as there are faults.
    pub fn jitter(&self) -> Duration {
        match self.has(Family::Jitter) {
            true => JITTER,
            false => Duration::ZERO,
        }
    }

    /// How many relays there are.
    pub fn relay_count(&self) -> usize {
        let relays = self.nodes.iter().filter(|node| node.role == Role::Relay);
        relays.count()
    }
}

/// What costs a patient reader nothing.
const COVERED: [Family; 4] = [
    Family::Jitter,
    Family::Careless,
    Family::Delays,
    Family::Rogue,
];

/// Versions whose announcements carry the ids of those they passed.
const LOOP_FREE: [Version; 5] = [
    Version::Lite04,
    Version::Lite05Wip,
    Version::Lite05,
    Version::Lite06,
    Version::Lite07Wip,
];
