//! How two sides come together, or do not.

mod support;

use std::time::Duration;

use moq_net::{Client, Config, Error, Limits, Role, Server, Version};
use support::{
    net::{End, Net},
    raw::{Raw, hex},
    transport::{self, Options, pair},
};
use web_transport_trait::Session as _;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn config(net: &Net, versions: &[Version]) -> Config {
    Config::new(net.runtime.clone()).with_versions(versions)
}

#[test]
fn a_token_nobody_asked_for_is_refused_by_either_side() {
    for (token, versions, error) in [
        (Some("moq-lite-05"), vec![Version::Lite06], Error::Version),
        (Some("moqt-15"), vec![Version::Lite06], Error::UnknownAlpn),
        (None, vec![Version::Lite06], Error::Version),
        (
            Some("moq-lite-05-wip"),
            Version::DEFAULT.to_vec(),
            Error::Version,
        ),
    ] {
        let net = Net::new();
        let options = Options {
            protocol: token.map(str::to_owned),
            ..Options::default()
        };
        let (ours, theirs) = pair(options.clone());
        let client = Client::new(config(&net, &versions));
        assert_eq!(
            net.executor.run_until(client.connect(ours)).map(|_| ()),
            Err(error.clone())
        );
        assert!(matches!(
            theirs.close_reason(),
            Some(transport::Error::Closed { code: 0x15, .. })
        ));

        let (theirs, ours) = pair(options);
        let server = Server::new(config(&net, &versions));
        assert_eq!(
            net.executor.run_until(server.accept(ours)).map(|_| ()),
            Err(error)
        );
        assert!(matches!(
            theirs.close_reason(),
            Some(transport::Error::Closed { code: 0x15, .. })
        ));
    }
}

#[test]
fn each_side_offers_its_tokens_once_and_best_first() {
    let net = Net::new();
    let expected = [
        "moq-lite-06",
        "moq-lite-05",
        "moq-lite-04",
        "moq-lite-03",
        "moql",
    ];
    assert_eq!(
        Client::new(Config::new(net.runtime.clone())).protocols(),
        expected
    );
    assert_eq!(
        Server::new(Config::new(net.runtime.clone())).protocols(),
        expected
    );
}

#[test]
fn without_a_token_the_best_common_version_is_agreed_in_the_stream() {
    for (client, server, agreed) in [
        (
            vec![Version::Lite02, Version::Lite01],
            Version::DEFAULT.to_vec(),
            Version::Lite02,
        ),
        (
            Version::DEFAULT.to_vec(),
            vec![Version::Lite01],
            Version::Lite01,
        ),
        (
            vec![Version::Lite01, Version::Lite02],
            Version::DEFAULT.to_vec(),
            Version::Lite01,
        ),
    ] {
        let net = Net::new();
        let (a, b) = pair(Options::default());
        let client = Client::new(config(&net, &client));
        let server = Server::new(config(&net, &server));
        let (dialed, accepted) = net.executor.run_until(futures_util::future::join(
            client.connect(a),
            server.accept(b),
        ));
        assert_eq!(dialed.unwrap().0.version(), agreed);
        assert_eq!(accepted.unwrap().version(), agreed);
    }
}

#[test]
fn a_client_setup_of_published_peers_is_answered_as_they_expect() {
    let net = Net::new();
    let (theirs, ours) = pair(Options::protocol("moql"));
    let server = Server::new(Config::new(net.runtime.clone()));
    let accepted = net.executor.spawn(async move {
        server
            .accept(ours)
            .await
            .map(|request| (request.version(), request))
    });
    let raw = Raw {
        executor: &net.executor,
        transport: theirs,
    };
    let mut stream = raw.bidi(
        "20 003a 03 c0000000ff0dad02 c0000000ff0dad01 c0000000ff00000e 04
         02 c0000000ffffffff 80040b5c 01 80040b5a 01 07 0b 6d6f712d6c6974652d7273",
    );
    assert_eq!(stream.read().0, "210009c0000000ff0dad0200");
    let (version, _request) = net.executor.run_until(accepted).unwrap();
    assert_eq!(version, Version::Lite02);
}

#[test]
fn a_client_with_no_common_version_in_the_stream_is_closed() {
    let net = Net::new();
    let (theirs, ours) = pair(Options::default());
    let server = Server::new(Config::new(net.runtime.clone()));
    let accepted = net
        .executor
        .spawn(async move { server.accept(ours).await.map(|_| ()) });
    let raw = Raw {
        executor: &net.executor,
        transport: theirs,
    };
    let _stream = raw.bidi("20 000a 01 c0000000ff00000e 00");
    assert_eq!(net.executor.run_until(accepted), Err(Error::Version));
    assert_eq!(raw.closed(), Some(0x15));
}

#[test]
fn a_server_that_chooses_what_was_not_offered_is_left() {
    let net = Net::new();
    let (ours, theirs) = pair(Options::default());
    let client = Client::new(config(&net, &[Version::Lite02]));
    let connected = net
        .executor
        .spawn(async move { client.connect(ours).await.map(|_| ()) });
    let raw = Raw {
        executor: &net.executor,
        transport: theirs,
    };
    let mut stream = raw.accept_bidi().unwrap();
    stream.write("21 0009 c0000000ff0dad01 00");
    assert_eq!(net.executor.run_until(connected), Err(Error::Version));
    assert_eq!(raw.closed(), Some(0x15));
}

#[test]
fn a_silent_peer_does_not_wedge_a_handshake() {
    let net = Net::new();
    let (ours, theirs) = pair(Options::default());
    let client = Client::new(config(&net, &[Version::Lite02]));
    assert_eq!(
        net.executor.run_until(client.connect(ours)).map(|_| ()),
        Err(Error::Late {
            what: "the answer to CLIENT_SETUP",
            limit: Duration::from_secs(10)
        })
    );
    assert_eq!(net.executor.now(), Duration::from_secs(10));
    drop(theirs);

    for token in [None, Some("moq-lite-05")] {
        let net = Net::new();
        let options = Options {
            protocol: token.map(str::to_owned),
            ..Options::default()
        };
        let (theirs, ours) = pair(options);
        let server = Server::new(Config::new(net.runtime.clone()));
        assert_eq!(
            net.executor.run_until(server.accept(ours)).map(|_| ()),
            Err(Error::Timeout)
        );
        assert_eq!(net.executor.now(), Duration::from_secs(5));
        assert!(matches!(
            theirs.close_reason(),
            Some(transport::Error::Closed { code: 0x11, .. })
        ));
    }
}

#[test]
fn the_session_stream_of_01_and_02_is_the_session() {
    for version in [Version::Lite01, Version::Lite02] {
        let net = Net::new();
        let (session, theirs, stream) = net.client(version, &End::default());
        let (mut send, _recv) = stream.unwrap();
        // SESSION_INFO, 1 Mb/s
        support::raw::write(&net.executor, &mut send, "04 800f4240");
        assert_eq!(session.bandwidth().receive, Some(1_000_000));
        assert!(session.close_reason().is_none());
        web_transport_trait::SendStream::finish(&mut send).unwrap();
        assert_eq!(net.executor.run_until(session.closed()), Error::Closed);
        assert!(matches!(
            theirs.close_reason(),
            Some(transport::Error::Closed { code: 0, .. })
        ));
    }
}

#[test]
fn a_server_knows_what_the_client_wants_before_it_lets_it_in() {
    let net = Net::new();
    let (a, b) = pair(Options::protocol("moq-lite-06"));
    let origin = net.origin(1);
    let client = Client::new(
        config(&net, &[Version::Lite06])
            .with_publish(origin.consume())
            .with_path("/room?jwt=x"),
    );
    let (session, driver) = net.executor.run_until(client.connect(a)).unwrap();
    drop(net.executor.spawn(driver));
    let server = Server::new(Config::new(net.runtime.clone()));
    let request = net.executor.run_until(server.accept(b)).unwrap();
    assert_eq!(request.path(), Some("/room?jwt=x"));
    assert_eq!(request.role(), Some(Role::Publisher));
    request.close(&Error::Unauthorized, "no token");
    assert_eq!(
        net.executor.run_until(session.ready()),
        Err(Error::Unauthorized)
    );
    let close = session.close_reason().unwrap();
    assert_eq!((close.code, close.local), (Some(2), false));
    assert_eq!(close.reason, "no token");
}

#[test]
fn a_path_may_come_by_the_request_uri_or_by_setup_but_not_both() {
    let net = Net::new();
    let (theirs, ours) = pair(Options::protocol("moq-lite-05"));
    let server = Server::new(Config::new(net.runtime.clone()).with_path("/by/uri"));
    let accepted = net.executor.spawn({
        let server = server.clone();
        async move { server.accept(ours).await.map(|_| ()) }
    });
    let raw = Raw {
        executor: &net.executor,
        transport: theirs,
    };
    // SETUP with path "/a"
    raw.uni_fin("01 05 01 02 02 2f61");
    assert_eq!(
        net.executor.run_until(accepted),
        Err(Error::ProtocolViolation)
    );
    assert_eq!(raw.closed(), Some(3));

    let (theirs, ours) = pair(Options::protocol("moq-lite-05"));
    let raw = Raw {
        executor: &net.executor,
        transport: theirs,
    };
    raw.uni_fin("01 01 00");
    let request = net.executor.run_until(server.accept(ours)).unwrap();
    assert_eq!(request.path(), Some("/by/uri"));
}

#[test]
fn streams_before_the_setup_are_refused_and_do_not_hide_it() {
    let net = Net::new();
    let (theirs, ours) = pair(Options::protocol("moq-lite-05"));
    let server = Server::new(Config::new(net.runtime.clone()));
    let accepted = net.executor.spawn(async move {
        server
            .accept(ours)
            .await
            .map(|request| (request.role(), request))
    });
    let raw = Raw {
        executor: &net.executor,
        transport: theirs,
    };
    let _silent = raw.uni("");
    let mut group = raw.uni("00 02 00 00");
    assert_eq!(support::raw::stopped(&mut group), Some(0));
    // Role subscriber, an unknown parameter, hop 2
    raw.uni_fin("01 0b 03 03 01 02 20 02 aabb 05 01 02");
    let (role, _request) = net.executor.run_until(accepted).unwrap();
    assert_eq!(role, Some(Role::Subscriber));
}

#[test]
fn setup_says_what_the_session_is_for() {
    let origin = |net: &Net| net.origin(7);
    let cases: [(bool, bool, &str); 4] = [
        (true, true, "01 04 01 05 01 07"),
        (true, false, "01 07 02 03 01 01 05 01 07"),
        (false, true, "01 07 02 03 01 02 05 01 07"),
        (false, false, ""),
    ];
    for (publish, subscribe, expected) in cases {
        let net = Net::new();
        let origin = origin(&net);
        let end = End {
            publish: publish.then(|| origin.consume()),
            subscribe: subscribe.then(|| origin.clone()),
        };
        let (_session, transport, _) = net.client(Version::Lite05, &end);
        let raw = Raw {
            executor: &net.executor,
            transport,
        };
        let (setup, end) = raw.read_uni().unwrap();
        assert_eq!(end, support::raw::End::Fin);
        if !expected.is_empty() {
            assert_eq!(hex(&setup), hex(expected));
        }
    }
}

#[test]
fn a_lost_connection_says_so_everywhere() {
    for version in Version::ALL {
        let net = Net::new();
        let (a, b) = (net.origin(1), net.origin(2));
        let connection = net.connect(version, &End::both(&a), &End::both(&b));
        connection.client_end.kill();
        let error = net.executor.run_until(connection.client.closed());
        assert!(matches!(error, Error::Transport(_)), "{version} {error:?}");
        let close = connection.client.close_reason().unwrap();
        assert_eq!((close.code, close.local), (None, false));
        net.executor.run_until_idle();
        assert_eq!(net.executor.live(), 0, "{version}: both drivers are done");
    }
}

#[test]
fn dropping_a_driver_closes_the_transport() {
    let net = Net::new();
    let (ours, theirs) = pair(Options::protocol("moq-lite-04"));
    let client = Client::new(config(&net, &[Version::Lite04]));
    let (session, driver) = net.executor.run_until(client.connect(ours)).unwrap();
    drop(driver);
    assert!(theirs.close_reason().is_some());
    assert_eq!(net.executor.run_until(session.closed()), Error::Dropped);
}

#[test]
fn a_peer_without_stream_credit_is_not_waited_for_for_ever() {
    let net = Net::with_limits(Limits::default());
    let options = Options {
        max_bidi: 0,
        ..Net::options(Version::Lite05)
    };
    let origin = net.origin(1);
    let (session, transport, _) =
        net.client_with(options, Version::Lite05, &End::subscribe(&origin));
    let raw = Raw {
        executor: &net.executor,
        transport,
    };
    raw.uni_fin("01 01 00");
    net.executor.advance(Duration::from_secs(11));
    assert!(
        session.close_reason().is_none(),
        "nothing is announced, and that is all"
    );
    assert!(raw.transport.max_datagram_size() > 0);
}

#[test]
fn a_connection_that_is_lost_before_its_session_runs_leaves_nothing_behind() {
    for version in Version::ALL
        .into_iter()
        .filter(|version| !version.has_session_stream())
    {
        let net = Net::new();
        let before = net.runtime.stats();
        let origin = net.origin(1);
        let (ours, theirs) = pair(Net::options(version));
        let config = End::both(&origin).config(&net.runtime, version);
        let (session, driver) = net
            .executor
            .run_until(Client::new(config).connect(ours))
            .unwrap();
        theirs.kill();
        assert!(net.executor.run_until(driver).is_err(), "{version}");
        drop((session, origin));
        assert_eq!(net.runtime.stats(), before, "{version}");
    }
}
