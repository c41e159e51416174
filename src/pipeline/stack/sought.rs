//! What a connection speaks whose beginning isn't in the capture: looked for
//! beside HTTP, in the same bytes.

use super::rhythm::{Rhythm, Suggested};
use crate::stream::{Chunk, Direction, PacketRef, Sides, StreamEvent};
use crate::tcp;
use crate::websocket::{Recognised, Recognition};

/// How many acknowledgments are kept until it is known whose they are.
///
/// Rationale: frames are proven within a few packets.
const ACKS: usize = 64;

/// The search of one connection.
#[derive(Debug, Default)]
pub(super) enum Sought {
    /// HTTP knows what it reads.
    #[default]
    Idle,
    Looking(Box<Looking>),
    /// Frames, or what they turned out to be; what came since then waits.
    Found(Box<Found>),
    /// TLS.
    Records(Box<Rhythm>),
    /// Nothing of ours.
    Nothing,
}

/// While nothing is proven.
#[derive(Debug)]
pub(super) struct Looking {
    recognition: Recognition,
    rhythm: Rhythm,
    acked: Vec<Acked>,
    first: PacketRef,
}

/// Frames, before the connection's sides are put right.
#[derive(Debug)]
pub(super) struct Found {
    recognition: Recognition,
    /// The client's direction, as it is called so far.
    pub(super) client: Direction,
    acked: Vec<Acked>,
    /// The first packet that was looked at.
    pub(super) first: PacketRef,
    waiting: Vec<Kept>,
}

/// An acknowledgment of what this direction sent, up to an offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acked {
    pub(super) direction: Direction,
    pub(super) upto: u64,
    pub(super) at: PacketRef,
}

/// An event with its own bytes.
#[derive(Debug)]
pub(super) enum Kept {
    Chunk {
        direction: Direction,
        offset: u64,
        bytes: Vec<u8>,
        seen: PacketRef,
        released: PacketRef,
    },
    Other(StreamEvent<'static>),
}

impl Sought {
    /// Takes an event that HTTP has taken too; `searching` tells whether HTTP
    /// lacks bytes and doesn't know where it stands.
    pub(super) fn look(&mut self, event: &StreamEvent<'_>, searching: bool) {
        match self {
            Self::Idle if searching => {
                let mut looking = Box::new(Looking::new(event));
                let now = looking.on_stream(event);
                *self = now.unwrap_or(Self::Looking(looking));
            }
            // A head was found: HTTP goes on.
            Self::Looking(_) if !searching => *self = Self::Idle,
            Self::Looking(looking) => {
                if let Some(now) = looking.on_stream(event) {
                    *self = now;
                }
            }
            Self::Records(rhythm) => rhythm.on_stream(event),
            Self::Idle | Self::Found(_) | Self::Nothing => {}
        }
    }

    /// Whether frames were found, and this event is kept for them.
    pub(super) fn keeps(&mut self, event: &StreamEvent<'_>) -> bool {
        let Self::Found(found) = self else {
            return false;
        };
        found.waiting.push(Kept::of(event));
        true
    }

    /// Nothing was passed over unseen on the way to where it is.
    pub(super) fn is_thorough(&self) -> bool {
        match self {
            Self::Looking(looking) => looking.recognition.is_thorough(),
            Self::Idle | Self::Found(_) | Self::Records(_) => true,
            Self::Nothing => false,
        }
    }

    /// Takes note of an acknowledgment.
    pub(super) fn on_tcp(&mut self, event: &tcp::Event) {
        let acked = match self {
            Self::Looking(looking) => &mut looking.acked,
            Self::Found(found) => &mut found.acked,
            Self::Idle | Self::Records(_) | Self::Nothing => return,
        };
        if let tcp::Event::Acked {
            direction,
            upto,
            at,
            ..
        } = *event
            && acked.len() < ACKS
        {
            acked.push(Acked {
                direction,
                upto,
                at,
            });
        }
    }

    /// The connection or the capture is over: what is likely has to do.
    pub(super) fn finish(&mut self) {
        if let Self::Looking(looking) = self
            && let Recognised::Frames { client } = looking.recognition.finish()
        {
            *self = looking.found(client);
        }
    }

    /// Since when frames are looked for that are not proven yet.
    pub(super) fn since(&self) -> Option<PacketRef> {
        match self {
            Self::Looking(looking) => Some(looking.first),
            Self::Found(found) => Some(found.first),
            Self::Idle | Self::Records(_) | Self::Nothing => None,
        }
    }

    /// Something may still come of it.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Looking(_) | Self::Found(_) | Self::Records(_))
    }

    /// What the sizes of TLS records suggest.
    pub(super) fn suggested(&self) -> Option<Suggested> {
        match self {
            Self::Records(rhythm) => rhythm.suggested(),
            Self::Idle | Self::Looking(_) | Self::Found(_) | Self::Nothing => None,
        }
    }

    /// Bytes of memory held.
    pub(super) fn buffered(&self) -> usize {
        match self {
            Self::Looking(looking) => looking.recognition.buffered(),
            Self::Found(found) => found.recognition.buffered(),
            Self::Idle | Self::Records(_) | Self::Nothing => 0,
        }
    }
}

impl Looking {
    fn new(event: &StreamEvent<'_>) -> Self {
        let first = match event {
            StreamEvent::Chunk(chunk) => chunk.seen,
            StreamEvent::Gap(gap) => gap.at,
            StreamEvent::End(_, at) => *at,
        };
        Self {
            recognition: Recognition::new(),
            rhythm: Rhythm::default(),
            acked: Vec::new(),
            first,
        }
    }

    /// Looks at an event; what the search has become, if it is over.
    fn on_stream(&mut self, event: &StreamEvent<'_>) -> Option<Sought> {
        self.rhythm.on_stream(event);
        if self.rhythm.is_proven() {
            return Some(Sought::Records(Box::new(std::mem::take(&mut self.rhythm))));
        }
        match self.recognition.on_stream(event) {
            Recognised::Undecided => None,
            Recognised::Frames { client } => Some(self.found(client)),
            Recognised::Nothing => Some(Sought::Nothing),
        }
    }

    /// Frames begin at these offsets, unless one goes on there.
    pub(super) fn begins_at(&mut self, offsets: Sides<Option<u64>>) {
        for (direction, offset) in offsets.iter() {
            if let Some(offset) = *offset {
                self.recognition.begins_at(direction, offset);
            }
        }
    }

    fn found(&mut self, client: Direction) -> Sought {
        Sought::Found(Box::new(Found {
            recognition: std::mem::take(&mut self.recognition),
            client,
            acked: std::mem::take(&mut self.acked),
            first: self.first,
            waiting: Vec::new(),
        }))
    }
}

impl Found {
    /// What has the frames, the acknowledgments, and what came after the frames were found.
    pub(super) fn into_parts(self) -> (Recognition, Vec<Acked>, Vec<Kept>) {
        (self.recognition, self.acked, self.waiting)
    }
}

impl Kept {
    pub(super) fn of(event: &StreamEvent<'_>) -> Self {
        match *event {
            StreamEvent::Chunk(chunk) => Self::Chunk {
                direction: chunk.direction,
                offset: chunk.offset,
                bytes: chunk.bytes.to_vec(),
                seen: chunk.seen,
                released: chunk.released,
            },
            StreamEvent::Gap(gap) => Self::Other(StreamEvent::Gap(gap)),
            StreamEvent::End(direction, at) => Self::Other(StreamEvent::End(direction, at)),
        }
    }

    pub(super) fn event(&self) -> StreamEvent<'_> {
        match self {
            Self::Chunk {
                direction,
                offset,
                bytes,
                seen,
                released,
            } => StreamEvent::Chunk(Chunk {
                direction: *direction,
                offset: *offset,
                bytes,
                seen: *seen,
                released: *released,
            }),
            Self::Other(event) => *event,
        }
    }
}

/// The same event of the other direction.
pub(super) fn reversed(event: StreamEvent<'_>) -> StreamEvent<'_> {
    match event {
        StreamEvent::Chunk(mut chunk) => {
            chunk.direction = chunk.direction.reverse();
            StreamEvent::Chunk(chunk)
        }
        StreamEvent::Gap(mut gap) => {
            gap.direction = gap.direction.reverse();
            StreamEvent::Gap(gap)
        }
        StreamEvent::End(direction, at) => StreamEvent::End(direction.reverse(), at),
    }
}
