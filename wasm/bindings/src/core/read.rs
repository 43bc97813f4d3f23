//! Steering readers.

use moq_net::Subscription;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{
    Core,
    track::{back, wish},
};
use crate::{
    error::{ErrorData, Result},
    number,
    reader::Reader,
};

#[wasm_bindgen]
impl Core {
    /// Replace the preferences of a subscription.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = updateSubscription)]
    #[allow(clippy::too_many_arguments)]
    pub fn update_subscription(
        &mut self,
        subscription: f64,
        priority: f64,
        ordered: bool,
        max_latency_ms: f64,
        group_start: f64,
        group_end: f64,
        batch_ms: f64,
    ) -> Result<()> {
        self.touch();
        let back = back(group_start)?;
        let wish: Subscription = wish(priority, ordered, max_latency_ms, group_start, group_end)?;
        let hold = number::whole("batchMs", batch_ms)?;
        self.objects.borrow().reader(subscription)?.steer(|asked| {
            asked.subscription = Some((wish, back));
            asked.hold_ms = Some(hold);
        });
        Ok(())
    }

    /// Local floor.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = startAt)]
    pub fn start_at(&mut self, subscription: f64, sequence: f64) -> Result<()> {
        let sequence = number::whole("sequence", sequence)?;
        let objects = self.objects.borrow();
        objects
            .reader(subscription)?
            .steer(|asked| asked.start = Some(sequence));
        Ok(())
    }

    /// Local inclusive cap; NaN removes it.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = endAt)]
    pub fn end_at(&mut self, subscription: f64, sequence: f64) -> Result<()> {
        let sequence = number::optional("sequence", sequence)?;
        let objects = self.objects.borrow();
        objects
            .reader(subscription)?
            .steer(|asked| asked.end = Some(sequence));
        Ok(())
    }

    /// Start groups in the order of their arrival, or again in that of their sequences.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = setOrder)]
    pub fn set_order(&mut self, subscription: f64, arrival: bool) -> Result<()> {
        let objects = self.objects.borrow();
        objects
            .reader(subscription)?
            .steer(|asked| asked.arrival = Some(arrival));
        Ok(())
    }

    /// Deliver datagrams from here on, too.
    ///
    /// # Errors
    /// `usage`.
    #[wasm_bindgen(js_name = wantDatagrams)]
    pub fn want_datagrams(&mut self, subscription: f64) -> Result<()> {
        let objects = self.objects.borrow();
        objects
            .reader(subscription)?
            .steer(|asked| asked.datagrams = true);
        Ok(())
    }

    /// Add credit.
    ///
    /// # Errors
    /// `usage`.
    pub fn grant(&mut self, reader: f64, frames: f64, bytes: f64) -> Result<()> {
        let frames = number::whole("frames", frames)?;
        let bytes = number::whole("bytes", bytes)?;
        self.objects.borrow().reader(reader)?.grant(frames, bytes);
        Ok(())
    }

    /// Somebody waits for the next frame of a group, or with 0 for the next group.
    ///
    /// # Errors
    /// `usage`.
    pub fn want(&mut self, reader: f64, gid: f64) -> Result<()> {
        let gid = group_number(gid)?;
        self.objects
            .borrow()
            .reader(reader)?
            .try_steer(|asked| Reader::queue(&mut asked.wants, gid))
    }

    /// Nobody reads this group any more.
    ///
    /// # Errors
    /// `usage`.
    pub fn skip(&mut self, reader: f64, gid: f64) -> Result<()> {
        let gid = group_number(gid)?;
        self.objects
            .borrow()
            .reader(reader)?
            .try_steer(|asked| Reader::queue(&mut asked.skips, gid))
    }
}

fn group_number(gid: f64) -> Result<u32> {
    let whole = number::whole("gid", gid)?;
    u32::try_from(whole)
        .map_err(|_| ErrorData::usage(format!("gid {whole} is no group of a subscription")))
}
