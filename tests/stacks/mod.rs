//! Real TLS endpoints, and a relay between them that writes down what crosses it.
#![allow(dead_code)] // Each test program uses its part of this.
#![allow(clippy::indexing_slicing)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use crate::capture::{Conversation, Sender};

/// What a side did to its half of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Bytes(Vec<u8>),
    Fin,
    Reset,
}

/// What crossed the relay, in order.
pub(crate) type Wire = Vec<(Sender, Sent)>;

/// Whether a tool is there; says aloud that it isn't, past the test's capture.
pub(crate) fn has(tool: &str, probe: &str) -> bool {
    let ran = Command::new(tool).arg(probe).output();
    let there = ran.is_ok_and(|output| output.status.success());
    if !there {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {tool} isn't installed");
    }
    there
}

/// A program that is ended with its test.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(directory: &Path, line: &[&str]) -> Self {
        let output = |name: &str| fs::File::create(directory.join(name)).expect("a file");
        let name = format!("{}.out", line[0].rsplit('/').next().unwrap_or_default());
        let child = Command::new(line[0])
            .args(&line[1..])
            .current_dir(directory)
            .env_remove("SSLKEYLOGFILE")
            .stdin(Stdio::piped())
            .stdout(output(&name))
            .stderr(output(&format!("{name}.err")))
            .spawn();
        Self(child.expect("a program that is installed"))
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        let stdin = self.0.stdin.as_mut().expect("its standard input");
        let _ = stdin.write_all(text.as_bytes());
        let _ = stdin.flush();
    }

    /// Waits until it ends by itself, at most five seconds.
    pub(crate) fn end(&mut self) {
        drop(self.0.stdin.take());
        for _ in 0..500 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("its address").port()
}

/// Waits until the server accepts, and hands the connection over.
fn dial(port: u16) -> Option<TcpStream> {
    for _ in 0..500 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return Some(stream);
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}

/// Passes one connection on, and writes down what crosses.
pub(crate) struct Relay {
    pub(crate) port: u16,
    wire: Arc<Mutex<Wire>>,
}

impl Relay {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let wire = Arc::new(Mutex::new(Wire::new()));
        let written = Arc::clone(&wire);
        thread::spawn(move || {
            let Ok((client, _)) = listener.accept() else {
                return;
            };
            let Some(server) = dial(server) else { return };
            for (sender, from, to) in [
                (Sender::Client, &client, &server),
                (Sender::Server, &server, &client),
            ] {
                let (from, to) = (from.try_clone(), to.try_clone());
                let wire = Arc::clone(&written);
                if let (Ok(from), Ok(to)) = (from, to) {
                    thread::spawn(move || carry(sender, from, to, &wire));
                }
            }
        });
        Self { port, wire }
    }

    /// Waits until nothing has crossed for a while, at most five seconds for the first.
    pub(crate) fn settle(&self) {
        let len = || self.wire.lock().expect("no panic").len();
        for _ in 0..500 {
            if len() > 0 {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let (mut before, mut quiet) = (len(), 0);
        while quiet < 15 {
            thread::sleep(Duration::from_millis(10));
            quiet = if len() == before { quiet + 1 } else { 0 };
            before = len();
        }
    }

    pub(crate) fn wire(&self) -> Wire {
        self.wire.lock().expect("no panic").clone()
    }
}

fn carry(sender: Sender, mut from: TcpStream, mut to: TcpStream, wire: &Mutex<Wire>) {
    let note = |sent| wire.lock().expect("no panic").push((sender, sent));
    let mut buffer = [0; 65_536];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                note(Sent::Fin);
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(len) => {
                note(Sent::Bytes(buffer[..len].to_vec()));
                if to.write_all(&buffer[..len]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => {
                note(Sent::Reset);
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

/// As a capture that begins at this second since 1970, a packet for what was read at once.
pub(crate) fn as_pcap(wire: &Wire, second: u32) -> Vec<u8> {
    let mut talk = Conversation::new().began_at(second).connect();
    let mut over = false;
    for (sender, sent) in wire {
        talk = match sent {
            Sent::Bytes(bytes) => bytes
                .chunks(1_400)
                .fold(talk, |talk, piece| talk.send(*sender, piece)),
            Sent::Fin if over => talk,
            Sent::Fin => talk.fin(*sender),
            Sent::Reset if over => talk,
            Sent::Reset => {
                over = true;
                talk.reset(*sender)
            }
        };
    }
    talk.pcap()
}

/// `openssl` makes keys and certificates in a directory; `arguments` are one line.
pub(crate) fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .output()
        .expect("openssl runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "openssl {arguments}: {said}");
}

/// When a file was written, in seconds since 1970.
pub(crate) fn written_at(path: &Path) -> u32 {
    let written = fs::metadata(path).and_then(|file| file.modified());
    let age = written.expect("a file").duration_since(UNIX_EPOCH);
    u32::try_from(age.expect("after 1970").as_secs()).expect("before 2106")
}

/// An RSA key in both forms and a certificate for ws.test, signed by itself.
pub(crate) fn certificate(directory: &Path, name: &str) -> PathBuf {
    openssl(
        directory,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.pem -out {name}.crt -days 60 -subj /CN=ws.test -addext subjectAltName=DNS:ws.test"
        ),
    );
    openssl(
        directory,
        &format!("rsa -in {name}.pem -traditional -out {name}.pkcs1.pem"),
    );
    directory.join(format!("{name}.pem"))
}
