//! Paths: one form, bounded, and prefixes that end at a segment.

use moq_net::Path;

use crate::input::Input;

/// The most segments and bytes of a path.
const SEGMENTS: usize = 32;
const BYTES: usize = 4096;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (first, second) = (input.bytes(), input.rest());
    let (Ok(first), Ok(second)) = (std::str::from_utf8(first), std::str::from_utf8(second)) else {
        return;
    };
    let one = parsed(first);
    let two = parsed(second);
    let (Some(one), Some(two)) = (one, two) else {
        return;
    };
    // What a prefix is, said naively.
    let segments = |path: &Path<'_>| -> Vec<String> {
        let parts = path.as_str().split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (long, short) = (segments(&two), segments(&one));
    let is_prefix = long.starts_with(&short);
    assert_eq!(two.has_prefix(&one), is_prefix, "{two} below {one}");
    match two.strip_prefix(&one) {
        Some(rest) => {
            assert!(is_prefix);
            assert_eq!(segments(&rest), long[short.len()..]);
            assert_eq!(one.join(&rest).expect("it was one path"), two);
        }
        None => assert!(!is_prefix),
    }
    if let Ok(joined) = one.join(&two) {
        assert!(joined.has_prefix(&one));
        assert_eq!(joined.strip_prefix(&one), Some(two));
        bounded(&joined);
    }
}

/// A path, if the text is one; it is then in its one form.
fn parsed(text: &str) -> Option<Path<'_>> {
    let Ok(path) = Path::parse(text) else {
        let parts = text.split('/').filter(|part| !part.is_empty()).count();
        assert!(
            parts > SEGMENTS || text.len() > BYTES,
            "{text:?} was refused"
        );
        return None;
    };
    bounded(&path);
    let again = Path::parse(path.as_str()).expect("a path is a path");
    assert_eq!(again, path);
    assert_eq!(again.as_str(), path.as_str(), "one form");
    Some(path)
}

fn bounded(path: &Path<'_>) {
    let text = path.as_str();
    assert!(text.len() <= BYTES, "{} bytes", text.len());
    assert!(text.split('/').count() <= SEGMENTS);
    let edges = text.starts_with('/') || text.ends_with('/') || text.contains("//");
    assert!(!edges, "{text:?} has empty segments");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        ("a", "a/b"),
        ("foo", "foobar"),
        ("/a//b/", "a/b/c"),
        ("", "room"),
        ("é", "é/x"),
        ("a/b", "a"),
    ]
    .iter()
    .map(|(one, two)| [&[one.len() as u8], one.as_bytes(), two.as_bytes()].concat())
    .chain([[vec![0], "/a".repeat(33).into_bytes()].concat()])
    .collect()
}
