//! What TCP tells: facts for the session, bytes for the layer above.

use super::{Bin, Reset};
use crate::stream::{Direction, PacketRef, StreamEvent};

/// What TCP noticed. `direction` is that of the segment's sender, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A SYN, or a SYN that acknowledges one.
    Syn {
        /// Who sent it.
        direction: Direction,
        /// Its packet.
        at: PacketRef,
        /// It acknowledges the other side's SYN.
        acknowledges: bool,
        /// The same SYN was seen before.
        repeated: bool,
        /// The maximum segment size that it announces.
        mss: Option<u16>,
    },
    /// Payload that was not seen before, in order or not.
    Payload {
        /// Who sent it.
        direction: Direction,
        /// Its packet.
        at: PacketRef,
        /// Bytes on the wire.
        len: u32,
    },
    /// Payload that was sent (or seen) before, or filled a hole too late for mere reordering.
    Retransmission {
        /// Who sent it.
        direction: Direction,
        /// Its packet.
        at: PacketRef,
        /// Stream offset of its first byte; 0 also for anything before the stream's start.
        offset: u64,
        /// Bytes on the wire.
        len: u32,
        /// The receiver had acknowledged all of it before: not the payload was lost.
        acked: bool,
    },
    /// What was sent again last had not been lost: its first copy, or the
    /// acknowledgment of it, was only late.
    Spurious {
        /// Who sent it again.
        direction: Direction,
        /// The packet that shows it.
        at: PacketRef,
    },
    /// A tenth of a second of one side's payload is over.
    Bin {
        /// Whose payload.
        direction: Direction,
        /// How much it was.
        bin: Bin,
    },
    /// A segment came after a later one, without having been sent twice.
    OutOfOrder {
        /// Who sent it.
        direction: Direction,
        /// Its packet.
        at: PacketRef,
    },
    /// The same packet was captured again: same numbers, flags and identification, or
    /// bytes that were seen before, stamped or numbered by their sender earlier than its
    /// newest packet, or only cut into segments in another way.
    Duplicate {
        /// Who sent it.
        direction: Direction,
        /// The second copy.
        at: PacketRef,
        /// The first one, where it was not long ago.
        first: Option<PacketRef>,
    },
    /// Bytes were sent again with another content; the first ones were kept.
    Conflict {
        /// Who sent them.
        direction: Direction,
        /// The packet with the second version.
        at: PacketRef,
        /// Stream offset of its first byte.
        offset: u64,
    },
    /// A keep-alive or zero-window probe: nothing new in it (RFC 9293, sections 3.8.4 and 3.8.6.1).
    Probe {
        /// Who sent it.
        direction: Direction,
        /// Its packet.
        at: PacketRef,
    },
    /// The receiver acknowledged more of the payload.
    Acked {
        /// Whose payload.
        direction: Direction,
        /// All bytes before this stream offset are acknowledged.
        upto: u64,
        /// The packet with the acknowledgment.
        at: PacketRef,
        /// The newest payload packet that it covers, where that is known.
        covers: Option<PacketRef>,
    },
    /// Payload was seen for the first time, and its acknowledgment before it: packets are out
    /// of order, or were stamped by clocks that differ.
    AckedEarly {
        /// Whose payload.
        direction: Direction,
        /// The packet with the payload.
        at: PacketRef,
        /// The packet with the acknowledgment.
        acked: PacketRef,
    },
    /// A round trip between the capture point and the side that acknowledged.
    RoundTrip {
        /// Whose segment was acknowledged; the time is that from the capture
        /// point to the *receiver* and back.
        direction: Direction,
        /// The packet with the acknowledgment.
        at: PacketRef,
        /// Nanoseconds.
        nanos: u64,
    },
    /// A side advertised a window of 0: it accepts no more.
    WindowClosed {
        /// The side that accepts no more.
        direction: Direction,
        /// Its packet.
        at: PacketRef,
    },
    /// The window is open again.
    WindowOpened {
        /// The side that accepts data again.
        direction: Direction,
        /// Its packet.
        at: PacketRef,
    },
    /// This side sends nothing any more.
    Fin {
        /// Who says so.
        direction: Direction,
        /// Its packet.
        at: PacketRef,
        /// The FIN was seen before.
        repeated: bool,
    },
    /// A reset, with what tells who really sent it.
    Reset(Reset),
    /// The side that is said to have sent a reset goes on sending.
    SentAfterReset {
        /// Which side.
        direction: Direction,
        /// Its packet.
        at: PacketRef,
    },
}

/// What goes out of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Something for the session.
    Fact(Event),
    /// Bytes for the layer above.
    Stream(StreamEvent<'a>),
}
