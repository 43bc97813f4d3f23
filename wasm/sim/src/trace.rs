//! What happened, in order: a fingerprint of all of it and the last of it as text.

use std::{collections::VecDeque, fmt, time::Duration};

/// Lines kept for a report.
const KEPT: usize = 200;

/// The events of one run.
pub struct Trace {
    hash: u64,
    events: u64,
    last: VecDeque<String>,
    scratch: String,
    /// Every line is printed as it comes.
    pub aloud: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hash: BASIS,
            events: 0,
            last: VecDeque::with_capacity(KEPT),
            scratch: String::new(),
            aloud: false,
        }
    }
}

impl Trace {
    /// Adds a line.
    pub fn line(&mut self, now: Duration, text: fmt::Arguments<'_>) {
        use fmt::Write as _;
        let mut line = match self.last.len() < KEPT {
            true => std::mem::take(&mut self.scratch),
            false => self.last.pop_front().unwrap_or_default(),
        };
        line.clear();
        write!(line, "{:>10.4} ", now.as_secs_f64()).expect("strings grow");
        line.write_fmt(text).expect("strings grow");
        if self.aloud {
            println!("{line}");
        }
        self.hash = fnv(self.hash, line.as_bytes());
        self.events += 1;
        self.last.push_back(line);
    }

    /// Adds something that is too frequent for a line.
    pub fn mix(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.hash = fnv(self.hash, &number.to_le_bytes());
        }
        self.events += 1;
    }

    /// The fingerprint of everything so far.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// How much happened so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The last lines.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}

/// The hash of nothing.
pub const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a over `bytes`, going on from `hash`.
pub fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}
