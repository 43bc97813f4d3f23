//! Prefixes somebody may publish or read under, and what is left of them below a path.

use moq_net::{Path, PathOwned};

use super::Refusal;

/// Rights: prefixes for each direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// To publish.
    pub put: Vec<PathOwned>,
    /// To read.
    pub get: Vec<PathOwned>,
}

impl Grants {
    /// Both directions everywhere.
    #[must_use]
    pub fn everything() -> Self {
        Self::under(Path::ROOT)
    }

    /// Both directions below `prefix`.
    #[must_use]
    pub fn under(prefix: PathOwned) -> Self {
        Self {
            put: vec![prefix.clone()],
            get: vec![prefix],
        }
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.get.is_empty()
    }

    /// Whether everything in `other` is in here as well.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let within = |mine: &[PathOwned], theirs: &[PathOwned]| {
            let mut theirs = theirs.iter();
            theirs.all(|path| mine.iter().any(|prefix| path.has_prefix(prefix)))
        };
        within(&self.put, &other.put) && within(&self.get, &other.get)
    }

    /// What is left for somebody whose paths are relative to `root`: prefixes below it, relative to it, and all of it
    /// where it lies inside a prefix.
    #[must_use]
    pub fn below(&self, root: &Path<'_>) -> Self {
        let reduce = |prefixes: &[PathOwned]| {
            let left = |prefix: &PathOwned| match prefix.strip_prefix(root) {
                Some(rest) => Some(rest.to_owned()),
                None => root.has_prefix(prefix).then_some(Path::ROOT),
            };
            let mut left: Vec<PathOwned> = prefixes.iter().filter_map(left).collect();
            left.sort();
            left.dedup();
            left
        };
        Self {
            put: reduce(&self.put),
            get: reduce(&self.get),
        }
    }
}

/// A prefix as settings and tokens write it: plain text.
pub(super) fn prefix(text: &str) -> Result<PathOwned, Refusal> {
    let path = Path::parse(text).map_err(|_too_long| Refusal::MALFORMED)?;
    Ok(path.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PathOwned {
        Path::parse(text).unwrap().into_owned()
    }

    fn below(prefixes: &[&str], root: &str) -> Vec<String> {
        let grants = Grants {
            put: prefixes.iter().copied().map(path).collect(),
            get: Vec::new(),
        };
        let left = grants.below(&path(root));
        assert!(
            left.get.is_empty(),
            "one direction says nothing of the other"
        );
        left.put
            .iter()
            .map(|path| path.as_str().to_owned())
            .collect()
    }

    #[test]
    fn prefixes_below_the_root_are_kept_relative_to_it() {
        assert_eq!(
            below(&["demo/room/a", "demo/room"], "demo"),
            ["room", "room/a"]
        );
        assert_eq!(below(&["demo"], "demo"), [""]);
        assert_eq!(below(&["demo/me"], ""), ["demo/me"]);
    }

    #[test]
    fn a_root_inside_a_prefix_is_granted_whole() {
        assert_eq!(below(&[""], "demo/room"), [""]);
        assert_eq!(below(&["demo"], "demo/room"), [""]);
        assert_eq!(below(&["demo", "demo/room"], "demo/room/x"), [""]);
    }

    #[test]
    fn siblings_get_nothing_even_when_their_text_begins_alike() {
        for (prefix, root) in [
            ("foo", "foobar"),
            ("foobar", "foo"),
            ("demo/room", "demo/rooms"),
            ("Demo", "demo"),
        ] {
            assert!(below(&[prefix], root).is_empty(), "{prefix} {root}");
        }
    }
}
