//! Others that publish where a broadcast of our own is.

use std::{cell::RefCell, rc::Rc};

use moq_net::{
    AnnounceConsumer, Announced, Error, OriginConsumer, OriginProducer, PathOwned, Session, Viewer,
};
use wasm_bindgen::prelude::wasm_bindgen;

use super::Core;
use crate::{
    error::{ErrorData, Fault, Result},
    json,
    object::{Object, Own},
    operation,
};

/// Where a session publishes, and what others announce where it reads.
pub(crate) struct Halves {
    publish: OriginConsumer,
    others: OriginConsumer,
    cursor: RefCell<Option<AnnounceConsumer>>,
}

impl Halves {
    /// `None` for a session that does one of the two only.
    pub(crate) fn of(
        publish: Option<&OriginConsumer>,
        consume: Option<&OriginProducer>,
    ) -> Option<Rc<Self>> {
        let publish = publish?.clone();
        // What comes back by way of a relay is no rival: it has passed our origin.
        let viewer = Viewer {
            hops: vec![publish.info()],
            named: true,
            ..Viewer::default()
        };
        let others = consume?.consume().viewed_by(viewer);
        Some(Rc::new(Self {
            publish,
            others,
            cursor: RefCell::default(),
        }))
    }

    /// Our broadcast as both sides of the session call it, if the peer lets us publish it.
    fn path_of(&self, own: &Own, session: &Session) -> Option<PathOwned> {
        let Own::Announced { publish, .. } = own else {
            return None;
        };
        if session.hears_of(publish) != Some(true) {
            return None;
        }
        let path = publish.path().strip_prefix(self.publish.root())?;
        Some(path.into_owned())
    }
}

#[wasm_bindgen]
impl Core {
    /// Whether the session brings a broadcast of another publisher from where it offers this one.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = hasRival)]
    pub fn has_rival(&self, broadcast: f64, session: f64) -> Result<bool> {
        let objects = self.objects.borrow();
        let own = objects.broadcast(broadcast)?;
        let connected = objects.session(session)?;
        let Some(halves) = &connected.halves else {
            return Ok(false);
        };
        Ok(halves.path_of(own, &connected.session).is_some_and(|path| {
            let there = halves.others.scope(&[path.as_ref()]);
            let mut announced = there.map(|there| there.announced());
            let next = || announced.as_mut()?.try_next();
            std::iter::from_fn(next).any(|(found, _)| found == path)
        }))
    }

    /// Settles when another publisher appears where this side publishes through the session: with the handle of our
    /// broadcast there, as JSON.
    ///
    /// # Errors
    /// `usage`; settles with `closed` when there is nothing to hear, or no more.
    #[wasm_bindgen(js_name = rivalAppears)]
    pub fn rival_appears(&mut self, session: f64) -> Result<f64> {
        let (watched, halves) = {
            let objects = self.objects.borrow();
            let connected = objects.session(session)?;
            (connected.session.clone(), connected.halves.clone())
        };
        let objects = self.objects.clone();
        Ok(self.start_on(session, async move {
            let over = || ErrorData::of(&Error::Closed, Fault::Peer, "session");
            let halves = halves.ok_or_else(over)?;
            // What appears between two calls is heard by the second one.
            let kept = halves.cursor.take();
            let mut cursor = kept.unwrap_or_else(|| halves.others.announced());
            while let Some((path, event)) = cursor.next().await {
                let ours = objects
                    .borrow()
                    .iter()
                    .find_map(|(handle, object)| match object {
                        Object::Broadcast(own)
                            if halves.path_of(own, &watched).as_ref() == Some(&path) =>
                        {
                            Some(handle as f64)
                        }
                        _ => None,
                    });
                if let (Announced::Active(_), Some(handle)) = (event, ours) {
                    halves.cursor.replace(Some(cursor));
                    let json = json::Object::new().number("broadcast", handle).end();
                    return Ok(operation::json(json));
                }
            }
            Err(over())
        }))
    }
}
