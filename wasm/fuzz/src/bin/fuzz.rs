//! libFuzzer around one target, which `FUZZ_TARGET` names. With `FUZZ_SEEDS` it writes the seeds of that target into that
//! folder instead, one file each.
#![no_main]

use std::{path::Path, sync::OnceLock};

use moq_worker_fuzz::{Target, target};

static TARGET: OnceLock<&Target> = OnceLock::new();

fn chosen() -> &'static Target {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    TARGET.get_or_init(|| target(&name).expect("FUZZ_TARGET is one of the targets"))
}

fn init() {
    let target = chosen();
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        for (index, seed) in (target.seeds)().iter().enumerate() {
            let file = Path::new(&folder).join(format!("seed-{index}"));
            std::fs::write(file, seed).expect("the folder of seeds can be written");
        }
        std::process::exit(0);
    }
}

libfuzzer_sys::fuzz_target!(init: init(), |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        (target.run)(data);
    }
});
