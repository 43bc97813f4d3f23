//! Origins and announcements.

use bytes::Bytes;
use moq_net::{Announced, OriginConsumer, OriginProducer, Path};
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Core, broadcast::hops};
use crate::{
    command::{Command, Outcome},
    error::{ErrorData, Fault, Result},
    json,
    object::Object,
};

#[wasm_bindgen]
impl Core {
    /// A new, empty origin.
    #[wasm_bindgen(js_name = createOrigin)]
    pub fn create_origin(&mut self) -> f64 {
        self.touch();
        let origin = moq_net::Origin::random(&self.runtime).produce(&self.runtime);
        self.insert(Object::Origin(origin))
    }

    /// The same origin, limited to what lies under the prefixes (each ended by a line feed), or with `rooted` relative to the one prefix.
    ///
    /// # Errors
    /// `usage`; `unauthorized` when nothing under them is in reach.
    pub fn view(&mut self, origin: f64, prefixes: &str, rooted: bool) -> Result<f64> {
        self.touch();
        let view = {
            let objects = self.objects.borrow();
            let origin = objects.origin(origin)?;
            if rooted {
                origin.with_root(&parse(prefixes)?)
            } else {
                let prefixes = prefixes
                    .split_terminator('\n')
                    .map(parse)
                    .collect::<Result<Vec<_>>>()?;
                origin.scope(&prefixes)
            }
        };
        let view = view.ok_or_else(|| {
            ErrorData::of(
                &moq_net::Error::Unauthorized,
                Fault::Caller,
                &format!("prefix {prefixes}"),
            )
        })?;
        Ok(self.insert(Object::Origin(view)))
    }

    /// Report announcements under a prefix until the handle is freed.
    ///
    /// # Errors
    /// `usage`; `unauthorized` when the prefix is out of reach.
    pub fn announced(&mut self, origin: f64, prefix: &str) -> Result<f64> {
        self.touch();
        let consumer = self.reading(origin, prefix)?;
        let mut announced = consumer.announced();
        let (executor, objects, network) = (
            &mut self.executor,
            self.objects.clone(),
            self.network.clone(),
        );
        let handle = self.objects.borrow_mut().insert_with(|listener| {
            let task = executor.spawn(async move {
                while let Some((path, event)) = announced.next().await {
                    let command = announcement(listener, path.as_str(), event, |source| {
                        objects.borrow_mut().insert(Object::Source(source)) as u64
                    });
                    network.commands(|commands| commands.push(command));
                }
                network.commands(|commands| {
                    commands.push(Command::End {
                        handle: listener,
                        error: Bytes::new(),
                    });
                });
            });
            Object::Listener { task }
        });
        Ok(handle)
    }

    /// The broadcast announced now, or served by a handler.
    ///
    /// # Errors
    /// `usage`, `not-found`, `dropped`.
    #[wasm_bindgen(js_name = requestBroadcast)]
    pub fn request_broadcast(&mut self, origin: f64, path: &str) -> Result<f64> {
        self.touch();
        let consumer = self.reading(origin, "")?;
        let doing = format!("broadcast {path}");
        let parsed = parse(path)?;
        let pending = consumer
            .request_broadcast(&parsed)
            .map_err(|error| ErrorData::of(&error, Fault::Peer, &doing))?;
        let objects = self.objects.clone();
        Ok(self.start(async move {
            let source = pending
                .await
                .map_err(|error| ErrorData::of(&error, Fault::Peer, &doing))?;
            Ok(Outcome::Handle(
                objects.borrow_mut().insert(Object::Source(source)) as u64,
            ))
        }))
    }

    /// Wait for an announcement of exactly this path.
    ///
    /// # Errors
    /// `usage`; settles `not-found` when it is out of scope.
    #[wasm_bindgen(js_name = waitForBroadcast)]
    pub fn wait_for_broadcast(&mut self, origin: f64, path: &str) -> Result<f64> {
        self.touch();
        let consumer = self.reading(origin, "")?;
        let doing = format!("broadcast {path}");
        let path = parse(path)?.into_owned();
        let objects = self.objects.clone();
        Ok(self.start(async move {
            let source = consumer.announced_broadcast(&path).await;
            let source = source
                .ok_or_else(|| ErrorData::of(&moq_net::Error::NotFound, Fault::Peer, &doing))?;
            Ok(Outcome::Handle(
                objects.borrow_mut().insert(Object::Source(source)) as u64,
            ))
        }))
    }
}

impl Core {
    /// A reading view of an origin below a prefix.
    fn reading(&self, origin: f64, prefix: &str) -> Result<OriginConsumer> {
        let objects = self.objects.borrow();
        let origin: &OriginProducer = objects.origin(origin)?;
        let consumer = origin.consume();
        if prefix.is_empty() {
            return Ok(consumer);
        }
        let prefix = parse(prefix)?;
        consumer.with_root(&prefix).ok_or_else(|| {
            ErrorData::of(
                &moq_net::Error::Unauthorized,
                Fault::Caller,
                &format!("prefix {prefix}"),
            )
        })
    }
}

/// A path from the caller.
pub(super) fn parse(path: &str) -> Result<Path<'_>> {
    Path::parse(path).map_err(|error| ErrorData::of(&error, Fault::Caller, "path"))
}

fn announcement(
    listener: u64,
    path: &str,
    event: Announced,
    insert: impl FnOnce(moq_net::BroadcastConsumer) -> u64,
) -> Command {
    let (number, source) = match event {
        Announced::Active(source) => (0, Some(source)),
        Announced::Restart(source) => (1, Some(source)),
        Announced::Ended => (2, None),
    };
    let hops = source.iter().flat_map(|source| hops(source.info()));
    let json = json::Object::new()
        .text("path", path)
        .texts("hops", hops)
        .end();
    Command::Announce {
        listener,
        event: number,
        broadcast: source.map_or(0, insert),
        json: Bytes::from(json),
    }
}
