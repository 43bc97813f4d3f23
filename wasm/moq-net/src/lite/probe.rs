//! The probe stream: estimates of the link (03 and later).

use std::time::Duration;

use bytes::BytesMut;

use crate::{
    Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Message},
};

/// PROBE: the publisher tells what it knows of the link, again and again. The opener of the stream sends nothing but the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Probe {
    /// Estimated bits per second, if known. A measured 0 travels as 1.
    pub bitrate: Option<u64>,
    /// Smoothed round-trip time in whole milliseconds, if known (04 and later). Below one millisecond it travels as 1.
    pub rtt: Option<Duration>,
}

impl Message for Probe {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_probe() {
            return Err(EncodeError::Version(version.name()));
        }
        self.bitrate
            .map_or(0, |bitrate| bitrate.max(1))
            .encode(buf, version)?;
        if version.has_probe_rtt() {
            let rtt = self.rtt.map(|rtt| rtt.max(Duration::from_millis(1)));
            rtt.unwrap_or_default().encode(buf, version)?;
        }
        Ok(())
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_probe() {
            return Err(DecodeError::Version(version.name()));
        }
        let mut this = Self {
            bitrate: Some(u64::decode(buf, version)?).filter(|bitrate| *bitrate != 0),
            rtt: None,
        };
        if version.has_probe_rtt() {
            this.rtt = Some(Duration::decode(buf, version)?).filter(|rtt| !rtt.is_zero());
        }
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn probe_has_its_bytes_in_every_version() {
        for version in Version::ALL {
            let rtt = Some(Duration::from_millis(40)).filter(|_| version.has_probe_rtt());
            let probe = Probe {
                bitrate: Some(1_000_000),
                rtt,
            };
            match version {
                Version::Lite01 | Version::Lite02 => {
                    assert_eq!(
                        unspeakable(&probe, version),
                        EncodeError::Version(version.name())
                    );
                    assert_eq!(
                        parse::<Probe>("01 00", version),
                        Err(DecodeError::Version(version.name()))
                    );
                }
                // length, bitrate
                Version::Lite03 => vector(probe, version, "04 800f4240"),
                // length, bitrate, rtt 40
                Version::Lite07Wip => vector(probe, version, "04 cf4240 28"),
                _ => vector(probe, version, "05 800f4240 28"),
            }
        }
    }

    #[test]
    fn unknown_is_zero_and_a_measured_zero_is_one() {
        vector(Probe::default(), Version::Lite05, "02 00 00");
        let nothing = Probe {
            bitrate: Some(0),
            rtt: Some(Duration::from_micros(10)),
        };
        assert_eq!(bytes(&nothing, Version::Lite05), hex("02 01 01"));
    }
}
