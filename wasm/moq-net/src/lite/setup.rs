//! The SETUP stream: what each side says about itself, once (05 and later, not 05-wip).

use bytes::BytesMut;

use crate::{
    Version,
    coding::{Decode, DecodeError, Encode, EncodeError, Message, message, value},
};

/// The most parameters of one SETUP.
const MAX_PARAMETERS: u64 = 64;

/// The most bytes of one SETUP body, which is also a reader's default limit.
const MAX_BYTES: usize = 64 * 1024;

/// How far the sender can probe the link, as a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ProbeLevel {
    /// Not at all: do not open a probe stream.
    #[default]
    None,
    /// It reports what the transport knows.
    Report,
    /// It also sends more to find out. Any level that we do not know is read as this one.
    Increase,
}

/// The one direction that a client limits itself to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It only publishes.
    Publisher,
    /// It only subscribes.
    Subscriber,
}

/// SETUP: the parameters of one side, in any order, each at most once; then a FIN. Send it at once even when it is empty:
/// the peer may wait for it.
///
/// Everything wrong in it ends the session. So do a path or a role from a server, which the reader has to check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// What the sender can do as a publisher.
    pub probe: ProbeLevel,
    /// Request path and query; clients only, and only where the transport has no request of its own.
    pub path: Option<String>,
    /// The client's only direction; both without it.
    pub role: Option<Role>,
    /// The price of subscribing from the sender (06 and later); 1 without it, and 0 means 0.
    pub cost: Option<u64>,
    /// The sender's hop id, not 0.
    pub hop: Option<u64>,
}

const PROBE: u64 = 1;
const PATH: u64 = 2;
const ROLE: u64 = 3;
const COST: u64 = 4;
const HOP: u64 = 5;

impl Message for Setup {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        if !version.has_setup_stream() {
            return Err(EncodeError::Version(version.name()));
        }
        let role = self.role.map(|role| match role {
            Role::Publisher => 1,
            Role::Subscriber => 2,
        });
        let numbers = [
            (PROBE, Some(self.probe as u64).filter(|level| *level != 0)),
            (ROLE, role),
            (COST, self.cost),
            (HOP, self.hop.filter(|hop| *hop != 0)),
        ];
        // Early lite-05 peers reject an empty path, which means the same as none.
        let path = self.path.as_deref().filter(|path| !path.is_empty());
        let count = numbers.iter().filter(|(_, value)| value.is_some()).count();
        (count as u64 + u64::from(path.is_some())).encode(buf, version)?;

        if let Some(path) = path {
            PATH.encode(buf, version)?;
            path.encode(buf, version)?;
        }
        for (id, value) in numbers {
            if let Some(value) = value {
                id.encode(buf, version)?;
                message::with_length(buf, version, |body| value.encode(body, version))?;
            }
        }
        match buf.len() <= MAX_BYTES {
            true => Ok(()),
            false => Err(EncodeError::Bounds),
        }
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        if !version.has_setup_stream() {
            return Err(DecodeError::Version(version.name()));
        }
        if buf.len() > MAX_BYTES {
            return Err(DecodeError::TooLarge);
        }
        let count = u64::decode(buf, version)?;
        if count > MAX_PARAMETERS {
            return Err(DecodeError::TooManyParameters);
        }
        let mut this = Self::default();
        let mut seen = Vec::new();
        for _ in 0..count {
            let id = u64::decode(buf, version)?;
            if seen.contains(&id) {
                return Err(DecodeError::Duplicate);
            }
            seen.push(id);
            let length = u64::decode(buf, version)?;
            this.set(id, value::take(buf, length)?, version)?;
        }
        Ok(this)
    }
}

impl Setup {
    fn set(&mut self, id: u64, value: &[u8], version: Version) -> Result<(), DecodeError> {
        let number = || message::whole(value, |value| u64::decode(value, version));
        match id {
            PROBE => {
                self.probe = match number()? {
                    0 => ProbeLevel::None,
                    1 => ProbeLevel::Report,
                    _ => ProbeLevel::Increase,
                }
            }
            PATH => {
                let path = std::str::from_utf8(value).map_err(|_| DecodeError::Utf8)?;
                self.path = (!path.is_empty()).then(|| path.to_owned());
            }
            ROLE => {
                self.role = match number()? {
                    1 => Some(Role::Publisher),
                    2 => Some(Role::Subscriber),
                    _ => None,
                }
            }
            COST => self.cost = Some(number()?),
            HOP => self.hop = Some(number()?).filter(|hop| *hop != 0),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lite::check::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const VERSIONS: [Version; 3] = [Version::Lite05, Version::Lite06, Version::Lite07Wip];

    #[test]
    fn setup_has_its_bytes() {
        let client = Setup {
            role: Some(Role::Subscriber),
            hop: Some(2),
            ..Setup::default()
        };
        let server = Setup {
            hop: Some(1),
            ..Setup::default()
        };
        let routed = Setup {
            path: Some("/a?jwt=x".into()),
            ..Setup::default()
        };
        for version in VERSIONS {
            // length, 2 parameters, role: 2, hop: 2
            vector(client.clone(), version, "07 02 03 01 02 05 01 02");
            // length, 1 parameter, hop: 1
            vector(server.clone(), version, "04 01 05 01 01");
            // length, 1 parameter, path
            vector(routed.clone(), version, "0b 01 02 08 2f613f6a77743d78");
            vector(Setup::default(), version, "01 00");
        }
        let cost = Setup {
            cost: Some(100),
            ..Setup::default()
        };
        // length, 1 parameter, cost: 100
        vector(cost.clone(), Version::Lite06, "05 01 04 02 4064");
        vector(cost, Version::Lite07Wip, "04 01 04 01 64");
    }

    #[test]
    fn all_parameters_survive_together() {
        for version in VERSIONS {
            let all = Setup {
                probe: ProbeLevel::Report,
                path: Some("a".into()),
                role: Some(Role::Publisher),
                cost: Some(0),
                hop: Some(1 << 52),
            };
            round(all, version);
        }
    }

    #[test]
    fn what_means_nothing_is_read_as_absent() {
        for (text, expected) in [
            // unknown parameters, one of them empty
            ("08 02 10 03 aabbcc 11 00", Setup::default()),
            // empty path, hop 0, role 9
            ("09 03 02 00 05 01 00 03 01 09", Setup::default()),
            // probe level 7
            (
                "04 01 01 01 07",
                Setup {
                    probe: ProbeLevel::Increase,
                    ..Setup::default()
                },
            ),
        ] {
            assert_eq!(parse(text, Version::Lite05), Ok(expected), "{text}");
        }
        let hollow = Setup {
            path: Some(String::new()),
            hop: Some(0),
            ..Setup::default()
        };
        assert_eq!(bytes(&hollow, Version::Lite05), hex("01 00"));
    }

    #[test]
    fn broken_parameters_are_refused() {
        for (text, expected) in [
            // the same parameter twice, known and unknown
            ("07 02 05 01 01 05 01 01", DecodeError::Duplicate),
            ("05 02 10 00 10 00", DecodeError::Duplicate),
            // an empty number, a number with a byte too many
            ("03 01 05 00", DecodeError::Length),
            ("05 01 05 02 01 01", DecodeError::Length),
            // a path that is not UTF-8, a value longer than the message, a parameter that is missing
            ("04 01 02 01 ff", DecodeError::Utf8),
            ("04 01 10 05 00", DecodeError::Length),
            ("01 01", DecodeError::Length),
            ("02 00 00", DecodeError::Length),
            // 65 parameters
            ("02 4041", DecodeError::TooManyParameters),
        ] {
            assert_eq!(
                parse::<Setup>(text, Version::Lite06),
                Err(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn sixty_four_unknown_parameters_are_accepted() {
        let parameters: String = (0x10..0x50).map(|id| format!("40{id:02x} 00 ")).collect();
        let text = format!("40c2 4040 {parameters}");
        assert_eq!(parse(&text, Version::Lite06), Ok(Setup::default()));
    }

    #[test]
    fn a_setup_over_64_kib_is_refused_both_ways() {
        let large = Setup {
            path: Some("a".repeat(MAX_BYTES)),
            ..Setup::default()
        };
        assert_eq!(unspeakable(&large, Version::Lite06), EncodeError::Bounds);
        let text = format!("8001 0001 00 {}", "00".repeat(MAX_BYTES));
        assert_eq!(
            parse::<Setup>(&text, Version::Lite06),
            Err(DecodeError::TooLarge)
        );
    }

    #[test]
    fn other_versions_have_no_setup() {
        for version in Version::ALL
            .into_iter()
            .filter(|version| !VERSIONS.contains(version))
        {
            assert_eq!(
                unspeakable(&Setup::default(), version),
                EncodeError::Version(version.name())
            );
            assert_eq!(
                parse::<Setup>("01 00", version),
                Err(DecodeError::Version(version.name()))
            );
        }
    }
}
