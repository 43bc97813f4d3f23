//! A relay that tells another one of ways that lead through that one, as if they were its own.
//!
//! The core would not say that, so this speaks for itself.

use std::{rc::Rc, time::Duration};

use bytes::BytesMut;
use moq_net::{
    AnnounceEvent, Cost, Path, Result, Route, Version,
    coding::{Encode, Reader},
    lite::{AnnounceEncoder, AnnounceRequest, ControlType},
};
use moq_worker_world::transport::{Recv, Send, Transport};
use web_transport_trait::{SendStream as _, Session as _};

use crate::{
    plan::PATHS,
    rng::Rng,
    stage::{Phase, Stage},
};

/// The version it speaks: one where whoever asks for announcements says who it is.
pub const VERSION: Version = Version::Lite04;
/// How long what it says may wait for the other side.
const PATIENCE: Duration = Duration::from_secs(1);

/// Misleads over `transport` until it is thrown out, or the faults are over.
pub async fn mislead(stage: &Rc<Stage>, node: usize, transport: Transport) {
    let mut rng = stage.rng(0x8_0000 + stage.now().as_nanos() as u64);
    while let Some(Ok((send, recv))) = stage.until(Phase::Heal, transport.accept_bi()).await {
        let number = rng.draw();
        let (told, rng) = (stage.clone(), rng.fork(number));
        stage.spawn(async move {
            let result = tell(&told, rng, send, recv).await;
            told.note(format_args!("node {node}: has told enough: {result:?}"));
            told.change();
        });
    }
    stage.note(format_args!(
        "node {node}: echo ends: {:?}",
        transport.close_reason()
    ));
    transport.close(0, "");
}

/// Answers one request for announcements with what the other side must not believe.
async fn tell(stage: &Stage, mut rng: Rng, mut send: Send, recv: Recv) -> Result<()> {
    let mut reader = Reader::new(recv, VERSION);
    let ControlType::Announce = reader.decode().await? else {
        return Ok(());
    };
    let request: AnnounceRequest = reader.decode().await?;
    let itself = request.exclude_hop.unwrap_or_default();
    let mut encoder = AnnounceEncoder::new(VERSION);
    loop {
        let pause = stage.sleep(rng.millis(20, 900));
        if stage.until(Phase::Heal, pause).await.is_none() {
            return Ok(());
        }
        let path = match rng.chance(50) {
            true => *rng.pick(&PATHS),
            false => "echo",
        };
        let path = Path::parse(path)?.into_owned();
        let event = match rng.chance(25) {
            true => AnnounceEvent::Ended(path),
            false => AnnounceEvent::Active(Route {
                path,
                hops: through(itself, &mut rng),
                cost: Cost::UNPRICED,
            }),
        };
        let mut bytes = BytesMut::new();
        for message in encoder.encode(event) {
            message.encode(&mut bytes, VERSION)?;
        }
        stage.change();
        if let Some(Err(_gone)) = stage.within(PATIENCE, send.write(&bytes)).await {
            return Ok(());
        }
    }
}

/// A short way, and one of those it passed is `itself`.
fn through(itself: u64, rng: &mut Rng) -> Vec<u64> {
    let others = (0..rng.below(4)).map(|_| 1_000 + rng.below(1 << 40));
    let mut hops: Vec<u64> = others.collect();
    hops.insert(rng.below(hops.len() as u64 + 1) as usize, itself);
    hops
}
