//! The keys that check tokens, read when they are needed and remembered for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::Instant;

use super::jwk::Key;
use super::source::{Place, READ_LIMIT};
use super::{Refusal, SettingsError};

/// How long what was read is good for. A key that is taken away stops to work after at most this and [`Lease`]'s interval.
///
/// [`Lease`]: super::Lease
const FRESH: Duration = Duration::from_secs(30);
/// How long "there is no such key" and "it cannot be read" are remembered, so that asking again costs nobody anything.
const NEGATIVE: Duration = Duration::from_secs(5);
/// Names remembered at a time; anybody may ask for any name.
const MAX_NAMES: usize = 1_024;
/// Reads at a time.
const MAX_READS: usize = 8;
/// The longest name of a key in a directory.
const MAX_NAME: usize = 128;

/// No key goes by the name that a token says.
pub(super) const UNKNOWN: Refusal = Refusal::Unauthorized("the key of the token is unknown");

/// Where the keys are.
#[derive(Debug)]
pub(super) struct Keys {
    place: Place,
    directory: bool,
    names: Mutex<HashMap<String, Arc<AsyncMutex<Slot>>>>,
    reads: Semaphore,
}

/// What one file holds, when it was last read.
#[derive(Debug, Default)]
struct Slot {
    read: Option<(Instant, Outcome)>,
}

/// Keys, none of that name, or no answer.
type Outcome = Result<Option<Arc<[Key]>>, Refusal>;

impl Keys {
    /// One key or one set of keys.
    pub(super) fn one(place: &str) -> Result<Self, SettingsError> {
        Ok(Self::new(Place::parse(place)?, false))
    }

    /// A directory or base URL with one `<kid>.jwk` for each key.
    pub(super) fn directory(place: &str) -> Result<Self, SettingsError> {
        Ok(Self::new(Place::parse(place)?, true))
    }

    fn new(place: Place, directory: bool) -> Self {
        Self {
            place,
            directory,
            names: Mutex::default(),
            reads: Semaphore::new(MAX_READS),
        }
    }

    /// Reads a single file or set now, or looks whether there is a directory, so that a mistake shows at the start.
    pub(super) async fn check(&self) -> Result<(), SettingsError> {
        let place = self.place.to_string();
        if self.directory {
            let looked = self.place.look().await;
            return looked.map_err(|error| SettingsError::Directory(place, error));
        }
        match self.read("").await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(SettingsError::Missing(place)),
            Err(_refusal) => Err(SettingsError::Unreadable(place)),
        }
    }

    /// The key a token names.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`] when there is none, [`Refusal::Unavailable`] when nobody knows.
    pub(super) async fn find(&self, kid: Option<&str>) -> Result<Key, Refusal> {
        let name = self.name(kid)?;
        let mut keys = self.read(name).await?;
        let mut found = keys.as_deref().and_then(|keys| choose(keys, kid));
        if found.is_none() && !self.directory {
            // A key may just have been added to the set.
            keys = self.read_since(name, NEGATIVE).await?;
            found = keys.as_deref().and_then(|keys| choose(keys, kid));
        }
        found.cloned().ok_or(UNKNOWN)
    }

    /// Whether `key` is still there. `true` while nobody knows: new clients are refused then, and who is in stays.
    pub(super) async fn holds(&self, key: &Key) -> bool {
        let Ok(name) = self.name(key.id.as_deref()) else {
            return false;
        };
        match self.read(name).await {
            Ok(keys) => keys.is_some_and(|keys| keys.iter().any(|held| held.digest == key.digest)),
            Err(_unavailable) => true,
        }
    }

    /// The name to read the key under; the same for all keys of one file.
    fn name<'a>(&self, kid: Option<&'a str>) -> Result<&'a str, Refusal> {
        if !self.directory {
            return Ok("");
        }
        let kid = kid.ok_or(Refusal::Unauthorized("the token names no key"))?;
        is_key_name(kid).then_some(kid).ok_or(Refusal::MALFORMED)
    }

    async fn read(&self, name: &str) -> Outcome {
        self.read_since(name, FRESH).await
    }

    /// What is remembered if it is younger than `age`, else what is there. Whoever asks meanwhile waits for the same
    /// answer.
    async fn read_since(&self, name: &str, age: Duration) -> Outcome {
        let slot = self.slot(name)?;
        let read = async {
            let mut slot = slot.lock().await;
            if let Some((at, outcome)) = &slot.read {
                let positive = matches!(outcome, Ok(Some(_)));
                let good_for = if positive { age } else { NEGATIVE };
                if at.elapsed() < good_for {
                    return outcome.clone();
                }
            }
            let _turn = self.reads.acquire().await;
            let outcome = self.load(name).await;
            slot.read = Some((Instant::now(), outcome.clone()));
            outcome
        };
        // The queue in front of a slow source counts, too.
        tokio::time::timeout(READ_LIMIT + Duration::from_millis(100), read)
            .await
            .unwrap_or(Err(Refusal::Unavailable))
    }

    async fn load(&self, name: &str) -> Outcome {
        let place = if self.directory {
            self.place.entry(&format!("{name}.jwk"))
        } else {
            self.place.clone()
        };
        let Some(text) = place.read().await? else {
            return Ok(None);
        };
        match Key::read_all(&text) {
            Ok(keys) => Ok(Some(keys.into())),
            Err(error) => {
                tracing::warn!(source = %place, %error, "a key is unusable");
                Err(Refusal::Unavailable)
            }
        }
    }

    fn slot(&self, name: &str) -> Result<Arc<AsyncMutex<Slot>>, Refusal> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = names.get(name) {
            return Ok(slot.clone());
        }
        if names.len() >= MAX_NAMES {
            // What somebody waits for, and keys that are there, stay; invented names go.
            names.retain(|_, slot| match slot.try_lock() {
                Ok(slot) => matches!(&slot.read, Some((at, Ok(Some(_)))) if at.elapsed() < FRESH),
                Err(_in_use) => true,
            });
        }
        if names.len() >= MAX_NAMES {
            return Err(Refusal::Unavailable);
        }
        let slot = Arc::<AsyncMutex<Slot>>::default();
        names.insert(name.to_owned(), slot.clone());
        Ok(slot)
    }
}

/// Whether a key in a directory may go by this name.
pub(crate) fn is_key_name(kid: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !kid.is_empty() && kid.len() <= MAX_NAME && kid.bytes().all(plain)
}

/// The key called `kid`. One key alone needs no name; where both have one they must agree.
pub(super) fn choose<'a>(keys: &'a [Key], kid: Option<&str>) -> Option<&'a Key> {
    match (keys, kid) {
        ([only], _) if only.id.is_none() || kid.is_none() => Some(only),
        (_, Some(_)) => keys.iter().find(|key| key.id.as_deref() == kid),
        _ => None,
    }
}
