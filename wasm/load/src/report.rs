//! What a run found out.

use std::collections::BTreeMap;

use serde::Serialize;

/// What arrived, what did not, and what it cost.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// What did not come to its end in time.
    unfinished: Vec<String>,
    /// Groups that some reader did not get whole.
    lost_groups: u64,
    /// Payloads that some reader did not get.
    lost_frames: u64,
    /// Payloads that were damaged, in the wrong place, or there twice.
    corrupt: u64,
    /// Everything else, by name. Times are in milliseconds where the name says nothing else.
    figures: BTreeMap<String, f64>,
}

impl Report {
    /// Notes a figure.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64) {
        self.figures.insert(name.into(), value);
    }

    /// Notes that something did not end.
    pub(crate) fn unfinished(&mut self, what: impl Into<String>) {
        self.unfinished.push(what.into());
    }

    /// Counts what did not arrive.
    pub(crate) fn lost(&mut self, groups: u64, frames: u64) {
        self.lost_groups += groups;
        self.lost_frames += frames;
    }

    /// Counts what arrived damaged.
    pub(crate) fn corrupt(&mut self, payloads: u64) {
        self.corrupt += payloads;
    }

    /// Notes median and 99th percentile of times in microseconds, as milliseconds.
    pub(crate) fn latency(&mut self, prefix: &str, mut micros: Vec<u32>) {
        micros.sort_unstable();
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            if let Some(value) = quantile(&micros, share) {
                self.figure(format!("{prefix}{name}"), f64::from(value) / 1e3);
            }
        }
    }

    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text keys and finite numbers")
    }
}

/// The smallest value that `share` of all values do not exceed.
fn quantile(sorted: &[u32], share: f64) -> Option<u32> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(quantile(&hundred, 0.5), Some(50));
        assert_eq!(quantile(&hundred, 0.99), Some(99));
        assert_eq!(quantile(&[7], 0.99), Some(7));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
