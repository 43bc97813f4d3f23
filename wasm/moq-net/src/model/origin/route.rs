//! Which of several routes to a path is used.

use crate::{
    Path,
    model::{broadcast::BroadcastInfo, route::Cost},
};

/// The order of routes; the lowest is used. It depends on nothing but the announcement, so that every node of a cluster comes to
/// the same choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    anonymous: bool,
    cost: Cost,
    learned: bool,
    hops: usize,
    hash: u64,
}

impl Key {
    pub(crate) fn new(path: &Path<'_>, info: &BroadcastInfo) -> Self {
        Self {
            anonymous: info.anonymous,
            cost: info.cost,
            learned: !info.hops.is_empty(),
            hops: info.hops.len(),
            hash: hash(path, info),
        }
    }
}

/// FNV-1a over the path and each hop as eight little-endian bytes, with the offset basis of published relays: a cluster that mixes
/// them with ours must agree.
fn hash(path: &Path<'_>, info: &BroadcastInfo) -> u64 {
    const BASIS: u64 = 0x420C_0DEC_B00B;
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    let hops = info.hops.iter().flat_map(|hop| hop.id.to_le_bytes());
    path.as_str().bytes().chain(hops).fold(BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, OriginList};

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn info(hops: &[u64]) -> BroadcastInfo {
        let hops: Vec<Origin> = hops.iter().map(|id| Origin { id: *id }).collect();
        BroadcastInfo::new().with_hops(OriginList::try_from(hops).unwrap())
    }

    fn key(info: &BroadcastInfo) -> Key {
        Key::new(&Path::parse("room").unwrap(), info)
    }

    #[test]
    fn each_rule_decides_before_the_next() {
        let cheap = BroadcastInfo {
            cost: Cost { warm: 1, cold: 9 },
            ..info(&[1, 2, 3])
        };
        let dear = BroadcastInfo {
            cost: Cost { warm: 2, cold: 1 },
            ..info(&[1])
        };
        let anonymous = BroadcastInfo {
            anonymous: true,
            ..info(&[1])
        };
        assert!(key(&cheap) < key(&dear), "warm cost before everything else");
        assert!(key(&dear) < key(&anonymous), "anonymous last");
        let colder = BroadcastInfo {
            cost: Cost { warm: 1, cold: 10 },
            ..info(&[1])
        };
        assert!(key(&cheap) < key(&colder), "then cold cost");
        assert!(key(&info(&[])) < key(&info(&[1])), "local first");
        assert!(key(&info(&[9])) < key(&info(&[1, 2])), "shorter chain");
        assert_ne!(
            key(&info(&[1, 2])),
            key(&info(&[2, 1])),
            "the hash tells chains of one length apart"
        );
    }

    #[test]
    fn the_hash_is_the_one_of_published_relays() {
        // By hand: no bytes leave the basis; one byte is one round.
        let root = |hops: &[u64]| hash(&Path::ROOT, &info(hops));
        assert_eq!(root(&[]), 0x420C_0DEC_B00B);
        let round = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
        let expected = [7, 1, 0, 0, 0, 0, 0, 0]
            .into_iter()
            .fold(0x420C_0DEC_B00B, round);
        assert_eq!(root(&[0x0107]), expected);
        assert_eq!(
            hash(&Path::parse("a").unwrap(), &info(&[])),
            round(0x420C_0DEC_B00B, b'a')
        );
    }
}
