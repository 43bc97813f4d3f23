//! The relay's HTTP side: its routes, what they wait for, and who is let go.

mod announced;
mod fetch;
mod inside;
mod metrics;
mod paths;
mod routes;
mod slow;
