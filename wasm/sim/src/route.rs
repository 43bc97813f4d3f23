//! The ways by which broadcasts come.

use moq_net::{BroadcastInfo, Origin, Path};

use crate::{cast::Life, stage::Stage};

/// Checks a way by which `path` came to `node`, which goes by `own`: that it passed nobody twice, and not `node` itself.
pub fn way(stage: &Stage, (node, own): (usize, Origin), path: &Path<'_>, info: &BroadcastInfo) {
    // 0 stands for those who do not say who they are, however many.
    let mut named: Vec<u64> = info.hops.iter().map(|hop| hop.id).collect();
    named.retain(|hop| *hop != 0);
    let length = named.len();
    named.sort_unstable();
    named.dedup();
    if named.len() != length || named.contains(&own.id) {
        stage.violate(format_args!("node {node}: {path} passed {:?}", info.hops));
    }
}

/// Checks all ways that a relay uses now.
pub fn ways(stage: &Stage, node: usize, life: &Life) {
    let mut announced = life.origin.consume().announced();
    while let Some((path, event)) = announced.try_next() {
        if let Some(broadcast) = event.broadcast() {
            way(stage, (node, life.origin.info()), &path, broadcast.info());
        }
    }
}
