//! Floods that the others must not notice, to the millisecond. A flood and a relay that are not optimised want more than a small
//! machine has, so these run optimised only.

use std::time::Duration;

use moq_worker_relay::bounds::Bounds;

use crate::canary::Canary;
use crate::deaf::Deaf;
use crate::memory::MIB;
use crate::world::{World, soon, until};

/// Runs `flood` while the canary sings. It must not notice: what it gets, it gets as soon as a canary of another relay on the
/// same machine, or nearly; and the flooded relay must not hold much.
async fn unnoticed<T>(world: &World, canary: &mut Canary, flood: impl Future<Output = T>) -> T {
    let calm = World::new(Bounds::default());
    let mut control = calm.canary().await;
    let before = world.memory.live();
    world.memory.peak();
    let (_old, _older) = (canary.p99(), control.p99());
    let over = std::cell::Cell::new(false);
    let flooding = async {
        let result = canary.sings_during(soon("the flood", flood)).await;
        over.set(true);
        result
    };
    let singing = async {
        while !over.get() {
            control.sings().await;
        }
    };
    let (result, ()) = tokio::join!(flooding, singing);
    let (taken, unloaded) = (canary.p99(), control.p99());
    let most = (2 * unloaded).max(unloaded + Duration::from_millis(50));
    assert!(taken <= most, "{taken:?}, {unloaded:?} elsewhere");
    let held = world.memory.peak() - before;
    assert!(held <= 64 * MIB, "{held} bytes");
    result
}

/// SUBSCRIBE of track "v" of "canary".
const SUBSCRIBE: &[u8] = b"\x02\x10\x00\x06canary\x01v\x05\x00\x41\xf4\x00\x00";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(debug_assertions, ignore = "only holds optimised: npm test -- floods")]
async fn requests_that_are_reset_at_once() {
    let world = World::new(Bounds::default());
    let mut canary = world.canary().await;
    let before = world.held();
    let flooder = world.flooder().await;
    let flood = async {
        for _ in 0..100_000 {
            let Ok((mut send, _recv)) = flooder.connection.open_bi().await else {
                return;
            };
            if send.write_all(SUBSCRIBE).await.is_err() {
                return;
            }
            let _over = send.reset(1_u32.into());
        }
        panic!("it was not let go");
    };
    unnoticed(&world, &mut canary, flood).await;
    assert_eq!(
        flooder.closed().await,
        (3, "limit passed: reset_rate".into())
    );
    canary.sings().await;
    drop(flooder);
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(debug_assertions, ignore = "only holds optimised: npm test -- floods")]
async fn announcements_that_come_and_go() {
    let world = World::new(Bounds::default());
    let mut canary = world.canary().await;
    let flooder = world.flooder().await;
    let (mut send, _interest) = soon("interest", flooder.connection.accept_bi())
        .await
        .unwrap();
    send.write_all(b"\x02\x00\x00").await.unwrap();
    let churn = [&b"\x05\x01\x02aa\x00"[..], b"\x05\x00\x02aa\x00"]
        .concat()
        .repeat(5000);
    let before = world.held();
    let flood = tokio::time::timeout(Duration::from_secs(3), send.write_all(&churn));
    let _blocked = unnoticed(&world, &mut canary, flood).await;
    canary.sings().await;
    assert!(flooder.connection.close_reason().is_none());
    // Too many at a time are another matter.
    let flooder = world.flooder().await;
    let (mut send, _interest) = soon("interest", flooder.connection.accept_bi())
        .await
        .unwrap();
    let mut all = b"\x02\x00\x00".to_vec();
    for name in 0..1100_u32 {
        all.extend_from_slice(b"\x07\x01\x04");
        all.extend_from_slice(format!("{name:04x}").as_bytes());
        all.push(0);
    }
    // It may be let go before it has said everything.
    let _cut = send.write_all(&all).await;
    assert_eq!(
        flooder.closed().await,
        (3, "limit passed: announces".into())
    );
    canary.sings().await;
    drop((send, flooder));
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(debug_assertions, ignore = "only holds optimised: npm test -- floods")]
async fn datagrams_and_groups_of_nobody() {
    let world = World::new(Bounds::default());
    let mut canary = world.canary().await;
    let flooder = world.flooder().await;
    let flood = async {
        for number in 0..50_000_u32 {
            // A full queue drops the oldest.
            let _dropped = flooder
                .connection
                .send_datagram(vec![0x3f, 0, 0, 1, 2, 3].into());
            if number % 100 == 0 {
                let Ok(mut send) = flooder.connection.open_uni().await else {
                    return;
                };
                let _refused = send.write_all(b"\x00\x02\x3f\x00payload").await;
                tokio::task::yield_now().await;
            }
        }
    };
    let before = world.held();
    unnoticed(&world, &mut canary, flood).await;
    canary.sings().await;
    assert!(world.relay.stats().refused_datagrams > 0);
    drop(flooder);
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(debug_assertions, ignore = "only holds optimised: npm test -- floods")]
async fn a_viewer_of_high_priority_that_never_reads() {
    let world = World::new(Bounds::default());
    let heavy = world.client().await;
    let path = moq_net::Path::parse("heavy").unwrap();
    let broadcast = heavy.origin.create_broadcast(&path).unwrap();
    let track = broadcast.create_track("v", None).unwrap();
    let mut canary = world.canary().await;
    let flooder = world.flooder().await;
    let mut kept = Vec::new();
    for id in 0..20_u8 {
        let (mut send, recv) = flooder.connection.open_bi().await.unwrap();
        let mut request = b"\x02\x0f\x00\x05heavy\x01v\xff\x00\x53\x88\x00\x00".to_vec();
        request[2] = id;
        send.write_all(&request).await.unwrap();
        kept.push((send, recv));
    }
    until("its subscriptions", || {
        world.relay.stats().served_subscriptions >= 20
    })
    .await;
    let flood = async {
        for _ in 0..40 {
            track.write_frame(vec![1; 256 << 10]).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    unnoticed(&world, &mut canary, flood).await;
    canary.sings().await;
    assert!(world.relay.stats().unsent_bytes <= 32 << 20);
    assert!(flooder.connection.close_reason().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(debug_assertions, ignore = "only holds optimised: npm test -- floods")]
async fn handshakes_that_never_end() {
    let bounds = Bounds {
        unproven_handshakes: 32,
        handshakes: 64,
        handshake_timeout: Duration::from_secs(3),
        ..Bounds::default()
    };
    let world = World::new(bounds);
    let mut canary = world.canary().await;
    let before = world.held();
    let mut flood = Deaf::new(&world);
    let flooding = async {
        for _ in 0..500 {
            flood.connect();
            tokio::task::yield_now().await;
        }
    };
    unnoticed(&world, &mut canary, flooding).await;
    // Beyond 32 an address has to be proven, which the deaf cannot and others can.
    let late = world.client().await;
    soon("readiness", late.session.ready()).await.unwrap();
    canary.sings().await;
    drop((late, flood));
    world.settles(before).await;
}
