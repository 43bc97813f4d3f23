//! What is left to say when the core panics: the text, to a place outside, before the trap ends everything.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// Somebody outside who hears of a panic: any object with a `report(text)` method.
    pub type PanicSink;

    #[wasm_bindgen(method)]
    fn report(this: &PanicSink, text: &str);
}

/// Report panics of this instance to `sink` from here on, as well as to those named before.
#[cfg(target_arch = "wasm32")]
pub(crate) fn report_to(sink: PanicSink) {
    use std::{cell::RefCell, sync::Once};

    thread_local! {
        static SINKS: RefCell<Vec<PanicSink>> = const { RefCell::new(Vec::new()) };
    }
    static HOOK: Once = Once::new();

    SINKS.with_borrow_mut(|sinks| sinks.push(sink));
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            // Text and source position: nothing of what a page or a peer sent gets in here but lengths and numbers.
            let text = panic.to_string();
            SINKS.with_borrow(|sinks| sinks.iter().for_each(|sink| sink.report(&text)));
        }));
    });
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn report_to(_: PanicSink) {}
