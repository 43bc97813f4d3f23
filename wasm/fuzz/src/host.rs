//! The worker's calls into the core, in any order, with any numbers: an error or an effect, never a trap.

use std::time::Duration;

use moq_net::{Limits, Version};
use moq_worker_core::{
    Core,
    fuzzing::{self, Told},
};

use crate::input::Input;

/// Numbers that a page might send where a number is wanted.
const NUMBERS: [f64; 10] = [
    0.0,
    1.0,
    7.0,
    1000.0,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    -1.0,
    0.5,
    f64::NAN,
    f64::INFINITY,
];

const TEXTS: [&str; 6] = ["", "a", "a/b", "room", "//", "é"];

/// Routes that a page might give a broadcast.
const HOPS: [&str; 4] = ["", " 7 8", " 0", " 18446744073709551616"];

/// What a worker remembers: handles and streams it was given.
struct Worker {
    core: Core,
    handles: Vec<f64>,
    streams: Vec<f64>,
    transports: Vec<f64>,
    now: f64,
}

impl Worker {
    /// A handle: most often one that is alive.
    fn handle(&self, input: &mut Input<'_>) -> f64 {
        let at = input.byte();
        match at {
            0..240 if !self.handles.is_empty() => {
                self.handles[usize::from(at) % self.handles.len()]
            }
            _ => NUMBERS[usize::from(at) % NUMBERS.len()],
        }
    }

    fn stream(&self, input: &mut Input<'_>) -> f64 {
        let at = input.byte();
        match self.streams.len() {
            0 => NUMBERS[usize::from(at) % NUMBERS.len()],
            count => self.streams[usize::from(at) % count],
        }
    }

    fn keep<E>(&mut self, handle: Result<f64, E>) {
        if let Ok(handle) = handle {
            self.handles.push(handle);
        }
    }

    /// Polls, drains, and answers what every worker answers.
    fn poll(&mut self) {
        let due = fuzzing::poll(&mut self.core, self.now);
        assert!(!due.is_nan(), "no time");
        for told in fuzzing::drain(&mut self.core) {
            match told {
                Told::Open(stream) => {
                    self.core.opened(stream);
                    self.streams.push(stream);
                }
                Told::Write(stream, bytes) => self.core.written(stream, bytes),
                Told::Over(stream) => self.core.send_closed(stream),
                Told::Handle(handle) => self.handles.push(handle),
                Told::Other => {}
            }
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let number = |input: &mut Input<'_>| NUMBERS[input.below(NUMBERS.len())];
        match input.byte() % 40 {
            0 => {
                let origin = self.core.create_origin();
                self.handles.push(origin);
            }
            1 => {
                let (origin, path) = (self.handle(input), *input.pick(&TEXTS));
                // Not from the input, whose known failures keep their meaning.
                let hops = HOPS[self.handles.len() % HOPS.len()];
                let made = self.core.create_broadcast(origin, path, hops, true);
                self.keep(made);
            }
            2 => {
                let (broadcast, name) = (self.handle(input), *input.pick(&TEXTS));
                let (timescale, cache, priority) = (number(input), number(input), number(input));
                let ordered = input.byte() & 1 == 1;
                let made = self
                    .core
                    .create_track(broadcast, name, timescale, cache, priority, ordered, false);
                self.keep(made);
            }
            3 => {
                let track = self.handle(input);
                let sequence = number(input);
                let made = self.core.create_group(track, sequence);
                self.keep(made);
            }
            4 => {
                let group = self.handle(input);
                let data = input.bytes().to_vec();
                let _refused = self.core.write_frame(group, data, f64::NAN);
            }
            5 => {
                let track = self.handle(input);
                let data = input.bytes().to_vec();
                let _refused = self.core.write_track_frame(track, data, number(input));
            }
            6 => {
                let group = self.handle(input);
                let _refused = self.core.finish_group(group);
            }
            7 => {
                let group = self.handle(input);
                let _refused = self.core.abort_group(group, "", number(input));
            }
            8 => {
                let track = self.handle(input);
                let _refused = self.core.finish_track(track);
            }
            9 => {
                let track = self.handle(input);
                let _refused = self.core.finish_track_at(track, number(input));
            }
            10 => {
                let track = self.handle(input);
                let _refused = self.core.abort_track(track, "", number(input));
            }
            11 => {
                let handle = self.handle(input);
                let made = self.core.consume_track(handle);
                self.keep(made);
            }
            12 => {
                let handle = self.handle(input);
                let made = self.core.consume(handle);
                self.keep(made);
            }
            13 => {
                let (source, name) = (self.handle(input), *input.pick(&TEXTS));
                let made = self.core.track(source, name);
                self.keep(made);
            }
            14 => {
                let track = self.handle(input);
                let (latency, start, end, hold) =
                    (number(input), number(input), number(input), number(input));
                let made = self.core.subscribe(
                    track,
                    f64::from(input.byte()),
                    false,
                    latency,
                    start,
                    end,
                    hold,
                );
                self.keep(made);
            }
            15 | 16 => {
                let reader = self.handle(input);
                let _refused = self.core.grant(reader, number(input), number(input));
            }
            17 => {
                let reader = self.handle(input);
                let _refused = self.core.want(reader, number(input));
            }
            18 => {
                let reader = self.handle(input);
                let _refused = self.core.skip(reader, number(input));
            }
            19 => {
                let track = self.handle(input);
                let made = self.core.fetch_group(
                    track,
                    number(input),
                    f64::from(input.byte()),
                    number(input),
                );
                self.keep(made);
            }
            20 => {
                let track = self.handle(input);
                let made = self.core.get_group(track, number(input));
                self.keep(made);
            }
            21 => {
                let (origin, path) = (self.handle(input), *input.pick(&TEXTS));
                let made = self.core.request_broadcast(origin, path);
                self.keep(made);
            }
            22 => {
                let (origin, path) = (self.handle(input), *input.pick(&TEXTS));
                let made = self.core.wait_for_broadcast(origin, path);
                self.keep(made);
            }
            23 => {
                let (origin, prefix) = (self.handle(input), *input.pick(&TEXTS));
                let made = self.core.announced(origin, prefix);
                self.keep(made);
            }
            24 => {
                let handle = self.handle(input);
                self.core.cancel(handle);
            }
            25 => {
                let at = input.byte();
                let handle = self.handle(input);
                let released = self.core.release(handle);
                if released.is_ok() {
                    assert!(self.core.release(handle).is_err(), "freed twice");
                    if at & 1 == 0 {
                        self.handles.retain(|one| *one != handle);
                    }
                }
            }
            26 => {
                let version = *input.pick(&Version::ALL);
                let transport = self.core.open_transport(version.alpn().to_owned(), 1200.0);
                self.transports.push(transport);
                let (publish, consume) = (self.handle(input), self.handle(input));
                let made = self
                    .core
                    .connect(transport, publish, consume, version.name());
                self.keep(made);
            }
            27 => {
                if let Some(transport) = self.transports.last() {
                    let stream = self.core.accepted(*transport, input.byte() & 1 == 1);
                    if stream != 0.0 {
                        self.streams.push(stream);
                    }
                }
            }
            28..=30 => {
                let stream = self.stream(input);
                let fin = input.byte() & 1 == 1;
                let data = input.bytes();
                let _refused = fuzzing::feed(&self.core, stream, data, fin);
            }
            31 => {
                let stream = self.stream(input);
                self.core.reset_by_peer(stream, number(input));
            }
            32 => {
                let stream = self.stream(input);
                self.core.stopped_by_peer(stream, number(input));
            }
            33 => {
                if let Some(transport) = self.transports.last() {
                    self.core.datagram(*transport, input.bytes().to_vec());
                }
            }
            34 => {
                if let Some(transport) = self.transports.pop() {
                    match input.byte() & 1 {
                        0 => self
                            .core
                            .transport_closed(transport, number(input), String::new()),
                        _ => self.core.transport_failed(transport, String::new()),
                    }
                }
            }
            35 => {
                let session = self.handle(input);
                let _refused = self.core.close_session(session, number(input), "bye");
            }
            36 => {
                let handle = self.handle(input);
                let made = match input.byte() % 5 {
                    0 => self.core.track_used(handle),
                    1 => self.core.track_unused(handle),
                    2 => self.core.subscription_changed(handle),
                    3 => self.core.broadcast_closed(handle),
                    _ => self.core.session_closed(handle),
                };
                self.keep(made);
            }
            37 => {
                let (reader, wish) = (self.handle(input), number(input));
                let _refused = self.core.update_subscription(
                    reader,
                    f64::from(input.byte()),
                    true,
                    wish,
                    number(input),
                    number(input),
                    0.0,
                );
                let _refused = self.core.end_at(reader, number(input));
                let _refused = self.core.start_at(reader, number(input));
            }
            38 => self.now += f64::from(input.byte()) * 100.0,
            _ => self.poll(),
        }
    }
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let limits = Limits {
        max_frame: 4096,
        cache_bytes: 128 << 10,
        setup_timeout: Duration::from_millis(500),
        ..Limits::browser()
    };
    let mut worker = Worker {
        core: fuzzing::core(limits),
        handles: Vec::new(),
        streams: Vec::new(),
        transports: Vec::new(),
        now: 0.0,
    };
    while !input.is_empty() {
        worker.step(&mut input);
    }
    worker.poll();
    // Everything goes: nothing may be left but the books.
    worker.core.shutdown();
    for transport in std::mem::take(&mut worker.transports) {
        worker.core.transport_failed(transport, "over".to_owned());
    }
    for _ in 0..200 {
        worker.now += 1000.0;
        worker.poll();
    }
    let stats = worker.core.stats();
    let left = match serde_json::from_str(&stats) {
        Ok(stats) => counted(&stats),
        Err(error) => panic!("{error}: {stats}"),
    };
    assert_eq!(left, 0.0, "something is left: {stats}");
}

/// The sum of all counts in the figures.
fn counted(stats: &serde_json::Value) -> f64 {
    match stats {
        serde_json::Value::Object(fields) => fields.values().map(counted).sum(),
        other => other.as_f64().unwrap_or(f64::NAN),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // An origin, its broadcast and track, a reader with credit, frames, and the end.
    let local = "00  01 00 00  02 01 00 05 00 08 08  0b 02  0e 03 00 02 02 08 08 00  27  0f 04 03 03  05 02 02 6869 08  27  08 02  27";
    // A connection that says SETUP, asks for announcements, and is fed one.
    let connected = "00  1a 01 00 00 00  27  1b 00  1c 02 01 03 010100  27  1c 00 00 0c 02090107010470656572 00 27  17 00 00 27";
    let freed = "00  01 00 00  19 00 01  19 01 00  16 00 03  18 02  27  26 ff  27";
    [local, connected, freed]
        .iter()
        .map(|line| crate::hex(line))
        .collect()
}
