//! What the handles of groups and frames say of themselves, and readers that change their way of reading.

mod support;

use bytes::Bytes;
use moq_net::{Error, FrameConsumer, GroupConsumer, TrackProducer};
use support::look::{World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn track(world: &World) -> TrackProducer {
    TrackProducer::new("video", None, &world.runtime)
}

fn next(group: &mut GroupConsumer) -> Option<FrameConsumer> {
    look(|waiter| group.poll_next_frame(waiter))?.unwrap()
}

fn all(frame: &mut FrameConsumer) -> Option<Bytes> {
    look(|waiter| frame.poll_read_all(waiter)).map(Result::unwrap)
}

#[test]
fn handles_know_whether_they_are_of_one_group() {
    let world = World::new();
    let track = track(&world);
    let [group, other] = [(); 2].map(|()| track.append_group().unwrap());
    assert!(group.is_clone(&group.clone()) && !group.is_clone(&other));
    let [reader, same, stranger] = [&group, &group, &other].map(|group| group.consume());
    assert!(reader.is_clone(&same) && !reader.is_clone(&stranger));
}

#[test]
fn a_reader_knows_how_much_of_its_group_there_is() {
    let world = World::new();
    let track = track(&world);
    world.pass(7);
    let group = track.create_group_from(0, 2).unwrap();
    let reader = group.consume();
    let born = world.runtime.now();
    world.pass(8);
    assert_eq!(
        (reader.frame_count(), reader.is_finished()),
        (2, false),
        "the head that was not asked for"
    );
    for count in 3..6 {
        group.write_frame("x").unwrap();
        assert_eq!([reader.frame_count(), group.frame_count()], [count, count]);
    }
    assert!(!reader.is_finished());
    group.finish().unwrap();
    assert!(reader.is_finished());
    assert_eq!(reader.arrived(), born);
    let aborted = track.create_group(1).unwrap();
    let reader = aborted.consume();
    aborted.abort(Error::Cancel).unwrap();
    assert!(!reader.is_finished(), "something is missing");
}

#[test]
fn a_reader_that_waited_for_a_whole_frame_may_take_it_in_pieces() {
    let world = World::new();
    let group = track(&world).append_group().unwrap();
    let mut reader = group.consume();
    let frame = group.create_frame(2).unwrap();
    frame.write("a").unwrap();
    assert!(look(|waiter| reader.poll_read_frame(waiter)).is_none());
    let mut pieces = next(&mut reader).unwrap();
    assert_eq!(reader.index(), 1);
    frame.write("b").unwrap();
    group.write_frame("second").unwrap();
    assert_eq!(all(&mut pieces), Some(Bytes::from("ab")));
    assert_eq!(
        all(&mut next(&mut reader).unwrap()),
        Some(Bytes::from("second"))
    );
    assert_eq!(reader.index(), 2);
}

#[test]
fn what_is_left_of_a_frame_is_not_copied_if_it_is_one_chunk() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    let chunks = [1, 2].map(|byte| Bytes::from(vec![byte; 1000]));
    group.write_chunks(None, chunks.to_vec()).unwrap();
    let mut frame = next(&mut group.consume()).unwrap();
    let first = look(|waiter| frame.poll_read_chunk(waiter));
    assert_eq!(first, Some(Ok(Some(chunks[0].clone()))));
    assert_eq!(all(&mut frame).unwrap().as_ptr(), chunks[1].as_ptr());
    assert_eq!(all(&mut frame), Some(Bytes::new()), "and then nothing");
    let mut subscriber = track.subscribe(None);
    track.write_datagram(chunks[0].clone(), None).unwrap();
    let datagram = look(|waiter| subscriber.poll_recv_datagram(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(datagram.payload.as_ptr(), chunks[0].as_ptr());
}

#[test]
fn who_reads_a_complete_frame_holds_nothing_but_its_bytes() {
    let world = World::new();
    let group = track(&world).append_group().unwrap();
    let frame = group.create_frame(2).unwrap();
    frame.write("a").unwrap();
    let early = frame.consume();
    assert_eq!(world.runtime.stats().consumers, 1);
    assert!(look(|waiter| frame.poll_unused(waiter)).is_none());
    drop(early);
    frame.write("b").unwrap();
    let mut late = frame.consume();
    assert_eq!(world.runtime.stats().consumers, 0);
    assert!(look(|waiter| frame.poll_unused(waiter)).is_some());
    drop((frame, group));
    assert_eq!(world.runtime.stats().frames, 0);
    assert_eq!(all(&mut late), Some(Bytes::from("ab")));
}

#[test]
fn a_frame_is_aborted_once_and_only_while_something_is_missing() {
    let world = World::new();
    let group = track(&world).append_group().unwrap();
    let frame = group.create_frame(2).unwrap();
    frame.write("a").unwrap();
    let mut reader = frame.consume();
    assert_eq!(frame.abort(Error::App(7)), Ok(()));
    assert_eq!(
        look(|waiter| reader.poll_read_chunk(waiter)),
        Some(Err(Error::App(7)))
    );
    assert_eq!(frame.write("b"), Err(Error::App(7)));
    assert_eq!(frame.abort(Error::Cancel), Err(Error::Closed));
    let whole = group.create_frame(1).unwrap();
    whole.write("c").unwrap();
    let mut reader = whole.consume();
    assert_eq!(whole.abort(Error::Cancel), Err(Error::Closed));
    assert_eq!(all(&mut reader), Some(Bytes::from("c")));
}
