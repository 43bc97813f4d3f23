//! How an announce stream begins.

use bytes::BytesMut;

use crate::{
    PathOwned, Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Message},
};

/// The most paths of one ANNOUNCE_INIT: what a relay accepts of a peer at all.
const MAX_INIT: u64 = 65_536;

/// ANNOUNCE_REQUEST: the subscriber asks for everything below a prefix, first and only on its stream (all versions).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnnounceRequest {
    /// Announced paths are relative to it; empty for everything.
    pub prefix: PathOwned,
    /// The subscriber's own hop id: routes through it are left out (04 to 05).
    pub exclude_hop: Option<u64>,
    /// Whether paths with a segment that begins with a dot, below the prefix, are wanted too (07).
    pub hidden: bool,
}

impl Message for AnnounceRequest {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        self.prefix.encode(buf, version)?;
        if version.has_exclude_hop() {
            self.exclude_hop.unwrap_or(0).encode(buf, version)?;
        }
        if version.has_hidden() {
            self.hidden.encode(buf, version)?;
        }
        Ok(())
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let mut this = Self {
            prefix: PathOwned::decode(buf, version)?,
            ..Self::default()
        };
        if version.has_exclude_hop() {
            this.exclude_hop = Some(u64::decode(buf, version)?).filter(|hop| *hop != 0);
        }
        if version.has_hidden() {
            this.hidden = bool::decode(buf, version)?;
        }
        Ok(this)
    }
}

/// ANNOUNCE_INIT: everything that is announced already, once and first (01, 02). May be up to 1 MiB long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnnounceInit {
    /// The paths, relative to the requested prefix.
    pub suffixes: Vec<PathOwned>,
}

impl Message for AnnounceInit {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_announce_init() {
            return Err(EncodeError::Version(version.name()));
        }
        let count = self.suffixes.len() as u64;
        if count > MAX_INIT {
            return Err(EncodeError::Bounds);
        }
        count.encode(buf, version)?;
        self.suffixes
            .iter()
            .try_for_each(|suffix| suffix.encode(buf, version))
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_announce_init() {
            return Err(DecodeError::Version(version.name()));
        }
        let count = u64::decode(buf, version)?;
        if count > MAX_INIT {
            return Err(DecodeError::Bounds);
        }
        let mut suffixes = Vec::new();
        for _ in 0..count {
            suffixes.push(PathOwned::decode(buf, version)?);
        }
        Ok(Self { suffixes })
    }
}

/// ANNOUNCE_OK: the publisher's answer, once and first (05-wip and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnounceOk {
    /// The publisher's own hop id, which the receiver appends to every chain on this stream. `None`: withheld, which
    /// 05-wip does not allow.
    pub hop: Option<u64>,
    /// How many announcements follow at once as the initial set.
    pub active: u64,
}

impl Message for AnnounceOk {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_announce_ok() {
            return Err(EncodeError::Version(version.name()));
        }
        let hop = self.hop.unwrap_or(0);
        if hop == 0 && !version.has_setup_stream() {
            return Err(EncodeError::Value);
        }
        hop.encode(buf, version)?;
        self.active.encode(buf, version)
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_announce_ok() {
            return Err(DecodeError::Version(version.name()));
        }
        let hop = u64::decode(buf, version)?;
        if hop == 0 && !version.has_setup_stream() {
            return Err(DecodeError::Value);
        }
        Ok(Self {
            hop: Some(hop).filter(|hop| *hop != 0),
            active: u64::decode(buf, version)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn request_has_its_bytes_in_every_version() {
        for version in Version::ALL {
            let all = AnnounceRequest {
                prefix: PathOwned::ROOT,
                exclude_hop: Some(2).filter(|_| version.has_exclude_hop()),
                hidden: version.has_hidden(),
            };
            match version {
                // length, prefix "", exclude hop 2
                Version::Lite04 | Version::Lite05Wip | Version::Lite05 => {
                    vector(all, version, "02 00 02")
                }
                // length, prefix "", hidden
                Version::Lite07Wip => vector(all, version, "02 00 01"),
                // length, prefix ""
                _ => vector(all, version, "01 00"),
            }
        }
    }

    #[test]
    fn request_of_nothing_special_is_zero() {
        let request = AnnounceRequest {
            prefix: path("a/b"),
            ..AnnounceRequest::default()
        };
        vector(request.clone(), Version::Lite05, "05 03 612f62 00");
        vector(request, Version::Lite07Wip, "05 03 612f62 00");
        let third = parse::<AnnounceRequest>("02 00 02", Version::Lite07Wip);
        assert_eq!(third, Err(DecodeError::Value));
    }

    #[test]
    fn init_has_its_bytes_on_01_and_02() {
        let init = AnnounceInit {
            suffixes: vec![path("room")],
        };
        for version in Version::ALL {
            match version.has_announce_init() {
                // length, 1 path, "room"
                true => vector(init.clone(), version, "06 01 04726f6f6d"),
                false => {
                    assert_eq!(
                        unspeakable(&init, version),
                        EncodeError::Version(version.name())
                    );
                    let result = parse::<AnnounceInit>("06 01 04726f6f6d", version);
                    assert_eq!(result, Err(DecodeError::Version(version.name())));
                }
            }
        }
        let lying = parse::<AnnounceInit>("06 02 04726f6f6d", Version::Lite01);
        assert_eq!(lying, Err(DecodeError::Length));
        let huge = parse::<AnnounceInit>("04 80010001", Version::Lite02);
        assert_eq!(huge, Err(DecodeError::Bounds));
    }

    #[test]
    fn ok_has_its_bytes_from_05_wip_on() {
        let ok = |hop, active| AnnounceOk { hop, active };
        for version in Version::ALL {
            if !version.has_announce_ok() {
                assert_eq!(
                    unspeakable(&ok(Some(1), 1), version),
                    EncodeError::Version(version.name())
                );
                let result = parse::<AnnounceOk>("02 01 01", version);
                assert_eq!(result, Err(DecodeError::Version(version.name())));
                continue;
            }
            // length, hop, initial announcements
            vector(ok(Some(1), 1), version, "02 01 01");
            match version {
                Version::Lite05Wip => {
                    assert_eq!(unspeakable(&ok(None, 0), version), EncodeError::Value);
                    assert_eq!(
                        parse::<AnnounceOk>("02 00 00", version),
                        Err(DecodeError::Value)
                    );
                }
                _ => vector(ok(None, 0), version, "02 00 00"),
            }
        }
    }
}
