//! What the fuzzer runs: one function per target that takes any bytes and panics if something is wrong with us.
//!
//! The same functions run as ordinary tests over the corpus and the regressions (`tests/replay.rs`), and under libFuzzer
//! (`npm run fuzz`), which looks for bytes that reach what no others reached.
#![forbid(unsafe_code)]

mod announce;
mod host;
mod input;
mod message;
mod origin;
mod path;
mod peer;
mod relay;
mod session;
#[path = "../../moq-net/tests/support/mod.rs"]
mod support;
mod track;
mod value;

pub use message::arms;

/// One way into the code that is open to strangers.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name in `npm run fuzz`, in the corpus and among the regressions.
    pub name: &'static str,
    /// Does something with the bytes, and panics if it goes wrong.
    pub run: fn(&[u8]),
    /// Inputs that reach something on purpose: the worked examples of the wire, and every form of every message.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "varint",
        run: value::run,
        seeds: value::seeds,
    },
    Target {
        name: "lite_message",
        run: message::run,
        seeds: message::seeds,
    },
    Target {
        name: "setup",
        run: message::run_setup,
        seeds: message::setup_seeds,
    },
    Target {
        name: "path",
        run: path::run,
        seeds: path::seeds,
    },
    Target {
        name: "jwt",
        run: relay::run_jwt,
        seeds: relay::jwt_seeds,
    },
    Target {
        name: "http_target",
        run: relay::run_target,
        seeds: relay::target_seeds,
    },
    Target {
        name: "announce_stream",
        run: announce::run,
        seeds: announce::seeds,
    },
    Target {
        name: "session_server",
        run: session::run_server,
        seeds: session::seeds,
    },
    Target {
        name: "session_client",
        run: session::run_client,
        seeds: session::seeds,
    },
    Target {
        name: "origin_ops",
        run: origin::run,
        seeds: origin::seeds,
    },
    Target {
        name: "track_ops",
        run: track::run,
        seeds: track::seeds,
    },
    Target {
        name: "wasm_host_calls",
        run: host::run,
        seeds: host::seeds,
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Bytes from a line of hexadecimal digits; spaces are for the reader, and what follows a `#` as well.
#[must_use]
pub fn hex(line: &str) -> Vec<u8> {
    let text = line.split('#').next().unwrap_or_default();
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
