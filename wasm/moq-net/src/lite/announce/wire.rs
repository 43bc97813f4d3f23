//! Announcements as they travel.

use bytes::BytesMut;

use crate::{Cost, MAX_HOPS};
use crate::{
    PathOwned, Version,
    coding::{Decode, DecodeError, Encode, EncodeError, message},
};

/// One announcement, sent by the publisher after the beginning of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announce {
    /// `active` (01 to 05) and ANNOUNCE_START (06 and later), which takes the next id of its stream.
    Active {
        /// The path.
        suffix: Suffix,
        /// The hops (03 and later).
        hops: Chain,
        /// The price (06 and later).
        cost: Cost,
    },
    /// `ended` (01 to 05).
    Ended {
        /// The path, relative to the requested prefix.
        suffix: PathOwned,
    },
    /// ANNOUNCE_UPDATE: another route for the same announcement (06 and later).
    Update {
        /// Which one.
        id: u64,
        /// The hops.
        hops: Chain,
        /// The price.
        cost: Cost,
    },
    /// ANNOUNCE_END: retires the id (06 and later).
    End {
        /// Which one.
        id: u64,
    },
    /// A type that does not concern us: skipped, and takes no id (06 and later).
    Unknown,
}

/// A path relative to the requested prefix, on 07 perhaps by reference to one announced before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suffix {
    /// How many announcements back, 1 being the latest START; 0 for no reference.
    pub base: u64,
    /// How many segments of that path come first.
    pub keep: u64,
    /// What follows them.
    pub rest: PathOwned,
}

/// A chain of hops, on 07 perhaps by reference to one announced before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// As for [`Suffix::base`].
    pub base: u64,
    /// The hops given here, origin first. `None` when they were more than [`MAX_HOPS`].
    pub ids: Option<Vec<u64>>,
    /// How many hops from the end of that chain follow them.
    pub keep: u64,
}

const ENDED: u8 = 0;
const ACTIVE: u8 = 1;
const RESTART: u8 = 2;

const START_TYPE: u64 = 0;
const END_TYPE: u64 = 1;
const UPDATE_TYPE: u64 = 2;

impl Encode<Version> for Announce {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_announce_ids() {
            return message::with_length(buf, version, |body| self.encode_status(body, version));
        }
        match self {
            Self::Active { .. } => START_TYPE,
            Self::End { .. } => END_TYPE,
            Self::Update { .. } => UPDATE_TYPE,
            Self::Ended { .. } | Self::Unknown => return Err(EncodeError::Version(version.name())),
        }
        .encode(buf, version)?;
        message::with_length(buf, version, |body| self.encode_typed(body, version))
    }
}

impl Decode<Version> for Announce {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_announce_ids() {
            return message::exactly(buf, version, |body| Self::decode_status(body, version));
        }
        let kind = u64::decode(buf, version)?;
        message::exactly(buf, version, |body| Self::decode_typed(kind, body, version))
    }
}

impl Announce {
    /// The form up to 05: a status, and the path every time.
    fn encode_status(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        match self {
            Self::Active { suffix, hops, .. } => {
                ACTIVE.encode(buf, version)?;
                suffix.encode(buf, version)?;
                hops.encode(buf, version)
            }
            Self::Ended { suffix } => {
                ENDED.encode(buf, version)?;
                suffix.encode(buf, version)?;
                Chain::default().encode(buf, version)
            }
            Self::Update { .. } | Self::End { .. } | Self::Unknown => {
                Err(EncodeError::Version(version.name()))
            }
        }
    }

    fn decode_status(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let status = u8::decode(buf, version)?;
        let suffix = Suffix::decode(buf, version)?;
        let hops = Chain::decode(buf, version)?;
        match status {
            ENDED => Ok(Self::Ended {
                suffix: suffix.rest,
            }),
            ACTIVE => Ok(Self::active(suffix, hops)),
            // Never sent by published peers, and read by them as what they do send.
            RESTART if version.replaces_active() => Ok(Self::active(suffix, hops)),
            _ => Err(DecodeError::Value),
        }
    }

    fn active(suffix: Suffix, hops: Chain) -> Self {
        Self::Active {
            suffix,
            hops,
            cost: Cost::UNPRICED,
        }
    }

    /// The form from 06 on: typed, and by id after the first time.
    fn encode_typed(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        match self {
            Self::Active { suffix, hops, cost } => {
                suffix.encode(buf, version)?;
                hops.encode(buf, version)?;
                cost.encode(buf, version)
            }
            Self::Update { id, hops, cost } => {
                id.encode(buf, version)?;
                hops.encode(buf, version)?;
                cost.encode(buf, version)
            }
            Self::End { id } => id.encode(buf, version),
            Self::Ended { .. } | Self::Unknown => Err(EncodeError::Version(version.name())),
        }
    }

    fn decode_typed(kind: u64, buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        match kind {
            START_TYPE => Ok(Self::Active {
                suffix: Suffix::decode(buf, version)?,
                hops: Chain::decode(buf, version)?,
                cost: Cost::decode(buf, version)?,
            }),
            END_TYPE => Ok(Self::End {
                id: u64::decode(buf, version)?,
            }),
            UPDATE_TYPE => Ok(Self::Update {
                id: u64::decode(buf, version)?,
                hops: Chain::decode(buf, version)?,
                cost: Cost::decode(buf, version)?,
            }),
            _ => {
                *buf = &[];
                Ok(Self::Unknown)
            }
        }
    }
}

impl Suffix {
    /// A path without a reference, which every version can say.
    pub fn literal(path: PathOwned) -> Self {
        Self {
            base: 0,
            keep: 0,
            rest: path,
        }
    }
}

impl Encode<Version> for Suffix {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        encode_base(self.base, self.keep, version)?;
        if version.has_announce_compression() {
            self.base.encode(buf, version)?;
            self.keep.encode(buf, version)?;
        }
        self.rest.encode(buf, version)
    }
}

impl Decode<Version> for Suffix {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let (mut base, mut keep) = (0, 0);
        if version.has_announce_compression() {
            base = u64::decode(buf, version)?;
            keep = decode_keep(base, buf, version)?;
        }
        Ok(Self {
            base,
            keep,
            rest: PathOwned::decode(buf, version)?,
        })
    }
}

impl Chain {
    /// Hops without a reference, which every version that has hops can say.
    pub fn literal(ids: Vec<u64>) -> Self {
        Self {
            base: 0,
            ids: Some(ids),
            keep: 0,
        }
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::literal(Vec::new())
    }
}

impl Encode<Version> for Chain {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_hops() {
            return Ok(());
        }
        let ids = self.ids.as_ref().ok_or(EncodeError::Bounds)?;
        if ids.len() > MAX_HOPS {
            return Err(EncodeError::Bounds);
        }
        if has_repeats(ids) {
            return Err(EncodeError::Value);
        }
        encode_base(self.base, self.keep, version)?;
        if version.has_announce_compression() {
            self.base.encode(buf, version)?;
        }
        (ids.len() as u64).encode(buf, version)?;
        if version.has_hop_ids() {
            ids.iter().try_for_each(|id| id.encode(buf, version))?;
        }
        if version.has_announce_compression() {
            self.keep.encode(buf, version)?;
        }
        Ok(())
    }
}

impl Decode<Version> for Chain {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        let mut this = Self::default();
        if !version.has_hops() {
            return Ok(this);
        }
        if version.has_announce_compression() {
            this.base = u64::decode(buf, version)?;
        }
        this.ids = decode_ids(buf, version)?;
        if version.has_announce_compression() {
            this.keep = decode_keep(this.base, buf, version)?;
        }
        Ok(this)
    }
}

impl Encode<Version> for Cost {
    fn encode(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        self.warm.min(Self::MAX.warm).encode(buf, version)?;
        self.cold.min(Self::MAX.cold).encode(buf, version)
    }
}

impl Decode<Version> for Cost {
    fn decode(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            warm: u64::decode(buf, version)?,
            cold: u64::decode(buf, version)?,
        })
    }
}

/// Whether a hop that is known occurs twice, which no honest chain does.
pub(super) fn has_repeats(ids: &[u64]) -> bool {
    let mut rest = ids;
    while let Some((id, after)) = rest.split_first() {
        if *id != 0 && after.contains(id) {
            return true;
        }
        rest = after;
    }
    false
}

fn decode_ids(buf: &mut &[u8], version: Version) -> Result<Option<Vec<u64>>, DecodeError> {
    let count = u64::decode(buf, version)?;
    let fits = usize::try_from(count)
        .ok()
        .filter(|count| *count <= MAX_HOPS);
    if !version.has_hop_ids() {
        // 03 only counts them: nobody knows who they were.
        return Ok(fits.map(|count| vec![0; count]));
    }
    let mut ids = Vec::with_capacity(fits.unwrap_or(0));
    for _ in 0..count {
        // All of them are read, to find what follows; each takes a byte at least, so the message bounds the loop.
        let id = u64::decode(buf, version)?;
        if fits.is_some() {
            ids.push(id);
        }
    }
    match has_repeats(&ids) {
        true => Err(DecodeError::Duplicate),
        false => Ok(fits.map(|_| ids)),
    }
}

fn encode_base(base: u64, keep: u64, version: Version) -> Result<(), EncodeError> {
    match (base, keep) {
        (0, 0) => Ok(()),
        _ if !version.has_announce_compression() => Err(EncodeError::Version(version.name())),
        (0, _) => Err(EncodeError::Value),
        _ => Ok(()),
    }
}

fn decode_keep(base: u64, buf: &mut &[u8], version: Version) -> Result<u64, DecodeError> {
    match (base, u64::decode(buf, version)?) {
        (0, 1..) => Err(DecodeError::UnknownAnnounce),
        (_, keep) => Ok(keep),
    }
}
