//! How single values travel: every message is made of these.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::{Decode, DecodeError, Encode, EncodeError, Form, MAX_VARINT};
use crate::{Path, PathOwned};

/// The longest duration that travels, in milliseconds: JS peers read at most 53 bits.
const MAX_MILLIS: u64 = (1 << 53) - 1;

/// Takes `length` bytes.
pub(crate) fn take<'a>(buf: &mut &'a [u8], length: u64) -> Result<&'a [u8], DecodeError> {
    // A length that does not even fit into memory asks for more than can ever arrive.
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    match buf.split_at_checked(length) {
        Some((bytes, rest)) => {
            *buf = rest;
            Ok(bytes)
        }
        None => Err(DecodeError::Short(length - buf.len())),
    }
}

/// A number: a varint.
impl<V: Form> Encode<V> for u64 {
    fn encode(&self, buf: &mut BytesMut, version: V) -> Result<(), EncodeError> {
        version.varint().encode(*self, buf)
    }
}

impl<V: Form> Decode<V> for u64 {
    fn decode(buf: &mut &[u8], version: V) -> Result<Self, DecodeError> {
        version.varint().decode(buf)
    }
}

/// One raw byte.
impl<V: Copy> Encode<V> for u8 {
    fn encode(&self, buf: &mut BytesMut, _: V) -> Result<(), EncodeError> {
        buf.put_u8(*self);
        Ok(())
    }
}

impl<V: Copy> Decode<V> for u8 {
    fn decode(buf: &mut &[u8], _: V) -> Result<Self, DecodeError> {
        take(buf, 1).map(|bytes| bytes[0])
    }
}

/// One raw byte, 0 or 1.
impl<V: Copy> Encode<V> for bool {
    fn encode(&self, buf: &mut BytesMut, version: V) -> Result<(), EncodeError> {
        u8::from(*self).encode(buf, version)
    }
}

impl<V: Copy> Decode<V> for bool {
    fn decode(buf: &mut &[u8], version: V) -> Result<Self, DecodeError> {
        match u8::decode(buf, version)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value),
        }
    }
}

/// An optional number: 0 is none, anything else the value plus one.
impl<V: Form> Encode<V> for Option<u64> {
    fn encode(&self, buf: &mut BytesMut, version: V) -> Result<(), EncodeError> {
        match self {
            None => 0,
            Some(value) if *value >= MAX_VARINT => return Err(EncodeError::Bounds),
            Some(value) => value + 1,
        }
        .encode(buf, version)
    }
}

impl<V: Form> Decode<V> for Option<u64> {
    fn decode(buf: &mut &[u8], version: V) -> Result<Self, DecodeError> {
        Ok(u64::decode(buf, version)?.checked_sub(1))
    }
}

/// Whole milliseconds; what is longer than any peer can read is cut to what it can.
impl<V: Form> Encode<V> for Duration {
    fn encode(&self, buf: &mut BytesMut, version: V) -> Result<(), EncodeError> {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        millis.min(MAX_MILLIS).encode(buf, version)
    }
}

impl<V: Form> Decode<V> for Duration {
    fn decode(buf: &mut &[u8], version: V) -> Result<Self, DecodeError> {
        u64::decode(buf, version).map(Self::from_millis)
    }
}

/// Length in bytes, then UTF-8.
impl<V: Form> Encode<V> for str {
    fn encode(&self, buf: &mut BytesMut, version: V) -> Result<(), EncodeError> {
        (self.len() as u64).encode(buf, version)?;
        buf.put_slice(self.as_bytes());
        Ok(())
    }
}

impl<V: Form> Encode<V> for String {
    fn encode(&self, buf: &mut BytesMut, version: V) -> Result<(), EncodeError> {
        self.as_str().encode(buf, version)
    }
}

impl<V: Form> Decode<V> for String {
    fn decode(buf: &mut &[u8], version: V) -> Result<Self, DecodeError> {
        text(buf, version).map(Self::from)
    }
}

/// A string, normalised when it is read; ours always are.
impl<V: Form> Encode<V> for Path<'_> {
    fn encode(&self, buf: &mut BytesMut, version: V) -> Result<(), EncodeError> {
        self.as_str().encode(buf, version)
    }
}

impl<V: Form> Decode<V> for PathOwned {
    fn decode(buf: &mut &[u8], version: V) -> Result<Self, DecodeError> {
        Self::parse_owned(text(buf, version)?).map_err(|_| DecodeError::Bounds)
    }
}

fn text<'a>(buf: &mut &'a [u8], version: impl Form) -> Result<&'a str, DecodeError> {
    let length = u64::decode(buf, version)?;
    std::str::from_utf8(take(buf, length)?).map_err(|_| DecodeError::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::Varint;
    use std::fmt::Debug;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const V: Varint = Varint::Quic;

    fn check<T: Encode<Varint> + Decode<Varint> + PartialEq + Debug>(value: T, expected: &[u8]) {
        let mut buf = BytesMut::new();
        value.encode(&mut buf, V).unwrap();
        assert_eq!(&buf[..], expected);
        let mut rest = expected;
        assert_eq!(T::decode(&mut rest, V), Ok(value));
        assert!(rest.is_empty());
    }

    #[test]
    fn values_have_their_bytes() {
        check(200_u8, &[200]);
        check(true, &[1]);
        check(None::<u64>, &[0]);
        check(Some(0_u64), &[1]);
        check(Some(63_u64), &[0x40, 0x40]);
        check(Duration::from_millis(500), &[0x41, 0xf4]);
        check("hé".to_owned(), &[3, b'h', 0xc3, 0xa9]);
        check(PathOwned::parse_owned("a/b").unwrap(), b"\x03a/b");
    }

    #[test]
    fn paths_are_normalised_on_receipt() {
        assert_eq!(PathOwned::decode(&mut &b"\x05/a//b"[..], V).unwrap(), "a/b");
    }

    #[test]
    fn durations_lose_what_is_below_a_millisecond_and_beyond_53_bits() {
        let mut buf = BytesMut::new();
        Duration::from_micros(1999).encode(&mut buf, V).unwrap();
        Duration::MAX.encode(&mut buf, V).unwrap();
        let mut rest = &buf[..];
        assert_eq!(u64::decode(&mut rest, V), Ok(1));
        assert_eq!(u64::decode(&mut rest, V), Ok(MAX_MILLIS));
    }

    #[test]
    fn bad_values_are_refused() {
        assert_eq!(bool::decode(&mut &[2][..], V), Err(DecodeError::Value));
        assert_eq!(
            String::decode(&mut &[1, 0xff][..], V),
            Err(DecodeError::Utf8)
        );
        assert_eq!(
            String::decode(&mut &[3, b'a'][..], V),
            Err(DecodeError::Short(2))
        );
        let deep = format!("\x41\x00{}", "a/".repeat(128));
        assert_eq!(
            PathOwned::decode(&mut deep.as_bytes(), V),
            Err(DecodeError::Bounds)
        );
        let mut buf = BytesMut::new();
        assert_eq!(
            Some(MAX_VARINT).encode(&mut buf, V),
            Err(EncodeError::Bounds)
        );
    }

    #[test]
    fn a_huge_length_asks_for_more_and_reserves_nothing() {
        let huge = [0xff; 8];
        assert!(matches!(
            String::decode(&mut &huge[..], V),
            Err(DecodeError::Short(_))
        ));
    }
}
