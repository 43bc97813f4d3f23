//! Sessions.

use std::rc::Rc;

use futures_util::future::{Either, select};
use moq_net::{Client, Close, Config, Error, OriginConsumer, OriginProducer, Session, Version};
use wasm_bindgen::prelude::wasm_bindgen;
use web_transport_trait as wt;

use super::{Core, rival::Halves};
use crate::{
    command::Outcome,
    error::{ErrorData, Fault, Result},
    json, number,
    object::{Connected, Object, key},
    operation,
};

#[wasm_bindgen]
impl Core {
    /// Start a session over a transport; settles with it once the peer takes it. Origins: 0 for none. Versions are
    /// names with spaces between, best first. The transport is used up, also when this fails.
    ///
    /// # Errors
    /// `usage`.
    pub fn connect(
        &mut self,
        transport: f64,
        publish: f64,
        consume: f64,
        versions: &str,
    ) -> Result<f64> {
        self.touch();
        let index = self
            .transports
            .iter()
            .position(|found| found.key() == key(transport))
            .ok_or_else(|| {
                ErrorData::usage(format!(
                    "transport {} is not waiting for a session",
                    number::shown(transport)
                ))
            })?;
        let transport = self.transports.swap_remove(index);
        let mut config = Config::new(self.runtime.clone())
            .with_versions(parse_versions(versions)?)
            .with_partial_groups();
        let (publish, consume) = self.origins(publish, consume)?;
        let halves = Halves::of(publish.as_ref(), consume.as_ref());
        config.publish = publish;
        config.subscribe = consume;
        let objects = self.objects.clone();
        let offered = versions.to_owned();
        let agreed = wt::Session::protocol(&transport).map(str::to_owned);
        // The task that shakes hands goes on to drive the session, until it has ended and said goodbye.
        Ok(self
            .operations
            .start_with(&mut self.executor, |settle| async move {
                let (session, driver) = match Client::new(config).connect(transport.clone()).await {
                    Ok(pair) => pair,
                    Err(error) => {
                        let doing = doing(&error, &offered, agreed.as_deref());
                        return settle.done(Err(ErrorData::of(&error, Fault::Peer, &doing)));
                    }
                };
                let ready = Box::pin(async { session.ready().await });
                let driver = match select(ready, driver).await {
                    Either::Left((Ok(()), driver)) => driver,
                    Either::Left((Err(error), _)) => {
                        return settle.done(Err(refused(&session, &error)));
                    }
                    Either::Right((ended, _)) => {
                        let error = ended.err().unwrap_or(Error::Closed);
                        return settle.done(Err(refused(&session, &error)));
                    }
                };
                let handle = objects.borrow_mut().insert(Object::Session(Connected {
                    session,
                    transport,
                    halves,
                    seen: Rc::default(),
                }));
                settle.done(Ok(Outcome::Handle(handle as u64)));
                // How it ended is asked for with `sessionClosed`.
                let _ = driver.await;
            }))
    }

    /// The version of a session by name.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = sessionVersion)]
    pub fn session_version(&self, session: f64) -> Result<String> {
        Ok(self
            .objects
            .borrow()
            .session(session)?
            .session
            .version()
            .name()
            .to_owned())
    }

    /// Settles when the session is over: with its close when that was clean, with the error otherwise.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = sessionClosed)]
    pub fn session_closed(&mut self, session: f64) -> Result<f64> {
        let watched = self.objects.borrow().session(session)?.session.clone();
        Ok(self.start_on(session, async move {
            let error = watched.closed().await;
            let close = watched.close_reason().unwrap_or(Close {
                error,
                code: None,
                reason: String::new(),
                local: false,
            });
            if close.error == Error::Closed {
                return Ok(operation::json(close_json(&close)));
            }
            Err(ErrorData::of(&close.error, Fault::Peer, "session").with_close(&close))
        }))
    }

    /// Settles with the URI, as JSON text, when the peer asks us to move; empty: to the same place.
    ///
    /// # Errors
    /// `usage`; settles with what ended the session instead.
    #[wasm_bindgen(js_name = goingAway)]
    pub fn going_away(&mut self, session: f64) -> Result<f64> {
        let watched = self.objects.borrow().session(session)?.session.clone();
        Ok(self.start_on(session, async move {
            let uri = watched.going_away().await;
            let uri = uri.map_err(|error| ErrorData::of(&error, Fault::Peer, "session"))?;
            Ok(operation::json(json::Object::new().text("uri", &uri).end()))
        }))
    }

    /// Settles when the peer's estimate differs from that with which the last call settled. Read it with `sessionStats`.
    ///
    /// # Errors
    /// `usage`; settles with what ended the session instead.
    #[wasm_bindgen(js_name = bandwidthChanged)]
    pub fn bandwidth_changed(&mut self, session: f64) -> Result<f64> {
        let (watched, seen) = {
            let objects = self.objects.borrow();
            let connected = objects.session(session)?;
            (connected.session.clone(), connected.seen.clone())
        };
        Ok(self.start_on(session, async move {
            let changed = watched.bandwidth_changed(seen.get()).await;
            seen.set(changed.map_err(|error| ErrorData::of(&error, Fault::Peer, "session"))?);
            Ok(Outcome::Done)
        }))
    }

    /// Close with a session code.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = closeSession)]
    pub fn close_session(&mut self, session: f64, code: f64, reason: &str) -> Result<()> {
        self.touch();
        let error = close_error(code)?;
        self.objects
            .borrow()
            .session(session)?
            .session
            .close(error, reason);
        Ok(())
    }
}

impl Core {
    fn origins(
        &self,
        publish: f64,
        consume: f64,
    ) -> Result<(Option<OriginConsumer>, Option<OriginProducer>)> {
        let objects = self.objects.borrow();
        let find = |handle: f64| {
            (handle != 0.0)
                .then(|| objects.origin(handle).cloned())
                .transpose()
        };
        Ok((
            find(publish)?.map(|origin| origin.consume()),
            find(consume)?,
        ))
    }
}

fn parse_versions(names: &str) -> Result<Vec<Version>> {
    names
        .split_ascii_whitespace()
        .map(|name| {
            name.parse()
                .map_err(|_| ErrorData::usage(format!("versions names the unknown {name}")))
        })
        .collect()
}

/// What failed, for people: a missing version is only understood with what both sides had.
fn doing(error: &Error, offered: &str, agreed: Option<&str>) -> String {
    match error {
        Error::Version | Error::UnknownAlpn => {
            let agreed = agreed.unwrap_or("no sub-protocol");
            format!("no common version (offered {offered}, the transport settled on {agreed})")
        }
        _ => "connect".to_owned(),
    }
}

/// Why the peer did not take the session.
fn refused(session: &Session, error: &Error) -> ErrorData {
    let data = ErrorData::of(error, Fault::Peer, "connect");
    match session.close_reason() {
        Some(close) => data.with_close(&close),
        None => data,
    }
}

/// 0 ends a session in peace, codes from 64 on are the application's; the rest belongs to the protocol.
fn close_error(code: f64) -> Result<Error> {
    match number::whole("code", code)? {
        0 => Ok(Error::Closed),
        app @ 0x40..=0x1_003f => Ok(Error::App((app - 0x40) as u16)),
        other => Err(ErrorData::usage(format!(
            "code {other} is neither 0 nor in 64…65599"
        ))),
    }
}

fn close_json(close: &Close) -> String {
    let mut object = json::Object::new();
    if let Some(code) = close.code {
        object.number("code", f64::from(code));
    }
    if !close.reason.is_empty() {
        object.text("reason", &close.reason);
    }
    object.flag("local", close.local).end()
}
