//! Numbers at the boundary: JavaScript numbers that must be whole and exact.

use crate::error::{ErrorData, Result};

/// Largest integer a JavaScript number holds exactly.
pub(crate) const MAX: u64 = (1 << 53) - 1;

/// A number of the caller for an error message. Without the code that formats floats, which is larger than this crate.
pub(crate) fn shown(value: f64) -> String {
    if value.is_nan() {
        "not a number".to_owned()
    } else if value.fract() != 0.0 {
        "a fraction or infinite".to_owned()
    } else {
        // Saturates, which is as good an explanation.
        (value as i64).to_string()
    }
}

/// A whole number from the caller, 0…2^53−1; `what` names the argument.
pub(crate) fn whole(what: &str, value: f64) -> Result<u64> {
    if value >= 0.0 && value <= MAX as f64 && value.fract() == 0.0 {
        return Ok(value as u64);
    }
    Err(ErrorData::usage(format!(
        "{what} is {}, not a whole number in 0…2^53−1",
        shown(value)
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

/// A count of bytes.
pub(crate) fn size(what: &str, value: f64) -> Result<usize> {
    let whole = whole(what, value)?;
    usize::try_from(whole).map_err(|_| ErrorData::usage(format!("{what} is {whole}, too many")))
}

/// A whole number below 256.
pub(crate) fn byte(what: &str, value: f64) -> Result<u8> {
    let whole = whole(what, value)?;
    u8::try_from(whole).map_err(|_| ErrorData::usage(format!("{what} is {whole}, above 255")))
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
        let shows = |value: f64, text: &str| {
            let error = whole("sequence", value).unwrap_err().to_json();
            assert!(error.contains(text), "{error}");
        };
        shows(-1.0, "sequence is -1,");
        shows(0.5, "a fraction");
        shows(f64::NAN, "not a number");
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
