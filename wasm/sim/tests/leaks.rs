//! Nothing piles up: a day of one broadcast, and ten thousand visits.

#![cfg(not(target_arch = "wasm32"))]

use std::{
    sync::{
        Mutex,
        atomic::{AtomicIsize, Ordering},
    },
    time::Duration,
};

use moq_net::{
    BroadcastConsumer, Client, Config, Error, Limits, Origin, OriginProducer, Path, Runtime,
    Server, Session, Stats, Subscription, TrackInfo, Version,
};
use moq_worker_world::{
    allocator::Counting,
    executor::{Executor, Task},
    transport::{Options, What, Wire, pair_over},
};

static LIVE: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting(|change| {
    LIVE.fetch_add(change, Ordering::Relaxed);
});

/// The count is the process's: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Hours of the day, and visits. Only an optimised build lives through all of them: `npm test -- sim`.
const HOURS: u64 = if cfg!(debug_assertions) { 4 } else { 24 };
const VISITS: u64 = if cfg!(debug_assertions) {
    1_000
} else {
    10_000
};

/// What may be held in addition, wherever it hides.
const SLACK: isize = 64 << 10;

fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

/// Everything takes 20 ms.
struct Cable;

impl Wire for Cable {
    fn arrival(&mut self, now: Duration, _from: usize, _what: What) -> Option<Duration> {
        Some(now + Duration::from_millis(20))
    }
}

/// A relay and those around it, all in one world.
struct World {
    executor: Executor,
    runtime: Runtime,
    relay: OriginProducer,
}

/// One end of a connection to the relay.
struct Visit {
    session: Session,
    tasks: [Task<Result<(), Error>>; 2],
}

impl World {
    fn new() -> Self {
        let executor = Executor::new();
        let runtime = executor.runtime(Limits::relay());
        Self {
            relay: Origin::from(1).produce(&runtime),
            runtime,
            executor,
        }
    }

    async fn connect(&self, version: Version, own: &OriginProducer, publishes: bool) -> Visit {
        let options = Options::protocol(version.alpn());
        let (near, far) = pair_over(options, self.executor.clock(), Cable);
        let config = Config::new(self.runtime.clone()).with_versions([version]);
        let client = Client::new(match publishes {
            true => config.with_publish(own.consume()),
            false => config.with_subscribe(own.clone()),
        });
        let server = Server::new(Config::new(self.runtime.clone()).with_versions([version]));
        let relay = self.relay.clone();
        let accepting = self.executor.spawn(async move {
            let request = server.accept(far).await?;
            let (_session, driver) = request.ok(Some(relay.consume()), Some(relay));
            driver.await
        });
        let (session, driver) = client.connect(near).await.expect("connected");
        let driving = self.executor.spawn(driver);
        session.ready().await.expect("taken");
        Visit {
            session,
            tasks: [driving, accepting],
        }
    }

    async fn leave(&self, visit: Visit) {
        visit.session.close(Error::Closed, "");
        for task in visit.tasks {
            task.await.expect("a clean end");
        }
    }

    async fn sleep(&self, millis: u64) {
        self.executor
            .clock()
            .sleep(Duration::from_millis(millis))
            .await;
    }

    /// Waits for the broadcast everybody reads.
    async fn room(&self, origin: &OriginProducer) -> BroadcastConsumer {
        let room = Path::parse("room").expect("valid");
        let found = origin.consume().announced_broadcast(&room).await;
        found.expect("announced")
    }

    /// Connects, announces, subscribes, fetches, cancels and leaves.
    async fn visit(&self, version: Version, number: u64) {
        let own = Origin::from(100).produce(&self.runtime);
        let reader = self.connect(version, &own, false).await;
        let mine = Origin::from(101).produce(&self.runtime);
        let path = Path::parse("visitor").expect("valid");
        let published = mine.create_broadcast(&path).expect("free");
        let writer = self.connect(version, &mine, true).await;
        let room = self.room(&own).await;
        let track = room.track("v").expect("a track");
        let wish = Subscription::default().with_max_latency(Duration::from_secs(1));
        let mut subscriber = track.subscribe(wish).expect("open").await.expect("served");
        let mut group = subscriber
            .recv_group()
            .await
            .expect("live")
            .expect("a group");
        while group.read_frame().await.expect("whole").is_some() {}
        if version.has_fetch() {
            let fetched = track.fetch_group(group.sequence(), None).expect("possible");
            let mut fetched = fetched.await.expect("cached");
            while fetched.read_frame().await.expect("whole").is_some() {}
            // One that is given up before it is answered.
            drop(track.fetch_group(group.sequence() + 1_000_000, None));
        }
        if number.is_multiple_of(2) {
            // A subscription that is given up before it is answered.
            drop(room.track("nowhere").expect("a track").subscribe(None));
        }
        drop((subscriber, group, track, room, published));
        self.leave(reader).await;
        self.leave(writer).await;
    }
}

/// What is held: cumulative counts aside.
fn held(runtime: &Runtime) -> Stats {
    Stats {
        evicted_groups: 0,
        dropped_datagrams: 0,
        refused_datagrams: 0,
        empty_streams: 0,
        rescaled_tracks: 0,
        ..runtime.stats()
    }
}

/// Publishes two groups a second until it is cancelled.
fn publish(world: &World) -> Task<()> {
    let origin = Origin::from(2).produce(&world.runtime);
    let world = World {
        executor: world.executor.clone(),
        runtime: world.runtime.clone(),
        relay: world.relay.clone(),
    };
    world.executor.clone().spawn(async move {
        let room = Path::parse("room").expect("valid");
        let broadcast = origin.create_broadcast(&room).expect("free");
        let track = broadcast
            .create_track("v", TrackInfo::default())
            .expect("free");
        let visit = world.connect(Version::Lite06, &origin, true).await;
        loop {
            let group = track.append_group().expect("open");
            for _ in 0..2 {
                group.write_frame(vec![7; 500]).expect("open");
            }
            group.finish().expect("open");
            world.sleep(500).await;
            let _open = &visit;
        }
    })
}

#[test]
fn a_day_of_one_broadcast_leaves_nothing_behind() {
    let _turn = TURN.lock();
    let world = World::new();
    let publishing = publish(&world);
    let own = Origin::from(3).produce(&world.runtime);
    let hours: Vec<(Stats, isize)> = world.executor.run_until(async {
        let viewer = world.connect(Version::Lite06, &own, false).await;
        let track = world.room(&own).await.track("v").expect("a track");
        let mut subscriber = track.subscribe(None).expect("open").await.expect("served");
        let reading = world.executor.spawn(async move {
            let mut groups = 0u64;
            while let Some(mut group) = subscriber.recv_group().await.expect("live") {
                while group.read_frame().await.expect("whole").is_some() {}
                groups += 1;
            }
            groups
        });
        let mut hours = Vec::new();
        for hour in 0..HOURS {
            for minute in 0..60u64 {
                let version = Version::ALL[((hour * 60 + minute) % 8) as usize];
                let began = world.executor.now();
                world.visit(version, minute).await;
                let rest = Duration::from_secs(60) - (world.executor.now() - began);
                world.sleep(rest.as_millis() as u64).await;
            }
            hours.push((held(&world.runtime), live()));
        }
        assert!(!reading.is_finished());
        reading.cancel();
        world.leave(viewer).await;
        hours
    });
    // The caches fill during the first hour.
    let (first, bytes) = &hours[1];
    for (hour, (stats, now)) in hours.iter().enumerate().skip(2) {
        let same = Stats {
            groups: first.groups,
            cached_bytes: first.cached_bytes,
            ..*stats
        };
        assert_eq!(&same, first, "in hour {hour}");
        assert!(
            stats.groups.abs_diff(first.groups) <= 4,
            "{} groups in hour {hour}",
            stats.groups
        );
        assert!(
            (now - bytes).abs() <= SLACK,
            "{} bytes more in hour {hour}",
            now - bytes
        );
    }
    publishing.cancel();
    world.executor.shut_down();
}

#[test]
fn ten_thousand_visits_leave_nothing_behind() {
    let _turn = TURN.lock();
    let world = World::new();
    let publishing = publish(&world);
    let (before, after) = world.executor.run_until(async {
        let mut before = None;
        for number in 0..VISITS + 200 {
            world
                .visit(Version::ALL[(number % 8) as usize], number)
                .await;
            // Caches and tables have their size after a while.
            if number == 199 {
                world.sleep(60_000).await;
                before = Some((held(&world.runtime), live()));
            }
        }
        world.sleep(60_000).await;
        (before.expect("visited"), (held(&world.runtime), live()))
    });
    assert_eq!(before.0, after.0);
    assert!(
        after.1 - before.1 <= SLACK,
        "{} bytes more",
        after.1 - before.1
    );
    publishing.cancel();
    world.executor.shut_down();
}
