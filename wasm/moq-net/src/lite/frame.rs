//! Frames on group and fetch streams: a small header, then the payload until the next one.

use bytes::BytesMut;
use web_transport_trait::{RecvStream, SendStream};

use crate::{
    Error, Result, Version,
    coding::{Decode, DecodeError, Encode, EncodeError, MAX_VARINT},
    lite::{Reader, Writer},
};

/// What stands before the payload of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// When it is presented, in units of the track's timescale. `None` on streams without timestamps.
    pub timestamp: Option<u64>,
    /// The bytes of payload that follow (packed bytes, if payloads are compressed).
    pub size: u64,
}

/// The frames of one stream, for either direction: timestamps travel as differences, so each depends on those before.
#[derive(Debug, Clone)]
pub struct Frames {
    timed: bool,
    /// The last timestamp on this stream; the first one is a difference to 0.
    previous: u64,
}

impl Frames {
    /// Frames of a stream of `version`, on a track that has a timescale or not.
    ///
    /// Up to 04 timestamps never travel. On 05 and later they always do: an untimed track must be given some before.
    pub fn new(version: Version, timescale: bool) -> Self {
        Self {
            timed: version.has_timestamps() && (timescale || !version.has_untimed()),
            previous: 0,
        }
    }

    /// Whether the frames of this stream carry timestamps.
    pub fn is_timed(&self) -> bool {
        self.timed
    }

    /// Waits for the header of the next frame; `None` when the stream ended properly before it. Cancel-safe. The payload
    /// must be taken from `reader` before the next call.
    ///
    /// # Errors
    /// [`Error::BoundsExceeded`] for an impossible timestamp, or whatever ends the stream.
    pub async fn read<R: RecvStream>(
        &mut self,
        reader: &mut Reader<R>,
    ) -> Result<Option<FrameHeader>> {
        match self.timed {
            true => match reader.decode_maybe::<Timed>().await? {
                Some(timed) => Ok(Some(self.header(timed)?)),
                None => Ok(None),
            },
            false => {
                let size = reader.decode_maybe().await?;
                Ok(size.map(FrameHeader::untimed))
            }
        }
    }

    /// The header of the next frame if all of it has already arrived.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn try_read<R: RecvStream>(
        &mut self,
        reader: &mut Reader<R>,
    ) -> Result<Option<FrameHeader>> {
        match self.timed {
            true => match reader.try_decode::<Timed>()? {
                Some(timed) => Ok(Some(self.header(timed)?)),
                None => Ok(None),
            },
            false => Ok(reader.try_decode()?.map(FrameHeader::untimed)),
        }
    }

    /// Queues the header of the next frame on `writer`; exactly `size` bytes of payload must follow.
    ///
    /// # Errors
    /// [`Error::TimestampMismatch`] when a timestamp is missing on a timed stream (on others it is left out), and
    /// [`Error::Encode`] beyond what the wire can carry.
    pub fn put<S: SendStream>(&mut self, writer: &mut Writer<S>, frame: FrameHeader) -> Result<()> {
        if !self.timed {
            return writer.put(&frame.size);
        }
        let timestamp = frame.timestamp.ok_or(Error::TimestampMismatch)?;
        writer.put(&Timed {
            delta: difference(self.previous, timestamp)?,
            size: frame.size,
        })?;
        self.previous = timestamp;
        Ok(())
    }

    fn header(&mut self, timed: Timed) -> Result<FrameHeader, DecodeError> {
        let timestamp = self
            .previous
            .checked_add_signed(timed.delta)
            .filter(|timestamp| *timestamp <= MAX_VARINT)
            .ok_or(DecodeError::Bounds)?;
        self.previous = timestamp;
        Ok(FrameHeader {
            timestamp: Some(timestamp),
            size: timed.size,
        })
    }
}

impl FrameHeader {
    fn untimed(size: u64) -> Self {
        Self {
            timestamp: None,
            size,
        }
    }
}

/// A frame header of a timed stream as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timed {
    /// Units since the previous frame, negative when frames are not in the order of presentation.
    pub(super) delta: i64,
    /// Bytes of payload.
    pub(super) size: u64,
}

impl Encode<Version> for Timed {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        let zigzag = (self.delta << 1) ^ (self.delta >> 63);
        zigzag.cast_unsigned().encode(buf, version)?;
        self.size.encode(buf, version)
    }
}

impl Decode<Version> for Timed {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let zigzag = u64::decode(buf, version)?;
        Ok(Self {
            delta: (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed(),
            size: u64::decode(buf, version)?,
        })
    }
}

/// The difference from one timestamp to another, if it can travel: 61 bits and a sign.
fn difference(from: u64, to: u64) -> Result<i64, EncodeError> {
    const LIMIT: i64 = 1 << 61;
    match to.checked_signed_diff(from) {
        Some(delta) if (-LIMIT..LIMIT).contains(&delta) && to <= MAX_VARINT => Ok(delta),
        _ => Err(EncodeError::Bounds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn timed(delta: i64, size: u64) -> Timed {
        Timed { delta, size }
    }

    #[test]
    fn timed_headers_have_their_bytes() {
        // zigzag(100) = 200, size 2
        vector(timed(100, 2), Version::Lite06, "40c8 02");
        vector(timed(100, 2), Version::Lite07Wip, "80c8 02");
        // zigzag(33) = 66, size 3
        vector(timed(-34, 3), Version::Lite05Wip, "4043 03");
        vector(timed(33, 3), Version::Lite05, "4042 03");
        // zigzag(0), size 3
        vector(timed(0, 3), Version::Lite05, "00 03");
    }

    #[test]
    fn the_widest_differences_travel() {
        for version in [Version::Lite06, Version::Lite07Wip] {
            round(timed((1 << 61) - 1, 0), version);
            round(timed(-(1 << 61), 0), version);
            let wider = timed(1 << 61, 0);
            assert_eq!(unspeakable(&wider, version), EncodeError::Bounds);
        }
    }

    #[test]
    fn differences_beyond_the_wire_are_our_error() {
        assert_eq!(difference(5, 3), Ok(-2));
        assert_eq!(difference(0, (1 << 61) - 1), Ok((1 << 61) - 1));
        assert_eq!(difference(0, 1 << 61), Err(EncodeError::Bounds));
        assert_eq!(difference(u64::MAX, 0), Err(EncodeError::Bounds));
        assert_eq!(
            difference(MAX_VARINT, MAX_VARINT + 1),
            Err(EncodeError::Bounds)
        );
    }

    #[test]
    fn timestamps_add_up_and_stay_in_range() {
        let mut frames = Frames::new(Version::Lite06, true);
        let mut next = |delta| {
            frames
                .header(timed(delta, 1))
                .map(|header| header.timestamp)
        };
        assert_eq!(next(100), Ok(Some(100)));
        assert_eq!(next(-34), Ok(Some(66)));
        assert_eq!(next(-67), Err(DecodeError::Bounds));
        assert_eq!(next((1 << 61) - 1), Ok(Some((1 << 61) + 65)));
        assert_eq!(next((1 << 61) - 67), Ok(Some((1 << 62) - 2)));
        assert_eq!(next(2), Err(DecodeError::Bounds));
    }

    #[test]
    fn timestamps_travel_where_the_version_has_them() {
        for version in Version::ALL {
            let always = matches!(
                version,
                Version::Lite05 | Version::Lite06 | Version::Lite07Wip
            );
            let wip = version == Version::Lite05Wip;
            assert_eq!(
                Frames::new(version, true).is_timed(),
                always || wip,
                "{version}"
            );
            assert_eq!(Frames::new(version, false).is_timed(), always, "{version}");
        }
    }
}
