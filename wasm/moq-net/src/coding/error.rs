//! What can go wrong between values and bytes.

/// Why bytes are not a message. The peer is at fault, except for [`Self::Short`] while more may still arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// At least so many bytes more are needed. Only an error once the stream has ended.
    #[error("stream ended inside a message")]
    Short(usize),
    /// The length of a message disagrees with its content: a field runs past the end, or bytes are left over.
    #[error("message length disagrees with its content")]
    Length,
    /// A string is not UTF-8.
    #[error("string is not UTF-8")]
    Utf8,
    /// A number, a path or a list is beyond its limit.
    #[error("value exceeds its bounds")]
    Bounds,
    /// A field holds a value that its version does not define.
    #[error("invalid value")]
    Value,
    /// The message or reply type is unknown, or does not exist in this version.
    #[error("unknown message type {0}")]
    Type(u64),
    /// The stream is of a type that is unknown, or does not exist in this version. Ends that stream only.
    #[error("unknown stream type {0}")]
    Stream(u64),
    /// The peer speaks a protocol that shares its name with a version of ours and is another one.
    #[error("peer speaks an incompatible {0}")]
    Dialect(&'static str),
    /// Something that must be unique came twice: a parameter, or a hop in one chain.
    #[error("duplicate value")]
    Duplicate,
    /// An announcement refers to one that does not exist or was withdrawn.
    #[error("unknown announcement")]
    UnknownAnnounce,
    /// More setup parameters than allowed.
    #[error("too many parameters")]
    TooManyParameters,
    /// The message declares more bytes than we are willing to buffer.
    #[error("message exceeds the size limit")]
    TooLarge,
    /// The version of this name has no such message.
    #[error("message does not exist in {0}")]
    Version(&'static str),
}

/// Why a value cannot be sent. Our own fault, never the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A number, a path or a list is beyond what the wire can carry.
    #[error("value exceeds its bounds")]
    Bounds,
    /// The combination of fields has no meaning on the wire.
    #[error("invalid value")]
    Value,
    /// The version of this name has no such message.
    #[error("message does not exist in {0}")]
    Version(&'static str),
}
