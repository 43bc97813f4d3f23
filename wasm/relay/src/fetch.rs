//! One group over HTTP: `GET /fetch/<broadcast>/<track>?group=N|latest&frame=I|chunked`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use moq_net::{
    BroadcastConsumer, Error, Fetch, FrameConsumer, GroupConsumer, OriginConsumer, Path,
    Subscription, TrackConsumer, TrackSubscriber,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::auth::{Asked, Lease, Refusal};
use crate::http::Deadline;
use crate::metrics::Fetched;
use crate::relay::Relay;

/// The largest sequence or index there can be: what a varint holds.
const LARGEST: u64 = (1 << 62) - 1;

/// Answers a request in the time there is for it.
pub(crate) async fn serve(relay: Arc<Relay>, request: Request) -> Response {
    let Ok(seat) = relay.fetches().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many requests\n").into_response();
    };
    let deadline = Instant::now() + relay.bounds().fetch_timeout;
    let (parts, _no_body) = request.into_parts();
    match timeout_at(deadline, find(&relay, &parts.uri, &parts.headers)).await {
        Ok(Ok(found)) => found.respond(deadline, seat, relay.metrics().fetch()),
        Ok(Err(response)) => response,
        Err(_elapsed) => (StatusCode::GATEWAY_TIMEOUT, "it takes too long\n").into_response(),
    }
}

/// A group, and what of it is wanted.
struct Found {
    group: GroupConsumer,
    /// Only this frame; already there, and not yet read.
    frame: Option<FrameConsumer>,
    /// Keeps the group coming while it is live.
    subscriber: Option<TrackSubscriber>,
    lease: Lease,
}

async fn find(relay: &Relay, uri: &Uri, headers: &HeaderMap) -> Result<Found, Response> {
    let path = uri.path().strip_prefix("/fetch/").unwrap_or_default();
    let wish = Wish::parse(uri.query().unwrap_or_default()).map_err(bad)?;
    let (broadcast, track) = path
        .rsplit_once('/')
        .filter(|_| path.split('/').all(|part| !part.is_empty()))
        .ok_or_else(|| bad("a broadcast and a track are needed"))?;
    let asked = Asked::resource(broadcast, uri, headers);
    let asked = asked.map_err(Refusal::into_response)?;
    let name = Asked {
        path: track,
        ..asked
    };
    let name = name.root().map_err(Refusal::into_response)?;
    let access = relay.authorize(&asked).await;
    let access = access.map_err(Refusal::into_response)?;
    let Some(origin) = access.read else {
        return Err(failed(&Error::NotFound));
    };
    let wanted = async {
        let broadcast = look_up(&origin).await?;
        wish.find(&broadcast.track(name.as_str())?).await
    };
    let (group, frame, subscriber) = tokio::select! {
        found = wanted => found.map_err(|error| failed(&error))?,
        refusal = access.lease.ended() => return Err(refusal.into_response()),
    };
    Ok(Found {
        group,
        frame,
        subscriber,
        lease: access.lease,
    })
}

/// The broadcast itself, which the handle is rooted at. Where nobody has it, one that is announced meanwhile will do: a relay
/// that has just started knows little.
async fn look_up(origin: &OriginConsumer) -> Result<BroadcastConsumer, Error> {
    match origin.request_broadcast(&Path::ROOT) {
        Ok(pending) => pending.await,
        Err(Error::NotFound) => {
            let announced = origin.announced_broadcast(&Path::ROOT).await;
            announced.ok_or(Error::NotFound)
        }
        Err(error) => Err(error),
    }
}

fn bad(text: &'static str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response()
}

fn failed(error: &Error) -> Response {
    let status = match error {
        // Not there any more is not there.
        Error::NotFound | Error::Evicted | Error::CacheFull | Error::Old => StatusCode::NOT_FOUND,
        Error::Timeout | Error::Late { .. } => StatusCode::GATEWAY_TIMEOUT,
        Error::Unauthorized => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, format!("{error}\n")).into_response()
}

/// What the query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    /// The latest unless told.
    group: Option<u64>,
    /// All of them unless told.
    frame: Option<u64>,
}

impl Wish {
    /// # Errors
    /// What is wrong with the query.
    fn parse(query: &str) -> Result<Self, &'static str> {
        let mut group = None;
        let mut frame = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let (slot, keyword) = match &*name {
                "group" => (&mut group, "latest"),
                "frame" => (&mut frame, "chunked"),
                _ => continue,
            };
            let value = match &*value {
                word if word == keyword => None,
                number => Some(parse_number(number)?),
            };
            if slot.replace(value).is_some() {
                return Err("a parameter is there twice");
            }
        }
        Ok(Self {
            group: group.flatten(),
            frame: frame.flatten(),
        })
    }

    /// Finds the group, and the frame if it is to be one.
    async fn find(
        &self,
        track: &TrackConsumer,
    ) -> Result<
        (
            GroupConsumer,
            Option<FrameConsumer>,
            Option<TrackSubscriber>,
        ),
        Error,
    > {
        let fetch = || Fetch::default().with_frame_start(self.frame.unwrap_or(0));
        let (mut group, subscriber) = match self.group {
            Some(sequence) => (track.fetch_group(sequence, fetch())?.await?, None),
            None => {
                let (group, subscriber) = latest(track, fetch).await?;
                (group, Some(subscriber))
            }
        };
        let Some(index) = self.frame else {
            return Ok((group, None, subscriber));
        };
        group.seek(index);
        let frame = group.next_frame().await?.ok_or(Error::NotFound)?;
        Ok((group, Some(frame), subscriber))
    }
}

/// The newest group: the one that is known to be, if it can be had from its start, or the first that comes.
async fn latest(
    track: &TrackConsumer,
    fetch: impl Fn() -> Fetch,
) -> Result<(GroupConsumer, TrackSubscriber), Error> {
    let mut subscriber = track.subscribe(Subscription::default())?.await?;
    if let Some(sequence) = subscriber.latest()
        && let Ok(pending) = track.fetch_group(sequence, fetch())
        && let Ok(group) = pending.await
    {
        return Ok((group, subscriber));
    }
    let group = subscriber.recv_group().await?.ok_or(Error::NotFound)?;
    Ok((group, subscriber))
}

/// Digits only, and no more than a varint holds.
fn parse_number(text: &str) -> Result<u64, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number
        .filter(|number| *number <= LARGEST)
        .ok_or("a value is neither a keyword nor a number in range")
}

impl Found {
    /// The frames as they come, as fast as they are read.
    fn respond(
        self,
        deadline: Instant,
        seat: OwnedSemaphorePermit,
        mut counted: Fetched,
    ) -> Response {
        if self.frame.is_some() {
            counted.frame();
        }
        let body = Sending {
            one: self.frame.is_some(),
            frame: self.frame,
            group: self.group,
            over: false,
            counted,
        };
        let lease = self.lease;
        // The seat and the subscription go with the body, whichever way it ends.
        let held = (seat, self.subscriber);
        let state = (body, lease, held);
        let stream =
            futures_util::stream::unfold(state, move |(mut body, lease, held)| async move {
                if body.over {
                    return None;
                }
                let next = tokio::select! {
                    next = timeout_at(deadline, body.next()) => next.unwrap_or(Err(Error::Timeout)),
                    _refusal = lease.ended() => Err(Error::Unauthorized),
                };
                // After an error nothing follows: the connection ends without a proper end of the body.
                body.over = next.is_err();
                Some((next.transpose()?, (body, lease, held)))
            });
        let octets = HeaderValue::from_static("application/octet-stream");
        let fresh = HeaderValue::from_static("no-store");
        let headers = [
            (header::CONTENT_TYPE, octets),
            (header::CACHE_CONTROL, fresh),
        ];
        let mut response = (headers, Body::from_stream(stream)).into_response();
        // Whoever does not read does not poll the body either.
        response.extensions_mut().insert(Deadline(deadline));
        response
    }
}

struct Sending {
    group: GroupConsumer,
    /// The frame being read.
    frame: Option<FrameConsumer>,
    /// Nothing follows the frame.
    one: bool,
    over: bool,
    counted: Fetched,
}

impl Sending {
    /// The next piece.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(frame) = &mut self.frame {
                match frame.read_chunk().await? {
                    Some(chunk) if chunk.is_empty() => continue,
                    Some(chunk) => {
                        self.counted.bytes(chunk.len());
                        return Ok(Some(chunk));
                    }
                    None => self.frame = None,
                }
            }
            if self.one {
                return Ok(None);
            }
            match self.group.next_frame().await? {
                Some(frame) => {
                    self.counted.frame();
                    self.frame = Some(frame);
                }
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_group_and_a_frame_or_neither() {
        let wish = |group, frame| Ok(Wish { group, frame });
        for (query, expected) in [
            ("", wish(None, None)),
            ("group=latest&frame=chunked", wish(None, None)),
            ("group=0", wish(Some(0), None)),
            ("group=7&frame=3&jwt=x", wish(Some(7), Some(3))),
            ("frame=4611686018427387903", wish(None, Some(LARGEST))),
            ("other=1&other=2", wish(None, None)),
        ] {
            assert_eq!(Wish::parse(query), expected, "{query}");
        }
        for bad in [
            "group=",
            "group",
            "group=-1",
            "group=%2B1",
            "group=1e9",
            "group=0x1",
            "group=1.0",
            "group=4611686018427387904",
            "group=18446744073709551616",
            "group=chunked",
            "frame=latest",
            "group=1&group=1",
            "frame=1&group=2&frame=chunked",
            "group=%20",
        ] {
            assert!(Wish::parse(bad).is_err(), "{bad}");
        }
    }
}
