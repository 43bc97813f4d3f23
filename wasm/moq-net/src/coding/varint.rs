//! Integers of variable length, in the forms that versions choose from.

use bytes::{BufMut, BytesMut};

use super::{DecodeError, EncodeError, Form};

/// The largest value that travels in any form: 2^62 − 1.
pub const MAX_VARINT: u64 = (1 << 62) - 1;

/// How the length of an integer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Varint {
    /// By two bits of the first byte (RFC 9000 §16).
    Quic,
    /// By the number of one bits that the first byte begins with.
    LeadingOnes,
}

impl Form for Varint {
    fn varint(self) -> Varint {
        self
    }
}

impl Varint {
    /// Appends `value` in its shortest form.
    ///
    /// # Errors
    /// [`EncodeError::Bounds`] above [`MAX_VARINT`].
    pub(super) fn encode(self, value: u64, buf: &mut BytesMut) -> Result<(), EncodeError> {
        if value > MAX_VARINT {
            return Err(EncodeError::Bounds);
        }
        match self {
            Self::LeadingOnes => encode_leading_ones(value, buf),
            Self::Quic => encode_quic(value, buf),
        }
        Ok(())
    }

    /// Takes one integer, of any length: peers need not choose the shortest.
    pub(super) fn decode(self, buf: &mut &[u8]) -> Result<u64, DecodeError> {
        let first = *buf.first().ok_or(DecodeError::Short(1))?;
        let (length, value) = match self {
            Self::LeadingOnes => {
                let ones = first.leading_ones();
                // What the ones and the zero after them leave of the first byte; nothing from the seventh one on.
                let mask = 0x7f_u8.checked_shr(ones).unwrap_or(0);
                (ones as usize + 1, first & mask)
            }
            Self::Quic => (1 << (first >> 6), first & 0x3f),
        };
        let bytes = buf
            .get(..length)
            .ok_or_else(|| DecodeError::Short(length - buf.len()))?;
        let value = bytes[1..].iter().fold(u64::from(value), |value, byte| {
            value << 8 | u64::from(*byte)
        });
        if value > MAX_VARINT {
            return Err(DecodeError::Bounds);
        }
        *buf = &buf[length..];
        Ok(value)
    }
}

fn encode_quic(value: u64, buf: &mut BytesMut) {
    let bytes = value.to_be_bytes();
    let (length, prefix) = match value {
        0..=0x3f => (1, 0x00),
        0x40..=0x3fff => (2, 0x40),
        0x4000..=0x3fff_ffff => (4, 0x80),
        _ => (8, 0xc0),
    };
    buf.put_u8(bytes[8 - length] | prefix);
    buf.put_slice(&bytes[8 - length + 1..]);
}

fn encode_leading_ones(value: u64, buf: &mut BytesMut) {
    let bytes = value.to_be_bytes();
    let bits = 64 - value.leading_zeros() as usize;
    // Each byte more gives seven bits more. The seven-byte form is legal to read but never written.
    let length = match bits.max(1).div_ceil(7) {
        7 => 8,
        length => length,
    };
    match length {
        9 => {
            buf.put_u8(0xff);
            buf.put_slice(&bytes);
        }
        8 => {
            buf.put_u8(0xfe);
            buf.put_slice(&bytes[1..]);
        }
        _ => {
            let ones = !(0xff_u8 >> (length - 1));
            buf.put_u8(bytes[8 - length] | ones);
            buf.put_slice(&bytes[8 - length + 1..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn bytes(value: u64, form: Varint) -> Vec<u8> {
        let mut buf = BytesMut::new();
        form.encode(value, &mut buf).unwrap();
        buf.to_vec()
    }

    fn check(value: u64, form: Varint, expected: &[u8]) {
        assert_eq!(bytes(value, form), expected, "{value} as {form:?}");
        let mut rest = expected;
        assert_eq!(form.decode(&mut rest), Ok(value));
        assert!(rest.is_empty());
        for cut in 0..expected.len() {
            let mut rest = &expected[..cut];
            let need = match cut {
                0 => 1,
                _ => expected.len() - cut,
            };
            assert_eq!(form.decode(&mut rest), Err(DecodeError::Short(need)));
            assert_eq!(
                rest.len(),
                cut,
                "nothing is taken before all of it is there"
            );
        }
    }

    #[test]
    fn quic_form_takes_one_two_four_or_eight_bytes() {
        let v = Varint::Quic;
        check(0, v, &[0x00]);
        check(0x3f, v, &[0x3f]);
        check(0x40, v, &[0x40, 0x40]);
        check(0x3fff, v, &[0x7f, 0xff]);
        check(0x4000, v, &[0x80, 0, 0x40, 0]);
        check(0x3fff_ffff, v, &[0xbf, 0xff, 0xff, 0xff]);
        check(0x4000_0000, v, &[0xc0, 0, 0, 0, 0x40, 0, 0, 0]);
        check(0xff0d_ad02, v, &[0xc0, 0, 0, 0, 0xff, 0x0d, 0xad, 0x02]);
        check(MAX_VARINT, v, &[0xff; 8]);
    }

    #[test]
    fn leading_ones_form_grows_by_seven_bits() {
        let v = Varint::LeadingOnes;
        check(0, v, &[0x00]);
        check(127, v, &[0x7f]);
        check(128, v, &[0x80, 0x80]);
        check(16383, v, &[0xbf, 0xff]);
        check(16384, v, &[0xc0, 0x40, 0x00]);
        check(1 << 21, v, &[0xe0, 0x20, 0, 0]);
        check(1 << 28, v, &[0xf0, 0x10, 0, 0, 0]);
        check(1 << 35, v, &[0xf8, 0x08, 0, 0, 0, 0]);
        check(1 << 42, v, &[0xfe, 0x00, 0x04, 0, 0, 0, 0, 0]);
        check(
            (1 << 56) - 1,
            v,
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        );
        check(1 << 56, v, &[0xff, 0x01, 0, 0, 0, 0, 0, 0, 0]);
        check(
            MAX_VARINT,
            v,
            &[0xff, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        );
    }

    #[test]
    fn longer_forms_than_needed_are_read() {
        assert_eq!(Varint::Quic.decode(&mut &[0x40, 0x05][..]), Ok(5));
        assert_eq!(Varint::LeadingOnes.decode(&mut &[0x80, 0x05][..]), Ok(5));
        let seven = [0xfc, 0, 0, 0, 0, 0, 5];
        assert_eq!(Varint::LeadingOnes.decode(&mut &seven[..]), Ok(5));
        let seven = [0xfd, 0, 0, 0, 0, 0, 0];
        assert_eq!(Varint::LeadingOnes.decode(&mut &seven[..]), Ok(1 << 48));
    }

    #[test]
    fn values_above_62_bits_are_refused_both_ways() {
        let mut buf = BytesMut::new();
        for form in [Varint::Quic, Varint::LeadingOnes] {
            assert_eq!(
                form.encode(MAX_VARINT + 1, &mut buf),
                Err(EncodeError::Bounds)
            );
        }
        assert!(buf.is_empty());
        let above = [0xff, 0x40, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            Varint::LeadingOnes.decode(&mut &above[..]),
            Err(DecodeError::Bounds)
        );
    }

    #[test]
    fn every_power_of_two_survives_both_forms() {
        for form in [Varint::Quic, Varint::LeadingOnes] {
            for bit in 0..62 {
                for value in [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1] {
                    let bytes = bytes(value, form);
                    assert_eq!(form.decode(&mut &bytes[..]), Ok(value));
                }
            }
        }
    }
}
