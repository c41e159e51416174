//! What the first bytes of a file say that it is.

use super::unpack::Method;
use super::{pcap, pcapng};

/// How many bytes [`recognise`] wants to see, if the file has them.
pub(super) const ENOUGH: usize = 64;

/// What a file is, by its magic number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pcap,
    Pcapng,
    /// Unpacked on the way.
    Packed(Method),
    /// Unpacked by the user, with this command.
    Compressed {
        method: &'static str,
        command: &'static str,
    },
    /// Something else.
    Other {
        found: &'static str,
        way_out: &'static str,
    },
}

const GIVE: &str = "give a file written by tcpdump -w, dumpcap or Wireshark";
const CONVERT: &str = "convert it: editcap -F pcapng IN OUT";

/// Magic numbers of what people have beside captures.
static OTHERS: [(&[u8], &str, &str); 10] = [
    (
        b"version https://git-lfs",
        "it is a Git LFS pointer",
        "fetch the file: git lfs pull",
    ),
    (b"snoop\0\0\0", "it is a snoop capture", CONVERT),
    (b"GMBU", "it is a Network Monitor capture", CONVERT),
    (b"RTSS", "it is a Network Monitor capture", CONVERT),
    (b"MDMP", "it is a memory dump", GIVE),
    (b"\x7fELF", "it is a program", GIVE),
    (b"LPKSHHRH", "it is a systemd journal", GIVE),
    (
        b"PK\x03\x04",
        "it is a zip archive",
        "unpack it with unzip, and give the capture inside",
    ),
    (b"{", "it begins with a JSON object", GIVE),
    (b"<", "it begins with markup", GIVE),
];

/// Recognises what begins with `bytes`.
pub(super) fn recognise(bytes: &[u8]) -> Kind {
    if pcap::begins(bytes) {
        return Kind::Pcap;
    }
    if bytes.starts_with(&pcapng::SECTION_HEADER) {
        return Kind::Pcapng;
    }
    match bytes {
        [0x1f, 0x8b, ..] => Kind::Packed(Method::Gzip),
        // Before the frames of several threads stands one of their lengths (pzstd).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Kind::Packed(Method::Zstd)
        }
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Kind::Packed(Method::Lz4),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Kind::Packed(Method::Xz),
        [b'B', b'Z', b'h', ..] => Kind::Compressed {
            method: "bzip2",
            command: "bzip2 -d",
        },
        _ => other(bytes),
    }
}

fn other(bytes: &[u8]) -> Kind {
    for (magic, found, way_out) in &OTHERS {
        if bytes.starts_with(magic) {
            return Kind::Other { found, way_out };
        }
    }
    let found = if is_text(bytes) {
        "it begins with text"
    } else {
        "its first bytes are of no format known here"
    };
    Kind::Other {
        found,
        way_out: GIVE,
    }
}

/// Whether a person could read it. UTF-8 that is cut in a character counts.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty()
        && !valid
            .chars()
            .any(|c| c.is_control() && !c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_numbers_name_the_file() {
        assert_eq!(recognise(b"\xa1\xb2\x3c\x4d"), Kind::Pcap);
        assert_eq!(recognise(b"\x34\xcd\xb2\xa1"), Kind::Pcap);
        assert_eq!(recognise(b"\n\r\r\n"), Kind::Pcapng);
        assert_eq!(recognise(b"\x1f\x8b\x08"), Kind::Packed(Method::Gzip));
        assert_eq!(recognise(b"\x28\xb5\x2f\xfd"), Kind::Packed(Method::Zstd));
        assert!(matches!(
            recognise(b"BZh9"),
            Kind::Compressed {
                method: "bzip2",
                ..
            }
        ));
    }

    #[test]
    fn text_is_told_from_binary() {
        assert!(is_text(
            "19:03 Verbindung unterbrochen, \u{fc}bel".as_bytes()
        ));
        assert!(is_text(&"\u{fc}".as_bytes().repeat(5)[..9]));
        assert!(!is_text(b"\0\x01\x02"));
        assert!(!is_text(b"\xff\xfe"));
        assert!(!is_text(b""));
    }
}
