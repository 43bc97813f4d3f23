//! Runs seeds and says which of them fail, how, and how to run them again.
//!
//! `moq-worker-sim [--seeds N] [--seed FIRST] [--jobs J] [--hashes] [--log] [--mutant NAME]`
//!
//! `--log` shows what the core says besides, as `RUST_LOG` selects it.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use moq_worker_sim::{
    plan::Plan,
    run::{self, Extra, MUTANTS},
};

/// Failures told in full; of the rest only the first line.
const TOLD: usize = 3;
/// Failures after which no further seed is begun.
const ENOUGH: usize = 20;
/// In so many runs some groups come out of order, and some of them are lost.
const MANY: u64 = 200;

struct Options {
    seeds: u64,
    first: u64,
    jobs: usize,
    hashes: bool,
    log: bool,
    mutant: Option<&'static str>,
}

impl Options {
    fn extra(&self) -> Extra {
        Extra {
            aloud: self.log,
            mutant: self.mutant,
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seeds: 1,
        first: 0,
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
        hashes: false,
        log: false,
        mutant: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--log" {
            options.log = true;
            continue;
        }
        if name == "--hashes" {
            options.hashes = true;
            continue;
        }
        if name == "--mutant" {
            let wish = args.next().unwrap_or_default();
            let known = MUTANTS.into_iter().find(|mutant| *mutant == wish);
            let known = known.ok_or_else(|| format!("the mutants are {}", MUTANTS.join(", ")))?;
            options.mutant = Some(known);
            continue;
        }
        let value = args.next().and_then(|value| value.parse().ok());
        let value: u64 = value.ok_or_else(|| format!("{name} needs a number"))?;
        match name.as_str() {
            "--seeds" => options.seeds = value,
            "--seed" => options.first = value,
            "--jobs" => options.jobs = value.max(1) as usize,
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(options)
}

#[derive(Default)]
struct Total {
    passed: u64,
    failed: Vec<u64>,
    groups: u64,
    held_back: u64,
    waited_out: u64,
    operations: u64,
    seconds: f64,
}

impl Total {
    /// Whether what should happen in so many runs never did.
    const fn proves_nothing(&self) -> bool {
        let seeds = self.passed + self.failed.len() as u64;
        seeds >= MANY && (self.held_back == 0 || self.waited_out == 0)
    }
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if options.log {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env();
        tracing_subscriber::fmt()
            .with_env_filter(filter.unwrap_or_else(|_| "trace".into()))
            .without_time()
            .init();
    }
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| work(&options, &next, &total));
        }
    });
    let total = total.into_inner().expect("no worker panics");
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "sim: {} passed, {} failed ({} groups compared, {} operations, {:.0} virtual s in {seconds:.1} s)",
        total.passed,
        total.failed.len(),
        total.groups,
        total.operations,
        total.seconds,
    );
    println!(
        "sim: in order, {} groups held back, {} holes waited out",
        total.held_back, total.waited_out
    );
    let idle = total.proves_nothing();
    if idle {
        println!("sim: readers in order never had anything to do");
    }
    ExitCode::from(u8::from(idle || !total.failed.is_empty()))
}

fn work(options: &Options, next: &AtomicU64, total: &Mutex<Total>) {
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= options.seeds || total.lock().expect("no worker panics").failed.len() >= ENOUGH
        {
            return;
        }
        let seed = options.first + index;
        let outcome = run::run(Plan::new(seed), options.extra());
        let mut total = total.lock().expect("no worker panics");
        total.groups += outcome.groups;
        total.held_back += outcome.in_order.held_back;
        total.waited_out += outcome.in_order.waited_out;
        total.operations += outcome.operations;
        total.seconds += outcome.time.as_secs_f64();
        if options.hashes {
            println!("{seed}:{:016x}", outcome.hash);
        }
        match &outcome.violation {
            None => total.passed += 1,
            Some(violation) => {
                total.failed.push(seed);
                tell(seed, violation, &outcome, total.failed.len() <= TOLD);
            }
        }
    }
}

fn tell(seed: u64, violation: &str, outcome: &run::Outcome, whole: bool) {
    if whole {
        println!("--- seed {seed}: the last events");
        for line in &outcome.last {
            println!("{line}");
        }
        for line in Plan::new(seed).describe() {
            println!("{line}");
        }
    }
    println!("seed {seed} fails {violation}");
    println!("    again: npm run sim -- --seed {seed}");
}
