//! Who may come in: counts of what is under way, in all and by address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Things of one kind that are under way.
#[derive(Clone)]
pub struct Door {
    counts: Arc<Mutex<Counts>>,
    limit: usize,
    limit_per_address: usize,
}

#[derive(Default)]
struct Counts {
    all: usize,
    /// By address or network. Keyed hashing: clients choose their addresses.
    by_address: HashMap<IpAddr, usize>,
}

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// There are too many in all.
    #[error("too many in all")]
    All,
    /// There are too many from this address.
    #[error("too many from this address")]
    Address,
}

/// Somebody who came in, for as long as it is kept.
pub struct Guest {
    door: Door,
    /// Where it is counted by address.
    network: Option<IpAddr>,
}

impl Door {
    /// Lets `limit` in, and `limit_per_address` of each address.
    #[must_use]
    pub fn new(limit: usize, limit_per_address: usize) -> Self {
        Self {
            counts: Arc::default(),
            limit,
            limit_per_address,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are in.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.lock().all
    }

    /// Lets somebody in. `address` is where it comes from, if that is proven; nobody is counted against an address that is
    /// only claimed, nor against the machine of the relay itself.
    ///
    /// # Errors
    /// See [`Full`].
    pub fn enter(&self, address: Option<IpAddr>) -> Result<Guest, Full> {
        let network = address
            .map(network)
            .filter(|network| !network.is_loopback());
        let mut counts = self.lock();
        if counts.all >= self.limit {
            return Err(Full::All);
        }
        if let Some(network) = network {
            let here = counts.by_address.entry(network).or_default();
            if *here >= self.limit_per_address {
                return Err(Full::Address);
            }
            *here += 1;
        }
        counts.all += 1;
        Ok(Guest {
            door: self.clone(),
            network,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.door.lock();
        counts.all -= 1;
        if let Some(network) = self.network
            && let Some(here) = counts.by_address.get_mut(&network)
        {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&network);
            }
        }
    }
}

/// What counts as one address: for IPv6 the /64, which one client has all of.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let prefix = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn each_address_has_its_share_and_all_have_a_bound() {
        let door = Door::new(5, 2);
        let kept: Vec<_> = (0..2).map(|_| door.enter(address("10.0.0.1"))).collect();
        assert!(kept.iter().all(Result::is_ok));
        assert_eq!(door.enter(address("10.0.0.1")).err(), Some(Full::Address));
        let other = door.enter(address("10.0.0.2"));
        let claimed: Vec<_> = (0..2).map(|_| door.enter(None)).collect();
        assert!(other.is_ok() && claimed.iter().all(Result::is_ok));
        assert_eq!(door.enter(address("10.0.0.3")).err(), Some(Full::All));
        drop(kept);
        assert_eq!(door.inside(), 3);
        assert!(door.enter(address("10.0.0.1")).is_ok());
        drop((other, claimed));
        assert_eq!((door.inside(), door.lock().by_address.len()), (0, 0));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_address_is_itself() {
        let door = Door::new(10, 1);
        let _one = door.enter(address("2001:db8::1")).unwrap();
        assert_eq!(
            door.enter(address("2001:db8::2")).err(),
            Some(Full::Address)
        );
        assert!(door.enter(address("2001:db8:0:1::2")).is_ok());
        let _four = door.enter(address("10.0.0.1")).unwrap();
        assert_eq!(
            door.enter(address("::ffff:10.0.0.1")).err(),
            Some(Full::Address)
        );
    }

    #[test]
    fn the_machine_itself_is_not_counted_by_address() {
        let door = Door::new(3, 1);
        for address in [address("127.0.0.1"), address("::1"), address("127.0.0.1")] {
            std::mem::forget(door.enter(address).unwrap());
        }
        assert_eq!(door.enter(address("127.0.0.1")).err(), Some(Full::All));
    }
}
