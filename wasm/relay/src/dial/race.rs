//! Which address of a host is used: the first that answers.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

/// How long an address is tried alone, as RFC 8305 ("happy eyeballs") recommends.
const ALONE: Duration = Duration::from_millis(250);

/// Connects to one of `addresses`. The next one is tried as well as soon as those before it have failed, or have not answered
/// for a while: names often have an address (of IPv6) where nobody listens, and over UDP nobody says so.
///
/// # Errors
/// What was wrong with the first one that failed, when all have.
///
/// # Panics
/// There is no address.
pub(super) async fn first<T, E, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut addresses = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        if let Some(address) = addresses.next() {
            attempts.push(connect(address));
        }
        let more = addresses.len() > 0;
        tokio::select! {
            ended = attempts.next() => match (ended, failure.take()) {
                (Some(Ok(connected)), _) => return Ok(connected),
                (Some(Err(error)), earlier) => failure = Some(earlier.unwrap_or(error)),
                (None, failed) => return Err(failed.expect("an address")),
            },
            () = tokio::time::sleep(ALONE), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    fn addresses() -> Vec<SocketAddr> {
        ["[::1]:1", "127.0.0.1:2", "127.0.0.2:3"]
            .map(|address| address.parse().unwrap())
            .to_vec()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_silent_holds_up_the_next_one_only_a_little() {
        let start = Instant::now();
        let connect = |address: SocketAddr| async move {
            match address.port() {
                2 => Ok::<_, ()>(2),
                _ => std::future::pending().await,
            }
        };
        assert_eq!(first(addresses(), connect).await, Ok(2));
        assert_eq!(start.elapsed(), ALONE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_preferred_address_is_used_where_it_answers() {
        let tried = RefCell::new(Vec::new());
        let connect = |address: SocketAddr| {
            tried.borrow_mut().push(address.port());
            async move {
                tokio::time::sleep(ALONE / 2).await;
                Ok::<_, ()>(address.port())
            }
        };
        assert_eq!(first(addresses(), connect).await, Ok(1));
        assert_eq!(*tried.borrow(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_addresses_fail_the_first_failure_is_told_at_once() {
        let start = Instant::now();
        let connect = |address: SocketAddr| async move { Err::<(), _>(address.port()) };
        assert_eq!(first(addresses(), connect).await, Err(1));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
