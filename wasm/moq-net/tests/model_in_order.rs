//! Reading in sequence without loss: what is waited for, how long, and how it is reported when it does not come.

mod support;

use std::time::Duration;

use moq_net::{
    Error, GapReason, InOrder, InOrderStats, Limits, Subscription, TrackInfo, TrackProducer,
    TrackSubscriber,
};
use support::look::{Probe, World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A track and a reader that waits for a second.
struct Bench {
    world: World,
    track: TrackProducer,
    reader: TrackSubscriber,
}

fn second() -> Subscription {
    Subscription::default().with_max_latency(Duration::from_secs(1))
}

impl Bench {
    fn new(wish: Subscription) -> Self {
        Self::with(World::new(), TrackInfo::default(), wish)
    }

    fn with(world: World, info: TrackInfo, wish: Subscription) -> Self {
        let track = TrackProducer::new("chat", info, &world.runtime);
        let reader = track.subscribe(wish);
        Self {
            world,
            track,
            reader,
        }
    }

    /// Groups come, in this order, each whole.
    fn come(&self, sequences: impl IntoIterator<Item = u64>) {
        for sequence in sequences {
            let group = self.track.create_group(sequence).unwrap();
            group.write_frame(format!("{sequence}")).unwrap();
            group.finish().unwrap();
        }
    }

    /// Groups come and are reset.
    fn reset(&self, sequences: impl IntoIterator<Item = u64>) {
        for sequence in sequences {
            let group = self.track.create_group(sequence).unwrap();
            group.abort(Error::Timeout).unwrap();
        }
    }

    /// All the reader gets now, in words.
    fn read(&mut self) -> String {
        let mut words = Vec::new();
        loop {
            let word = match look(|waiter| self.reader.poll_next_in_order(waiter)) {
                None => break,
                Some(Ok(Some(InOrder::Group(mut group)))) => {
                    let sequence = group.sequence();
                    let payload = look(|waiter| group.poll_read_frame(waiter));
                    assert_eq!(payload, Some(Ok(Some(sequence.to_string().into()))));
                    sequence.to_string()
                }
                Some(Ok(Some(InOrder::Gap(gap)))) => {
                    format!("{}-{} {}", gap.from, gap.to, gap.reason.as_str())
                }
                Some(Ok(None)) => "end".to_owned(),
                Some(Err(error)) => format!("{error:?}"),
            };
            let over = word == "end" || !word.starts_with(|first: char| first.is_ascii_digit());
            words.push(word);
            if over {
                break;
            }
        }
        words.join(", ")
    }

    #[track_caller]
    fn reads(&mut self, expected: &str) {
        assert_eq!(self.read(), expected);
    }

    fn pass(&self, millis: u64) {
        self.world.pass(millis);
    }

    fn stats(&self) -> (u64, u64, u64) {
        let InOrderStats {
            held_back,
            waited_out,
            missing,
        } = self.reader.in_order_stats();
        (held_back, waited_out, missing)
    }
}

#[test]
fn a_burst_that_travels_newest_first_is_read_oldest_first() {
    let mut bench = Bench::new(second());
    for sequence in (0..10).rev() {
        bench.reads("");
        bench.come([sequence]);
    }
    bench.reads("0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
    bench.come([10]);
    bench.reads("10");
    assert_eq!(bench.stats(), (0, 0, 0), "where to begin was not known");
}

#[test]
fn a_missing_group_is_waited_for_from_when_the_next_one_came() {
    let mut bench = Bench::new(second());
    bench.come([0]);
    bench.pass(500);
    bench.come([3]);
    bench.reads("0");
    bench.pass(900);
    bench.reads("");
    bench.come([1]);
    bench.reads("1");
    bench.pass(99);
    bench.reads("");
    bench.pass(1);
    bench.reads("2-2 late, 3");
    // Too late is never.
    bench.come([2]);
    bench.reads("");
    assert_eq!(bench.stats(), (1, 1, 1));
}

#[test]
fn the_reader_is_woken_by_the_group_and_by_the_time() {
    let mut bench = Bench::new(second());
    bench.come([0, 2]);
    bench.reads("0");
    let probe = Probe::new();
    probe.park(|waiter| bench.reader.poll_next_in_order(waiter));
    bench.come([1]);
    assert_eq!(probe.wakes(), 1);
    bench.reads("1, 2");
    bench.come([4]);
    let probe = Probe::new();
    probe.park(|waiter| bench.reader.poll_next_in_order(waiter));
    bench.pass(999);
    assert_eq!(probe.wakes(), 0);
    bench.pass(1);
    assert_eq!(probe.wakes(), 1);
    bench.reads("3-3 late, 4");
}

#[test]
fn holes_are_waited_for_side_by_side() {
    let mut bench = Bench::new(second());
    bench.come([0, 2, 4, 6]);
    bench.reads("0");
    bench.pass(1000);
    bench.reads("1-1 late, 2, 3-3 late, 4, 5-5 late, 6");
    assert_eq!(bench.stats(), (3, 1, 3), "the first wait was that of all");
}

#[test]
fn the_budget_decides_how_long() {
    for (budget, cache, waits) in [
        (0, 5000, 0),
        (40, 5000, 40),
        (9000, 5000, 5000),
        (9000, 70, 70),
    ] {
        let info = TrackInfo::default().with_cache(Duration::from_millis(cache));
        let wish = Subscription::default().with_max_latency(Duration::from_millis(budget));
        let mut bench = Bench::with(World::new(), info, wish);
        bench.come([0, 2]);
        if waits > 0 {
            bench.reads("0");
            bench.pass(waits - 1);
            bench.reads("");
            bench.pass(1);
            bench.reads("1-1 late, 2");
        } else {
            bench.reads("0, 1-1 late, 2");
        }
    }
    let mut bench = Bench::new(Subscription::default().with_max_latency(Duration::MAX));
    bench.come([0, 2]);
    bench.pass(4999);
    bench.reads("0");
    bench.reader.update(Subscription::default());
    bench.reads("1-1 late, 2");
}

#[test]
fn where_to_begin_is_decided_by_the_first_quiet_moment() {
    for (first, pauses, expected) in [
        (7, vec![], "7"),
        (7, vec![(99, 6), (99, 4)], "4, 5-5 late, 6, 7"),
        (7, vec![(99, 0)], "0, 1-6 late, 7"),
    ] {
        let mut bench = Bench::new(second());
        bench.come([first]);
        for (pause, next) in pauses {
            bench.reads("");
            bench.pass(pause);
            bench.reads("");
            bench.come([next]);
        }
        if bench.track.latest().is_some() && !expected.starts_with('0') {
            bench.reads("");
            bench.pass(99);
            bench.reads("");
        }
        bench.pass(1);
        let begun = bench.read();
        bench.pass(1000);
        let rest = bench.read();
        let all: Vec<_> = [begun, rest]
            .into_iter()
            .filter(|words| !words.is_empty())
            .collect();
        assert_eq!(all.join(", "), expected);
    }
}

#[test]
fn a_reader_with_a_small_budget_does_not_wait_longer_at_the_start() {
    let wish = Subscription::default().with_max_latency(Duration::from_millis(20));
    let mut bench = Bench::new(wish);
    bench.come([7]);
    bench.pass(19);
    bench.reads("");
    bench.pass(1);
    bench.reads("7");
    let mut bench = Bench::new(Subscription::default());
    bench.come([7]);
    bench.reads("7");
}

#[test]
fn a_reader_that_joins_begins_with_what_is_there() {
    let mut bench = Bench::new(second());
    bench.come([0, 1]);
    bench.pass(3000);
    bench.come([2, 3]);
    bench.pass(2500);
    // The first two have left the cache.
    bench.come([4]);
    let mut late = bench.track.subscribe(second());
    std::mem::swap(&mut bench.reader, &mut late);
    bench.reads("2, 3, 4");
    // Who was there before knows what it missed.
    bench.reader = late;
    bench.reads("0-1 expired, 2, 3, 4");
}

#[test]
fn a_start_that_was_asked_for_is_the_start() {
    let mut bench = Bench::new(second().with_group_start(3));
    bench.come([2, 5]);
    bench.pass(999);
    bench.reads("");
    bench.come([3]);
    bench.reads("3");
    bench.pass(1);
    bench.reads("4-4 late, 5");
}

#[test]
fn an_end_that_was_asked_for_is_the_end() {
    let mut bench = Bench::new(second().with_group_start(1).with_group_end(3));
    bench.come([1, 2, 5]);
    bench.reads("1, 2");
    bench.pass(1000);
    bench.reads("3-3 late, end");
    bench.reads("end");
    bench
        .reader
        .update(second().with_group_start(1).with_group_end(6));
    bench.reads("4-4 late, 5");
}

#[test]
fn local_filters_are_no_loss() {
    let mut bench = Bench::new(second());
    bench.reader.start_at(4);
    bench.reader.end_at(6);
    bench.come([0, 4, 6, 7]);
    bench.reads("4");
    bench.pass(1000);
    bench.reads("5-5 late, 6");
    bench.reader.end_at(None);
    bench.reads("7");
    bench.come([8]);
    bench.reader.start_at(9);
    bench.reads("");
    bench.come([9]);
    bench.reads("9");
}

#[test]
fn what_was_reset_is_not_waited_for() {
    let mut bench = Bench::new(second());
    bench.come([0]);
    bench.reset([1, 2]);
    bench.reads("0, 1-2 reset");
    bench.reset([4]);
    bench.come([5]);
    bench.reads("");
    bench.pass(1000);
    bench.reads("3-4 late, 5");
}

#[test]
fn a_group_that_is_reset_while_it_waits_is_reported() {
    let mut bench = Bench::new(second());
    bench.come([0]);
    let group = bench.track.create_group(2).unwrap();
    bench.come([3]);
    bench.reads("0");
    group.abort(Error::Timeout).unwrap();
    bench.come([1]);
    bench.reads("1, 2-2 reset, 3");
}

#[test]
fn a_reset_group_that_comes_again_is_read() {
    let mut bench = Bench::new(second());
    bench.come([0]);
    bench.reset([2]);
    bench.reads("0");
    bench.come([2, 1]);
    bench.reads("1, 2");
}

#[test]
fn a_long_jump_is_not_waited_for() {
    let mut bench = Bench::new(second());
    bench.come([0, 1025]);
    bench.reads("0");
    bench.come([1, 2, 2050 + 1]);
    bench.reads("1, 2");
    bench.pass(1000);
    bench.reads("3-1024 late, 1025, 1026-2050 jump, 2051");
    let most = u64::MAX;
    bench.come([most]);
    bench.reads(&format!("2052-{} jump, {most}", most - 1));
    bench.reads("");
}

#[test]
fn nothing_is_waited_for_long_where_datagrams_come() {
    let mut bench = Bench::new(second());
    bench.track.write_datagram_at(0, "0", None).unwrap();
    bench.track.write_datagram_at(2, "2", None).unwrap();
    bench.reads("0");
    bench.pass(99);
    bench.reads("");
    bench.pass(1);
    bench.reads("1-1 late, 2");
}

#[test]
fn what_waits_behind_a_hole_stays_whatever_the_cache_does() {
    let limits = Limits {
        cache_bytes: 20_000,
        ..Limits::default()
    };
    let info = TrackInfo::default().with_cache(Duration::from_secs(2));
    let wish = second().with_max_latency(Duration::from_secs(2));
    let mut bench = Bench::with(World::with(limits), info, wish);
    bench.come([0, 2, 3]);
    bench.reads("0");
    bench.pass(1999);
    bench.come([5]);
    bench.reads("");
    // Others fill the cache of the process, and its time is over.
    let other = TrackProducer::new("other", None, &bench.world.runtime);
    for _ in 0..40 {
        other.write_frame(vec![0; 1000]).unwrap();
    }
    bench.pass(500);
    bench.come([7]);
    bench.reads("1-1 late, 2, 3");
    bench.pass(1500);
    bench.reads("4-4 late, 5");
    assert!(bench.world.runtime.stats().evicted_groups > 0);
}

#[test]
fn what_left_the_cache_before_a_slow_reader_came_is_reported() {
    let mut bench = Bench::new(second());
    bench.come([0, 1, 2]);
    bench.reads("0, 1, 2");
    bench.come([3, 4]);
    bench.pass(6000);
    bench.come([5]);
    bench.reads("3-4 expired, 5");
}

#[test]
fn too_much_behind_a_hole_ends_the_wait() {
    let limits = Limits {
        reorder_bytes: 5_000,
        ..Limits::default()
    };
    let mut bench = Bench::with(World::with(limits), TrackInfo::default(), second());
    bench.come([0, 2]);
    bench.reads("0");
    let large = bench.track.create_group(3).unwrap();
    large.write_frame("3").unwrap();
    bench.reads("");
    // It grows while it waits.
    large.write_frame(vec![0; 5_000]).unwrap();
    bench.reads("1-1 full, 2, 3");
    bench.come([4, 6]);
    bench.reads("4");
    bench.pass(1000);
    bench.reads("5-5 late, 6");
}

#[test]
fn all_readers_together_pin_half_of_the_cache() {
    let limits = Limits {
        cache_bytes: 20_000,
        ..Limits::default()
    };
    let world = World::with(limits);
    let runtime = world.runtime.clone();
    let mut one = Bench::with(world, TrackInfo::default(), second());
    let track = TrackProducer::new("other", None, &runtime);
    let mut other = track.subscribe(second());
    for sequence in [0, 2] {
        let group = track.create_group(sequence).unwrap();
        group.write_frame(vec![0; 6_000]).unwrap();
        group.finish().unwrap();
    }
    assert!(look(|waiter| other.poll_next_in_order(waiter)).is_some());
    assert!(look(|waiter| other.poll_next_in_order(waiter)).is_none());
    let group = one.track.create_group(2).unwrap();
    one.come([0]);
    group.write_frame("2").unwrap();
    one.reads("0");
    group.write_frame(vec![0; 6_000]).unwrap();
    one.reads("1-1 full, 2");
    drop(other);
    one.come([4]);
    one.reads("");
}

#[test]
fn the_end_of_a_track_waits_for_what_is_missing_before_it() {
    let mut bench = Bench::new(second());
    bench.come([0, 1]);
    bench.track.finish_before(4).unwrap();
    bench.reads("0, 1");
    bench.pass(999);
    bench.reads("");
    bench.come([2]);
    bench.reads("2");
    bench.pass(1);
    bench.reads("3-3 late, end");
    bench.reads("end");
}

#[test]
fn without_a_writer_nothing_is_waited_for() {
    let mut bench = Bench::new(second());
    bench.come([0, 2]);
    bench.track.finish_before(5).unwrap();
    bench.reads("0");
    let other = TrackProducer::new("other", None, &bench.world.runtime);
    drop(std::mem::replace(&mut bench.track, other));
    bench.reads("1-1 ended, 2, 3-4 ended, end");
}

#[test]
fn an_empty_track_ends_at_once_and_a_lost_one_in_time() {
    let mut bench = Bench::new(second());
    bench.track.finish().unwrap();
    bench.reads("end");
    let mut bench = Bench::new(second());
    bench.track.finish_before(3).unwrap();
    bench.reads("");
    bench.pass(1000);
    bench.reads("end");
}

#[test]
fn a_failed_track_says_so_whatever_waits() {
    let mut bench = Bench::new(second());
    bench.come([0, 2]);
    bench.reads("0");
    bench.track.abort(Error::App(7)).unwrap();
    bench.reads("App(7)");
}

#[test]
fn nothing_is_left_behind() {
    let world = World::new();
    let before = world.runtime.stats();
    let runtime = world.runtime.clone();
    let mut bench = Bench::with(world, TrackInfo::default(), second());
    bench.come([0, 2, 3, 9]);
    bench.reads("0");
    drop(bench);
    assert_eq!(runtime.stats(), before);
}

#[test]
fn the_words_for_reasons_are_stable() {
    let words = [
        (GapReason::Late, "late"),
        (GapReason::Reset, "reset"),
        (GapReason::Declared, "declared"),
        (GapReason::Jump, "jump"),
        (GapReason::Full, "full"),
        (GapReason::Expired, "expired"),
        (GapReason::Refused, "refused"),
        (GapReason::Ended, "ended"),
    ];
    for (reason, word) in words {
        assert_eq!(reason.as_str(), word);
    }
}
