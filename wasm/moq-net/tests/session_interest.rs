//! Whether the peer wants to hear of what is published.

mod support;

use moq_net::{BroadcastInfo, OriginProducer, OriginPublish, Version};
use support::net::{End, Net, path};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn publish(net: &Net, origin: &OriginProducer, at: &str) -> OriginPublish {
    let broadcast = BroadcastInfo::new().produce(&net.runtime);
    origin.publish_broadcast(&path(at), &broadcast).unwrap()
}

#[test]
fn a_publisher_learns_which_of_its_paths_the_peer_asks_for() {
    for version in Version::ALL {
        let net = Net::new();
        let (publisher, other, viewer) = (net.origin(1), net.origin(2), net.origin(3));
        let mine = viewer.scope(&[path("me")]).unwrap();
        let link = net.connect(version, &End::publish(&publisher), &End::subscribe(&mine));
        let (client, server) = (&link.client, &link.server);
        let covered = publish(&net, &publisher, "me/1");
        let outside = publish(&net, &publisher, "meet");
        let elsewhere = publish(&net, &other, "me/1");
        assert_eq!(client.hears_of(&outside), Some(false), "{version}");
        net.executor.run_until_idle();
        assert_eq!(client.hears_of(&covered), Some(true), "{version}");
        assert_eq!(client.hears_of(&outside), Some(false), "{version}");
        assert_eq!(client.hears_of(&elsewhere), None, "{version}");
        assert_eq!(server.hears_of(&covered), None, "{version}");
    }
}

#[test]
fn what_a_session_does_not_publish_is_no_question() {
    let net = Net::new();
    let (publisher, viewer) = (net.origin(1), net.origin(2));
    let rooted = publisher.with_root(&path("demo")).unwrap();
    let version = Version::Lite06;
    let link = net.connect(version, &End::publish(&rooted), &End::subscribe(&viewer));
    net.executor.run_until_idle();
    let client = &link.client;
    let inside = publish(&net, &publisher, "demo/1");
    let outside = publish(&net, &publisher, "other/1");
    assert_eq!(client.hears_of(&inside), Some(true));
    assert_eq!(client.hears_of(&outside), None);
}

#[test]
fn a_peer_that_reads_nothing_asks_for_nothing() {
    let net = Net::new();
    let publisher = net.origin(1);
    let end = End::publish(&publisher);
    let link = net.connect(Version::Lite06, &end, &End::default());
    net.executor.run_until_idle();
    let published = publish(&net, &publisher, "room");
    assert_eq!(link.client.hears_of(&published), Some(false));
}
