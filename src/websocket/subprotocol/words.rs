//! Short texts of messages that are kept in place: ids and names.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest, Sha256};

use super::json::Value;

/// Rationale: a UUID has 36 characters, a method rarely more than 40; with its
/// length a word fills 48 bytes.
const ROOM: usize = 47;

/// The beginning of a short text, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word {
    bytes: [u8; ROOM],
    len: u8,
}

impl Default for Word {
    fn default() -> Self {
        Self::of(b"")
    }
}

impl Word {
    /// The first 47 bytes of a text.
    pub fn of(text: &[u8]) -> Self {
        let mut word = Self {
            bytes: [0; ROOM],
            len: 0,
        };
        word.push(text);
        word
    }

    /// Adds as much of `text` as fits.
    pub(super) fn push(&mut self, text: &[u8]) {
        let free = self.bytes.get_mut(usize::from(self.len)..);
        let mut pushed = 0;
        for (slot, byte) in free.unwrap_or_default().iter_mut().zip(text) {
            *slot = *byte;
            pushed += 1;
        }
        self.len += pushed;
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// For people.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes())
    }

    /// It may be but the beginning of a longer text.
    pub const fn may_be_cut(&self) -> bool {
        self.len as usize >= ROOM
    }

    /// Nothing.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

/// By what a reply says which request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Among the ids of one side, those of one kind: `7` is not `"7"`.
    space: Space,
    /// The id, or the beginning and the digest of a longer one.
    word: Word,
}

/// Which of a protocol's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Space {
    Text,
    Number,
    /// Of a kind of its own, which the protocol numbers.
    Kind(u8),
}

impl Id {
    /// An id of these pieces.
    pub(super) fn of(space: Space, pieces: &[&[u8]]) -> Self {
        let len: usize = pieces.iter().map(|piece| piece.len() + 1).sum();
        let mut word = Word::of(b"");
        if len <= ROOM + 1 {
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    word.push(b" ");
                }
                word.push(piece);
            }
            return Self { space, word };
        }
        let mut digest = Sha256::new();
        for piece in pieces {
            digest.update((piece.len() as u64).to_be_bytes());
            digest.update(piece);
        }
        let first = pieces.first().copied().unwrap_or_default();
        word.push(first.get(..ROOM - 32).unwrap_or(first));
        word.push(&digest.finalize());
        Self { space, word }
    }

    /// A JSON string or number; nothing else is an id.
    pub(super) fn of_json(value: Option<Value<'_>>) -> Option<Self> {
        match value? {
            Value::Text(text) => Some(Self::of(Space::Text, &[text])),
            Value::Number(digits) => Some(Self::of(Space::Number, &[digits])),
            _ => None,
        }
    }

    /// Any id, for tests.
    #[cfg(test)]
    pub(crate) fn numbered(number: u64) -> Self {
        Self::of_number(0, number)
    }

    /// A number of a binary protocol.
    pub(super) fn of_number(kind: u8, number: u64) -> Self {
        let mut digits = [0; 20];
        let mut rest = number;
        let mut start = digits.len();
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            start -= 1;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let digits = digits.get(start..).unwrap_or_default();
        Self::of(Space::Kind(kind), &[digits])
    }

    /// The same characters as a number where it is a string, and the other way round.
    pub fn of_other_type(self) -> Option<Self> {
        let space = match self.space {
            Space::Text => Space::Number,
            Space::Number => Space::Text,
            Space::Kind(_) => return None,
        };
        Some(Self { space, ..self })
    }

    /// For people.
    pub fn text(&self) -> Cow<'_, str> {
        match usize::from(self.word.len) {
            ROOM => Cow::Owned(format!(
                "{}…",
                String::from_utf8_lossy(self.word.bytes().get(..ROOM - 32).unwrap_or_default())
            )),
            _ => self.word.text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_that_begin_alike_are_told_apart() {
        let long = [b'x'; 80];
        let mut other = long;
        other[79] = b'y';
        let id = |text: &[u8]| Id::of(Space::Text, &[text]);
        assert_ne!(id(&long), id(&other));
        assert_eq!(id(&long), id(&long));
    }

    #[test]
    fn a_number_is_no_string_of_the_same_digits() {
        let number = Id::of_json(Some(Value::Number(b"7")));
        let text = Id::of_json(Some(Value::Text(b"7")));
        assert_ne!(number, text);
        assert_eq!(number.and_then(Id::of_other_type), text);
        assert_eq!(Id::of_number(1, 65_535).text(), "65535");
        assert_eq!(Id::of_number(1, 0).text(), "0");
    }
}
