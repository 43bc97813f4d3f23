//! A way to break the core on purpose, for the test of what happens then. Nothing that ships has it.

use std::cell::Cell;

use wasm_bindgen::prelude::wasm_bindgen;

thread_local! {
    static PANIC: Cell<bool> = const { Cell::new(false) };
}

/// The next poll of any core panics.
#[expect(
    unreachable_pub,
    reason = "what is exported to JavaScript must be public"
)]
#[wasm_bindgen(js_name = injectPanic)]
pub fn inject_panic() {
    PANIC.set(true);
}

/// Panics if that was asked for.
pub(super) fn check() {
    assert!(!PANIC.take(), "a fault was injected");
}
