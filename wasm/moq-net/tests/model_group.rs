//! Groups: their order for readers, their frames, and their end.

mod support;

use bytes::Bytes;
use moq_net::{
    Error, Frame, Limits, Subscription, Timescale, Timestamp, TrackInfo, TrackProducer,
    TrackSubscriber,
};
use support::look::{Probe, World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn track(world: &World) -> TrackProducer {
    TrackProducer::new("video", None, &world.runtime)
}

type Outcome = Option<Result<Option<u64>, Error>>;

fn recv(subscriber: &mut TrackSubscriber) -> Outcome {
    look(|waiter| subscriber.poll_recv_group(waiter))
        .map(|group| group.map(|group| group.map(|group| group.sequence())))
}

fn next(subscriber: &mut TrackSubscriber) -> Outcome {
    look(|waiter| subscriber.poll_next_group(waiter))
        .map(|group| group.map(|group| group.map(|group| group.sequence())))
}

fn get(subscriber: &TrackSubscriber, sequence: u64) -> Outcome {
    look(|waiter| subscriber.poll_get_group(waiter, sequence))
        .map(|group| group.map(|group| group.map(|group| group.sequence())))
}

fn read(subscriber: &mut TrackSubscriber) -> Option<Result<Option<Bytes>, Error>> {
    look(|waiter| subscriber.poll_read_frame(waiter))
}

fn got(sequence: u64) -> Outcome {
    Some(Ok(Some(sequence)))
}

const END: Outcome = Some(Ok(None));

#[test]
fn a_sequence_is_used_once() {
    let world = World::new();
    let track = track(&world);
    let group = track.create_group(3).unwrap();
    assert_eq!(track.create_group(3).err(), Some(Error::Duplicate));
    group.finish().unwrap();
    assert_eq!(track.create_group(3).err(), Some(Error::Duplicate));
    assert_eq!(track.append_group().unwrap().sequence(), 4);
    assert_eq!(track.latest(), Some(4));
}

#[test]
fn an_aborted_group_makes_room_for_another() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    track.create_group(3).unwrap().abort(Error::Cancel).unwrap();
    assert_eq!(get(&subscriber, 3), None);
    let again = track.create_group(3).unwrap();
    again.write_frame("x").unwrap();
    assert_eq!(get(&subscriber, 3), got(3));
    assert_eq!(recv(&mut subscriber), got(3));
    assert_eq!(recv(&mut subscriber), None);
}

#[test]
fn arrival_and_sequence_are_two_independent_cursors() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    let _open = [
        track.create_group(5).unwrap(),
        track.create_group(3).unwrap(),
    ];
    assert_eq!(recv(&mut subscriber), got(5));
    assert_eq!(next(&mut subscriber), got(3));
    assert_eq!(recv(&mut subscriber), got(3));
    assert_eq!(next(&mut subscriber), got(5));
    assert_eq!((recv(&mut subscriber), next(&mut subscriber)), (None, None));
}

#[test]
fn late_groups_are_skipped_in_sequence_order() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    let mut open = vec![track.create_group(5).unwrap()];
    assert_eq!(next(&mut subscriber), got(5));
    let probe = Probe::new();
    probe.park(|waiter| subscriber.poll_next_group(waiter));
    open.extend([3, 4, 7].map(|sequence| track.create_group(sequence).unwrap()));
    assert!(probe.wakes() > 0);
    assert_eq!(next(&mut subscriber), got(7));
    let arrivals: Vec<_> = (0..4).map(|_| recv(&mut subscriber)).collect();
    assert_eq!(arrivals, [got(5), got(3), got(4), got(7)]);
}

#[test]
fn a_cap_parks_groups_until_it_is_raised() {
    for cursor in [recv, next] {
        let world = World::new();
        let track = track(&world);
        let mut subscriber = track.subscribe(None);
        let _open: Vec<_> = (0..6).map(|_| track.append_group().unwrap()).collect();
        subscriber.end_at(2);
        let mut take = || cursor(&mut subscriber);
        assert_eq!(
            [take(), take(), take(), take()],
            [got(0), got(1), got(2), None]
        );
        subscriber.end_at(4);
        let mut take = || cursor(&mut subscriber);
        assert_eq!([take(), take(), take()], [got(3), got(4), None]);
        subscriber.end_at(None);
        assert_eq!(cursor(&mut subscriber), got(5));
    }
}

#[test]
fn single_frames_end_only_once_no_cap_holds_any_back() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    subscriber.end_at(0);
    track.write_frame("below").unwrap();
    track.write_frame("above").unwrap();
    track.finish().unwrap();
    assert_eq!(read(&mut subscriber), Some(Ok(Some("below".into()))));
    assert_eq!(read(&mut subscriber), None);
    subscriber.end_at(None);
    assert_eq!(read(&mut subscriber), Some(Ok(Some("above".into()))));
    assert_eq!(read(&mut subscriber), Some(Ok(None)));
}

#[test]
fn parked_groups_come_in_the_order_they_arrived() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    subscriber.end_at(1);
    let _open = [8, 1, 7, 6].map(|sequence| track.create_group(sequence).unwrap());
    assert_eq!(recv(&mut subscriber), got(1));
    assert_eq!(recv(&mut subscriber), None);
    subscriber.end_at(7);
    assert_eq!(
        [
            recv(&mut subscriber),
            recv(&mut subscriber),
            recv(&mut subscriber)
        ],
        [got(7), got(6), None]
    );
    subscriber.end_at(None);
    assert_eq!(recv(&mut subscriber), got(8));
}

#[test]
fn a_cap_below_the_cursor_waits_and_never_ends() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    let _open: Vec<_> = (0..3).map(|_| track.append_group().unwrap()).collect();
    assert_eq!(
        [next(&mut subscriber), next(&mut subscriber)],
        [got(0), got(1)]
    );
    assert_eq!(
        [recv(&mut subscriber), recv(&mut subscriber)],
        [got(0), got(1)]
    );
    subscriber.end_at(0);
    track.finish().unwrap();
    assert_eq!((next(&mut subscriber), recv(&mut subscriber)), (None, None));
    assert_eq!(read(&mut subscriber), None);
    subscriber.end_at(None);
    assert_eq!(
        (next(&mut subscriber), recv(&mut subscriber)),
        (got(2), got(2))
    );
    assert_eq!((next(&mut subscriber), recv(&mut subscriber)), (END, END));
}

#[test]
fn a_floor_hides_older_groups() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    subscriber.start_at(5);
    for sequence in [3, 5] {
        let group = track.create_group(sequence).unwrap();
        group.write_frame(format!("{sequence}")).unwrap();
        group.finish().unwrap();
    }
    assert_eq!(read(&mut subscriber), Some(Ok(Some("5".into()))));
    assert_eq!(
        [recv(&mut subscriber), recv(&mut subscriber)],
        [got(5), None]
    );
    assert_eq!(
        [next(&mut subscriber), next(&mut subscriber)],
        [got(5), None]
    );
    assert_eq!(
        subscriber.subscription(),
        Subscription::default(),
        "a local filter is no wish"
    );
}

#[test]
fn a_gap_ends_arrivals_but_not_the_wait_for_its_group() {
    let world = World::new();
    let track = track(&world);
    track.create_group(1).unwrap().finish().unwrap();
    track.finish_at(1).unwrap();
    let mut subscriber = track.subscribe(None);
    assert_eq!(
        [recv(&mut subscriber), recv(&mut subscriber)],
        [got(1), END]
    );
    assert_eq!(get(&subscriber, 0), None);
    assert_eq!(get(&subscriber, 1), got(1));
    assert_eq!(get(&subscriber, 2), END);
    let probe = Probe::new();
    probe.park(|waiter| subscriber.poll_get_group(waiter, 0));
    let _late = track.create_group(0).unwrap();
    assert!(probe.wakes() > 0);
    assert_eq!(get(&subscriber, 0), got(0));
}

/// A track that ends before group 3, of which only group 0 has come, and somebody who has read that.
fn with_gaps(world: &World) -> (TrackProducer, TrackSubscriber) {
    let track = track(world);
    track.create_group(0).unwrap();
    track.finish_before(3).unwrap();
    let mut subscriber = track.subscribe(None);
    assert_eq!(next(&mut subscriber), got(0));
    (track, subscriber)
}

#[test]
fn sequence_order_waits_for_what_may_still_come() {
    let world = World::new();
    let (track, mut subscriber) = with_gaps(&world);
    assert_eq!(next(&mut subscriber), None);
    let _last = track.create_group(2).unwrap();
    assert_eq!(
        [next(&mut subscriber), next(&mut subscriber)],
        [got(2), END]
    );
}

#[test]
fn sequence_order_does_not_wait_for_gaps_that_nobody_can_fill() {
    let world = World::new();
    let (track, mut subscriber) = with_gaps(&world);
    let probe = Probe::new();
    probe.park(|waiter| subscriber.poll_next_group(waiter));
    drop(track);
    assert!(probe.wakes() > 0);
    assert_eq!(next(&mut subscriber), END);
}

#[test]
fn a_stalled_group_does_not_hold_up_single_frames() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    let stalled = track.create_group(3).unwrap();
    let probe = Probe::new();
    probe.park(|waiter| subscriber.poll_read_frame(waiter));
    let ready = track.create_group(5).unwrap();
    ready.write_frame("five").unwrap();
    assert!(probe.wakes() > 0);
    assert_eq!(read(&mut subscriber), Some(Ok(Some("five".into()))));
    stalled.write_frame("three").unwrap();
    assert_eq!(read(&mut subscriber), None, "it went on to newer groups");
}

#[test]
fn single_frames_come_one_from_each_group() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    let _open = ["a", "b"].map(|name| {
        let group = track.append_group().unwrap();
        group.write_frame(format!("{name}0")).unwrap();
        group.write_frame(format!("{name}1")).unwrap();
        group
    });
    track.append_group().unwrap().finish().unwrap();
    track.append_group().unwrap().abort(Error::Cancel).unwrap();
    track.write_frame("c0").unwrap();
    for expected in ["a0", "b0", "c0"] {
        assert_eq!(read(&mut subscriber), Some(Ok(Some(expected.into()))));
    }
    assert_eq!(read(&mut subscriber), None);
}

#[test]
fn a_finished_track_still_waits_for_an_open_group() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    let open = track.append_group().unwrap();
    track.finish().unwrap();
    let probe = Probe::new();
    probe.park(|waiter| subscriber.poll_read_frame(waiter));
    let frame = open.create_frame(4).unwrap();
    frame.write("la").unwrap();
    assert_eq!(read(&mut subscriber), None, "half a frame is none");
    probe.park(|waiter| subscriber.poll_read_frame(waiter));
    let before = probe.wakes();
    frame.write("te").unwrap();
    assert!(probe.wakes() > before, "the rest of the frame wakes");
    assert_eq!(read(&mut subscriber), Some(Ok(Some("late".into()))));
    assert_eq!(read(&mut subscriber), Some(Ok(None)));
}

#[test]
fn in_process_readers_start_at_the_oldest_cached_group() {
    let world = World::new();
    let track = track(&world);
    for _ in 0..4 {
        track.write_frame("x").unwrap();
    }
    let mut subscriber = track.subscribe(None);
    assert_eq!(
        (recv(&mut subscriber), next(&mut subscriber)),
        (got(0), got(0))
    );
    // A sender that was asked for no start does this first.
    let mut sender = track.subscribe(None);
    sender.start_at(sender.latest().unwrap());
    assert_eq!(recv(&mut sender), got(3));
    // Groups that come late and out of order are served all the same.
    let mut sender = track.subscribe(None);
    sender.start_at(5);
    let _six = track.create_group(6).unwrap();
    assert_eq!(recv(&mut sender), got(6));
    let _five = track.create_group(5).unwrap();
    assert_eq!(recv(&mut sender), got(5));
}

#[test]
fn an_abort_after_the_end_beats_everything_unread() {
    let world = World::new();
    let track = track(&world);
    track.write_frame("zero").unwrap();
    track.write_frame("one").unwrap();
    let mut subscriber = track.subscribe(None);
    let mut group = look(|waiter| subscriber.poll_recv_group(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    track.finish().unwrap();
    track.abort(Error::App(1)).unwrap();
    let failed = Some(Err(Error::App(1)));
    assert_eq!(recv(&mut subscriber), failed);
    assert_eq!(next(&mut subscriber), failed);
    assert_eq!(get(&subscriber, 0), failed);
    assert_eq!(read(&mut subscriber), Some(Err(Error::App(1))));
    assert_eq!(
        look(|waiter| subscriber.poll_finished(waiter)),
        Some(Err(Error::App(1)))
    );
    assert_eq!(
        look(|waiter| subscriber.poll_recv_datagram(waiter)),
        Some(Err(Error::App(1)))
    );
    // What was handed out is its reader's.
    assert_eq!(
        look(|waiter| group.poll_read_frame(waiter)),
        Some(Ok(Some("zero".into())))
    );
}

// ---- frames

fn reader(track: &TrackProducer, sequence: u64) -> moq_net::GroupConsumer {
    track.consume().get_group(sequence).unwrap()
}

#[test]
fn frames_are_read_in_order_and_end_cleanly() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    let mut consumer = group.consume();
    let probe = Probe::new();
    probe.park(|waiter| consumer.poll_read_frame(waiter));
    group
        .write_frames([(None, "a".into()), (None, "b".into()), (None, "c".into())])
        .unwrap();
    assert_eq!(probe.wakes(), 1, "one wake-up for all frames of a batch");
    let mut twin = consumer.clone();
    for expected in ["a", "b", "c"] {
        assert_eq!(
            look(|waiter| consumer.poll_read_frame(waiter)),
            Some(Ok(Some(expected.into())))
        );
    }
    probe.park(|waiter| consumer.poll_read_frame_chunks(waiter));
    assert_eq!(look(|waiter| consumer.poll_finished(waiter)), None);
    group.finish().unwrap();
    assert_eq!(probe.wakes(), 2);
    assert_eq!(
        look(|waiter| consumer.poll_read_frame_chunks(waiter)),
        Some(Ok(None))
    );
    assert!(
        look(|waiter| consumer.poll_next_frame(waiter))
            .unwrap()
            .unwrap()
            .is_none()
    );
    assert_eq!(look(|waiter| consumer.poll_finished(waiter)), Some(Ok(3)));
    assert_eq!(
        look(|waiter| twin.poll_read_frame(waiter)),
        Some(Ok(Some("a".into()))),
        "a clone goes its own way"
    );
    assert_eq!(group.write_frame("d"), Err(Error::Closed));
    assert_eq!(group.finish(), Err(Error::Closed));
    assert_eq!(group.abort(Error::Cancel), Err(Error::Closed));
}

#[test]
fn payloads_are_never_copied() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    let chunks = vec![Bytes::from(vec![1; 1000]), Bytes::from(vec![2; 500])];
    group.write_chunks(None, chunks.clone()).unwrap();
    let frame = group.create_frame(1500).unwrap();
    for chunk in &chunks {
        frame.write(chunk.clone()).unwrap();
    }
    group.write_frame(chunks[0].clone()).unwrap();
    let mut consumer = group.consume();
    let at = |read: &[Bytes]| read.iter().map(|chunk| chunk.as_ptr()).collect::<Vec<_>>();
    for expected in [&chunks[..], &chunks[..], &chunks[..1]] {
        let read = look(|waiter| consumer.poll_read_frame_chunks(waiter))
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(at(&read), at(expected));
    }
    // One buffer of one chunk is that chunk.
    consumer.seek(2);
    let read = look(|waiter| consumer.poll_read_frame(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(read.as_ptr(), chunks[0].as_ptr());
    consumer.seek(0);
    let read = look(|waiter| consumer.poll_read_frame(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((read.len(), read[0], read[1499]), (1500, 1, 2));
}

#[test]
fn a_growing_frame_is_read_as_it_comes() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    let frame = group.create_frame(6).unwrap();
    let mut consumer = group.consume();
    let mut growing = look(|waiter| consumer.poll_next_frame(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((growing.size(), growing.timestamp()), (6, None));
    let probe = Probe::new();
    probe.park(|waiter| growing.poll_read_chunk(waiter));
    frame.write("abc").unwrap();
    assert_eq!(probe.wakes(), 1);
    assert_eq!(
        look(|waiter| growing.poll_read_chunk(waiter)),
        Some(Ok(Some("abc".into())))
    );
    probe.park(|waiter| growing.poll_read_all(waiter));
    assert_eq!(frame.remaining(), Ok(3));
    frame.write("def").unwrap();
    assert_eq!(
        look(|waiter| growing.poll_read_all(waiter)),
        Some(Ok("def".into()))
    );
    assert_eq!(
        look(|waiter| growing.poll_read_chunk(waiter)),
        Some(Ok(None))
    );
    frame.finish().unwrap();
}

#[test]
fn a_frame_keeps_to_its_size() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    let frame = group.create_frame(4).unwrap();
    assert_eq!(frame.write("12345"), Err(Error::WrongSize));
    frame.write("123").unwrap();
    assert_eq!(frame.write("45"), Err(Error::WrongSize));
    let mut consumer = group.consume();
    let probe = Probe::new();
    probe.park(|waiter| consumer.poll_read_frame(waiter));
    assert_eq!(frame.finish(), Err(Error::WrongSize));
    assert!(probe.wakes() > 0);
    assert_eq!(
        look(|waiter| consumer.poll_read_frame(waiter)),
        Some(Err(Error::WrongSize))
    );
    let empty = group.create_frame(0).unwrap();
    empty.finish().unwrap();
    let mut second = reader(&track, 0);
    second.seek(1);
    assert_eq!(
        look(|waiter| second.poll_read_frame(waiter)),
        Some(Ok(Some(Bytes::new())))
    );
}

#[test]
fn a_frame_that_loses_its_writer_fails_and_a_complete_one_does_not() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    let frame = group.create_frame(4).unwrap();
    let complete = group.create_frame(2).unwrap();
    complete.write("ok").unwrap();
    let mut consumer = group.consume();
    let mut growing = look(|waiter| consumer.poll_next_frame(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    let mut done = look(|waiter| consumer.poll_next_frame(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    let probe = Probe::new();
    probe.park(|waiter| growing.poll_read_chunk(waiter));
    drop((frame, complete));
    assert_eq!(probe.wakes(), 1);
    assert_eq!(
        look(|waiter| growing.poll_read_chunk(waiter)),
        Some(Err(Error::Dropped))
    );
    assert_eq!(
        look(|waiter| done.poll_read_all(waiter)),
        Some(Ok("ok".into()))
    );
}

#[test]
fn one_frame_may_be_in_several_groups() {
    let world = World::new();
    let (a, b) = (track(&world), track(&world));
    let frame = Frame::new(2).produce(&world.runtime).unwrap();
    a.append_group().unwrap().append_frame(&frame).unwrap();
    let group = b.append_group().unwrap();
    group.append_frame(&frame).unwrap();
    frame.write("hi").unwrap();
    assert_eq!(
        look(|waiter| group.consume().poll_read_frame(waiter)),
        Some(Ok(Some("hi".into())))
    );
}

#[test]
fn a_group_that_loses_its_writer_fails() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    let twin = group.clone();
    group.write_frame("x").unwrap();
    let mut consumer = group.consume();
    let mut frame = look(|waiter| consumer.poll_next_frame(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    let probe = Probe::new();
    probe.park(|waiter| consumer.poll_next_frame(waiter));
    drop(group);
    assert_eq!(probe.wakes(), 0);
    drop(twin);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(
        look(|waiter| consumer.poll_read_frame(waiter)),
        Some(Err(Error::Dropped))
    );
    assert_eq!(
        look(|waiter| consumer.poll_finished(waiter)),
        Some(Err(Error::Dropped))
    );
    assert_eq!(
        look(|waiter| frame.poll_read_all(waiter)),
        Some(Ok("x".into())),
        "a frame in hand stays readable"
    );
}

#[test]
fn an_aborted_group_tells_reader_and_writer() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    let probe = Probe::new();
    probe.park(|waiter| group.poll_closed(waiter));
    group.abort(Error::Timeout).unwrap();
    assert_eq!(probe.wakes(), 1);
    assert_eq!(
        look(|waiter| group.poll_closed(waiter)),
        Some(Error::Timeout)
    );
    assert_eq!(group.abort(Error::Cancel), Err(Error::Timeout));
    assert_eq!(group.write_frame("x"), Err(Error::Timeout));
    assert_eq!(group.create_frame(1).err(), Some(Error::Timeout));
    assert_eq!(
        look(|waiter| group.consume().poll_read_frame(waiter)),
        Some(Err(Error::Timeout))
    );
    // The track goes on.
    assert_eq!(track.write_frame("y"), Ok(1));
}

#[test]
fn a_group_knows_whether_anybody_reads_it() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    assert_eq!(look(|waiter| group.poll_unused(waiter)), Some(()));
    let consumer = group.consume();
    let probe = Probe::new();
    probe.park(|waiter| group.poll_unused(waiter));
    group.write_frame("x").unwrap();
    assert_eq!(probe.wakes(), 0);
    drop(consumer);
    assert_eq!(probe.wakes(), 1);
}

#[test]
fn timestamps_belong_to_timed_tracks_only() {
    let world = World::new();
    let timed = TrackProducer::new(
        "v",
        TrackInfo::default().with_timescale(Timescale::MICRO),
        &world.runtime,
    );
    let group = timed.append_group().unwrap();
    assert_eq!(group.write_frame("x"), Err(Error::TimestampMismatch));
    assert_eq!(group.create_frame(1).err(), Some(Error::TimestampMismatch));
    assert_eq!(timed.write_frame("x"), Err(Error::TimestampMismatch));
    assert_eq!(timed.latest(), Some(0), "a refused frame makes no group");
    let untimed = track(&world);
    let plain = untimed.append_group().unwrap();
    assert_eq!(
        plain.write_timed(Timestamp::from_millis(1), "x"),
        Err(Error::TimestampMismatch)
    );
    assert_eq!(
        untimed.write_timed(Timestamp::from_millis(1), "x"),
        Err(Error::TimestampMismatch)
    );
    let micro = Some(Timescale::MICRO);
    assert_eq!(
        [group.timescale(), group.consume().timescale()],
        [micro, micro]
    );
    assert_eq!(
        [plain.timescale(), plain.consume().timescale()],
        [None, None]
    );
}

#[test]
fn another_scale_is_converted_and_said_once_per_track() {
    let world = World::new();
    let timed = TrackProducer::new(
        "v",
        TrackInfo::default().with_timescale(Timescale::MICRO),
        &world.runtime,
    );
    timed.write_timed(Timestamp::from_micros(5), "x").unwrap();
    assert_eq!(world.runtime.stats().rescaled_tracks, 0, "in its own scale");
    for round in 0..3 {
        let group = timed.append_group().unwrap();
        group.write_timed(Timestamp::from_millis(5), "x").unwrap();
        group
            .create_frame(Frame::new(0).with_timestamp(Timestamp::new(1, Timescale::SECOND)))
            .unwrap();
        let mut consumer = group.consume();
        let mut stamp = || {
            look(|waiter| consumer.poll_next_frame(waiter))
                .unwrap()
                .unwrap()
                .unwrap()
                .timestamp()
        };
        assert_eq!(
            [stamp(), stamp()],
            [5000, 1_000_000].map(|micros| Some(Timestamp::from_micros(micros))),
            "{round}"
        );
    }
    assert_eq!(world.runtime.stats().rescaled_tracks, 1);
    let group = timed.append_group().unwrap();
    let huge = Timestamp::new(u64::MAX, Timescale::SECOND);
    assert_eq!(group.write_timed(huge, "x"), Err(Error::TimestampMismatch));
}

#[test]
fn an_untimed_frame_has_its_arrival_on_a_wire_that_needs_a_time() {
    let world = World::new();
    world.pass(500);
    let track = track(&world);
    world.pass(40);
    let group = track.append_group().unwrap();
    world.pass(2);
    group.write_frame("x").unwrap();
    world.pass(1000);
    let mut consumer = group.consume();
    let frame = look(|waiter| consumer.poll_next_frame(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(consumer.wire_timestamp(&frame), Timestamp::from_millis(42));
    let info = TrackInfo::default().with_timescale(Timescale::MICRO);
    let timed = TrackProducer::new("v", info, &world.runtime);
    timed.write_timed(Timestamp::from_micros(7), "x").unwrap();
    let mut consumer = reader(&timed, 0);
    let frame = look(|waiter| consumer.poll_next_frame(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(consumer.wire_timestamp(&frame), Timestamp::from_micros(7));
}

#[test]
fn too_large_a_frame_is_refused_before_it_costs_anything() {
    let world = World::with(Limits {
        max_frame: 100,
        ..Limits::default()
    });
    let track = track(&world);
    let group = track.append_group().unwrap();
    let before = world.runtime.stats();
    assert_eq!(group.create_frame(101).err(), Some(Error::FrameTooLarge));
    assert_eq!(
        group.create_frame(usize::MAX).err(),
        Some(Error::FrameTooLarge)
    );
    assert_eq!(group.write_frame(vec![0; 101]), Err(Error::FrameTooLarge));
    assert_eq!(track.write_frame(vec![0; 101]), Err(Error::FrameTooLarge));
    assert_eq!(world.runtime.stats(), before);
    let other = track.append_group().unwrap();
    assert_eq!(
        other.write_frame(vec![0; 100]),
        Ok(()),
        "just not too large"
    );
    other.abort(Error::Cancel).unwrap();
    drop(other);
    let before = world.runtime.stats();
    let frame = group.create_frame(100).unwrap();
    let open = world.runtime.stats().cached_bytes - before.cached_bytes;
    assert!(open < 100, "a declared size is only a promise: {open}");
    frame.write(vec![0; 100]).unwrap();
    assert_eq!(
        world.runtime.stats().cached_bytes - before.cached_bytes,
        open + 100
    );
}

#[test]
fn a_group_without_its_head_starts_where_it_starts() {
    let world = World::new();
    let track = track(&world);
    let group = track.create_group_from(4, 2).unwrap();
    group.write_frame("two").unwrap();
    assert_eq!(group.frame_count(), 3);
    let mut consumer = track.subscribe(None);
    let mut consumer = look(|waiter| consumer.poll_recv_group(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(consumer.index(), 2);
    assert_eq!(
        look(|waiter| consumer.poll_read_frame(waiter)),
        Some(Ok(Some("two".into())))
    );
    assert_eq!(consumer.index(), 3);
    consumer.seek(0);
    assert_eq!(
        look(|waiter| consumer.poll_read_frame(waiter)),
        Some(Err(Error::CacheFull))
    );
}
