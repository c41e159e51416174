use std::fs;
use std::io;
use std::path::Path;

use super::packed::gzip;
use super::*;

/// Why nothing of a file with these bytes can be read.
fn refusal(bytes: &[u8]) -> String {
    open(bytes)
        .err()
        .map_or_else(String::new, |error| error.to_string())
}

/// A directory of this test alone, gone when the test is over.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wscope-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn each_refusal_names_file_offset_and_way_out() {
    let lines = [
        refusal(b""),
        refusal(b"19:03:07 the socket dropped again\n"),
        refusal(b"BZh91AY&SY"),
        refusal(b"\x28\xb5\x2f\xfd\x04"),
        refusal(&pcap().bytes[..20]),
        refusal(&pcapng().bytes[..20]),
        refusal(b"snoop\0\0\0...."),
    ];
    let expected = [
        "a.pcap: offset 0: the file is empty; end the capture with Ctrl-C, \
         or write with tcpdump -U -w, and try again",
        "a.pcap: offset 0: not a pcap or pcapng file (it begins with text); \
         give a file written by tcpdump -w, dumpcap or Wireshark",
        "a.pcap: offset 0: compressed with bzip2; unpack it first: bzip2 -d a.pcap",
        "a.pcap: offset 0: the zstd data ends early; \
         take a fresh copy of the file, or capture again",
        "a.pcap: offset 0: the file ends inside the file header (20 of its 24 bytes are there); \
         take a fresh copy of the file, or capture again",
        "a.pcap: offset 0: the file ends inside a section header block \
         (20 of its 28 bytes are there); take a fresh copy of the file, or capture again",
        "a.pcap: offset 0: not a pcap or pcapng file (it is a snoop capture); \
         convert it: editcap -F pcapng IN OUT",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let error = CaptureFile::open(Path::new("no/such.pcap"), 0)
        .err()
        .unwrap();
    let line = "no/such.pcap: no such file; check the name, or give - to read from stdin";
    assert_eq!(error.to_string(), line);
}

#[test]
fn a_read_error_is_damage_where_packets_came_before_it() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let good = Cursor::new(
        pcap()
            .record(1, 0, "a packet that is long enough to be told")
            .bytes,
    );
    let mut file = from(Box::new(good.chain(Fails))).unwrap();
    assert_eq!(all(&mut file).len(), 1);
    assert_eq!(
        file.summary().damage.unwrap().what,
        "reading stopped: the disk is gone"
    );
    let line = "a.pcap: offset 0: the disk is gone; check the file and the disk that it is on";
    assert_eq!(from(Box::new(Fails)).err().unwrap().to_string(), line);
}

#[test]
fn an_interrupted_read_is_tried_again() {
    struct Interrupted(bool);
    impl Read for Interrupted {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            let first = std::mem::replace(&mut self.0, false);
            if first {
                Err(io::ErrorKind::Interrupted.into())
            } else {
                Ok(0)
            }
        }
    }
    let file = pcap().record(1, 0, "one").bytes;
    let input = Cursor::new(file).chain(Interrupted(true));
    let mut file = from(Box::new(input)).unwrap();
    assert_eq!(all(&mut file), [packet(1, 1_000_000_000, "one")]);
    assert_eq!(file.summary().damage, None);
}

#[test]
fn a_directory_is_its_captures_in_order_of_names() {
    let directory = Directory::new("captures");
    // Many, because a directory is listed in no order.
    let mut captures: Vec<PathBuf> = (0..30)
        .rev()
        .map(|number| directory.file(&format!("ring.{number:02}"), &pcap().bytes))
        .collect();
    captures.push(directory.file("packed", &gzip(&pcapng().bytes)));
    captures.sort();
    directory.file("notes.txt", b"nothing here");
    directory.file("notes.gz", &gzip(b"nothing here"));
    directory.file("empty.pcap", b"");
    fs::create_dir(directory.0.join("below")).unwrap();
    let stdin = PathBuf::from("-");
    let inputs = expand(&[stdin.clone(), directory.0.clone()]).unwrap();
    assert_eq!(inputs.files, [vec![stdin], captures].concat());
    let skipped: Vec<_> = ["empty.pcap", "notes.gz", "notes.txt"]
        .map(|name| directory.0.join(name))
        .to_vec();
    assert_eq!(inputs.skipped, skipped);
}

#[test]
fn a_file_with_several_names_is_read_once() {
    let directory = Directory::new("again");
    let file = directory.file("a.pcap", &pcap().bytes);
    let other = directory.0.join(".").join("a.pcap");
    let inputs = expand(&[file.clone(), other.clone(), directory.0.clone()]).unwrap();
    assert_eq!(
        (inputs.files, inputs.again),
        (vec![file.clone()], vec![other, file])
    );
}

#[test]
fn a_directory_without_captures_is_refused() {
    let directory = Directory::new("none");
    directory.file("notes.txt", b"nothing here");
    let error = expand(std::slice::from_ref(&directory.0))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no pcap or pcapng file in this directory; name the files"),
        "{error}"
    );
}

#[test]
fn files_sleep_until_their_first_packet_and_may_be_gone_by_then() {
    let directory = Directory::new("ring");
    let write = |name: &str, seconds: u32| {
        let file = pcap().record(seconds, 0, name).record(seconds + 1, 0, name);
        directory.file(name, &file.bytes)
    };
    let paths = [write("late", 30), write("early", 10), write("gone", 20)];
    let files = paths.iter().map(|path| CaptureFile::open(path, 0).unwrap());
    let mut merged = Merged::new(files);
    fs::remove_file(&paths[2]).unwrap();
    let seen = all(&mut merged);
    let expected = [
        packet(1, 10_000_000_000, "early"),
        packet(2, 11_000_000_000, "early"),
        packet(1, 30_000_000_000, "late"),
        packet(2, 31_000_000_000, "late"),
    ];
    assert_eq!(seen, expected);
    let [early, gone, late] = &merged.summaries()[..] else {
        panic!("three files")
    };
    assert_eq!([late.packets, early.packets, gone.packets], [2, 2, 0]);
    assert!(
        gone.damage.as_ref().unwrap().what.starts_with("gone since"),
        "{gone:?}"
    );
}
