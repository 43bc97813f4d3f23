//! How long a fetched group is waited for, and its body. In virtual time.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::{Stream as _, StreamExt as _};
use tokio::time::{sleep, timeout};

use super::inside::Inside;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_broadcast_that_is_announced_soon_is_waited_for() {
    let inside = Inside::new();
    for query in ["group=0", "group=latest"] {
        let path = format!("room/{query}").replace('=', "-");
        let (asking, target) = (inside.clone(), format!("/fetch/{path}/data?{query}"));
        let asked = tokio::spawn(async move { asking.read(&target).await });
        let begin = inside.now();
        sleep(SECOND).await;
        let _other = inside.publish("elsewhere").await;
        sleep(SECOND).await;
        assert!(!asked.is_finished(), "{query}: there is no such broadcast");
        let (_broadcast, track) = inside.publish(&path).await;
        track.write_frame("here").unwrap();
        let answer = asked.await.unwrap();
        assert_eq!(answer, (200, "here".to_owned()), "{query}");
        assert_eq!(inside.now() - begin, 2 * SECOND, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_waited_for_longer_than_half_a_minute() {
    let inside = Inside::new();
    let (status, _) = inside.read("/fetch/room/data?group=0").await;
    assert_eq!((status, inside.now()), (504, 30 * SECOND), "a broadcast");
    let (_broadcast, track) = inside.publish("room").await;
    let (status, _) = inside.read("/fetch/room/data?group=latest").await;
    assert_eq!((status, inside.now()), (504, 60 * SECOND), "a group");
    let group = track.append_group().unwrap();
    let (status, _) = inside.read("/fetch/room/data?frame=0").await;
    assert_eq!((status, inside.now()), (504, 90 * SECOND), "a frame");
    assert!(track.subscription().is_none(), "nobody is left");
    drop(group);
    // Beyond doubt is beyond waiting.
    let (status, _) = inside.read("/fetch/room/none?group=0").await;
    assert_eq!((status, inside.now()), (404, 90 * SECOND));
}

/// Counts how often it is called.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_woken_for_what_it_waits_for_however_often_it_is_polled() {
    let inside = Inside::new();
    let (_broadcast, track) = inside.publish("room").await;
    let group = track.append_group().unwrap();
    group.write_frame("first").unwrap();
    let response = inside.get("/fetch/room/data?group=0").await;
    let mut body = pin!(response.into_body().into_data_stream());
    assert_eq!(body.next().await.unwrap().unwrap(), "first");
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(calls.clone());
    let poll = |body: std::pin::Pin<&mut axum::body::BodyDataStream>, waker: &Waker| {
        body.poll_next(&mut Context::from_waker(waker))
    };
    for _ in 0..100 {
        assert!(poll(body.as_mut(), Waker::noop()).is_pending());
    }
    // The last waker counts, and needs no further poll.
    assert!(poll(body.as_mut(), &waker).is_pending());
    let before = calls.0.load(Ordering::Relaxed);
    group.write_frame("second").unwrap();
    tokio::task::yield_now().await;
    assert!(calls.0.load(Ordering::Relaxed) > before, "for a frame");
    let Poll::Ready(Some(Ok(second))) = poll(body.as_mut(), &waker) else {
        panic!("the frame is not there");
    };
    assert_eq!(second, "second");
    assert!(poll(body.as_mut(), &waker).is_pending());
    let before = calls.0.load(Ordering::Relaxed);
    sleep(31 * SECOND).await;
    assert!(calls.0.load(Ordering::Relaxed) > before, "for the deadline");
    assert!(matches!(
        poll(body.as_mut(), &waker),
        Poll::Ready(Some(Err(_)))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_body_has_half_a_minute_in_all_whatever_comes_and_whoever_polls() {
    let inside = Inside::new();
    let (_broadcast, track) = inside.publish("room").await;
    let group = track.append_group().unwrap();
    group.write_frame("0").unwrap();
    let response = inside.get("/fetch/room/data?group=latest").await;
    let mut body = response.into_body().into_data_stream();
    let mut read = Vec::new();
    let end = loop {
        // Whoever reads is impatient, and something comes now and then.
        match timeout(SECOND / 3, body.next()).await {
            Ok(Some(Ok(piece))) => read.push(piece),
            Ok(end) => break end,
            Err(_elapsed) if read.len() < 5 => group.write_frame("more").unwrap(),
            Err(_elapsed) => {}
        }
        assert!(inside.now() < 40 * SECOND, "it has no deadline");
    };
    assert!(matches!(end, Some(Err(_))), "a cut is no proper end");
    assert_eq!(inside.now(), 30 * SECOND);
    assert_eq!(read.len(), 5);
    assert!(body.next().await.is_none(), "nothing follows");
    drop(body);
    assert!(track.subscription().is_none(), "nobody is left");
}
