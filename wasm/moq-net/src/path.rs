//! Paths of broadcasts: normalised, relative, compared segment by segment.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::{Error, Result};

/// A path or prefix, always in normal form: segments joined by single `/`, none at either end. `""` is the root.
///
/// Clones are cheap. A `Path<'static>` ([`PathOwned`]) owns its text.
#[derive(Clone)]
pub struct Path<'a>(Text<'a>);

/// A path that owns its text.
pub type PathOwned = Path<'static>;

#[derive(Clone)]
enum Text<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl<'a> Path<'a> {
    /// The most segments a path may have; published peers refuse more.
    pub const MAX_SEGMENTS: usize = 32;
    /// The most bytes a path may have in normal form.
    pub const MAX_BYTES: usize = 4096;
    /// The root, which is a prefix of everything.
    pub const ROOT: Self = Path(Text::Borrowed(""));

    /// Normalises `text`: trims `/` at both ends and collapses repeats. Borrows when nothing had to move.
    ///
    /// # Errors
    /// [`Error::BoundsExceeded`] above [`Self::MAX_SEGMENTS`] or [`Self::MAX_BYTES`].
    pub fn parse(text: &'a str) -> Result<Self> {
        let trimmed = text.trim_matches('/');
        let path = if trimmed.contains("//") {
            let segments: Vec<&str> = trimmed
                .split('/')
                .filter(|segment| !segment.is_empty())
                .collect();
            Path(Text::Shared(segments.join("/").into()))
        } else {
            Path(Text::Borrowed(trimmed))
        };
        path.checked()
    }

    /// The text in normal form.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Borrowed(text) => text,
            Text::Shared(text) => text,
        }
    }

    /// Whether this is the root.
    pub fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }

    /// The bytes of the text.
    pub fn len(&self) -> usize {
        self.as_str().len()
    }

    /// The segments, first to last; none for the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.as_str()
            .split('/')
            .filter(|segment| !segment.is_empty())
    }

    /// Whether `prefix` covers this path: `foo` covers `foo` and `foo/bar`, not `foobar`.
    pub fn has_prefix(&self, prefix: &Path<'_>) -> bool {
        if kio::fault::mutant("scope-by-letter") {
            return self.as_str().starts_with(prefix.as_str());
        }
        self.rest(prefix).is_some()
    }

    /// What follows `prefix` (the root when they are equal), or `None` if `prefix` does not cover this path.
    pub fn strip_prefix(&self, prefix: &Path<'_>) -> Option<Path<'_>> {
        self.rest(prefix).map(|rest| Path(Text::Borrowed(rest)))
    }

    /// This path followed by `suffix`.
    ///
    /// # Errors
    /// [`Error::BoundsExceeded`] when the result is over the limits of a path.
    pub fn join(&self, suffix: &Path<'_>) -> Result<PathOwned> {
        if suffix.is_empty() {
            return Ok(self.to_owned());
        }
        if self.is_empty() {
            return Ok(suffix.to_owned());
        }
        Path(Text::Shared(
            format!("{}/{}", self.as_str(), suffix.as_str()).into(),
        ))
        .checked()
    }

    /// The first `count` segments (all of them if there are fewer).
    pub fn first_segments(&self, count: usize) -> Path<'_> {
        let text = self.as_str();
        let end = match count {
            0 => 0,
            _ => text
                .match_indices('/')
                .nth(count - 1)
                .map_or(text.len(), |(at, _)| at),
        };
        Path(Text::Borrowed(&text[..end]))
    }

    /// The same path with its own text.
    #[allow(
        clippy::should_implement_trait,
        reason = "the text is shared, not cloned, which ToOwned could not say"
    )]
    pub fn to_owned(&self) -> PathOwned {
        Path(Text::Shared(match &self.0 {
            Text::Borrowed("") => return PathOwned::ROOT,
            Text::Borrowed(text) => Arc::from(*text),
            Text::Shared(text) => text.clone(),
        }))
    }

    /// Gives up the borrow.
    pub fn into_owned(self) -> PathOwned {
        self.to_owned()
    }

    /// The same path, borrowed from this one.
    pub fn as_ref(&self) -> Path<'_> {
        Path(Text::Borrowed(self.as_str()))
    }

    fn rest(&self, prefix: &Path<'_>) -> Option<&str> {
        let rest = self.as_str().strip_prefix(prefix.as_str())?;
        if prefix.is_empty() || rest.is_empty() {
            return Some(rest);
        }
        rest.strip_prefix('/')
    }

    fn checked(self) -> Result<Self> {
        match self.len() > Self::MAX_BYTES || self.segments().count() > Self::MAX_SEGMENTS {
            true => Err(Error::BoundsExceeded),
            false => Ok(self),
        }
    }
}

impl PathOwned {
    /// Like [`Path::parse`], with text of its own.
    ///
    /// # Errors
    /// [`Error::BoundsExceeded`] above the limits of a path.
    pub fn parse_owned(text: &str) -> Result<Self> {
        Path::parse(text).map(Path::into_owned)
    }
}

impl Default for Path<'_> {
    fn default() -> Self {
        Self::ROOT
    }
}

// By text: a borrowed and a shared path of the same text are one key.
impl PartialEq<Path<'_>> for Path<'_> {
    fn eq(&self, other: &Path<'_>) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Path<'_> {}

impl PartialEq<str> for Path<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Path<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Path<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Path<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Path<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

// Lets maps keyed by paths be asked with a plain text in normal form.
impl Borrow<str> for Path<'_> {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn path(text: &str) -> Path<'_> {
        Path::parse(text).unwrap()
    }

    #[test]
    fn slashes_are_trimmed_and_collapsed() {
        for (text, normal) in [
            ("", ""),
            ("/", ""),
            ("///", ""),
            ("a", "a"),
            ("/a/b/", "a/b"),
            ("a//b", "a/b"),
            ("//a////b//c", "a/b/c"),
        ] {
            assert_eq!(path(text), normal, "{text:?}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        assert!(path("foo").has_prefix(&path("foo")));
        assert!(path("foo/bar").has_prefix(&path("foo")));
        assert!(!path("foobar").has_prefix(&path("foo")));
        assert!(!path("foo").has_prefix(&path("foo/bar")));
        assert!(path("anything").has_prefix(&Path::ROOT));
        assert!(Path::ROOT.has_prefix(&Path::ROOT));
        assert!(!Path::ROOT.has_prefix(&path("a")));
    }

    #[test]
    fn stripping_and_joining_undo_each_other() {
        for (prefix, suffix) in [("", ""), ("", "a/b"), ("a", ""), ("a/b", "c/d")] {
            let whole = path(prefix).join(&path(suffix)).unwrap();
            assert_eq!(whole.strip_prefix(&path(prefix)).unwrap(), path(suffix));
        }
        assert_eq!(path("foobar").strip_prefix(&path("foo")), None);
    }

    #[test]
    fn first_segments_cut_at_boundaries() {
        let whole = path("a/bc/d");
        for (count, expected) in [(0, ""), (1, "a"), (2, "a/bc"), (3, "a/bc/d"), (9, "a/bc/d")] {
            assert_eq!(whole.first_segments(count), expected);
        }
        assert_eq!(Path::ROOT.first_segments(3), "");
    }

    #[test]
    fn too_many_segments_are_refused() {
        let longest = vec!["a"; Path::MAX_SEGMENTS].join("/");
        assert!(Path::parse(&longest).is_ok());
        assert_eq!(
            Path::parse(&format!("{longest}/a")),
            Err(Error::BoundsExceeded)
        );
        assert_eq!(path(&longest).join(&path("a")), Err(Error::BoundsExceeded));
    }

    #[test]
    fn too_many_bytes_are_refused() {
        assert!(Path::parse(&"a".repeat(Path::MAX_BYTES)).is_ok());
        assert_eq!(
            Path::parse(&"a".repeat(Path::MAX_BYTES + 1)),
            Err(Error::BoundsExceeded)
        );
    }

    #[test]
    fn borrowed_and_owned_paths_are_one_key() {
        let map = std::collections::HashMap::from([(path("a/b").into_owned(), 1)]);
        assert_eq!(map.get(&path("/a//b")), Some(&1));
        assert_eq!(map.get("a/b"), Some(&1));
    }
}
