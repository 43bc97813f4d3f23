//! The part of an origin that a handle sees.

use std::sync::Arc;

use crate::{Path, PathOwned, Result, model::queue::Covers};

/// A root that paths are relative to, and the prefixes that are allowed. Narrowing is the only thing that can be done to it.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    root: PathOwned,
    /// Absolute, at or below the root; none covers another.
    allowed: Arc<[PathOwned]>,
}

impl Scope {
    /// Everything.
    pub(crate) fn full() -> Self {
        Self {
            root: Path::ROOT,
            allowed: Arc::new([Path::ROOT]),
        }
    }

    pub(crate) const fn root(&self) -> &PathOwned {
        &self.root
    }

    /// The allowed prefixes, relative to the root.
    pub(crate) fn allowed(&self) -> Vec<PathOwned> {
        self.allowed
            .iter()
            .filter_map(|prefix| self.relative(prefix))
            .collect()
    }

    /// The allowed prefixes as they are.
    pub(crate) fn prefixes(&self) -> &[PathOwned] {
        &self.allowed
    }

    pub(crate) fn absolute(&self, path: &Path<'_>) -> Result<PathOwned> {
        self.root.join(path)
    }

    /// `path` as seen from the root.
    pub(crate) fn relative(&self, path: &Path<'_>) -> Option<PathOwned> {
        Some(path.strip_prefix(&self.root)?.to_owned())
    }

    /// Whether an absolute path is allowed.
    pub(crate) fn allows(&self, path: &Path<'_>) -> bool {
        self.allowed.iter().any(|prefix| path.has_prefix(prefix))
    }

    /// The same root with only what lies under `prefixes` (relative). `None` when nothing is left of a wish for something.
    pub(crate) fn narrow(&self, prefixes: &[Path<'_>]) -> Option<Self> {
        let mut allowed = Vec::new();
        for wish in prefixes {
            // A path that is too long covers nothing.
            let Ok(wish) = self.absolute(wish) else {
                continue;
            };
            allowed.extend(self.allowed.iter().filter_map(|held| overlap(held, &wish)));
        }
        let disjoint = allowed.is_empty() && !prefixes.is_empty();
        (!disjoint).then(|| Self {
            root: self.root.clone(),
            allowed: reduce(allowed),
        })
    }

    /// Paths relative to `prefix` (itself relative). `None` when nothing under it is allowed.
    pub(crate) fn rooted(&self, prefix: &Path<'_>) -> Option<Self> {
        let root = self.absolute(prefix).ok()?;
        let allowed: Vec<_> = self
            .allowed
            .iter()
            .filter_map(|held| overlap(held, &root))
            .collect();
        (!allowed.is_empty()).then(|| Self {
            root,
            allowed: reduce(allowed),
        })
    }
}

/// What two prefixes both cover: the longer one, if the other covers it.
fn overlap(a: &PathOwned, b: &PathOwned) -> Option<PathOwned> {
    match (a.has_prefix(b), b.has_prefix(a)) {
        (true, _) => Some(a.clone()),
        (false, true) => Some(b.clone()),
        (false, false) => None,
    }
}

/// Drops prefixes that others cover.
fn reduce(mut prefixes: Vec<PathOwned>) -> Arc<[PathOwned]> {
    prefixes.sort();
    prefixes.dedup();
    let all = prefixes.clone();
    prefixes.retain(|prefix| {
        !all.iter()
            .any(|other| other != prefix && prefix.has_prefix(other))
    });
    prefixes.into()
}

impl Covers<PathOwned> for Scope {
    fn covers(&self, path: &PathOwned) -> bool {
        self.allows(path)
    }
}
