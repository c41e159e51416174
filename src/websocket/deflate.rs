//! permessage-deflate (RFC 7692): the inflater of one direction.

use flate2::{Decompress, FlushDecompress, Status};

/// The parameters that were agreed on (RFC 7692, section 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deflate {
    /// The server compresses each message on its own.
    pub server_no_context_takeover: bool,
    /// The client does.
    pub client_no_context_takeover: bool,
    /// LZ77 window of the server, 8 to 15; `None` means 15.
    pub server_max_window_bits: Option<u8>,
    /// LZ77 window of the client.
    pub client_max_window_bits: Option<u8>,
}

/// What the sender took off the end of the message (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes that are inflated of one message; what is beyond stays unread.
///
/// Rationale: deflate expands up to 1,032 times, so that a small file could
/// keep the analysis busy for hours. No receiver known to us takes messages of
/// this size unless it is told to (100 MiB is the highest default).
const MAX_INFLATED: u64 = 256 << 20;

/// Compressed bytes kept of a message, to try it again without context.
///
/// Rationale: a message that fails does so whatever its size; the ones that
/// people compress are small.
const MAX_KEPT: usize = 64 << 10;

/// Rationale: a few pages, so that a message of usual size comes in one piece.
const OUTPUT_BLOCK: usize = 8 << 10;

/// What an inflater of zlib's kind allocates: its window of 32 KiB and its tables.
const ENGINE_BYTES: usize = (32 << 10) + (8 << 10) + OUTPUT_BLOCK;

/// Why inflating a message stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// After so many inflated bytes come some that aren't deflate's, or that
    /// refer to what isn't there. (Which of both, zlib-rs says only on its slow path.)
    Broken(u64),
    /// The message is larger than we read.
    TooLarge,
    /// It can't be read without messages that are missing; or it is broken,
    /// which can't be told then.
    OutOfContext,
}

/// How far back the messages are known to which later ones may refer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// As far as the window reaches.
    Whole,
    /// To the last one that is missing or unreadable. A message that refers to
    /// nothing before that is read exactly: the inflater's window holds what
    /// was sent since and nothing else, and it refuses any distance that
    /// reaches beyond.
    Partial {
        /// It was said that there are messages that can't be read.
        said: bool,
    },
}

/// The window of deflate (RFC 1951, section 2): nothing refers further back.
const WINDOW: u64 = 32 << 10;

/// Inflates the messages of one direction. Costs nothing until the first
/// compressed message.
#[derive(Debug)]
pub(super) struct Inflater {
    /// The sender keeps its context from message to message.
    takeover: bool,
    context: Context,
    engine: Option<Box<Engine>>,
}

#[derive(Debug)]
struct Engine {
    /// The window is 15 bits wide: that accepts all smaller ones.
    inflate: Decompress,
    output: Box<[u8]>,
    /// Bytes of earlier messages stand in the window.
    history: bool,
    /// The last block was a final one and nothing followed.
    ended: bool,
    /// Nothing of this message came yet.
    empty: bool,
    /// Bytes inflated of this message.
    inflated: u64,
    /// The compressed message, while it is no longer than [`MAX_KEPT`].
    kept: Vec<u8>,
    kept_all: bool,
}

impl Inflater {
    pub(super) const fn new(takeover: bool) -> Self {
        Self {
            takeover,
            context: Context::Whole,
            engine: None,
        }
    }

    /// Begins a message.
    pub(super) fn begin(&mut self) {
        let engine = self.engine.get_or_insert_with(Engine::boxed);
        engine.begin(self.takeover);
        if self.context != Context::Whole && engine.history && engine.known() >= WINDOW {
            self.context = Context::Whole;
        }
    }

    /// Takes the next compressed bytes of the message.
    pub(super) fn push(&mut self, bytes: &[u8], read: &mut impl FnMut(&[u8])) -> Result<(), Stop> {
        let Some(engine) = &mut self.engine else {
            return Ok(());
        };
        engine.keep(bytes, self.takeover);
        let read = engine.inflate(bytes, read);
        read.map_err(|stop| self.explain(stop))
    }

    /// After a failure: keeps the bytes for [`retry`](Self::retry), no more.
    pub(super) fn push_failed(&mut self, bytes: &[u8]) {
        if let Some(engine) = &mut self.engine {
            engine.keep(bytes, self.takeover);
        }
    }

    /// Ends the message, in which nothing failed so far.
    pub(super) fn end(&mut self, read: &mut impl FnMut(&[u8])) -> Result<(), Stop> {
        let read = self
            .engine
            .as_mut()
            .map_or(Ok(()), |engine| engine.end(read));
        read.map_err(|stop| self.explain(stop))
    }

    /// Where messages are missing, nobody can be blamed.
    fn explain(&self, stop: Stop) -> Stop {
        match (stop, self.context) {
            (Stop::Broken(_), Context::Partial { .. }) => Stop::OutOfContext,
            (stop, _) => stop,
        }
    }

    /// Inflates the message that failed once more, whole, without the context
    /// of those before it. True if that works; `read` then gets it from its
    /// first byte on, and the next message goes on from this one.
    pub(super) fn retry(&mut self, read: &mut impl FnMut(&[u8])) -> bool {
        let Some(engine) = &mut self.engine else {
            return false;
        };
        if !(self.takeover && engine.history && engine.kept_all) {
            return false;
        }
        let message = std::mem::take(&mut engine.kept);
        engine.begin(false);
        let works = engine.inflate(&message, read).is_ok() && engine.end(read).is_ok();
        engine.kept = message;
        works
    }

    /// A message of this direction is missing or broken: what comes next
    /// begins with an empty window.
    pub(super) fn lose_context(&mut self) {
        if self.takeover {
            if self.context == Context::Whole {
                self.context = Context::Partial { said: false };
            }
            self.engine = None;
        }
    }

    /// A message can't be read for what is missing: true for the first of them.
    pub(super) fn is_first_unread(&mut self) -> bool {
        match &mut self.context {
            Context::Partial { said } => !std::mem::replace(said, true),
            Context::Whole => false,
        }
    }

    /// Gives the memory back: no message comes any more.
    pub(super) fn release(&mut self) {
        self.engine = None;
    }

    /// Bytes of memory held.
    pub(super) fn buffered(&self) -> usize {
        self.engine.as_ref().map_or(0, |engine| {
            ENGINE_BYTES.saturating_add(engine.kept.capacity())
        })
    }
}

impl Engine {
    fn boxed() -> Box<Self> {
        Box::new(Self {
            inflate: Decompress::new(false),
            output: vec![0; OUTPUT_BLOCK].into_boxed_slice(),
            history: false,
            ended: false,
            empty: true,
            inflated: 0,
            kept: Vec::new(),
            kept_all: true,
        })
    }

    /// Bytes that stand in the window, or would if it were larger.
    fn known(&self) -> u64 {
        self.inflate.total_out()
    }

    fn begin(&mut self, takeover: bool) {
        self.history = takeover && self.inflate.total_in() > 0;
        if !self.history {
            self.inflate.reset(false);
            self.ended = false;
        }
        self.empty = true;
        self.inflated = 0;
        self.kept.clear();
        self.kept_all = true;
    }

    /// Keeps what a second try needs. Without history there is nothing to try.
    fn keep(&mut self, bytes: &[u8], takeover: bool) {
        if !(takeover && self.history && self.kept_all) {
            return;
        }
        if self.kept.len().saturating_add(bytes.len()) > MAX_KEPT {
            self.kept_all = false;
            self.kept.clear();
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }

    fn inflate(&mut self, mut input: &[u8], read: &mut impl FnMut(&[u8])) -> Result<(), Stop> {
        self.empty &= input.is_empty();
        loop {
            let before = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(input, &mut self.output, FlushDecompress::Sync);
            let consumed = difference(self.inflate.total_in(), before.0);
            let produced = difference(self.inflate.total_out(), before.1);
            read(self.output.get(..produced).unwrap_or_default());
            self.inflated = self.inflated.saturating_add(produced as u64);
            input = input.get(consumed..).unwrap_or_default();
            self.ended &= consumed == 0;
            match status {
                Err(_) => return Err(Stop::Broken(self.inflated)),
                // RFC 7692, section 7.2.3.4: a message may end with a final
                // block. Browsers then begin anew, without context, and so do we.
                Ok(Status::StreamEnd) => {
                    self.inflate.reset(false);
                    self.ended = true;
                    if input.is_empty() {
                        return Ok(());
                    }
                }
                Ok(Status::Ok | Status::BufError) => {
                    let full = produced == self.output.len();
                    if !full && (input.is_empty() || consumed == 0 && produced == 0) {
                        return Ok(());
                    }
                }
            }
            if self.inflated > MAX_INFLATED {
                return Err(Stop::TooLarge);
            }
        }
    }

    fn end(&mut self, read: &mut impl FnMut(&[u8])) -> Result<(), Stop> {
        // A message without any bytes should be one byte of zero (RFC 7692, section
        // 7.2.3.6); the tail alone would leave the inflater inside a block.
        if self.ended || self.empty {
            Ok(())
        } else {
            self.inflate(&TAIL, read)
        }
    }
}

fn difference(now: u64, before: u64) -> usize {
    usize::try_from(now.saturating_sub(before)).unwrap_or(usize::MAX)
}
