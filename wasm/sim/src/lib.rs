//! The core under a simulated world: publishers, relays and viewers over a network in memory, in virtual time.
//!
//! One seed decides everything: who there is and how they are connected, the versions they speak, what they publish and read,
//! what breaks, and the order of all tasks. What is delivered is compared with an oracle that knows only what was published.
//! A run first has faults; then they stop, and everything has to settle.

pub mod ask;
pub mod bounds;
pub mod cast;
pub mod check;
pub mod echo;
pub mod forger;
pub mod oracle;
pub mod plan;
pub mod publisher;
pub mod reading;
pub mod rng;
pub mod rogue;
pub mod route;
pub mod run;
pub mod sequence;
pub mod session;
pub mod stage;
pub mod topology;
pub mod trace;
pub mod viewer;
pub mod weather;
