//! The browser binding of the MoQ core: host transport, handle table and command buffer.
