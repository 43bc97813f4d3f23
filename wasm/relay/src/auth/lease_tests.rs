use super::*;
use crate::auth::SigningKey;

/// A clock that the test sets, going along with tokio's.
struct Stepped {
    start: Instant,
    ahead: Mutex<i64>,
}

const EPOCH: Duration = Duration::from_secs(1_000_000);

impl Wall for Stepped {
    fn now(&self) -> SystemTime {
        let at = (EPOCH + self.start.elapsed()).as_secs().cast_signed();
        let seconds = at + *self.ahead.lock().unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.cast_unsigned())
    }
}

struct Held {
    wall: Arc<Stepped>,
    lease: Lease,
    uses: Uses,
    file: std::path::PathBuf,
}

/// A lease of a token with `left` to go, from a key in a file of its own.
async fn held(name: &str, left: Option<Duration>) -> Held {
    let file = std::env::temp_dir().join(format!("lease-{}-{name}.jwk", std::process::id()));
    std::fs::write(
        &file,
        SigningKey::generate("HS256", None).unwrap().to_json(),
    )
    .unwrap();
    let keys = Arc::new(Keys::one(file.to_str().unwrap()).unwrap());
    let key = keys.find(None).await.unwrap();
    let wall = Arc::new(Stepped {
        start: Instant::now(),
        ahead: Mutex::new(0),
    });
    let end = left.map(|left| wall.now() + left);
    let uses = Uses::default();
    let guard = uses.count([0; 32], 1).unwrap();
    let lease = Lease::new(wall.clone(), end, keys, key, guard);
    Held {
        wall,
        lease,
        uses,
        file,
    }
}

/// How long until the lease ends, by the clock that nobody steps.
async fn ends(lease: &Lease) -> (Refusal, Duration) {
    let start = Instant::now();
    let refusal = tokio::time::timeout(Duration::from_secs(36_000), lease.ended());
    (refusal.await.expect("an end"), start.elapsed())
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn a_lease_ends_when_its_token_does() {
    let held = held("plain", Some(HOUR)).await;
    let (refusal, after) = ends(&held.lease).await;
    assert_eq!(refusal, Refusal::Expired);
    assert!(
        after >= HOUR && after < HOUR + Duration::from_secs(1),
        "{after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn turning_the_clock_back_wins_nothing() {
    let held = held("back", Some(HOUR)).await;
    *held.wall.ahead.lock().unwrap() = -3_600;
    let (refusal, after) = ends(&held.lease).await;
    assert_eq!(refusal, Refusal::Expired);
    assert!(after < HOUR + Duration::from_secs(1), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_ends_the_lease_at_the_next_look() {
    let held = held("ahead", Some(HOUR)).await;
    *held.wall.ahead.lock().unwrap() = 3_600;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (refusal, after) = ends(&held.lease).await;
    assert_eq!(refusal, Refusal::Expired);
    assert!(after <= Duration::from_secs(30), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_taken_away_ends_its_leases_within_a_minute() {
    let held = held("gone", None).await;
    std::fs::remove_file(&held.file).unwrap();
    let (refusal, after) = ends(&held.lease).await;
    assert_eq!(refusal, Refusal::Revoked);
    assert!(after <= Duration::from_secs(60), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn another_key_of_the_same_name_is_not_the_key() {
    let held = held("swapped", None).await;
    let other = SigningKey::generate("HS256", None).unwrap();
    std::fs::write(&held.file, other.to_json()).unwrap();
    assert_eq!(ends(&held.lease).await.0, Refusal::Revoked);
    std::fs::remove_file(&held.file).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_read_for_a_while_ends_nothing() {
    let held = held("broken", Some(HOUR)).await;
    std::fs::write(&held.file, "not a key").unwrap();
    let (refusal, after) = ends(&held.lease).await;
    assert_eq!(refusal, Refusal::Expired);
    assert!(after >= HOUR, "{after:?}");
    std::fs::remove_file(&held.file).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_token_is_in_use_as_long_as_a_clone_of_its_lease_lives() {
    let held = held("uses", None).await;
    let clone = held.lease.clone();
    drop(held.lease);
    assert_eq!(held.uses.count([0; 32], 1).err(), Some(Refusal::TooMany));
    assert!(held.uses.count([1; 32], 1).is_ok());
    drop(clone);
    assert!(held.uses.count([0; 32], 1).is_ok());
    std::fs::remove_file(&held.file).unwrap();
}
