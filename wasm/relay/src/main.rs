//! The embedded MoQ relay.

fn main() {}
