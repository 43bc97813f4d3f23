//! The network: how long things take, and what it does to connections.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use moq_net::Version;
use moq_worker_world::transport::{Breaker, Options, Transport, What, Wire, pair_over};

use crate::{
    plan::Family,
    rng::Rng,
    stage::{Phase, Stage},
    trace::fnv,
};

/// A connection that hears nothing for so long is lost.
const IDLE: Duration = Duration::from_secs(10);

/// The state of one link, shared by its connections.
#[derive(Clone, Default)]
pub struct Sky(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Until when nothing leaves side 0 or 1.
    silent: [Duration; 2],
    /// Everything that crossed, for the trace.
    hash: u64,
    calm: bool,
}

impl Sky {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no weather panics")
    }

    /// A fingerprint of everything that crossed.
    pub fn hash(&self) -> u64 {
        self.lock().hash
    }
}

/// One connection's share of the weather.
struct Crossing {
    sky: Sky,
    rng: Rng,
    latency: Duration,
    jitter: Duration,
    /// Bytes per second; 0 = unlimited.
    rate: u64,
    /// When each direction is done with what was sent.
    busy: [Duration; 2],
}

impl Wire for Crossing {
    fn arrival(&mut self, now: Duration, from: usize, what: What) -> Option<Duration> {
        let mut state = self.sky.lock();
        let size = match what {
            What::Bytes(size) | What::Datagram(size) => size as u64,
            _ => 0,
        };
        let mut start = now.max(state.silent[from]);
        if matches!(what, What::Datagram(_)) && (start > now || self.rng.chance(2)) {
            return None;
        }
        if let Some(nanos) = (size * 1_000_000_000).checked_div(self.rate) {
            self.busy[from] = self.busy[from].max(start) + Duration::from_nanos(nanos);
            start = self.busy[from];
        }
        let jitter = match state.calm || self.jitter.is_zero() {
            true => Duration::ZERO,
            // Most things take the usual time; some take much longer.
            false if self.rng.chance(85) => {
                self.jitter.mul_f64(self.rng.below(100) as f64 / 1000.0)
            }
            false => self.jitter.mul_f64(self.rng.below(100) as f64 / 100.0),
        };
        let arrival = start + self.latency + jitter;
        let kind = match what {
            What::Open => 1,
            What::Bytes(_) => 2,
            What::Fin => 3,
            What::Reset => 4,
            What::Stop => 5,
            What::Credit => 6,
            What::Datagram(_) => 7,
            What::Close => 8,
        };
        for number in [from as u64, kind, size, arrival.as_nanos() as u64] {
            state.hash = fnv(state.hash, &number.to_le_bytes());
        }
        Some(arrival)
    }
}

/// The links of a run, each with the connection it has now.
pub struct Network {
    links: Vec<Link>,
}

struct Link {
    sky: Sky,
    /// Connections that some end still has, with the relays they lead to; the newest last.
    breakers: RefCell<Vec<(usize, Breaker)>>,
}

impl Network {
    /// The links of `stage`'s plan.
    pub fn new(stage: &Stage) -> Rc<Self> {
        let links = stage.plan.links.iter().map(|_| Link {
            sky: Sky::default(),
            breakers: RefCell::default(),
        });
        Rc::new(Self {
            links: links.collect(),
        })
    }

    /// A new connection over link `index` to relay `to`: the end that dials, the end that accepts.
    pub fn connect(
        &self,
        stage: &Stage,
        index: usize,
        to: usize,
        attempt: u64,
    ) -> (Transport, Transport) {
        let plan = &stage.plan.links[index];
        let mut rng = stage.rng(((index as u64) << 40) | (attempt << 8) | 1);
        let calm = self.links[index].sky.lock().calm;
        let narrow = stage.plan.has(Family::Narrow) && !calm;
        let mut options = Options::protocol(plan.version.alpn());
        if narrow {
            options.window = *rng.pick(&[64, 700, 5_000, 60_000]);
            options.max_uni = *rng.pick(&[2, 4, 30]);
            options.max_bidi = *rng.pick(&[16, 64]);
        }
        if plan.version == Version::Lite05Wip {
            // Published peers of that time had none.
            options.max_datagram = *rng.pick(&[0, 1200]);
        }
        let wire = Crossing {
            sky: self.links[index].sky.clone(),
            latency: plan.latency,
            jitter: match stage.plan.jitter() {
                Duration::ZERO => Duration::ZERO,
                most => rng.millis(20, most.as_millis() as u64),
            },
            rate: match narrow {
                true => *rng.pick(&[20_000, 100_000, 1_000_000, 0]),
                false => 0,
            },
            busy: [Duration::ZERO; 2],
            rng,
        };
        let ends = pair_over(options, stage.clock.clone(), wire);
        let mut breakers = self.links[index].breakers.borrow_mut();
        breakers.retain(|(_, breaker)| breaker.is_open(0) || breaker.is_open(1));
        breakers.push((to, ends.0.breaker()));
        drop(breakers);
        ends
    }

    /// The connection that link `index` has, or had last.
    pub fn breaker(&self, index: usize) -> Option<Breaker> {
        let breakers = self.links[index].breakers.borrow();
        breakers.last().map(|(_, breaker)| breaker.clone())
    }

    /// Cuts all connections of `node`.
    pub fn isolate(&self, stage: &Stage, node: usize) {
        for (index, link) in stage.plan.links.iter().enumerate() {
            // One end may still hold what the other has given up long ago.
            let breakers = self.links[index].breakers.borrow().clone();
            for (to, breaker) in breakers {
                if link.from == node || to == node {
                    breaker.kill();
                }
            }
        }
    }

    /// From now on the weather is fair. Narrow connections are given up for wide ones.
    pub fn clear(&self, stage: &Stage) {
        // What is on its way may still take as long as it took before.
        stage.change_at(stage.now() + stage.plan.jitter());
        for link in &self.links {
            if stage.plan.has(Family::Narrow) {
                stage.fault();
                let breakers = link.breakers.borrow().clone();
                breakers.iter().for_each(|(_, breaker)| breaker.kill());
            }
            let mut state = link.sky.lock();
            state.calm = true;
            state.silent = [Duration::ZERO; 2];
        }
    }

    /// A fingerprint of everything that crossed.
    pub fn hash(&self) -> u64 {
        let links = self.links.iter();
        links.fold(0, |hash, link| fnv(hash, &link.sky.hash().to_le_bytes()))
    }
}

/// What breaks streams and connections.
pub const STORMS: [Family; 3] = [Family::Resets, Family::Kills, Family::Silence];

/// Breaks streams and connections until `phase`; at least one of [`STORMS`] is on.
pub async fn storm(stage: Rc<Stage>, network: Rc<Network>, phase: Phase) {
    let mut rng = stage.rng(3);
    let links = stage.plan.links.len() as u64;
    let families: Vec<Family> = STORMS
        .into_iter()
        .filter(|family| stage.plan.has(*family))
        .collect();
    loop {
        if stage
            .until(phase, stage.sleep(rng.millis(200, 4_000)))
            .await
            .is_none()
        {
            return;
        }
        let index = rng.below(links) as usize;
        let Some(breaker) = network.breaker(index) else {
            continue;
        };
        match rng.pick(&families) {
            Family::Resets => {
                let code = *rng.pick(&[0, 2, 0x33, 0x4242]);
                // Announcements and SETUP are for the whole session: their loss is not a fault that heals.
                let broken = breaker.disrupt(rng.draw(), code, |label, uni| match (label, uni) {
                    (Some(label), true) => label == 0,
                    (Some(label), false) => matches!(label, 2 | 3 | 6),
                    (None, _) => false,
                });
                if let Some(stream) = broken {
                    stage.disrupt();
                    stage.note(format_args!("fault link {index}: stream {stream:?} broken"));
                }
            }
            Family::Kills => {
                stage.fault();
                stage.note(format_args!("fault link {index}: killed"));
                breaker.kill();
            }
            _ => silence(&stage, &network, index, &breaker, &mut rng),
        }
    }
}

/// Lets a link carry nothing for a while; a long while ends its connection.
fn silence(
    stage: &Rc<Stage>,
    network: &Rc<Network>,
    index: usize,
    breaker: &Breaker,
    rng: &mut Rng,
) {
    let now = stage.now();
    let length = rng.millis(100, 14_000);
    let choices: [&[usize]; 3] = [&[0, 1], &[0], &[1]];
    let sides = *rng.pick(&choices);
    stage.disrupt();
    // What was said meanwhile is heard then, as late as deliveries may be; and perhaps it is the first word of a session.
    stage.reconnect_at(now + length + stage.plan.jitter());
    stage.disrupt_at(now + length + IDLE);
    stage.shake_at(now + length + IDLE);
    stage.note(format_args!(
        "fault link {index}: silent from {sides:?} for {length:?}"
    ));
    for side in sides {
        network.links[index].sky.lock().silent[*side] = now + length;
    }
    if length < IDLE {
        return;
    }
    // Without acknowledgements either way neither end hears that the other lives.
    for side in 0..2 {
        let breaker = breaker.clone();
        let after = rng.millis(10_000, 11_000);
        stage.clock.call_at(now + after, move || breaker.lose(side));
    }
}
