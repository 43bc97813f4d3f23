//! Telling the peer what the connection can carry, and being told.

use std::{sync::Arc, time::Duration};

use web_transport_trait::{self as wt, Stats as _};

use super::{ControlType, Probe, ProbeLevel, session::Link};
use crate::{
    Bandwidth, Result,
    lite::{Reader, Writer},
};

/// How often the transport is asked. Slow enough that an idle session stays idle.
const SAMPLE: Duration = Duration::from_secs(1);
/// A change of less than one part in this is not worth a message.
const PART: u128 = 4;
/// Any change is worth a message after so many samples.
const PATIENCE: u32 = 10;

/// What SETUP says we can report: only what the transport knows.
pub(super) fn level<T: wt::Session>(transport: &T) -> ProbeLevel {
    match measure(transport) {
        Some(_) => ProbeLevel::Report,
        None => ProbeLevel::None,
    }
}

/// Asks the transport.
fn measure<T: wt::Session>(transport: &T) -> Option<Probe> {
    let stats = transport.stats();
    let probe = Probe {
        bitrate: stats.estimated_send_rate(),
        rtt: stats.rtt(),
    };
    (probe != Probe::default()).then_some(probe)
}

/// Whether `new` is worth a message after `old` was sent `samples` ago.
fn is_news(old: Probe, new: Probe, samples: u32) -> bool {
    let rtt = |probe: Probe| probe.rtt.map_or(0, |rtt| rtt.as_millis());
    let rate = |probe: Probe| u128::from(probe.bitrate.unwrap_or(0));
    let moved = |old: u128, new: u128| old.abs_diff(new) >= (old / PART).max(1);
    moved(rtt(old), rtt(new))
        || moved(rate(old), rate(new))
        || (samples >= PATIENCE && rate(old) != rate(new))
}

/// Answers a probe stream until the peer loses interest. Without statistics it stays open and silent.
pub(super) async fn serve<T: wt::Session>(
    link: &Link<T>,
    send: &mut Writer<T::SendStream>,
    recv: &mut Reader<T::RecvStream>,
) -> Result<()> {
    let report = async {
        let mut last = None;
        let mut samples = 0;
        loop {
            if let Some(probe) = measure(&link.transport)
                && last.is_none_or(|last| is_news(last, probe, samples))
            {
                send.encode(&probe).await?;
                last = Some(probe);
                samples = 0;
            }
            link.runtime.sleep(SAMPLE).await;
            samples += 1;
        }
    };
    // A target may be named, which nothing here can honour.
    let leave = async {
        while recv.decode_maybe::<Probe>().await?.is_some() {}
        Ok(())
    };
    super::session::first(report, leave).await
}

/// Asks the peer for its view of the connection, if it has one.
pub(super) fn start<T: wt::Session>(link: &Arc<Link<T>>) {
    if link.version.has_probe() {
        let link = link.clone();
        link.tasks.clone().push(async move {
            // A peer that does not answer, or stops, is only less informative.
            if let Err(error) = ask(&link).await {
                tracing::debug!(%error, "probe ended");
            }
            link.control.state.lock().bandwidth = Bandwidth::default();
        });
    }
}

async fn ask<T: wt::Session>(link: &Link<T>) -> Result<()> {
    link.peer_setup().await;
    if link.version.has_setup_stream() {
        let peer = link.peer.lock();
        let level = peer.setup.as_ref().map(|setup| setup.probe);
        if level.is_none_or(|level| level == ProbeLevel::None) {
            return Ok(());
        }
    }
    let (mut send, mut recv) = link.open().await?;
    send.encode(&ControlType::Probe).await?;
    while let Some(probe) = recv.decode_maybe::<Probe>().await? {
        link.control.state.lock().bandwidth = Bandwidth {
            receive: probe.bitrate,
            rtt: probe.rtt,
        };
    }
    send.finish().await
}
