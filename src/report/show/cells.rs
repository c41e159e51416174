//! Text in columns of a terminal, harmless to it.

use super::row::Preview;
use crate::report::messages::shown;
use crate::session::Opcode;

/// The beginning of a payload, on one line, safe for a terminal.
pub(super) fn beginning(preview: &Preview, room: usize) -> String {
    let bytes = preview.bytes.as_slice();
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => bytes
            .get(..error.valid_up_to())
            .filter(|_| error.error_len().is_none())
            .and_then(|bytes| std::str::from_utf8(bytes).ok()),
    };
    match (preview.opcode, valid) {
        (Opcode::Text, Some(text)) => fit(text, room),
        _ => {
            let hex: Vec<String> = bytes
                .iter()
                .take(room / 3)
                .map(|b| format!("{b:02x}"))
                .collect();
            hex.join(" ")
        }
    }
}

/// `text`, harmless, in so many columns; of a longer one its beginning.
pub(super) fn fit(text: &str, room: usize) -> String {
    let text = shown(text, usize::MAX);
    if columns(&text) <= room {
        return text;
    }
    let (mut line, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += width(c);
        if used > room {
            break;
        }
        line.push(c);
    }
    line.push('…');
    line
}

/// `text`, harmless, in at most so many lines of so many columns. Words that are longer are broken.
pub(super) fn lines(text: &str, room: usize, most: usize) -> Vec<String> {
    let text = shown(text, usize::MAX);
    let room = room.max(8);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let wide = columns(word);
        if !line.is_empty() && columns(&line) + 1 + wide <= room {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if columns(&line) + width(c) > room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
        if lines.len() > most {
            break;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = fit(&format!("{last} …"), room);
        }
    }
    lines
}

pub(super) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// How many columns of a terminal a character takes: East Asian ones and pictures take two.
fn width(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2600..=0x27bf
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f000.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_broken_and_long_texts_end() {
        assert_eq!(
            lines("GET /aaaaaaaaaaaa x", 10, 9),
            ["GET", "/aaaaaaaaa", "aaa x"]
        );
        assert_eq!(
            lines("one two three four five", 9, 2),
            ["one two", "three …"]
        );
        assert!(lines("", 10, 3).is_empty());
    }

    #[test]
    fn a_wide_character_takes_two_columns() {
        assert_eq!(fit("日本語日本語", 7), "日本語…");
        assert_eq!(fit("a\u{1b}[31m\u{202e}b\u{2028}", 20), "a·[31m·b·");
    }
}
