//! The worker's side of the boundary, for the fuzzer: what the core asks for, without pointers, and bytes handed in.

use bytes::Bytes;
use moq_net::Limits;

use crate::{
    Core, clock,
    command::{Ask, Command, Outcome},
    object::key,
};

/// What the core asked of the worker, as far as a worker has to answer it.
#[derive(Debug)]
pub enum Told {
    /// Open this stream.
    Open(f64),
    /// Write so many bytes to this stream.
    Write(f64, u32),
    /// Finish or reset this stream, and say when it is done.
    Over(f64),
    /// A handle that is the caller's from now on.
    Handle(f64),
    /// Anything else.
    Other,
}

/// A core with limits of its own, at the start of time.
#[must_use]
pub fn core(limits: Limits) -> Core {
    clock::set(clock::duration(0.0));
    Core::with_limits(&[7; 32], limits)
}

/// Moves the clock to `now` milliseconds, and polls.
pub fn poll(core: &mut Core, now: f64) -> f64 {
    clock::set(clock::duration(now));
    core.poll(now)
}

/// What the last poll asked for, carried out as far as copying goes.
pub fn drain(core: &mut Core) -> Vec<Told> {
    let told = core
        .network
        .commands(|commands| commands.draining().iter().map(told).collect());
    core.drained();
    told
}

fn told(command: &Command) -> Told {
    match command {
        Command::Stream { stream, ask, .. } => match ask {
            Ask::OpenUni | Ask::OpenBi => Told::Open(*stream as f64),
            Ask::Write(data) => Told::Write(*stream as f64, data.len() as u32),
            Ask::Finish | Ask::Reset(_) => Told::Over(*stream as f64),
            Ask::Stop(_) | Ask::Priority(_) | Ask::Resume => Told::Other,
        },
        Command::Settle {
            outcome: Outcome::Handle(handle),
            ..
        }
        | Command::Announce {
            broadcast: handle, ..
        } if *handle != 0 => Told::Handle(*handle as f64),
        _ => Told::Other,
    }
}

/// Hands bytes of a stream over. `None`: nobody wants them.
pub fn feed(core: &Core, stream: f64, data: &[u8], fin: bool) -> Option<bool> {
    let stream = key(stream);
    core.network.reserve(stream, data.len())?;
    // The reserved buffer goes the way of one that was reserved again: the worker may do that.
    Some(
        core.network
            .received(stream, Bytes::copy_from_slice(data), fin),
    )
}
