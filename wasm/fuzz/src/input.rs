//! Bytes as decisions: read from the front, so that a person can write an input down.

use moq_net::Version;

/// What is left of an input. An empty one answers 0 and nothing.
pub(crate) struct Input<'a>(&'a [u8]);

/// Numbers at which something changes.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    3,
    63,
    64,
    255,
    1 << 14,
    (1 << 32) - 1,
    1 << 32,
    (1 << 53) - 1,
    1 << 53,
    (1 << 61) - 1,
    (1 << 62) - 1,
    1 << 62,
    u64::MAX,
];

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    /// A number below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// One of these.
    pub(crate) fn pick<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.below(all.len())]
    }

    /// A number: small ones as they are, others from where something changes.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..240 => u64::from(byte),
            byte => NUMBERS[usize::from(byte - 240)],
        }
    }

    /// A length, and as many bytes as there are.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn version(&mut self) -> Version {
        *self.pick(&Version::ALL)
    }
}

/// The byte by which [`Input::version`] gives this version.
pub(crate) fn version_byte(version: Version) -> u8 {
    let position = Version::ALL.iter().position(|one| *one == version);
    position.unwrap_or(0) as u8
}
