//! Data messages: fragments put together (RFC 6455, section 5.4).

use super::{Breach, Confidence, Opcode};
use crate::stream::{Direction, PacketRef};

/// A data message, as far as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub direction: Direction,
    /// Text or binary; `Continuation` if its first fragment is unknown.
    pub opcode: Opcode,
    /// Bytes of the message, uncompressed. Missing ones count where the headers
    /// tell how many they are; of a message that was cut off, those that
    /// passed; of a compressed one what was inflated, so 0 where the context is lost.
    pub len: u64,
    /// Bytes of all its frames, headers included; of a frame that was cut off, those that passed.
    pub wire_len: u64,
    /// How long it is, uncompressed, as far as the headers or its bytes tell:
    /// `None` where fragments are missing or what is compressed wasn't inflated.
    pub whole_len: Option<u64>,
    /// The same of all its frames, headers included.
    pub whole_wire_len: Option<u64>,
    /// RSV1 was set and permessage-deflate agreed on.
    pub compressed: bool,
    /// How many frames it came in.
    pub fragments: u32,
    /// Every byte was seen and (if compressed) inflated.
    pub complete: bool,
    /// How sure it is that its first frame begins where it was read.
    pub confidence: Confidence,
    /// The packet with its first byte.
    pub first: PacketRef,
    /// When the receiver could have its first byte.
    pub begun: PacketRef,
    /// The packet that brought its last missing byte (the latest `seen`).
    pub last: PacketRef,
    /// When the receiver could have all of it (the latest `released`).
    pub available: PacketRef,
    /// Stream offset just after its last frame.
    pub end: u64,
    /// What its frames broke, in order, each once.
    pub breaches: Vec<Breach>,
    /// SHA-256 of the uncompressed, unmasked message, where asked for and complete.
    pub sha256: Option<[u8; 32]>,
    /// The uncompressed, unmasked message, where asked for: as many bytes as
    /// the limit allows. Ends before the first missing byte; `None` where it
    /// doesn't inflate.
    pub payload: Option<Vec<u8>>,
}
