//! Tools of the message tests: bytes in, bytes out.

use std::fmt::Debug;

use bytes::BytesMut;

use crate::{
    PathOwned, Version,
    coding::{Decode, DecodeError, Encode, EncodeError},
};

/// The bytes of `value`, which must be expressible.
pub(super) fn bytes<T: Encode<Version>>(value: &T, version: Version) -> Vec<u8> {
    let mut buf = BytesMut::new();
    value.encode(&mut buf, version).unwrap();
    buf.to_vec()
}

/// Why `value` is not expressible.
pub(super) fn unspeakable<T: Encode<Version>>(value: &T, version: Version) -> EncodeError {
    value.encode(&mut BytesMut::new(), version).unwrap_err()
}

/// Reads bytes written as hex, spaces anywhere.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|digit| (digit as char).to_digit(16).unwrap() as u8)
        .collect();
    assert!(digits.len().is_multiple_of(2), "half a byte in {text}");
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// Checks both directions between a value and its bytes, and that no prefix of them is taken for the whole.
pub(super) fn vector<T: Encode<Version> + Decode<Version> + PartialEq + Debug>(
    value: T,
    version: Version,
    text: &str,
) {
    let expected = hex(text);
    assert_eq!(bytes(&value, version), expected, "{value:?} on {version}");
    assert_eq!(parse::<T>(text, version), Ok(value), "{version}");
    for cut in 0..expected.len() {
        let result = T::decode(&mut &expected[..cut], version);
        let Err(DecodeError::Short(need)) = result else {
            panic!("{cut} bytes of {text} gave {result:?}")
        };
        assert!(need <= expected.len() - cut, "asked for more than there is");
    }
}

/// Checks that a value survives a round trip.
pub(super) fn round<T: Encode<Version> + Decode<Version> + PartialEq + Debug>(
    value: T,
    version: Version,
) {
    let bytes = bytes(&value, version);
    let mut rest = &bytes[..];
    assert_eq!(T::decode(&mut rest, version), Ok(value), "{version}");
    assert!(rest.is_empty());
}

/// Decodes all of the bytes written as hex.
pub(super) fn parse<T: Decode<Version>>(text: &str, version: Version) -> Result<T, DecodeError> {
    let bytes = hex(text);
    let mut rest = &bytes[..];
    let value = T::decode(&mut rest, version)?;
    assert!(rest.is_empty(), "left over: {rest:x?}");
    Ok(value)
}

/// A path, for expected values.
pub(super) fn path(text: &str) -> PathOwned {
    PathOwned::parse_owned(text).unwrap()
}
