//! Numbers at the boundary: JavaScript numbers that must be whole and exact.

use crate::error::{ErrorData, Result};

/// Largest integer a JavaScript number holds exactly.
pub(crate) const MAX: u64 = (1 << 53) - 1;

/// A whole number from the caller, 0…2^53−1; `what` names the argument.
pub(crate) fn whole(what: &str, value: f64) -> Result<u64> {
    if value >= 0.0 && value <= MAX as f64 && value.fract() == 0.0 {
        return Ok(value as u64);
    }
    Err(ErrorData::usage(format!(
        "{what} is {value}, not a whole number in 0…2^53−1"
    )))
}

/// The same, with NaN for absent.
pub(crate) fn optional(what: &str, value: f64) -> Result<Option<u64>> {
    if value.is_nan() {
        Ok(None)
    } else {
        whole(what, value).map(Some)
    }
}

/// A whole number below 256.
pub(crate) fn byte(what: &str, value: f64) -> Result<u8> {
    let whole = whole(what, value)?;
    u8::try_from(whole).map_err(|_| ErrorData::usage(format!("{what} is {value}, above 255")))
}

/// A number on its way out. Larger ones came from a peer and fail what they belong to.
pub(crate) fn out(what: &str, value: u64) -> Result<f64> {
    if value <= MAX {
        Ok(value as f64)
    } else {
        Err(ErrorData::out_of_range(what, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_exact_numbers_pass() {
        assert_eq!(whole("sequence", 0.0), Ok(0));
        assert_eq!(whole("sequence", MAX as f64), Ok(MAX));
        for value in [-1.0, 0.5, MAX as f64 + 1.0, f64::NAN, f64::INFINITY] {
            assert!(whole("sequence", value).is_err(), "{value}");
        }
        assert_eq!(optional("sequence", f64::NAN), Ok(None));
        assert!(optional("sequence", -1.0).is_err());
        assert_eq!(byte("priority", 255.0), Ok(255));
        assert!(byte("priority", 256.0).is_err());
    }

    #[test]
    fn a_peers_large_number_is_an_error_that_shows_it() {
        assert_eq!(out("sequence", MAX), Ok(MAX as f64));
        let error = out("sequence", MAX + 1).unwrap_err().to_json();
        assert!(
            error.contains("out-of-range") && error.contains("9007199254740992"),
            "{error}"
        );
    }
}
