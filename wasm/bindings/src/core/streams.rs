//! What the worker reports about transports: see `worker/core/transport.ts`.

use bytes::Bytes;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Core;
use crate::{
    object::key,
    transport::{CHUNK_LIMIT, TransportError},
};

#[wasm_bindgen]
impl Core {
    /// A transport is open. Returns the number of its session, for `connect` and the reports below.
    #[wasm_bindgen(js_name = openTransport)]
    pub fn open_transport(&mut self, protocol: String, max_datagram: f64) -> f64 {
        let protocol = Some(protocol).filter(|protocol| !protocol.is_empty());
        let session = self.network.session(protocol, max_datagram as usize);
        let key = session.key();
        self.transports.push(session);
        key as f64
    }

    /// The peer opened a stream. 0: refuse it.
    pub fn accepted(&self, session: f64, bidirectional: bool) -> f64 {
        self.network
            .accepted(key(session), bidirectional)
            .unwrap_or(0) as f64
    }

    /// A stream that was asked for is open.
    pub fn opened(&self, stream: f64) {
        self.network.opened(key(stream), Ok(()));
    }

    /// A stream that was asked for could not be opened.
    #[wasm_bindgen(js_name = openFailed)]
    pub fn open_failed(&self, stream: f64, reason: String) {
        self.network.opened(key(stream), Err(reason));
    }

    /// Room for the next `length` bytes of a stream, at most 64 KiB. 0: nobody wants them.
    pub fn reserve(&self, stream: f64, length: u32) -> u32 {
        if length == 0 || length as usize > CHUNK_LIMIT {
            return 0;
        }
        let pointer = self.network.reserve(key(stream), length as usize);
        pointer.map_or(0, |pointer| pointer.addr() as u32)
    }

    /// The reserved bytes were written. False: stop reading until told to resume.
    pub fn commit(&self, stream: f64, length: u32, fin: bool) -> bool {
        self.network.commit(key(stream), length as usize, fin)
    }

    /// The peer reset its side; NaN: the stream broke without a code.
    #[wasm_bindgen(js_name = resetByPeer)]
    pub fn reset_by_peer(&self, stream: f64, code: f64) {
        self.network.reset_by_peer(key(stream), stream_code(code));
    }

    /// The transport took bytes of earlier writes.
    pub fn written(&self, stream: f64, bytes: u32) {
        self.network.written(key(stream), bytes as usize);
    }

    /// The sending side is out, FIN included.
    #[wasm_bindgen(js_name = sendClosed)]
    pub fn send_closed(&self, stream: f64) {
        self.network.send_settled(key(stream), Ok(()));
    }

    /// The peer wants no more; NaN: the stream broke without a code.
    #[wasm_bindgen(js_name = stoppedByPeer)]
    pub fn stopped_by_peer(&self, stream: f64, code: f64) {
        self.network
            .send_settled(key(stream), Err(stream_code(code)));
    }

    /// A datagram arrived.
    pub fn datagram(&self, session: f64, data: Vec<u8>) {
        self.network.datagram(key(session), Bytes::from(data));
    }

    /// The transport closed with a code.
    #[wasm_bindgen(js_name = transportClosed)]
    pub fn transport_closed(&self, session: f64, code: f64, reason: String) {
        let code = stream_code(code).unwrap_or(0);
        self.network
            .ended(key(session), TransportError::Closed { code, reason });
    }

    /// The transport was lost.
    #[wasm_bindgen(js_name = transportFailed)]
    pub fn transport_failed(&self, session: f64, reason: String) {
        self.network
            .ended(key(session), TransportError::Lost(reason));
    }
}

/// A code as the browser reports it: unsigned 32 bits, or nothing.
fn stream_code(code: f64) -> Option<u32> {
    (code.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&code)).then_some(code as u32)
}
