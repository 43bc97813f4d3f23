//! Tests and a bench publisher on the published MoQ crates.
