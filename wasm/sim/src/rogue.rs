//! Somebody who asks for what it may not have, and says what nobody should.

use std::{cell::RefCell, rc::Rc, time::Duration};

use bytes::BytesMut;
use moq_net::{
    Path, Version,
    coding::{Encode, Reader},
    lite::{ControlType, DataType, Fetch, GroupHeader, Preferences, Subscribe},
};
use moq_worker_world::transport::{Recv, Transport};
use web_transport_trait::{SendStream as _, Session as _};

use crate::{
    plan::PATHS,
    publisher::{TRACKS, covers},
    rng::Rng,
    stage::{Phase, Stage},
};

/// The version it speaks: an easy one.
pub const VERSION: Version = Version::Lite04;

/// What was asked for, by the id that answers name.
type Asked = Rc<RefCell<Vec<&'static str>>>;

/// Misbehaves over `transport` until it is thrown out, or the faults are over.
pub async fn misbehave(stage: &Rc<Stage>, node: usize, transport: Transport) {
    let mut rng = stage.rng(0x4_0000 + stage.now().as_nanos() as u64);
    let asked = Asked::default();
    stage.spawn(listen(
        stage.clone(),
        node,
        transport.clone(),
        asked.clone(),
    ));
    let mut open = Vec::new();
    while transport.close_reason().is_none() {
        if stage
            .until(Phase::Heal, stage.sleep(rng.millis(5, 400)))
            .await
            .is_none()
        {
            break;
        }
        let bytes = match rng.below(4) {
            0 => garbage(&mut rng),
            _ => request(&mut rng, &asked),
        };
        let limit = Duration::from_secs(1);
        match rng.below(8) {
            0 => drop(transport.send_datagram(garbage(&mut rng).freeze())),
            1 => {
                let stream = stage.within(limit, transport.open_uni()).await;
                if let Some(Ok(mut send)) = stream {
                    let _refused = stage.within(limit, send.write(&garbage(&mut rng))).await;
                    open.push((Some(send), None));
                }
            }
            _ => {
                let stream = stage.within(limit, transport.open_bi()).await;
                if let Some(Ok((mut send, recv))) = stream {
                    let _refused = stage.within(limit, send.write(&bytes)).await;
                    open.push((Some(send), Some(recv)));
                }
            }
        }
        // Some streams are left hanging, some are torn.
        if open.len() > 12 {
            open.swap_remove(rng.below(12) as usize);
        }
    }
    stage.note(format_args!(
        "node {node}: rogue ends: {:?}",
        transport.close_reason()
    ));
    transport.close(0, "");
}

fn garbage(rng: &mut Rng) -> BytesMut {
    let mut bytes = BytesMut::new();
    for _ in 0..rng.range(1, 60) {
        let byte = match rng.chance(50) {
            // Types, small lengths and ids.
            true => rng.below(10),
            false => rng.below(256),
        };
        bytes.extend_from_slice(&[byte as u8]);
    }
    bytes
}

/// A request as it should be, for something that is perhaps out of bounds; perhaps cut short.
fn request(rng: &mut Rng, asked: &Asked) -> BytesMut {
    let path = *rng.pick(&PATHS);
    let broadcast = Path::parse(path).expect("a valid path").into_owned();
    let track = (*rng.pick(&TRACKS)).to_owned();
    let mut bytes = BytesMut::new();
    let encoded = match rng.below(4) {
        0 => ControlType::Fetch
            .encode(&mut bytes, VERSION)
            .and_then(|()| {
                let fetch = Fetch {
                    broadcast,
                    track,
                    priority: 0,
                    group: rng.below(5),
                    frame_start: 0,
                    frame_end: None,
                };
                fetch.encode(&mut bytes, VERSION)
            }),
        _ => {
            asked.borrow_mut().push(path);
            let subscribe = Subscribe {
                id: asked.borrow().len() as u64 - 1,
                broadcast,
                track,
                preferences: Preferences {
                    priority: 0,
                    ordered: false,
                    max_latency: Duration::from_secs(10),
                    group_start: None,
                    group_end: None,
                    frame_start: 0,
                    frame_end: None,
                },
            };
            let kind = ControlType::Subscribe.encode(&mut bytes, VERSION);
            kind.and_then(|()| subscribe.encode(&mut bytes, VERSION))
        }
    };
    // What this version has no word for is garbage.
    if encoded.is_err() {
        return garbage(rng);
    }
    if rng.chance(10) {
        bytes.truncate(rng.range(1, bytes.len() as u64) as usize);
    }
    bytes
}

/// Looks at every group that comes: whether it may.
async fn listen(stage: Rc<Stage>, node: usize, transport: Transport, asked: Asked) {
    while let Ok(stream) = transport.accept_uni().await {
        let Some(id) = stage
            .within(Duration::from_secs(5), subscription(stream))
            .await
            .flatten()
        else {
            continue;
        };
        let path = asked.borrow().get(id as usize).copied();
        let allowed = path.is_some_and(|path| covers(&stage.plan.nodes[node].scope, path));
        if !allowed {
            stage.violate(format_args!(
                "node {node}: a group of {path:?}, which is outside of its scope"
            ));
        }
    }
}

/// The subscription that a group stream is for.
async fn subscription(stream: Recv) -> Option<u64> {
    let mut reader = Reader::new(stream, VERSION);
    let kind: DataType = reader.decode().await.ok()?;
    let header: GroupHeader = match kind {
        DataType::Group => reader.decode().await.ok()?,
        DataType::Setup => return None,
    };
    Some(header.subscribe)
}
