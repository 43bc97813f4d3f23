//! Media over QUIC: the model, the wire codec and the sessions, independent of any transport.
#![forbid(unsafe_code)]
