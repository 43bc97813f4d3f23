//! Origins: any order of announcing, asking, serving and leaving.

use std::collections::{BTreeMap, BTreeSet};

use kio::{Pending, Waiter};
use moq_net::{
    AnnounceConsumer, Announced, BroadcastInfo, BroadcastProducer, BroadcastPublish,
    BroadcastRequest, BroadcastRequested, Cost, Error, Origin, OriginConsumer, OriginDynamic,
    OriginList, OriginProducer, OriginPublish, Path, PathOwned,
};

use crate::{
    input::Input,
    support::look::{World, look},
};

const PATHS: [&str; 8] = ["a", "b", "a/b", "a/b/c", "ab", "b/a", "", "x/y"];

/// More of one kind than this reaches nothing new.
const MANY: usize = 24;

fn path(input: &mut Input<'_>) -> Path<'static> {
    let text: &&str = input.pick(&PATHS);
    Path::parse(text).expect("a path")
}

/// A cursor, and what it has said: each path comes, changes and goes in turn, and stays within its view.
struct Watch {
    cursor: AnnounceConsumer,
    scope: Vec<PathOwned>,
    live: BTreeSet<PathOwned>,
}

impl Watch {
    fn new(view: &OriginConsumer) -> Self {
        Self {
            cursor: view.announced(),
            scope: view.allowed(),
            live: BTreeSet::new(),
        }
    }

    fn read(&mut self) {
        while let Some((path, event)) = self.cursor.try_next() {
            assert!(
                self.scope.iter().any(|prefix| path.has_prefix(prefix)),
                "{path} is outside {:?}",
                self.scope
            );
            match event {
                Announced::Active(_) => {
                    assert!(self.live.insert(path.clone()), "{path} came twice")
                }
                Announced::Restart(_) => {
                    assert!(self.live.contains(&path), "{path} restarts nothing")
                }
                Announced::Ended => assert!(self.live.remove(&path), "{path} ends nothing"),
            }
        }
    }
}

/// Everything an input can hold.
#[derive(Default)]
struct Hands {
    origins: Vec<OriginProducer>,
    views: Vec<OriginConsumer>,
    broadcasts: Vec<BroadcastProducer>,
    announced: Vec<BroadcastPublish>,
    guards: Vec<OriginPublish>,
    handlers: Vec<OriginDynamic>,
    requests: Vec<BroadcastRequest>,
    pending: Vec<Pending<BroadcastRequested>>,
    watches: Vec<Watch>,
}

fn at<'a, T>(all: &'a mut [T], input: &mut Input<'_>) -> Option<&'a mut T> {
    let index = input.below(all.len());
    all.get_mut(index)
}

fn take<T>(all: &mut Vec<T>, input: &mut Input<'_>) -> Option<T> {
    let index = input.below(all.len());
    (index < all.len()).then(|| all.swap_remove(index))
}

fn info(input: &mut Input<'_>) -> BroadcastInfo {
    let mut hops: Vec<Origin> = (0..input.below(5))
        .map(|_| Origin::from(u64::from(input.byte() % 6)))
        .collect();
    hops.dedup();
    let cost = u64::from(input.byte());
    BroadcastInfo {
        hops: OriginList::try_from(hops).unwrap_or_default(),
        cost: Cost {
            warm: cost,
            cold: cost,
        },
        anonymous: cost % 7 == 0,
        ..BroadcastInfo::new()
    }
}

fn step(world: &World, hands: &mut Hands, input: &mut Input<'_>) {
    match input.byte() % 20 {
        0 | 1 => {
            let path = path(input);
            if let Some(origin) = at(&mut hands.origins, input)
                && let Ok(broadcast) = origin.create_broadcast(&path)
            {
                hands.announced.push(broadcast);
            }
        }
        2 => hands.broadcasts.push(info(input).produce(&world.runtime)),
        3 | 4 => {
            let path = path(input);
            if let Some(broadcast) = at(&mut hands.broadcasts, input)
                && let Some(origin) = at(&mut hands.origins, input)
            {
                let allowed = origin
                    .allowed()
                    .iter()
                    .any(|prefix| path.has_prefix(prefix));
                match origin.publish_broadcast(&path, &*broadcast) {
                    Ok(guard) => {
                        assert!(allowed, "{path} published out of scope");
                        hands.guards.push(guard);
                    }
                    Err(Error::Unauthorized) => assert!(!allowed, "{path} is in scope"),
                    // A loop, or an origin or broadcast that is over.
                    Err(_) => {}
                }
            }
        }
        5 => drop(take(&mut hands.announced, input)),
        6 => drop(take(&mut hands.guards, input)),
        7 => drop(take(&mut hands.broadcasts, input)),
        8 => {
            if let Some(guard) = at(&mut hands.guards, input) {
                guard.update(info(input));
            }
        }
        9 => {
            let prefixes = [path(input), path(input)];
            if let Some(view) = at(&mut hands.views, input)
                && let Some(narrow) = view.scope(&prefixes)
            {
                let within = narrow
                    .allowed()
                    .iter()
                    .all(|inner| view.allowed().iter().any(|outer| inner.has_prefix(outer)));
                assert!(
                    within,
                    "{:?} is wider than {:?}",
                    narrow.allowed(),
                    view.allowed()
                );
                hands.views.push(narrow);
            }
        }
        10 => {
            let prefixes = [path(input)];
            if let Some(origin) = at(&mut hands.origins, input)
                && let Some(narrow) = origin.scope(&prefixes)
            {
                hands.origins.push(narrow);
            }
        }
        11 => {
            if let Some(view) = at(&mut hands.views, input) {
                let watch = Watch::new(view);
                hands.watches.push(watch);
            }
        }
        12 => {
            if let Some(origin) = at(&mut hands.origins, input) {
                let handler = origin.dynamic();
                hands.handlers.push(handler);
            }
        }
        13 => drop(take(&mut hands.handlers, input)),
        14 => {
            let path = path(input);
            if let Some(view) = at(&mut hands.views, input) {
                let allowed = view.allowed().iter().any(|prefix| path.has_prefix(prefix));
                match view.request_broadcast(&path) {
                    Ok(pending) => {
                        assert!(allowed, "{path} asked for out of scope");
                        hands.pending.push(pending);
                    }
                    Err(Error::NotFound | Error::Dropped | Error::Timeout) => {}
                    Err(error) => panic!("{path} refused with {error}"),
                }
            }
        }
        15 => drop(take(&mut hands.pending, input)),
        16 => {
            if let Some(handler) = at(&mut hands.handlers, input)
                && let Some(Ok(request)) = look(|waiter| handler.poll_requested_broadcast(waiter))
            {
                hands.requests.push(request);
            }
        }
        17 => {
            let Some(request) = take(&mut hands.requests, input) else {
                return;
            };
            match (input.byte() % 3, at(&mut hands.broadcasts, input)) {
                (0, Some(broadcast)) => request.accept(&*broadcast),
                (1, _) => request.reject(Error::Cancel),
                _ => drop(request),
            }
        }
        18 => {
            for watch in &mut hands.watches {
                watch.read();
            }
        }
        _ => {
            hands
                .pending
                .retain(|pending| pending.poll_ok(&Waiter::noop()).is_pending());
            if hands.watches.len() > 4 {
                hands.watches.remove(0);
            }
        }
    }
    hands.views.truncate(MANY);
    hands.origins.truncate(MANY);
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let world = World::new();
    let before = world.runtime.stats();
    let origin = Origin::from(5).produce(&world.runtime);
    let mut hands = Hands {
        views: vec![origin.consume()],
        origins: vec![origin],
        ..Hands::default()
    };
    while !input.is_empty() {
        step(&world, &mut hands, &mut input);
    }
    for watch in &mut hands.watches {
        watch.read();
    }
    agrees(&hands);
    // Without handlers and requests nobody is left waiting.
    hands.handlers.clear();
    hands.requests.clear();
    for pending in &hands.pending {
        assert!(
            pending.poll_ok(&Waiter::noop()).is_ready(),
            "a request hangs"
        );
    }
    // Without announcements every cursor ends every path.
    hands.guards.clear();
    hands.announced.clear();
    hands.broadcasts.clear();
    for watch in &mut hands.watches {
        watch.read();
        assert!(watch.live.is_empty(), "{:?} stays announced", watch.live);
    }
    drop(hands);
    assert_eq!(world.runtime.stats(), before, "something is left behind");
}

/// Two cursors of one view have been told the same, and so is a new one.
fn agrees(hands: &Hands) {
    let mut seen: BTreeMap<Vec<PathOwned>, &BTreeSet<PathOwned>> = BTreeMap::new();
    for watch in &hands.watches {
        let known = seen.entry(watch.scope.clone()).or_insert(&watch.live);
        assert_eq!(**known, watch.live, "two cursors of one view differ");
    }
    if let Some(view) = hands.views.first() {
        let mut fresh = Watch::new(view);
        fresh.read();
        if let Some(known) = seen.get(&fresh.scope) {
            assert_eq!(**known, fresh.live, "a new cursor knows something else");
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "0b 00  00 00 00  00 01 00  12  05 00  12  05 00  12",
        "0b 00  02 02 01 02 09  02 01 01 03  03 00 00 00  03 00 01 00  12  06 00  12  06 00",
        "0c 00  0e 04 00  0e 04 00  10 00  02 00 07  11 00 00 00  13  0e 04 00  0d 00",
        "09 00 02 00  0b 01  00 00 00  00 02 00  12  0e 01 01  0c 00  0e 01 01",
        "0a 00 00  00 01 01  00 02 01  0c 01  0e 00 00  0d 00",
        "02 00 01  03 00 00 00  0b 00  08 00 01 04 63  12  07 00  12",
    ]
    .iter()
    .map(|line| crate::hex(line))
    .collect()
}
