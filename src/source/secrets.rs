//! The secrets that a capture file carries within itself, found before its
//! packets are read: a block of them may stand behind the packets that it opens.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use super::{CaptureFile, Input, Source as _};

/// pcapng, section 4.1: a section begins.
const SECTION: u32 = 0x0a0d_0d0a;
/// pcapng, section 4.7: Decryption Secrets Block.
const SECRETS: u32 = 0x0000_000a;
/// `TLSK`: the text of an SSLKEYLOGFILE.
const TLS_KEY_LOG: u32 = 0x544c_534b;
/// The option of every block that is a comment.
const COMMENT: u16 = 1;
/// The longest block that is looked into.
///
/// Rationale: a key log of 16 MiB holds the secrets of 20,000 connections.
const LONGEST: u32 = 16 << 20;

/// Hands over the text of every key log in a pcapng file: secrets blocks,
/// and comments of sections. Reads of other blocks only their lengths. What is
/// damaged ends it; who reads the packets tells that.
pub fn embedded_key_logs(path: &Path, mut each: impl FnMut(&[u8])) {
    let Ok(file) = File::open(path) else { return };
    if !file.metadata().is_ok_and(|file| file.is_file()) {
        return;
    }
    let mut input = BufReader::with_capacity(1 << 18, file);
    let mut magic = [0; 4];
    if input.read_exact(&mut magic).is_err() {
        return;
    }
    match u32::from_le_bytes(magic) {
        SECTION => {
            let _ = input.seek(SeekFrom::Start(0));
            let _ = scan(&mut input, &mut each);
        }
        // pcap has no place for secrets.
        0xa1b2_c3d4 | 0xa1b2_3c4d | 0xd4c3_b2a1 | 0x4d3c_b2a1 => {}
        _ => unpack(path, &mut each),
    }
}

/// A compressed file has to be read as a whole.
fn unpack(path: &Path, each: &mut impl FnMut(&[u8])) {
    let Ok(mut file) = CaptureFile::open(path, 0) else {
        return;
    };
    while let Ok(Some(input)) = file.next() {
        if let Input::KeyLog(text) = input {
            each(text);
        }
    }
}

fn scan(input: &mut BufReader<File>, each: &mut impl FnMut(&[u8])) -> Option<()> {
    let mut little = true;
    loop {
        let mut head = [0; 8];
        input.read_exact(&mut head).ok()?;
        let (kind, len) = head.split_first_chunk::<4>()?;
        let len = <[u8; 4]>::try_from(len).ok()?;
        // The type of a section header reads the same in both orders.
        if u32::from_le_bytes(*kind) == SECTION {
            let mut order = [0; 4];
            input.read_exact(&mut order).ok()?;
            little = order == 0x1a2b_3c4d_u32.to_le_bytes();
            let len = number(len, little);
            let body = body(input, len.checked_sub(12)?)?;
            comments(body.get(12..)?, little, each);
            continue;
        }
        let (kind, len) = (number(*kind, little), number(len, little));
        let rest = len.checked_sub(8)?;
        if kind == SECRETS && len <= LONGEST {
            let body = body(input, rest)?;
            let (kind, body) = body.split_first_chunk::<4>()?;
            let (len, body) = body.split_first_chunk::<4>()?;
            let len = usize::try_from(number(*len, little)).ok()?;
            if number(*kind, little) == TLS_KEY_LOG {
                each(body.get(..len)?);
            }
        } else {
            input.seek_relative(i64::from(rest)).ok()?;
        }
    }
}

fn number(bytes: [u8; 4], little: bool) -> u32 {
    match little {
        true => u32::from_le_bytes(bytes),
        false => u32::from_be_bytes(bytes),
    }
}

fn body(input: &mut BufReader<File>, len: u32) -> Option<Vec<u8>> {
    if len > LONGEST {
        return None;
    }
    let mut body = vec![0; usize::try_from(len).ok()?];
    input.read_exact(&mut body).ok()?;
    Some(body)
}

/// Hands over the comments among a block's options.
fn comments(mut options: &[u8], little: bool, each: &mut impl FnMut(&[u8])) -> Option<()> {
    loop {
        let (head, rest) = options.split_first_chunk::<4>()?;
        let [a, b, c, d] = *head;
        let read = |pair: [u8; 2]| match little {
            true => u16::from_le_bytes(pair),
            false => u16::from_be_bytes(pair),
        };
        let (code, len) = (read([a, b]), usize::from(read([c, d])));
        if code == 0 {
            return None;
        }
        if code == COMMENT {
            each(rest.get(..len)?);
        }
        options = rest.get(len.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let len = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
        [&kind.to_le_bytes(), &len[..], &body, &len].concat()
    }

    fn section(comment: &str) -> Vec<u8> {
        let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]);
        body.extend([0xff; 8]);
        body.extend(COMMENT.to_le_bytes());
        body.extend(u16::try_from(comment.len()).unwrap().to_le_bytes());
        body.extend(comment.as_bytes());
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend([0; 4]);
        block(SECTION, &body)
    }

    fn secrets(text: &str) -> Vec<u8> {
        let len = u32::try_from(text.len()).unwrap();
        let head = [TLS_KEY_LOG.to_le_bytes(), len.to_le_bytes()].concat();
        block(SECRETS, &[&head, text.as_bytes()].concat())
    }

    #[test]
    fn secrets_behind_packets_and_in_later_sections_are_found() {
        let packet = block(6, &[0; 60]);
        let file = [
            section("CLIENT_RANDOM a b"),
            packet.clone(),
            secrets("one"),
            section(""),
            packet,
            secrets("two"),
        ]
        .concat();
        let path = std::env::temp_dir().join(format!("wscope-secrets-{}", std::process::id()));
        std::fs::write(&path, file).unwrap();
        let mut found = Vec::new();
        embedded_key_logs(&path, |text| {
            found.push(String::from_utf8(text.to_vec()).unwrap());
        });
        std::fs::remove_file(&path).unwrap();
        assert_eq!(found, ["CLIENT_RANDOM a b", "one", "", "two"]);
    }
}
