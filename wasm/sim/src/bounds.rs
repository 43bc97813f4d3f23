//! What every queue is bounded by.

use moq_net::Runtime;

use crate::{forger, plan::PATHS, stage::Stage};

/// Checks that no queue of `runtime` was ever longer than its bound, at its longest.
pub fn high_water(stage: &Stage, node: usize, runtime: &Runtime) {
    let (peaks, limits) = (runtime.peaks(), runtime.limits());
    let group = limits.group_bytes.max(limits.max_frame);
    let marks = [
        ("group_bytes", peaks.group_bytes, group),
        ("group_frames", peaks.group_frames, limits.group_frames),
        (
            "assembly_bytes",
            peaks.assembly_bytes,
            limits.max_frame + limits.assembly_bytes,
        ),
        (
            "viewer_bytes",
            peaks.viewer_bytes,
            limits.viewer_bytes.max(group),
        ),
        (
            "viewer_groups",
            peaks.viewer_groups,
            limits.viewer_groups.max(limits.peer_viewer_groups),
        ),
        ("announces", peaks.announces, limits.announces),
        ("interests", peaks.interests, limits.interests),
        ("subscriptions", peaks.subscriptions, limits.subscriptions),
        (
            "unseen paths",
            peaks.unseen_paths,
            PATHS.len() + forger::PATHS_OF_ITS_OWN,
        ),
        (
            "broadcast_requests",
            peaks.broadcast_requests,
            limits.broadcast_requests,
        ),
        (
            "track_requests",
            peaks.track_requests,
            limits.track_requests,
        ),
        (
            "group_requests",
            peaks.group_requests,
            limits.group_requests,
        ),
        ("fetches", peaks.fetches, limits.fetches),
        ("total_fetches", peaks.total_fetches, limits.total_fetches),
        ("datagrams", peaks.datagrams, limits.datagrams),
    ];
    for (what, highest, bound) in marks {
        if highest > bound {
            stage.violate(format_args!(
                "node {node}: {what} was {highest}, where {bound} is the bound"
            ));
        }
    }
}

/// Checks that the cache of `runtime` is within its bound now.
pub fn cache(stage: &Stage, node: usize, runtime: &Runtime) {
    let (stats, limits) = (runtime.stats(), runtime.limits());
    // What readers hold and the newest group of each track are never given up: they may be on top of the cache.
    let newest = stats.tracks * (limits.group_bytes + limits.max_frame);
    let bound = limits.cache_bytes + newest;
    if stats.cached_bytes > bound {
        stage.violate(format_args!(
            "node {node}: {} bytes are cached, where {bound} is the bound",
            stats.cached_bytes
        ));
    }
}
