//! Payloads that can be judged by whoever receives them.

use std::{sync::LazyLock, time::Instant};

use bytes::Bytes;

/// Bytes before the filler: checksum and writer as `u32`, number and send time as `u64`, all little endian.
pub(crate) const HEADER: usize = 24;

/// Where this process's clock starts.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds on the one clock of all writers and readers.
pub(crate) fn now() -> u64 {
    u64::try_from(EPOCH.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What a payload says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Who wrote it.
    pub(crate) writer: u32,
    /// Its number, from 0 and without gaps.
    pub(crate) number: u64,
    /// When it was written, by [`now`].
    pub(crate) sent: u64,
}

impl Stamp {
    /// A payload of `size` bytes, or of the header alone where that is longer.
    pub(crate) fn seal(self, size: usize) -> Bytes {
        let filler = self.number.to_le_bytes()[0];
        let mut payload = vec![filler; size.max(HEADER)];
        payload[4..8].copy_from_slice(&self.writer.to_le_bytes());
        payload[8..16].copy_from_slice(&self.number.to_le_bytes());
        payload[16..24].copy_from_slice(&self.sent.to_le_bytes());
        let sum = crc32fast::hash(&payload[4..]);
        payload[..4].copy_from_slice(&sum.to_le_bytes());
        payload.into()
    }

    /// The stamp of a payload of exactly `size` bytes, unless it is damaged.
    pub(crate) fn open(payload: &[u8], size: usize) -> Option<Self> {
        if payload.len() != size.max(HEADER) {
            return None;
        }
        let sum = u32::from_le_bytes(payload[..4].try_into().ok()?);
        (sum == crc32fast::hash(&payload[4..])).then_some(Self {
            writer: u32::from_le_bytes(payload[4..8].try_into().ok()?),
            number: u64::from_le_bytes(payload[8..16].try_into().ok()?),
            sent: u64::from_le_bytes(payload[16..24].try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        writer: 3,
        number: 1000,
        sent: 77,
    };

    #[test]
    fn a_payload_tells_what_was_sealed_in() {
        for size in [0, HEADER, 1000] {
            assert_eq!(Stamp::open(&STAMP.seal(size), size), Some(STAMP));
        }
    }

    #[test]
    fn every_damaged_bit_and_every_wrong_length_shows() {
        let whole = STAMP.seal(64);
        assert_eq!(Stamp::open(&whole[..63], 64), None);
        assert_eq!(Stamp::open(&whole, 65), None);
        for bit in 0..64 * 8 {
            let mut damaged = whole.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Stamp::open(&damaged, 64), None, "bit {bit}");
        }
    }
}
