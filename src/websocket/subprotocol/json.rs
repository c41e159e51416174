//! JSON (RFC 8259), read shallowly: the members of one object or the elements
//! of one array, without a tree and without an allocation.

use std::borrow::Cow;

/// A value, as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A string without its quotes, its escapes as they are.
    Text(&'a [u8]),
    Number(&'a [u8]),
    /// With its braces.
    Object(&'a [u8]),
    /// With its brackets.
    Array(&'a [u8]),
    True,
    False,
    Null,
}

impl<'a> Value<'a> {
    /// A string's bytes between its quotes.
    pub(super) const fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) const fn object(self) -> Option<&'a [u8]> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(super) const fn array(self) -> Option<&'a [u8]> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// A whole number that isn't negative.
    pub(super) fn count(self) -> Option<u64> {
        match self {
            Self::Number(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn is(self, text: &str) -> bool {
        self.text() == Some(text.as_bytes())
    }

    /// A string or a number, for people; nothing of what is nested.
    pub(super) fn plain(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(unescaped(text)),
            Self::Number(digits) => Some(String::from_utf8_lossy(digits)),
            _ => None,
        }
    }
}

/// Why reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// At the end of the object or array.
    End,
    /// The text ended first.
    Cut,
    /// This byte can't stand there.
    Malformed(usize),
    /// Nested deeper than anyone looks.
    Deep,
}

/// Rationale: as many as the default of common parsers; what is nested deeper isn't judged.
const DEEPEST: u32 = 128;

/// Where in a text we stand.
#[derive(Clone, Copy, Debug)]
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::Cut)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// What stands next but for space.
    fn next(&mut self) -> Result<u8, Stop> {
        self.space();
        self.peek()
    }

    fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    const fn fault<T>(&self) -> Result<T, Stop> {
        Err(Stop::Malformed(self.at))
    }

    fn value(&mut self) -> Result<Value<'a>, Stop> {
        let first = self.next()?;
        let start = self.at;
        match first {
            b'{' => self.nested().map(|()| Value::Object(self.since(start))),
            b'[' => self.nested().map(|()| Value::Array(self.since(start))),
            _ => self.scalar(first),
        }
    }

    fn scalar(&mut self, first: u8) -> Result<Value<'a>, Stop> {
        match first {
            b'"' => self.string().map(Value::Text),
            b't' => self.literal(b"true", Value::True),
            b'f' => self.literal(b"false", Value::False),
            b'n' => self.literal(b"null", Value::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.fault(),
        }
    }

    fn literal(&mut self, word: &[u8], value: Value<'a>) -> Result<Value<'a>, Stop> {
        for expected in word {
            if self.peek()? != *expected {
                return self.fault();
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value<'a>, Stop> {
        let start = self.at;
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if let Ok(b'.') = self.peek() {
            self.at += 1;
            self.digits()?;
        }
        if let Ok(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Ok(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Value::Number(self.since(start)))
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Stop> {
        if !self.peek()?.is_ascii_digit() {
            return self.fault();
        }
        while self.peek().is_ok_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    /// A string, whose opening quote stands next.
    fn string(&mut self) -> Result<&'a [u8], Stop> {
        self.at += 1;
        let start = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            let text = rest.get(..plain).unwrap_or_default();
            // The least of all bytes, without a branch for each.
            if text.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20 {
                let control = text.iter().position(|byte| *byte < 0x20);
                self.at += control.unwrap_or_default();
                return self.fault();
            }
            self.at += plain;
            if self.peek()? == b'"' {
                let text = self.since(start);
                self.at += 1;
                return Ok(text);
            }
            self.at += 1;
            self.escape()?;
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), Stop> {
        let digits = match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 0,
            b'u' => 4,
            _ => return self.fault(),
        };
        self.at += 1;
        for _ in 0..digits {
            if !self.peek()?.is_ascii_hexdigit() {
                return self.fault();
            }
            self.at += 1;
        }
        Ok(())
    }

    fn key(&mut self) -> Result<&'a [u8], Stop> {
        if self.next()? != b'"' {
            return self.fault();
        }
        let key = self.string()?;
        if self.next()? != b':' {
            return self.fault();
        }
        self.at += 1;
        Ok(key)
    }

    /// An object or an array with all that is in it.
    fn nested(&mut self) -> Result<(), Stop> {
        // One bit for each level: 1 for an object.
        let mut kinds: u128 = 0;
        let mut depth = 0;
        loop {
            let first = self.next()?;
            match first {
                b'{' | b'[' if depth == DEEPEST => return Err(Stop::Deep),
                b'{' => {
                    self.at += 1;
                    if self.next()? == b'}' {
                        self.at += 1;
                    } else {
                        (kinds, depth) = (kinds << 1 | 1, depth + 1);
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if self.next()? == b']' {
                        self.at += 1;
                    } else {
                        (kinds, depth) = (kinds << 1, depth + 1);
                        continue;
                    }
                }
                _ => drop(self.scalar(first)?),
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = kinds & 1 == 1;
                match (self.next()?, object) {
                    (b',', true) => {
                        self.at += 1;
                        self.key()?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        (kinds, depth) = (kinds >> 1, depth - 1);
                    }
                    _ => return self.fault(),
                }
            }
        }
    }
}

/// The members of an object, or the elements of an array, one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items<'a> {
    scan: Scan<'a>,
    begun: bool,
    close: u8,
    stop: Option<Stop>,
}

impl<'a> Items<'a> {
    fn of(bytes: &'a [u8], open: u8, close: u8) -> Self {
        let mut scan = Scan { bytes, at: 0 };
        let stop = match scan.next() {
            Ok(first) if first == open => None,
            Ok(_) => Some(Stop::Malformed(scan.at)),
            Err(stop) => Some(stop),
        };
        scan.at += 1;
        Self {
            scan,
            begun: false,
            close,
            stop,
        }
    }

    /// Why there are no more; `None` while there may be.
    pub(super) const fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Steps over the comma; false at the end.
    fn step(&mut self) -> Result<bool, Stop> {
        let next = self.scan.next()?;
        let first = !std::mem::replace(&mut self.begun, true);
        if next == self.close {
            self.scan.at += 1;
            return Ok(false);
        }
        match (next, first) {
            (_, true) => Ok(true),
            (b',', false) => {
                self.scan.at += 1;
                Ok(true)
            }
            (_, false) => self.scan.fault(),
        }
    }

    fn read<T>(&mut self, item: impl FnOnce(&mut Scan<'a>) -> Result<T, Stop>) -> Option<T> {
        if self.stop.is_some() {
            return None;
        }
        let read = match self.step() {
            Ok(true) => item(&mut self.scan),
            Ok(false) => Err(Stop::End),
            Err(stop) => Err(stop),
        };
        read.map_err(|stop| self.stop = Some(stop)).ok()
    }
}

/// The members of the object that `bytes` begins with.
pub(super) fn members(bytes: &[u8]) -> Members<'_> {
    Members(Items::of(bytes, b'{', b'}'))
}

/// The elements of the array that `bytes` begins with.
pub(super) fn elements(bytes: &[u8]) -> Elements<'_> {
    Elements(Items::of(bytes, b'[', b']'))
}

/// See [`members`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'a>(pub(super) Items<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.read(|scan| Ok((scan.key()?, scan.value()?)))
    }
}

/// See [`elements`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a>(pub(super) Items<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.read(Scan::value)
    }
}

/// The first `N` elements of an array.
pub(super) fn first<const N: usize>(bytes: &[u8]) -> [Option<Value<'_>>; N] {
    let mut elements = elements(bytes);
    std::array::from_fn(|_| elements.next())
}

/// Chosen members of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picked<'a, const N: usize> {
    /// In the order of the names; of a name that comes twice the last.
    pub(super) values: [Option<Value<'a>>; N],
    /// Why reading ended.
    pub(super) stop: Stop,
}

/// The members of these names of the object that `bytes` begins with.
pub(super) fn pick<'a, const N: usize>(bytes: &'a [u8], names: [&str; N]) -> Picked<'a, N> {
    let mut values = [None; N];
    let mut members = members(bytes);
    for (key, value) in members.by_ref() {
        let named = names.iter().zip(&mut values);
        for (_, slot) in named.filter(|(name, _)| name.as_bytes() == key) {
            *slot = Some(value);
        }
    }
    let stop = members.0.stop().unwrap_or(Stop::End);
    Picked { values, stop }
}

/// One member of an object.
pub(super) fn member<'a>(bytes: &'a [u8], name: &str) -> Option<Value<'a>> {
    let [value] = pick(bytes, [name]).values;
    value
}

#[cfg(test)]
/// Where `bytes` stops to be JSON; `None` where all of it is, or where that can't be told.
pub(super) fn fault(bytes: &[u8]) -> Option<usize> {
    let mut scan = Scan { bytes, at: 0 };
    match scan.value() {
        Ok(_) => match scan.next() {
            Ok(_) => Some(scan.at),
            Err(_) => None,
        },
        Err(Stop::Malformed(at)) => Some(at),
        Err(Stop::Cut) => Some(bytes.len()),
        Err(Stop::Deep | Stop::End) => None,
    }
}

/// A string without its escapes.
pub(super) fn unescaped(text: &[u8]) -> Cow<'_, str> {
    if !text.contains(&b'\\') {
        return String::from_utf8_lossy(text);
    }
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(text);
    quoted.push(b'"');
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text),
        Err(_) => String::from_utf8_lossy(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_of_the_top_level_are_picked_and_nested_ones_are_not() {
        let text = br#" {"id" : 7, "params": {"id": 8, "x": [1, "]}"]}, "method":"a\"b"}"#;
        let picked = pick(text, ["id", "method", "error"]);
        let expected = [
            Some(Value::Number(b"7")),
            Some(Value::Text(br#"a\"b"#)),
            None,
        ];
        assert_eq!((picked.values, picked.stop), (expected, Stop::End));
    }

    #[test]
    fn a_text_that_is_cut_gives_what_came_before() {
        let picked = pick(br#"{"id":"u1","payload":{"a":"#, ["id"]);
        assert_eq!(picked.values, [Some(Value::Text(b"u1"))]);
        assert_eq!(picked.stop, Stop::Cut);
    }

    #[test]
    fn the_place_of_a_fault_is_told() {
        assert_eq!(fault(br#"{"a":1,}"#), Some(7));
        assert_eq!(fault(br#"{"a":tru}"#), Some(8));
        assert_eq!(fault(br#"{"a":1"#), Some(6));
        assert_eq!(fault(b"[1] 2"), Some(4));
        assert_eq!(fault(b"  [1, {}, []] \n"), None);
    }

    #[test]
    fn what_is_nested_too_deep_is_not_judged() {
        let deep = "[".repeat(200);
        assert_eq!(fault(deep.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_full_parser(text in r#"[\[\]{}",:0-9a-eltrusn.\\ -]{0,24}"#) {
            let parsed = serde_json::from_str::<serde_json::Value>(&text);
            // A number that is too large for a full parser is JSON all the same.
            let range = parsed.as_ref().is_err_and(|fault| fault.to_string().contains("out of range"));
            let escaped = text.contains("\\u");
            if !range && !escaped {
                prop_assert_eq!(fault(text.as_bytes()).is_none(), parsed.is_ok());
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            fault(&bytes);
            members(&bytes).for_each(drop);
            elements(&bytes).for_each(drop);
        }
    }
}
