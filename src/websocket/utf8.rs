//! UTF-8 validation of text that comes in pieces (RFC 6455, section 8.1).

/// The first byte that can't stand where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadByte {
    /// Its position in the text: the start of the ill-formed sequence.
    pub(super) offset: u64,
    /// The byte.
    pub(super) byte: u8,
}

/// Text as far as it was validated.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    /// Bytes that are valid.
    valid: u64,
    /// A character that began and isn't complete, at `valid`.
    begun: [u8; 4],
    begun_len: usize,
}

impl Utf8 {
    /// Validates the next bytes of the text.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), BadByte> {
        if self.begun_len > 0 {
            bytes = self.complete(bytes)?;
        }
        if simdutf8::basic::from_utf8(bytes).is_ok() {
            self.valid = self.valid.saturating_add(bytes.len() as u64);
            return Ok(());
        }
        self.push_to_the_error(bytes)
    }

    /// Says whether the text may end here.
    pub(super) fn end(&self) -> Result<(), BadByte> {
        match self.begun.first() {
            Some(&byte) if self.begun_len > 0 => Err(BadByte {
                offset: self.valid,
                byte,
            }),
            _ => Ok(()),
        }
    }

    /// Adds bytes to the character that began earlier; returns those after it.
    fn complete<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadByte> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if let Some(slot) = self.begun.get_mut(self.begun_len) {
                *slot = byte;
            }
            self.begun_len += 1;
            rest = after;
            let character = self.begun.get(..self.begun_len).unwrap_or(&self.begun);
            match std::str::from_utf8(character) {
                Ok(_) => {
                    self.valid = self.valid.saturating_add(self.begun_len as u64);
                    self.begun_len = 0;
                    break;
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return self.end().map(|()| rest),
            }
        }
        Ok(rest)
    }

    /// `bytes` end inside a character, or aren't UTF-8.
    #[cold]
    fn push_to_the_error(&mut self, bytes: &[u8]) -> Result<(), BadByte> {
        let Err(error) = simdutf8::compat::from_utf8(bytes) else {
            return Ok(());
        };
        self.valid = self.valid.saturating_add(error.valid_up_to() as u64);
        let rest = bytes.get(error.valid_up_to()..).unwrap_or_default();
        match (error.error_len(), rest.first()) {
            (Some(_), Some(&byte)) => Err(BadByte {
                offset: self.valid,
                byte,
            }),
            _ => {
                self.begun_len = rest.len().min(self.begun.len());
                self.begun
                    .iter_mut()
                    .zip(rest)
                    .for_each(|(slot, byte)| *slot = *byte);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the standard library says of the whole text.
    fn whole(text: &[u8]) -> Result<(), BadByte> {
        std::str::from_utf8(text)
            .map(|_| ())
            .map_err(|error| BadByte {
                offset: error.valid_up_to() as u64,
                byte: text[error.valid_up_to()],
            })
    }

    fn in_pieces(text: &[u8], size: usize) -> Result<(), BadByte> {
        let mut utf8 = Utf8::default();
        for piece in text.chunks(size) {
            utf8.push(piece)?;
        }
        utf8.end()
    }

    #[test]
    fn a_character_may_straddle_pieces() {
        assert_eq!(in_pieces("żółw 🐢".as_bytes(), 1), Ok(()));
    }

    #[test]
    fn a_surrogate_is_bad_where_it_begins() {
        let bad = BadByte {
            offset: 2,
            byte: 0xed,
        };
        assert_eq!(in_pieces(b"ab\xed\xa0\x80", 1), Err(bad));
    }

    #[test]
    fn text_must_not_end_inside_a_character() {
        assert_eq!(
            in_pieces(b"ab\xe2\x82", 2),
            Err(BadByte {
                offset: 2,
                byte: 0xe2
            })
        );
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole_is(
            mut text in "\\PC{0,60}".prop_map(String::into_bytes),
            spoil in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
            size in 1usize..9,
        ) {
            if let (Some((at, byte)), false) = (spoil, text.is_empty()) {
                let at = at.index(text.len());
                text[at] = byte;
            }
            prop_assert_eq!(in_pieces(&text, size), whole(&text));
        }
    }
}
