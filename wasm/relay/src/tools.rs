//! The commands that make keys and tokens.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};

use crate::auth::{ALGORITHMS, Claims, Key, Prefixes, SigningKey, is_key_name, verify};

/// What to do instead of relaying.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key (JWK) that signs tokens.
    Key(MakeKey),
    /// Make a token (JWT) and print it.
    Token(MakeToken),
    /// Check the token on standard input and print what it says.
    Verify(Verify),
}

/// Failure of a command.
pub type Failure = Box<dyn std::error::Error>;

impl Command {
    /// Does it. What was asked for goes to standard output, one line that sums up is returned.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub fn run(&self) -> Result<String, Failure> {
        match self {
            Self::Key(command) => command.run(),
            Self::Token(command) => command.run(),
            Self::Verify(command) => command.run(),
        }
    }
}

/// Options of `key`.
#[derive(Debug, Args)]
pub struct MakeKey {
    /// The signature algorithm. The ES and Ed ones have a public half, which is all a relay has to know.
    #[arg(long, default_value = "ES256", value_parser = ALGORITHMS)]
    algorithm: String,
    /// Name of the key, and of its file in a directory of keys; random if not given.
    #[arg(long, value_parser = kid)]
    kid: Option<String>,
    /// Write the key here, readable by its owner only, instead of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the public half here, for relays.
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
}

impl MakeKey {
    fn run(&self) -> Result<String, Failure> {
        let key = SigningKey::generate(&self.algorithm, self.kid.clone())?;
        let public = key.public_json();
        if self.public.is_some() && public.is_none() {
            return Err(format!(
                "{} has no public half: whoever can check its tokens can make them",
                self.algorithm
            )
            .into());
        }
        match &self.out {
            Some(path) => write(path, &key.to_json(), true)?,
            None => print(&key.to_json())?,
        }
        if let (Some(path), Some(public)) = (&self.public, public) {
            write(path, &public, false)?;
        }
        let id = key.id().unwrap_or_default();
        Ok(format!("made the {} key {id:?}", self.algorithm))
    }
}

/// Writes to standard output, where somebody has to take it.
fn print(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

/// Writes a new file; one that is there is not lost to a mistake.
fn write(path: &Path, text: &str, secret: bool) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let written = options
        .open(path)
        .and_then(|mut file| writeln!(file, "{text}"));
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Options of `token`.
#[derive(Debug, Args)]
pub struct MakeToken {
    /// The key to sign with.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What the prefixes are relative to.
    #[arg(long, default_value = "", value_name = "PATH")]
    root: String,
    /// Prefix the bearer may publish under; "" is everything below the root; repeatable.
    #[arg(long, value_name = "PREFIX")]
    put: Vec<String>,
    /// Prefix the bearer may read; "" is everything below the root; repeatable.
    #[arg(long, value_name = "PREFIX")]
    get: Vec<String>,
    /// How long the token is good for: a number and s, m, h or d.
    #[arg(long, default_value = "1h", value_parser = duration, value_name = "TIME")]
    expires_in: Duration,
    /// Make a token that never ends.
    #[arg(long, conflicts_with = "expires_in")]
    no_expiry: bool,
}

impl MakeToken {
    fn run(&self) -> Result<String, Failure> {
        if self.put.is_empty() && self.get.is_empty() {
            return Err("a token without --put or --get grants nothing".into());
        }
        let key = SigningKey::read(&read(&self.key)?)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let end = now + self.expires_in.as_secs();
        let claims = Claims {
            root: self.root.clone(),
            put: Prefixes(self.put.clone()),
            get: Prefixes(self.get.clone()),
            // Whole seconds are exact up to 2^53.
            exp: (!self.no_expiry).then_some(end as f64),
            nbf: None,
            iat: Some(now),
        };
        print(&key.sign(&claims)?)?;
        let lasts = match self.no_expiry {
            true => "for ever".to_owned(),
            false => format!("for {} s", self.expires_in.as_secs()),
        };
        Ok(format!(
            "made a token that is good {lasts}: {}",
            rights(&claims)
        ))
    }
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The key, its public half, or a set of keys.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Verify {
    fn run(&self) -> Result<String, Failure> {
        let keys = Key::read_all(&read(&self.key)?)?;
        let mut token = String::new();
        std::io::stdin().take(64 << 10).read_to_string(&mut token)?;
        let claims = verify(token.trim(), &keys, SystemTime::now())?;
        print(&serde_json::to_string_pretty(&claims)?)?;
        Ok(format!("the token is good: {}", rights(&claims)))
    }
}

fn rights(claims: &Claims) -> String {
    let Claims { root, put, get, .. } = claims;
    format!("root {root:?}, put {:?}, get {:?}", put.0, get.0)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A name that can be one of a file as well.
fn kid(text: &str) -> Result<String, String> {
    match is_key_name(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("a name has letters, digits, - and _ only, and 128 of them at most".to_owned())
        }
    }
}

/// `90s`, `15m`, `12h`, `30d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a number and s, m, h or d, for example 12h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let total = number.checked_mul(seconds).filter(|&total| total > 0);
    total.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(172_800)));
        for wrong in [
            "",
            "5",
            "h",
            "-1h",
            "0m",
            "1.5h",
            "1w",
            "99999999999999999999d",
            "5ä",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
