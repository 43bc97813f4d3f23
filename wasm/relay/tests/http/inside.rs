//! A relay whose routes are called without a socket, so that its clock can be moved.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use moq_net::{BroadcastPublish, Limits, Path, TrackInfo, TrackProducer, Version};
use moq_worker_relay::auth::Asked;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::web;
use tokio::time::Instant;

#[derive(Clone)]
pub(crate) struct Inside {
    pub(crate) relay: Arc<Relay>,
    router: Router,
    start: Instant,
}

impl Inside {
    pub(crate) fn new() -> Self {
        let relay = Relay::new(Limits::relay(), Version::DEFAULT.to_vec());
        Self {
            router: web::router(relay.clone(), "fingerprint"),
            relay,
            start: Instant::now(),
        }
    }

    /// Time since the test began.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Announces a broadcast with a track "data" of groups that are kept for long.
    pub(crate) async fn publish(&self, path: &str) -> (BroadcastPublish, TrackProducer) {
        let access = self.relay.authorize(&Asked::target("/")).await.unwrap();
        let origin = access.write.unwrap();
        let broadcast = origin.create_broadcast(&Path::parse(path).unwrap());
        let broadcast = broadcast.unwrap();
        let info = TrackInfo::default().with_cache(Duration::from_secs(600));
        let track = broadcast.create_track("data", info).unwrap();
        (broadcast, track)
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        let request = Request::get(target).body(Body::empty()).unwrap();
        let router = TowerToHyperService::new(self.router.clone());
        router.call(request).await.unwrap()
    }

    /// The status and all of the body.
    pub(crate) async fn read(&self, target: &str) -> (u16, String) {
        let response = self.get(target).await;
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        (status, String::from_utf8(body.unwrap().into()).unwrap())
    }
}
