//! Waiting: everything that is asked by polling can be awaited as well, and wakes whoever waits.

mod support;

use bytes::Bytes;
use moq_net::{Error, Frame, GroupConsumer, Subscription, TrackProducer, TrackRequest};
use support::{
    executor::Task,
    look::{World, look},
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Starts to wait for what is not there yet.
fn wait<F: Future<Output: 'static> + 'static>(world: &World, what: F) -> Task<F::Output> {
    let task = world.executor.spawn(what);
    world.executor.run_until_idle();
    assert!(!task.is_finished(), "nothing to wait for");
    task
}

/// What was waited for.
fn come<T>(world: &World, task: &Task<T>) -> T {
    world.executor.run_until_idle();
    task.take().expect("nobody was woken")
}

fn sequence(group: Result<Option<GroupConsumer>, Error>) -> Result<Option<u64>, Error> {
    group.map(|group| group.map(|group| group.sequence()))
}

#[test]
fn a_subscriber_waits_for_what_comes_and_for_the_end() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let [
        mut arrivals,
        mut order,
        mut frames,
        mut datagrams,
        one,
        end,
        closed,
    ] = [(); 7].map(|()| track.subscribe(None));
    let arrival = wait(&world, async move { arrivals.recv_group().await });
    let next = wait(&world, async move { order.next_group().await });
    let frame = wait(&world, async move { frames.read_frame().await });
    let datagram = wait(&world, async move { datagrams.recv_datagram().await });
    let one = wait(&world, async move { one.get_group(2).await });
    let end = wait(&world, async move { end.finished().await });
    let closed = wait(&world, async move { closed.closed().await });

    track.write_frame("frame").unwrap();
    assert_eq!(sequence(come(&world, &arrival)), Ok(Some(0)));
    assert_eq!(sequence(come(&world, &next)), Ok(Some(0)));
    assert_eq!(come(&world, &frame), Ok(Some(Bytes::from("frame"))));
    assert!(!datagram.is_finished());
    track.write_datagram("datagram", None).unwrap();
    let datagram = come(&world, &datagram).unwrap().unwrap();
    assert_eq!(
        (datagram.sequence, datagram.payload),
        (1, Bytes::from("datagram"))
    );
    assert!(!one.is_finished());
    track.create_group(2).unwrap().finish().unwrap();
    assert_eq!(sequence(come(&world, &one)), Ok(Some(2)));
    assert!(!end.is_finished() && !closed.is_finished());
    track.finish().unwrap();
    assert_eq!(come(&world, &end), Ok(3));
    assert_eq!(come(&world, &closed), Ok(()));
}

#[test]
fn a_reader_waits_for_frames_and_for_the_end_of_its_group() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let group = track.append_group().unwrap();
    let [mut next, mut chunks, mut whole, second, end] = [(); 5].map(|()| group.consume());
    let next = wait(&world, async move { next.next_frame().await });
    let chunks = wait(&world, async move { chunks.read_frame_chunks().await });
    let whole = wait(&world, async move { whole.read_frame().await });
    let second = wait(&world, async move { second.get_frame(1).await });
    let end = wait(&world, async move { end.finished().await });
    let ended = wait(&world, {
        let group = group.clone();
        async move { group.closed().await }
    });

    let frame = group.create_frame(4).unwrap();
    let mut piece = come(&world, &next).unwrap().unwrap();
    let mut rest = piece.clone();
    let piece = wait(&world, async move { piece.read_chunk().await });
    let rest = wait(&world, async move { rest.read_all().await });
    frame.write("ab").unwrap();
    assert_eq!(come(&world, &piece), Ok(Some(Bytes::from("ab"))));
    assert!(!chunks.is_finished() && !whole.is_finished() && !rest.is_finished());
    frame.write("cd").unwrap();
    assert_eq!(come(&world, &rest), Ok(Bytes::from("abcd")));
    assert_eq!(
        come(&world, &chunks),
        Ok(Some(vec![Bytes::from("ab"), Bytes::from("cd")]))
    );
    assert_eq!(come(&world, &whole), Ok(Some(Bytes::from("abcd"))));
    assert!(!second.is_finished());
    group.write_frame("second").unwrap();
    let mut second = come(&world, &second).unwrap().unwrap();
    assert_eq!(
        look(|waiter| second.poll_read_all(waiter)),
        Some(Ok(Bytes::from("second")))
    );
    assert!(!end.is_finished() && !ended.is_finished());
    group.finish().unwrap();
    assert_eq!(come(&world, &end), Ok(2));
    assert_eq!(come(&world, &ended), Error::Closed);
}

#[test]
fn a_writer_waits_until_nobody_reads_any_more() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let group = track.append_group().unwrap();
    let frame = group.create_frame(Frame::new(4)).unwrap();
    let (reader, pieces) = (group.consume(), frame.consume());
    let unread = wait(&world, async move { frame.unused().await });
    let unused = wait(&world, async move { group.unused().await });
    drop(pieces);
    come(&world, &unread);
    assert!(!unused.is_finished());
    drop(reader);
    come(&world, &unused);
}

#[test]
fn a_request_waits_for_wishes_and_until_nobody_holds_its_track() {
    let world = World::new();
    let mut request = TrackRequest::new("video", &world.runtime);
    let readers = request.consume();
    let told = wait(&world, async move {
        let told = request.subscription_changed().await;
        (request, told)
    });
    let wish = Subscription::default().with_priority(9).with_group_start(3);
    let from_three = readers.subscribe(wish).unwrap();
    let (request, told) = come(&world, &told);
    assert_eq!((told, request.has_open_start()), (Some(wish), false));
    let from_anywhere = readers.subscribe(None).unwrap();
    assert!(request.has_open_start());
    assert!(look(|waiter| request.poll_unused(waiter)).is_none());
    let unused = wait(&world, async move { request.unused().await });
    drop((from_three, from_anywhere));
    world.executor.run_until_idle();
    assert!(!unused.is_finished());
    drop(readers);
    come(&world, &unused);
}
