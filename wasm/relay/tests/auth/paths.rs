//! What was checked is what can be reached: for any rights, any path of a connection and any name below it.

use clap::Parser as _;
use moq_net::{Limits, Path, PathOwned, Version};
use moq_worker_relay::auth::{Asked, Authority};
use moq_worker_relay::flags::Flags;
use moq_worker_relay::relay::Relay;

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    /// A path that others are likely to be beside, above or below of, written in some way.
    fn path(&mut self) -> String {
        let parts = ["a", "b", "ab", "A", "a b"];
        let mut text = String::new();
        for _ in 0..self.below(4) {
            text.push_str(["/", "//"][self.below(2)]);
            text.push_str(parts[self.below(parts.len())]);
        }
        text.push_str(["", "/"][self.below(2)]);
        text
    }
}

fn path(text: &str) -> PathOwned {
    Path::parse(text).unwrap().into_owned()
}

/// In an address: spaces and some letters in hexadecimal.
fn encoded(path: &str) -> String {
    path.replace(' ', "%20").replace("ab", "a%62")
}

#[tokio::test]
async fn a_name_is_reachable_exactly_when_a_right_covers_it() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut reachable, mut hidden) = (0, 0);
    for _ in 0..200 {
        let rights: Vec<String> = (0..=numbers.below(3)).map(|_| numbers.path()).collect();
        let mut arguments = vec!["relay", "--auth-public-put", ""];
        for right in &rights {
            arguments.extend(["--auth-public-get", right]);
        }
        let flags = Flags::try_parse_from(arguments).unwrap();
        let bind = "127.0.0.1:1".parse().unwrap();
        let authority = Authority::new(&flags.auth, bind, &[]).await.unwrap();
        let versions = Version::DEFAULT.to_vec();
        let relay = Relay::with_authority(Limits::relay(), versions, authority);
        let covers = |name: &PathOwned| rights.iter().any(|right| name.has_prefix(&path(right)));
        let everywhere = relay.authorize(&Asked::target("/")).await.unwrap();
        let everywhere = everywhere.write.unwrap();
        for _ in 0..20 {
            let (root, name) = (numbers.path(), numbers.path());
            let absolute = path(&root).join(&path(&name)).unwrap();
            let _there = everywhere.create_broadcast(&absolute).unwrap();
            let target = encoded(&root);
            let access = relay.authorize(&Asked::target(&target)).await.unwrap();
            let read = access.read.as_ref();
            let found = read.is_some_and(|read| read.request_broadcast(&path(&name)).is_ok());
            let heard = read.is_some_and(|read| {
                let mut announced = read.announced();
                std::iter::from_fn(|| announced.try_next()).any(|(heard, _)| heard == path(&name))
            });
            let what = format!("{rights:?}, {root:?}, {name:?}");
            assert_eq!(found, covers(&absolute), "{what}");
            assert_eq!(heard, found, "{what}");
            if found { reachable += 1 } else { hidden += 1 }
        }
    }
    assert!(reachable > 500 && hidden > 500, "{reachable} {hidden}");
}
