//! Who may do what, over every way in: WebTransport, raw QUIC, WebSocket and HTTP, on real sockets.

mod announced;
mod expiry;
mod fetch;
mod keys;
mod links;
mod matrix;
mod names;
mod pages;
mod paths;
mod peers;
mod process;
mod process_dial;
mod process_life;
mod world;
