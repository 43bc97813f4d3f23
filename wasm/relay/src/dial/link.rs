//! Staying connected to another relay.

use std::time::Duration;

use moq_net::{Config, Error, Runtime, Session};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use super::{DialError, Dialer, shown};
use crate::metrics::{Counted, Metrics, Tier};

/// The wait after the first failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A session that lasted this long was a good one: the next failure is a first one again.
const HEALTHY: Duration = Duration::from_secs(10);
/// How long a session that the other relay wants to leave goes on beside the new one.
const LEAVING: Duration = Duration::from_secs(10);

/// How often in a row another relay may send us on.
const MOVES: usize = 3;

/// Connects to `url` again and again, with sessions of this kind, which `metrics` counts. Ends with the future.
pub async fn keep(dialer: &Dialer, url: &Url, config: &Config, metrics: &Metrics) {
    let mut backoff = Backoff::new(config.runtime.clone());
    let mut target = Target::home(url);
    let mut moves = 0;
    loop {
        let opened = Instant::now();
        let moved = match open(dialer, &target, config, metrics).await {
            Ok(running) => attend(running, &target, url).await,
            Err(error) => {
                tracing::warn!(relay = shown(&target.url), %error, "not connected");
                None
            }
        };
        let healthy = opened.elapsed() >= HEALTHY;
        if healthy {
            backoff.reset();
            moves = 0;
        }
        let wait = moved.is_none() || !healthy;
        // What it was sent to counts for one attempt.
        target = match moved {
            Some(next) if moves < MOVES => {
                moves += 1;
                next
            }
            _ => {
                moves = 0;
                Target::home(url)
            }
        };
        if wait {
            tokio::time::sleep(backoff.next()).await;
        }
    }
}

/// Where to connect to.
#[derive(Debug, PartialEq)]
struct Target {
    url: Url,
    /// Whether our token is for whoever is there.
    trusted: bool,
}

impl Target {
    fn home(url: &Url) -> Self {
        Self {
            url: url.clone(),
            trusted: true,
        }
    }
}

/// A session and the task that drives it.
struct Running {
    session: Session,
    driver: JoinHandle<()>,
    _counted: Counted,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connects, and waits until the other relay takes the session.
async fn open(
    dialer: &Dialer,
    Target { url, trusted }: &Target,
    config: &Config,
    metrics: &Metrics,
) -> Result<Running, DialError> {
    let (session, driver) = match trusted {
        true => dialer.dial(url, config.clone()).await?,
        false => dialer.dial_without_token(url, config.clone()).await?,
    };
    let driver = tokio::spawn(async move {
        // How it ended is asked of the session.
        let _ = driver.await;
    });
    let running = Running {
        _counted: metrics.open(Tier::Internal, &session),
        session,
        driver,
    };
    running.session.ready().await?;
    let version = running.session.version();
    tracing::info!(relay = shown(url), %version, "connected");
    Ok(running)
}

/// Waits for the end of a session, or for the wish of the other relay that it ends: then where to go.
async fn attend(running: Running, target: &Target, home: &Url) -> Option<Target> {
    match running.session.going_away().await {
        Ok(uri) => {
            let next = redirect(&uri, home);
            tracing::info!(
                from = shown(&target.url),
                to = shown(&next.url),
                "asked to move"
            );
            // What flows goes on while the new session is made.
            tokio::spawn(async move {
                let _ = tokio::time::timeout(LEAVING, running.session.closed()).await;
            });
            Some(next)
        }
        Err(Error::Closed) => {
            tracing::info!(relay = shown(&target.url), "closed");
            None
        }
        Err(error) => {
            tracing::warn!(relay = shown(&target.url), %error, "lost");
            None
        }
    }
}

/// Where to go when a relay says so: only to the same host by the same kind of transport, else back to where we were told to
/// go ourselves. Whoever has another port there is somebody else, and is not shown our token.
fn redirect(uri: &str, home: &Url) -> Target {
    let Ok(mut url) = Url::parse(uri) else {
        return Target::home(home);
    };
    if url.scheme() != home.scheme() || url.host() != home.host() {
        return Target::home(home);
    }
    let trusted = url.port_or_known_default() == home.port_or_known_default();
    if trusted && url.query().is_none() {
        url.set_query(home.query());
    }
    Target { url, trusted }
}

/// How long to wait before the next attempt: longer each time, and never quite as long as others do.
struct Backoff {
    runtime: Runtime,
    wait: Duration,
}

impl Backoff {
    const fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            wait: FIRST_WAIT,
        }
    }

    const fn reset(&mut self) {
        self.wait = FIRST_WAIT;
    }

    /// The next wait: half to one and a half of what it would be, but the first at most the second that it is.
    fn next(&mut self) -> Duration {
        let full = self.wait;
        self.wait = (full * 2).min(LONGEST_WAIT);
        // 0..1 in steps of 2^-32: enough for a wait.
        let random = f64::from(u32::try_from(self.runtime.random_u64() >> 32).unwrap_or(0));
        let spread = 0.5 + random / f64::from(u32::MAX);
        let longest = match full == FIRST_WAIT {
            true => FIRST_WAIT,
            false => LONGEST_WAIT,
        };
        full.mul_f64(spread).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use moq_net::Limits;

    use super::*;
    use crate::host::TokioHost;

    #[tokio::test]
    async fn waits_double_with_a_spread_and_start_over() {
        let runtime = Runtime::new(TokioHost::default(), Limits::relay());
        let mut backoff = Backoff::new(runtime);
        for round in 0..3 {
            for expected in [1, 2, 4, 8, 16, 30, 30, 30] {
                let wait = backoff.next();
                let full = Duration::from_secs(expected);
                assert!(wait >= full / 2, "round {round}: {wait:?} for {full:?}");
                assert!(wait <= full * 3 / 2, "round {round}: {wait:?} for {full:?}");
                assert!(wait <= LONGEST_WAIT, "{wait:?}");
                assert!(
                    expected > 1 || wait <= FIRST_WAIT,
                    "the first within a second"
                );
            }
            backoff.reset();
        }
    }

    #[test]
    fn a_relay_can_send_us_nowhere_but_to_its_own_host() {
        let home = Url::parse("https://relay.example:4443/demo?jwt=secret").unwrap();
        let to = |uri: &str| redirect(uri, &home);
        let moved = |url: &str, trusted| Target {
            url: Url::parse(url).unwrap(),
            trusted,
        };
        assert_eq!(
            to("https://relay.example:4443/other"),
            moved("https://relay.example:4443/other?jwt=secret", true)
        );
        let other_port = "https://relay.example:5555/demo";
        assert_eq!(to(other_port), moved(other_port, false));
        for elsewhere in [
            "",
            "nonsense",
            "https://evil.example/demo",
            "http://relay.example:4443/demo",
            "moqt://relay.example/demo",
        ] {
            assert_eq!(to(elsewhere), Target::home(&home), "{elsewhere:?}");
        }
    }
}
