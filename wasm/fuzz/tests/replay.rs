//! The fuzzer's inputs as ordinary tests: the seeds, the corpus that live runs collected, and what once went wrong.

use std::{fs, path::Path};

use moq_worker_fuzz::{TARGETS, arms, hex, target};

/// The inputs in a file of hexadecimal lines; none if there is no such file.
fn lines(folder: &str, name: &str) -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(format!("{name}.txt"));
    let text = fs::read_to_string(file).unwrap_or_default();
    let inputs = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    inputs.map(hex).collect()
}

fn replay(name: &str) {
    let target = target(name).expect("a target");
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty());
    for input in seeds
        .iter()
        .chain(&lines("regressions", name))
        .chain(&lines("corpus", name))
    {
        let outcome = std::panic::catch_unwind(|| (target.run)(input));
        if let Err(panic) = outcome {
            let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("{name}: {hex}");
            std::panic::resume_unwind(panic);
        }
    }
    // The shortest inputs of all.
    (target.run)(&[]);
    for byte in 0..=255 {
        (target.run)(&[byte]);
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($name)),*];
            let all: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, replayed);
        }
    };
}

replays! {
    varint
    lite_message
    setup
    path
    jwt
    http_target
    announce_stream
    session_server
    session_client
    origin_ops
    track_ops
    wasm_host_calls
}

#[test]
fn every_message_of_every_version_is_reached_by_a_seed() {
    let arms = arms();
    let missed: Vec<_> = arms.iter().filter(|(_, _, reached)| !reached).collect();
    assert!(missed.is_empty(), "{missed:?}");
    assert!(arms.len() > 90, "only {} arms", arms.len());
}
