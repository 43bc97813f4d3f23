//! What a reader in order was told, which must leave nothing out and say nothing twice.

use std::time::Duration;

use moq_net::{Gap, GapReason};

use crate::{plan::Family, reading::Reading};

/// The run of sequences that a reader in order has been told of so far.
#[derive(Default)]
pub struct Sequence {
    /// The first of it.
    pub start: Option<u64>,
    /// What comes next.
    pub next: Option<u64>,
}

impl Sequence {
    /// A group, or a gap, from `from` to `to`.
    fn follow(&mut self, reading: &Reading, from: u64, to: u64, what: &str) {
        if self.next.is_some_and(|next| next != from) {
            let next = self.next.unwrap_or_default();
            reading.violate(from, &format!("({what}) follows where {next} was to come"));
        }
        self.start.get_or_insert(from);
        self.next = to.checked_add(1);
    }

    /// A group was delivered.
    pub fn group(&mut self, reading: &Reading, sequence: u64) {
        self.follow(reading, sequence, sequence, "a group");
    }

    /// A gap was reported to a reader that waits for `budget`, if that is known.
    pub fn gap(&mut self, reading: &Reading, gap: &Gap, budget: Option<Duration>) {
        let Gap { from, to, reason } = *gap;
        reading.stage.note(format_args!(
            "{}/{} from {from} to {to}: {}",
            reading.path,
            reading.track,
            reason.as_str()
        ));
        if to < from {
            reading.violate(from, &format!("begins a gap that ends at {to}"));
        }
        self.follow(reading, from, to, "a gap");
        // A small cache forgets what came after it, and with it when that was.
        let tight = reading.stage.plan.has(Family::Tight);
        if let Some(budget) = budget.filter(|_| reason == GapReason::Late && !tight) {
            Self::late(reading, from, budget);
        }
    }

    /// Checks that what is given up as late was waited for.
    fn late(reading: &Reading, from: u64, budget: Duration) {
        let stage = &reading.stage;
        let ledger = stage.ledger.borrow();
        let passed = ledger.passed(&reading.suspects(), &reading.track, from);
        if let Some(passed) = passed.filter(|passed| stage.now() < passed.saturating_add(budget)) {
            let waited = stage.now() - passed;
            reading.violate(
                from,
                &format!("was given up after {waited:?}, where {budget:?} were to be waited"),
            );
        }
    }

    /// The track came to its end at `boundary`, or the range that was asked for did.
    pub fn ended(&self, reading: &Reading, boundary: Option<u64>, last: Option<u64>) {
        let Some(next) = self.next else {
            return;
        };
        let range = last.and_then(|last| last.checked_add(1));
        let ends = [boundary, range].into_iter().flatten().min();
        if ends.is_some_and(|end| next < end) {
            reading.violate(
                next,
                &format!("and what follows is left out, up to {ends:?}"),
            );
        }
    }
}
