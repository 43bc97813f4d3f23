//! The test support itself: what the other tests stand on must behave as they believe.

mod support;

use std::time::Duration;

use bytes::Bytes;
use support::executor::Executor;
use support::transport::{Error, Options, pair};
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn bytes_travel_by_reference() {
    Executor::new().run_until(async {
        let (client, server) = pair(Options::default());
        let mut send = client.open_uni().await.unwrap();
        let chunk = Bytes::from_static(b"payload");
        send.write_chunk(chunk.clone()).await.unwrap();
        send.finish().unwrap();

        let mut recv = server.accept_uni().await.unwrap();
        let read = recv.read_chunk(1000).await.unwrap().unwrap();
        assert_eq!(read.as_ptr(), chunk.as_ptr());
        assert_eq!(recv.read_chunk(1000).await, Ok(None));
        assert_eq!(send.closed().await, Ok(()));
    });
}

#[test]
fn a_full_window_holds_the_writer_until_the_reader_reads() {
    let executor = Executor::new();
    let (client, server) = pair(Options {
        window: 4,
        ..Options::default()
    });
    let writer = executor.spawn(async move {
        let mut send = client.open_uni().await.unwrap();
        send.write_chunk(Bytes::from_static(b"123456"))
            .await
            .unwrap();
        (client, send)
    });
    executor.run_until_idle();
    assert!(!writer.is_finished());
    executor.run_until(async {
        let mut recv = server.accept_uni().await.unwrap();
        assert_eq!(recv.read_chunk(100).await.unwrap().unwrap(), "1234");
        let _open = writer.await;
        assert_eq!(recv.read_chunk(100).await.unwrap().unwrap(), "56");
    });
}

#[test]
fn stream_credit_returns_when_a_stream_is_over_on_both_sides() {
    let executor = Executor::new();
    let (client, server) = pair(Options {
        max_bidi: 1,
        ..Options::default()
    });
    let (mut send, mut recv) = executor.run_until(client.open_bi()).unwrap();
    let second = executor.spawn({
        let client = client.clone();
        async move { client.open_bi().await.map(|_| ()) }
    });
    executor.run_until_idle();
    assert!(!second.is_finished());

    let (mut far_send, mut far_recv) = executor.run_until(server.accept_bi()).unwrap();
    far_send.reset(7);
    assert_eq!(executor.run_until(recv.read_chunk(1)), Err(Error::Reset(7)));
    executor.run_until_idle();
    assert!(!second.is_finished());
    far_recv.stop(8);
    assert_eq!(executor.run_until(send.write(b"x")), Err(Error::Stopped(8)));
    assert_eq!(executor.run_until(second), Ok(()));
}

#[test]
fn a_close_reaches_every_wait_with_its_code() {
    let executor = Executor::new();
    let (client, server) = pair(Options::default());
    let (_send, mut recv) = executor.run_until(client.open_bi()).unwrap();
    let read = executor.spawn(async move { recv.read_chunk(10).await });
    let accept = executor.spawn({
        let client = client.clone();
        async move { client.accept_uni().await.map(|_| ()) }
    });
    executor.run_until_idle();
    server.close(3, "bye");
    let closed = Error::Closed {
        code: 3,
        reason: "bye".to_owned(),
    };
    assert_eq!(executor.run_until(read), Err(closed.clone()));
    assert_eq!(executor.run_until(accept), Err(closed.clone()));
    assert_eq!(executor.run_until(client.closed()), closed);
    assert_eq!(executor.run_until(server.closed()), Error::Local);
}

#[test]
fn dropping_the_last_handle_closes_the_session() {
    let executor = Executor::new();
    let (client, server) = pair(Options::default());
    drop(client);
    assert!(matches!(
        executor.run_until(server.closed()),
        Error::Closed { code: 0, .. }
    ));
}

#[test]
fn timers_fire_in_order_and_time_moves_only_on_request() {
    let executor = Executor::new();
    let clock = executor.clock();
    let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    for ms in [30u64, 10, 20] {
        let (clock, order) = (clock.clone(), order.clone());
        drop(executor.spawn(async move {
            clock.sleep(Duration::from_millis(ms)).await;
            order.borrow_mut().push((ms, clock.now()));
        }));
    }
    executor.run_until_idle();
    assert!(order.borrow().is_empty());
    executor.advance(Duration::from_millis(25));
    assert_eq!(
        *order.borrow(),
        [
            (10, Duration::from_millis(10)),
            (20, Duration::from_millis(20))
        ]
    );
    assert_eq!(executor.now(), Duration::from_millis(25));
    assert_eq!(
        executor.run_for(Duration::from_secs(1), std::future::pending::<()>()),
        None
    );
    assert_eq!(executor.live(), 0);
}
