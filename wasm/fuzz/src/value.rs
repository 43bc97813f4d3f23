//! Single values: integers in both forms, strings, durations.

use std::{fmt::Debug, time::Duration};

use bytes::BytesMut;
use moq_net::{
    PathOwned, Version,
    coding::{Decode, DecodeError, Encode, EncodeError, MAX_VARINT},
};

use crate::input::{Input, version_byte};

/// The bytes of a value.
pub(crate) fn encoded<T: Encode<Version> + ?Sized>(
    value: &T,
    version: Version,
) -> Result<BytesMut, EncodeError> {
    let mut buf = BytesMut::new();
    value.encode(&mut buf, version).map(|()| buf)
}

/// Reads a value, and if that works writes and reads it again: the same value, the same bytes, and no beginning of them
/// taken for the whole. Gives the value.
///
/// `unfaithful` are values that travel in a limited form, or not at all.
pub(crate) fn check<T>(bytes: &[u8], version: Version, unfaithful: fn(&T) -> bool) -> Option<T>
where
    T: Encode<Version> + Decode<Version> + PartialEq + Debug,
{
    let mut rest = bytes;
    let value = match T::decode(&mut rest, version) {
        Ok(value) => value,
        Err(DecodeError::Short(need)) => {
            assert!(need > 0, "{version}: more bytes are needed, but none");
            return None;
        }
        Err(_) => return None,
    };
    let used = bytes.len() - rest.len();
    for cut in [used / 2, used.saturating_sub(1)] {
        if cut == used {
            continue;
        }
        match T::decode(&mut &bytes[..cut], version) {
            Err(DecodeError::Short(need)) => {
                assert!(need <= used - cut, "{version}: asks for more than there is");
            }
            other => panic!("{version}: {cut} bytes of {used} gave {other:?}"),
        }
    }
    let written = match encoded(&value, version) {
        Ok(written) => written,
        Err(_) if unfaithful(&value) => return Some(value),
        Err(error) => panic!("{version}: {value:?} was read and cannot be written: {error}"),
    };
    let mut again = &written[..];
    let second = T::decode(&mut again, version).expect("what we write we can read");
    assert!(again.is_empty(), "{version}: {value:?} leaves bytes over");
    assert!(
        second == value || unfaithful(&value),
        "{version}: {value:?} became {second:?}"
    );
    assert_eq!(
        encoded(&second, version).as_ref(),
        Ok(&written),
        "{version}: {value:?} has two forms"
    );
    Some(value)
}

/// Longer than travels: JavaScript peers read 53 bits of milliseconds.
pub(crate) fn is_endless(duration: Duration) -> bool {
    duration.as_millis() >= 1 << 53
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let version = input.version();
    match input.byte() % 8 {
        0 => {
            check::<u64>(input.rest(), version, |_| false);
        }
        1 => {
            check::<Option<u64>>(input.rest(), version, |_| false);
        }
        2 => {
            check::<Duration>(input.rest(), version, |duration| is_endless(*duration));
        }
        3 => {
            check::<String>(input.rest(), version, |_| false);
        }
        4 => {
            check::<PathOwned>(input.rest(), version, |_| false);
        }
        5 => {
            check::<u8>(input.rest(), version, |_| false);
            check::<bool>(input.rest(), version, |_| false);
        }
        6 => {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(input.rest()) {
                *to = *from;
            }
            writes(u64::from_be_bytes(eight), version);
        }
        _ => writes(input.number(), version),
    }
}

/// A number is written in the shortest form there is, or refused.
fn writes(number: u64, version: Version) {
    let Ok(written) = encoded(&number, version) else {
        assert!(number > MAX_VARINT, "{number} travels");
        return;
    };
    assert!(number <= MAX_VARINT, "{number} does not travel");
    let bits = 64 - number.leading_zeros() as usize;
    let shortest = match version.has_leading_ones() {
        // Seven bits more with each byte; the form of seven bytes is read but never written.
        true => match bits.max(1).div_ceil(7) {
            7 => 8,
            length => length,
        },
        false => [6, 14, 30, 62]
            .iter()
            .position(|room| bits <= *room)
            .map_or(8, |power| 1 << power),
    };
    assert_eq!(written.len(), shortest, "{number} on {version}");
    assert_eq!(u64::decode(&mut &written[..], version), Ok(number));
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for version in [Version::Lite06, Version::Lite07Wip] {
        for value in [
            "00 7f",
            "00 40c8",
            "00 800f4240",
            "00 ffffffffffffffff",
            "00 8080",
            "00 bfff",
            "00 c04000",
            "00 e0200000",
            "00 f010000000",
            "00 f80800000000",
            "00 fe00040000000000",
            "00 ff0100000000000000",
            "01 00",
            "01 4100",
            "02 43e8",
            "02 ffffffffffffffff",
            "03 04726f6f6d",
            "03 02c3a9",
            "04 05 2f612f2f62",
            "05 01",
            "06 ffffffffffffffff",
            "06 3fffffffffffffff",
            "07 f9",
            "07 ff",
        ] {
            let mut seed = vec![version_byte(version)];
            seed.extend(crate::hex(value));
            seeds.push(seed);
        }
    }
    seeds
}
