//! Compares what was sent with what came.

use crate::{reader::Received, report::Report, window::Window, writer::Sent};

/// What all readers of a scenario got in the window.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Payloads that came, each reader's counted.
    pub(crate) frames: u64,
    latencies: Vec<u32>,
    lost_groups: u64,
    lost_frames: u64,
    corrupt: u64,
}

impl Delivery {
    /// Adds what one reader got of what one writer sent in groups of `group`. Only payloads sent in the window count; a group
    /// counts as lost when one of them is missing.
    pub(crate) fn add(&mut self, sent: &Sent, received: &Received, group: u64, window: &Window) {
        let first = sent.partition_point(|&time| time < window.open) as u64;
        let end = sent.partition_point(|&time| time < window.close) as u64;
        let mut seen = vec![false; (end - first) as usize];
        for mark in &received.marks {
            if !(first..end).contains(&mark.number) {
                continue;
            }
            let seen = &mut seen[(mark.number - first) as usize];
            match std::mem::replace(seen, true) {
                true => self.corrupt += 1,
                false => {
                    self.frames += 1;
                    self.latencies.push(mark.latency);
                }
            }
        }
        let mut last_lost = None;
        for number in (first..end).filter(|number| !seen[(number - first) as usize]) {
            self.lost_frames += 1;
            if last_lost.replace(number / group) != Some(number / group) {
                self.lost_groups += 1;
            }
        }
        self.corrupt += received.corrupt;
    }

    /// Notes everything, for payloads of `size` bytes.
    pub(crate) fn note(self, size: usize, window: &Window, report: &mut Report) {
        report.lost(self.lost_groups, self.lost_frames);
        report.corrupt(self.corrupt);
        let frames = self.frames as f64;
        report.figure("framesPerSecond", frames / window.seconds());
        for (name, amount) in [
            ("mbitPerCpuSecond", frames * size as f64 * 8.0 / 1e6),
            ("framesPerCpuSecond", frames),
        ] {
            if let Some(value) = window.per_cpu_second(amount) {
                report.figure(name, value);
            }
        }
        report.latency("", self.latencies);
        window.note("", report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::Mark;

    fn received(numbers: &[u64]) -> Received {
        let mark = |&number| Mark { number, latency: 5 };
        Received {
            marks: numbers.iter().map(mark).collect(),
            ..Received::default()
        }
    }

    fn delivery(numbers: &[u64]) -> Delivery {
        let sent = (0..12).map(|number| number * 10).collect();
        let mut delivery = Delivery::default();
        // Numbers 3 to 8, in groups of three.
        delivery.add(&sent, &received(numbers), 3, &Window::of(30, 90));
        delivery
    }

    #[test]
    fn only_what_was_sent_in_the_window_counts() {
        let whole = delivery(&[2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!((whole.frames, whole.lost_groups, whole.corrupt), (6, 0, 0));
        assert_eq!(whole.latencies.len(), 6);
    }

    #[test]
    fn a_group_with_gaps_is_lost_once() {
        let gaps = delivery(&[3, 6, 7, 8]);
        assert_eq!((gaps.frames, gaps.lost_groups, gaps.lost_frames), (4, 1, 2));
        assert_eq!(delivery(&[]).lost_groups, 2);
    }

    #[test]
    fn what_comes_twice_is_wrong() {
        let twice = delivery(&[3, 4, 5, 5, 6, 7, 8]);
        assert_eq!((twice.frames, twice.corrupt), (6, 1));
    }
}
