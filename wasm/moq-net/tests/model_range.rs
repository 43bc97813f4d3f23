//! Reading a range: from the cache, else from those who serve old groups, then live.

mod support;

use std::time::Duration;

use kio::Waiter;
use moq_net::{
    Error, InOrder, Limits, Subscription, TrackDynamic, TrackInfo, TrackProducer, TrackSubscriber,
};
use support::look::{World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn range(start: u64, end: impl Into<Option<u64>>) -> Subscription {
    Subscription::default()
        .with_max_latency(Duration::from_secs(5))
        .with_group_start(start)
        .with_group_end(end)
}

/// A track whose old groups are `held` by somebody else, who is asked for those that are not in the cache.
struct Bench {
    world: World,
    track: TrackProducer,
    handler: TrackDynamic,
    /// All that was asked for.
    asked: Vec<u64>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let world = World::with(limits);
        let track = TrackProducer::new("log", TrackInfo::default(), &world.runtime);
        let handler = track.dynamic();
        Self {
            world,
            track,
            handler,
            asked: Vec::new(),
        }
    }

    /// Groups come live, in this order, each whole.
    fn come(&self, sequences: impl IntoIterator<Item = u64>) {
        for sequence in sequences {
            let group = self.track.create_group(sequence).unwrap();
            group.write_frame(format!("{sequence}")).unwrap();
            group.finish().unwrap();
        }
    }

    /// Answers what is asked for now; the rest is refused. How many there were.
    fn serve(&mut self, held: impl Fn(u64) -> bool) -> usize {
        let mut requests = Vec::new();
        while let Some(request) = look(|waiter| self.handler.poll_requested_group(waiter)) {
            requests.push(request.unwrap());
        }
        let count = requests.len();
        for request in requests {
            let sequence = request.sequence();
            self.asked.push(sequence);
            if held(sequence) {
                let group = request.accept(None).unwrap();
                group.write_frame(format!("{sequence}")).unwrap();
                group.finish().unwrap();
            } else {
                request.reject(Error::NotFound);
            }
        }
        count
    }

    /// All `reader` gets while everything it asks for is answered, in words; runs of groups as one.
    fn read(&mut self, reader: &mut TrackSubscriber, held: impl Fn(u64) -> bool) -> String {
        let mut words = Words::default();
        loop {
            let Some(next) = look(|waiter| reader.poll_next_in_order(waiter)) else {
                match self.serve(&held) {
                    0 => break,
                    _ => continue,
                }
            };
            if words.add(next) {
                break;
            }
        }
        words.end()
    }
}

#[derive(Default)]
struct Words {
    words: Vec<String>,
    run: Option<(u64, u64)>,
}

impl Words {
    /// True at the end.
    fn add(&mut self, next: Result<Option<InOrder>, Error>) -> bool {
        let word = match next {
            Ok(Some(InOrder::Group(mut group))) => {
                let sequence = group.sequence();
                let payload = look(|waiter| group.poll_read_frame(waiter));
                assert_eq!(payload, Some(Ok(Some(sequence.to_string().into()))));
                self.run = match self.run {
                    Some((first, last)) if last + 1 == sequence => Some((first, sequence)),
                    run => {
                        self.close(run);
                        Some((sequence, sequence))
                    }
                };
                return false;
            }
            Ok(Some(InOrder::Gap(gap))) => {
                format!("({}-{} {})", gap.from, gap.to, gap.reason.as_str())
            }
            Ok(None) => "end".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        let over = !word.starts_with('(');
        let run = self.run.take();
        self.close(run);
        self.words.push(word);
        over
    }

    fn close(&mut self, run: Option<(u64, u64)>) {
        if let Some((first, last)) = run {
            self.words.push(match first == last {
                true => first.to_string(),
                false => format!("{first}..{last}"),
            });
        }
    }

    fn end(mut self) -> String {
        let run = self.run.take();
        self.close(run);
        self.words.join(" ")
    }
}

#[test]
fn a_range_is_read_whoever_watches_live() {
    let mut bench = Bench::new();
    let mut live = bench
        .track
        .subscribe(Subscription::default().with_max_latency(Duration::from_secs(5)));
    bench.come(0..10);
    assert_eq!(bench.read(&mut live, |_| true), "0..9");
    bench.world.pass(6000);
    bench.come([10]);
    let mut all = bench.track.subscribe(range(0, None));
    let mut some = bench.track.subscribe(range(2, 5));
    assert_eq!(bench.read(&mut all, |_| true), "0..10");
    assert_eq!(bench.read(&mut some, |_| true), "2..5 end");
    assert_eq!(bench.asked, Vec::from_iter(0..10), "each once, in order");
    assert_eq!(bench.read(&mut live, |_| true), "10");
    // What was fetched is nothing to those who did not ask for it.
    let arrivals = look(|waiter| live.poll_recv_group(waiter));
    assert_eq!(arrivals.unwrap().unwrap().unwrap().sequence(), 10);
    assert!(look(|waiter| live.poll_recv_group(waiter)).is_none());
    let mut late = bench
        .track
        .subscribe(Subscription::default().with_max_latency(Duration::from_secs(5)));
    bench.world.pass(100);
    assert_eq!(bench.read(&mut late, |_| true), "10");
    bench.come([11]);
    assert_eq!(bench.read(&mut all, |_| true), "11");
    assert_eq!(bench.read(&mut late, |_| true), "11");
}

#[test]
fn what_is_cached_is_not_asked_for() {
    let mut bench = Bench::new();
    bench.come([4, 5, 8, 9]);
    bench.world.pass(200);
    let mut reader = bench.track.subscribe(range(3, 9));
    assert_eq!(bench.read(&mut reader, |_| true), "3..9 end");
    assert_eq!(bench.asked, [3, 6, 7]);
}

#[test]
fn what_may_be_on_its_way_is_asked_for_after_a_moment() {
    let mut bench = Bench::new();
    let mut reader = bench.track.subscribe(range(0, None));
    assert_eq!(bench.read(&mut reader, |_| true), "");
    bench.come([2]);
    assert_eq!(bench.read(&mut reader, |_| true), "");
    assert!(bench.asked.is_empty());
    bench.come([0]);
    assert_eq!(bench.read(&mut reader, |_| true), "0");
    bench.world.pass(100);
    assert_eq!(bench.read(&mut reader, |_| true), "1..2");
    assert_eq!(bench.asked, [1]);
}

#[test]
fn a_group_that_is_refused_may_still_come_live() {
    let mut bench = Bench::new();
    let mut reader = bench.track.subscribe(range(0, None));
    bench.come([0, 2]);
    bench.world.pass(100);
    assert_eq!(bench.read(&mut reader, |_| false), "0");
    assert_eq!(bench.asked, [1]);
    bench.world.pass(1000);
    bench.come([1]);
    assert_eq!(bench.read(&mut reader, |_| false), "1..2");
    bench.come([4]);
    bench.world.pass(5000);
    assert_eq!(bench.read(&mut reader, |_| false), "(3-3 late) 4");
    assert_eq!(bench.asked, [1, 3]);
}

#[test]
fn what_is_gone_is_one_gap_after_few_questions() {
    for (start, first, newest) in [
        (0, 999_700, 1_000_000),
        (0, 1_000_000, 1_000_000),
        (0, 1, 40),
        (7, 123_456, 1 << 52),
        (990, 995, 1000),
    ] {
        let mut bench = Bench::new();
        bench.come([newest]);
        bench.world.pass(200);
        let mut reader = bench.track.subscribe(range(start, first + 2));
        let read = bench.read(&mut reader, |sequence| sequence >= first);
        let refused = bench
            .asked
            .iter()
            .filter(|sequence| **sequence < first)
            .count();
        assert!(refused <= 17, "{refused} refusals: {:?}", bench.asked);
        let gap = format!("({start}-{} refused)", first - 1);
        if newest > first + 2 {
            let expected = format!("{gap} {first}..{} end", first + 2);
            assert_eq!(read, expected, "asked {:?}", bench.asked);
        } else {
            assert_eq!(read, format!("{gap} {first}"));
        }
    }
}

#[test]
fn a_range_that_is_gone_ends() {
    let mut bench = Bench::new();
    bench.come([10]);
    bench.world.pass(200);
    let mut reader = bench.track.subscribe(range(0, 5));
    assert_eq!(bench.read(&mut reader, |_| false), "(0-5 refused) end");
    assert!(bench.asked.len() <= 17, "{:?}", bench.asked);
    // Without anybody to ask, nothing is asked.
    let track = TrackProducer::new("log", TrackInfo::default(), &bench.world.runtime);
    track.create_group(10).unwrap().finish().unwrap();
    bench.world.pass(5000);
    let mut reader = track.subscribe(range(0, 5));
    assert_eq!(bench.read(&mut reader, |_| false), "(0-5 late) end");
}

#[test]
fn a_sparse_range_is_read_whole() {
    let mut bench = Bench::new();
    bench.come([200]);
    bench.world.pass(200);
    let mut reader = bench.track.subscribe(range(0, 200));
    let read = bench.read(&mut reader, |sequence| sequence % 2 == 0);
    let mut expected: Vec<_> = (0..100)
        .map(|at| format!("{} ({n}-{n} refused)", 2 * at, n = 2 * at + 1))
        .collect();
    expected.push("200 end".to_owned());
    assert_eq!(read, expected.join(" "));
}

#[test]
fn a_range_of_a_finished_track_is_asked_for() {
    let mut bench = Bench::new();
    bench.track.finish_before(8).unwrap();
    let mut reader = bench.track.subscribe(range(3, None));
    bench.world.pass(100);
    assert_eq!(bench.read(&mut reader, |_| true), "3..7 end");
}

#[test]
fn no_more_is_asked_for_than_the_reader_takes() {
    let mut bench = Bench::new();
    bench.come([(1 << 53) - 1]);
    bench.world.pass(200);
    let mut reader = bench.track.subscribe(range(0, (1 << 53) - 1));
    let mut read = 0;
    // Asked for by doubling, up to 64 beyond the reader.
    while read < 1000 {
        match look(|waiter| reader.poll_next_in_order(waiter)) {
            Some(Ok(Some(InOrder::Group(group)))) => {
                assert_eq!(group.sequence(), read);
                read += 1;
            }
            Some(other) => panic!("{other:?}"),
            None => {
                let count = bench.serve(|_| true);
                assert!((1..=64).contains(&count), "{count}");
            }
        }
        let highest = bench.asked.iter().max().copied().unwrap_or(0);
        assert!(highest < read + 64, "{highest} when {read} were read");
    }
    // A reader that leaves takes its questions with it.
    while look(|waiter| reader.poll_next_in_order(waiter)).is_some() {}
    drop(reader);
    assert_eq!(bench.serve(|_| true), 0);
}

#[test]
fn large_groups_are_not_fetched_far_ahead() {
    let bench = Bench::with(Limits {
        reorder_bytes: 100_000,
        ..Limits::default()
    });
    bench.come([1000]);
    bench.world.pass(200);
    let mut reader = bench.track.subscribe(range(0, None));
    let mut unread = 0;
    for _ in 0..400 {
        match look(|waiter| reader.poll_next_in_order(waiter)) {
            Some(Ok(Some(InOrder::Group(_)))) => unread -= 1,
            Some(other) => panic!("{other:?}"),
            None => {
                while let Some(request) = look(|waiter| bench.handler.poll_requested_group(waiter))
                {
                    let group = request.unwrap().accept(None).unwrap();
                    group.write_frame(vec![0; 30_000]).unwrap();
                    group.finish().unwrap();
                    unread += 1;
                }
            }
        }
        assert!(unread <= 12, "{unread}");
    }
}

#[test]
fn a_fetched_group_that_is_reset_is_missing_and_one_that_was_evicted_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.come([3]);
    bench.world.pass(200);
    let mut reader = bench.track.subscribe(range(1, 3));
    assert!(look(|waiter| reader.poll_next_in_order(waiter)).is_none());
    let request = look(|waiter| bench.handler.poll_requested_group(waiter)).unwrap();
    let group = request.unwrap().accept(None).unwrap();
    group.abort(Error::Timeout).unwrap();
    assert_eq!(bench.read(&mut reader, |_| true), "(1-1 refused) 2..3 end");
}

#[test]
fn where_the_live_edge_is_unknown_it_is_found_out() {
    let mut bench = Bench::new();
    let mut producer = bench.track.clone();
    let mut reader = bench.track.subscribe(range(0, 5));
    let mut wish = || match look(|waiter| producer.poll_subscription_changed(waiter)) {
        Some(Ok(Some(wish))) => Some((wish.group_start, wish.group_end)),
        _ => None,
    };
    assert_eq!(wish(), Some((Some(0), Some(5))));
    assert_eq!(bench.read(&mut reader, |_| true), "");
    assert_eq!(wish(), None);
    bench.world.pass(100);
    assert_eq!(bench.read(&mut reader, |_| true), "");
    assert_eq!(wish(), Some((Some(0), None)), "the newest group is wanted");
    bench.come([10]);
    bench.world.pass(100);
    assert_eq!(bench.read(&mut reader, |_| true), "0..5 end");
    assert_eq!(wish(), Some((Some(0), Some(5))));
    drop(reader);
    // A range without a beginning that lies behind the live edge.
    let mut bench = Bench::new();
    let mut reader = bench.track.subscribe(
        Subscription::default()
            .with_max_latency(Duration::from_secs(5))
            .with_group_end(5),
    );
    bench.come([10]);
    bench.world.pass(100);
    assert_eq!(bench.read(&mut reader, |_| true), "end");
}

#[test]
fn the_reader_is_woken_by_what_it_asked_for() {
    let bench = Bench::new();
    bench.come([3]);
    bench.world.pass(200);
    let mut reader = bench.track.subscribe(range(2, 3));
    let probe = support::look::Probe::new();
    probe.park(|waiter: &Waiter| reader.poll_next_in_order(waiter));
    let request = look(|waiter| bench.handler.poll_requested_group(waiter)).unwrap();
    let before = probe.wakes();
    request.unwrap().reject(Error::NotFound);
    assert!(probe.wakes() > before);
    assert!(look(|waiter| reader.poll_next_in_order(waiter)).is_some());
}
