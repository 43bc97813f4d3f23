//! How relays are connected, and what that means for what is heard where.

use std::collections::BTreeSet;

use crate::{
    plan::{Node, Plan, Role},
    rng::Rng,
};

/// What the two ends of a link are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    /// A relay and somebody who is not one.
    Client,
    /// Two relays that tell each other everything.
    Peer,
    /// The relay that dials serves what nobody has announced to it from the other one, and tells it nothing.
    Upstream,
}

/// Adds relays that tell each other everything; whether there are several ways between two of them.
pub fn relays(plan: &mut Plan, rng: &mut Rng) -> bool {
    let relays = match rng.chance(12) {
        true => rng.range(7, 12) as usize,
        false => *rng.pick(&[1, 1, 1, 2, 2, 2, 3, 3, 4, 6]),
    };
    let ring = relays > 2 && rng.chance(20);
    for index in 0..relays {
        relay(plan);
        if index > 0 {
            let to = match ring {
                true => index - 1,
                false => rng.below(index as u64) as usize,
            };
            plan.link(index, to, Tie::Peer, rng);
        }
    }
    let further = match relays {
        _ if ring => {
            plan.link(0, relays - 1, Tie::Peer, rng);
            return true;
        }
        3.. if rng.chance(60) => rng.range(1, relays as u64),
        _ => 0,
    };
    let mut cyclic = false;
    for _ in 0..further {
        let from = rng.below(relays as u64) as usize;
        let to = rng.below(relays as u64) as usize;
        let known = plan
            .links
            .iter()
            .any(|link| (link.from, link.to) == (from, to) || (link.from, link.to) == (to, from));
        if from != to && !known {
            plan.link(from, to, Tie::Peer, rng);
            cyclic = true;
        }
    }
    cyclic
}

/// Adds relays that serve what they have not heard of from those there are.
pub fn edges(plan: &mut Plan, rng: &mut Rng) {
    for _ in 0..rng.range(1, 2) {
        let edge = plan.nodes.len();
        let above = rng.below(edge as u64) as usize;
        relay(plan);
        plan.link(edge, above, Tie::Upstream, rng);
        if edge > 1 && rng.chance(40) {
            let other = rng.below(edge as u64) as usize;
            if other != above {
                plan.link(edge, other, Tie::Upstream, rng);
            }
        }
        // Each other's upstream: what neither has must not be asked for in circles.
        if rng.chance(25) {
            plan.link(above, edge, Tie::Upstream, rng);
        }
    }
}

fn relay(plan: &mut Plan) {
    plan.nodes.push(Node {
        role: Role::Relay,
        scope: vec![""],
    });
}

impl Plan {
    /// The relay that a node dials at first; a relay itself.
    fn home(&self, node: usize) -> usize {
        let mut links = self.links.iter();
        match self.nodes[node].role {
            Role::Relay => node,
            _ => links
                .find(|link| link.from == node)
                .map_or(node, |link| link.to),
        }
    }

    /// The relays that hear of everything announced at the relay of `node`.
    pub fn island(&self, node: usize) -> BTreeSet<usize> {
        let mut island = BTreeSet::from([self.home(node)]);
        loop {
            let peers = self.links.iter().filter(|link| link.tie == Tie::Peer);
            let found: Vec<usize> = peers
                .flat_map(|link| [(link.from, link.to), (link.to, link.from)])
                .filter(|(near, far)| island.contains(near) && !island.contains(far))
                .map(|(_, far)| far)
                .collect();
            if found.is_empty() {
                return island;
            }
            island.extend(found);
        }
    }

    /// Whether `node` hears of what `publisher` announces.
    pub fn hears(&self, node: usize, publisher: usize) -> bool {
        self.island(node).contains(&self.home(publisher))
    }

    /// Whether `node`, when it asks, has to be given what `publisher` announces: where it is heard of, or by an upstream.
    ///
    /// What is further up than that may be refused: a relay asks all its upstreams as one, and not for somebody who is asked
    /// by any of them.
    pub fn reaches(&self, node: usize, publisher: usize) -> bool {
        let (near, far) = (self.home(node), self.home(publisher));
        let mut above = self.links.iter().filter(|link| link.tie == Tie::Upstream);
        self.hears(node, publisher)
            || above.any(|link| link.from == near && self.island(link.to).contains(&far))
    }
}
