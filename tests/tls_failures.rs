//! Real clients and servers that don't get through their TLS handshake, and what is said of it.
#![allow(clippy::indexing_slicing)] // A key that a JSON `Value` lacks is null, not a panic.

mod capture;
mod stacks;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use capture::Directory;
use serde_json::Value;
use stacks::{Program, Relay, as_pcap, certificate, free_port, has, openssl, written_at};

/// A server's flags and the client that calls it.
struct Call {
    directory: Directory,
    relay: Relay,
    _server: Program,
}

impl Call {
    /// `openssl s_server` with these flags; `server.crt` isn't trusted by anybody.
    fn to(name: &str, flags: &str) -> Self {
        let directory = Directory::new(name);
        certificate(directory.path(), "server");
        openssl(
            directory.path(),
            "x509 -x509toreq -in server.crt -signkey server.pem -out other.csr",
        );
        let port = free_port();
        let line = format!(
            "openssl s_server -accept 127.0.0.1:{port} -key server.pem -cert server.crt -keylogfile keys.log {flags}"
        );
        let line: Vec<&str> = line.split_whitespace().collect();
        let server = Program::start(directory.path(), &line);
        let relay = Relay::to(port);
        Self {
            directory,
            relay,
            _server: server,
        }
    }

    /// Runs a client until it ends; `PORT` is where it has to call.
    fn by(self, program: &[&str]) -> Told {
        let port = self.relay.port.to_string();
        let line: Vec<String> = program
            .iter()
            .map(|word| word.replace("PORT", &port))
            .collect();
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let mut client = Program::start(self.directory.path(), &line);
        self.relay.settle();
        client.end();
        self.relay.settle();
        self.told()
    }

    /// What is said of what crossed the relay, a minute after the certificate was made.
    fn told(&self) -> Told {
        let made = written_at(&self.directory.path().join("server.crt"));
        told(&self.directory, &as_pcap(&self.relay.wire(), made + 60))
    }

    fn by_openssl(self, flags: &str) -> Told {
        let line = format!("openssl s_client -connect 127.0.0.1:PORT {flags}");
        let line: Vec<&str> = line.split_whitespace().collect();
        self.by(&line)
    }
}

/// The findings without keys, and with them.
#[derive(Debug)]
struct Told {
    closed: Vec<Value>,
    open: Vec<Value>,
}

fn told(directory: &Directory, pcap: &[u8]) -> Told {
    directory.file("a.pcap", pcap);
    if !directory.path().join("keys.log").exists() {
        directory.file("keys.log", b"# nobody wrote any\n");
    }
    let findings = |flags: &[&str]| -> Vec<Value> {
        let flags = [&["analyze", "--quiet", "--format", "json", "a.pcap"], flags].concat();
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_wscope"))
            .current_dir(directory.path())
            .args(&flags)
            .output()
            .expect("wscope runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        report["findings"].as_array().expect("a list").clone()
    };
    Told {
        closed: findings(&[]),
        open: findings(&["--keys", "keys.log"]),
    }
}

impl Told {
    /// The only finding with this name that isn't mere information, without keys.
    fn loud(&self, id: &str) -> &Value {
        let loud =
            |finding: &&Value| finding["severity"] == "error" || finding["severity"] == "warn";
        let loud: Vec<&Value> = self.closed.iter().filter(loud).collect();
        assert!(
            matches!(loud.as_slice(), [one] if one["id"] == id),
            "{id}: {self:#?}"
        );
        loud[0]
    }
}

const PYTHON: &str = "
import socket, ssl, sys
context = ssl.create_default_context()
if sys.argv[2] == '1.2':
    context.maximum_version = ssl.TLSVersion.TLSv1_2
context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))), server_hostname='ws.test')
";

const ASYNCIO: &str = "
import asyncio, ssl, sys
context = ssl.create_default_context()
if sys.argv[2] == '1.2':
    context.maximum_version = ssl.TLSVersion.TLSv1_2
asyncio.run(asyncio.open_connection('127.0.0.1', int(sys.argv[1]), ssl=context, server_hostname='ws.test'))
";

const NODE: &str = "
const [port, version] = process.argv.slice(1);
const maxVersion = version === '1.2' ? 'TLSv1.2' : 'TLSv1.3';
require('tls').connect({ host: '127.0.0.1', port, servername: 'ws.test', maxVersion }).on('error', () => {});
";

// --- certificates that the client doesn't take --------------------------

#[test]
fn a_client_that_refuses_the_certificate_is_told_whatever_it_does() {
    if !has("openssl", "version") {
        return;
    }
    let python = has("python3", "--version");
    let node = has("node", "--version");
    let clients = [
        (python, "python", ["python3", "-c", PYTHON]),
        (python, "asyncio", ["python3", "-c", ASYNCIO]),
        (node, "node", ["node", "-e", NODE]),
    ];
    for (there, name, program) in clients {
        for version in ["1.2", "1.3"] {
            if !there {
                continue;
            }
            let call = Call::to(&format!("refused-{name}-{version}"), "");
            let told = call.by(&[&program[..], &["PORT", version]].concat());
            let finding = told.loud("tls-client-rejected-cert");
            let (kind, confidence) = match (name, version) {
                ("python", _) => ("unknown_ca", "certain"),
                ("node", "1.2") => ("late", "possible"),
                _ => ("silent", "possible"),
            };
            assert_eq!(finding["data"]["kind"], kind, "{name} {version}");
            assert_eq!(finding["confidence"], confidence, "{name} {version}");
        }
    }
}

// --- alerts of the server -----------------------------------------------

#[test]
fn a_client_certificate_that_is_missing_is_told() {
    if !has("openssl", "version") {
        return;
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let call = Call::to(&format!("mutual{version}"), "-Verify 1");
        let told = call.by_openssl(version);
        let finding = told.loud("tls-alert");
        let opened = |id: &str| told.open.iter().find(|finding| finding["id"] == id);
        let read = opened("tls-alert").expect("the alert");
        assert_eq!(read["confidence"], "certain");
        match version {
            // In the clear, so that keys tell nothing more.
            "-tls1_2" => {
                assert_eq!(finding["data"]["alert"], "handshake_failure");
                assert!(
                    finding["causes"][0]["text"]
                        .as_str()
                        .is_some_and(|text| text.contains("client certificate")),
                    "{finding:#?}"
                );
            }
            _ => {
                assert_eq!(finding["data"]["kind"], "client-certificate-missing");
                assert_eq!(finding["confidence"], "likely");
                assert_eq!(read["data"]["alert"], "certificate_required");
            }
        }
    }
}

#[test]
fn a_name_that_the_server_refuses_is_told() {
    if !has("openssl", "version") {
        return;
    }
    let flags = "-servername ws.test -servername_fatal -key2 server.pem -cert2 server.crt";
    for version in ["-tls1_2", "-tls1_3"] {
        let told = Call::to(&format!("name{version}"), flags)
            .by_openssl(&format!("{version} -servername other.test"));
        let finding = told.loud("tls-alert");
        assert_eq!(finding["data"]["alert"], "unrecognized_name");
        assert_eq!(finding["data"]["by"], "server");
        assert_eq!(finding["data"]["server_name"], "other.test");
    }
}

#[test]
fn settings_that_the_two_do_not_share_are_told() {
    if !has("openssl", "version") {
        return;
    }
    for (name, server, client, alert) in [
        ("version", "-tls1_3", "-tls1_2", "protocol_version"),
        (
            "suite",
            "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256",
            "-tls1_2 -cipher AES256-SHA256",
            "handshake_failure",
        ),
    ] {
        let told = Call::to(&format!("unshared-{name}"), server).by_openssl(client);
        let finding = told.loud("tls-alert");
        assert_eq!(finding["data"]["alert"], alert);
        assert_eq!(finding["confidence"], "certain");
    }
}

// --- not TLS at all -----------------------------------------------------

#[test]
fn plaintext_to_a_tls_port_is_told() {
    if !has("openssl", "version") {
        return;
    }
    let call = Call::to("plaintext", "");
    let mut socket = TcpStream::connect(("127.0.0.1", call.relay.port)).expect("the relay");
    socket
        .write_all(b"GET /chat HTTP/1.1\r\nHost: ws.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        .expect("sent");
    let _ = socket.read_to_end(&mut Vec::new());
    drop(socket);
    call.relay.settle();
    let told = call.told();
    let finding = told.loud("hs-no-response");
    let causes = finding["causes"].to_string();
    assert!(causes.contains("the port speaks TLS"), "{causes}");
}

/// A server that is a few lines: takes one connection, reads once, and does this.
fn server(act: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        if let Ok((mut socket, _)) = listener.accept() {
            let _ = socket.read(&mut [0; 4_096]);
            act(socket);
        }
    });
    port
}

fn openssl_calls(name: &str, port: u16) -> Told {
    let directory = Directory::new(name);
    let relay = Relay::to(port);
    let dial = format!("127.0.0.1:{}", relay.port);
    let line = [
        "openssl",
        "s_client",
        "-connect",
        &dial,
        "-servername",
        "ws.test",
    ];
    let mut client = Program::start(directory.path(), &line);
    relay.settle();
    client.end();
    relay.settle();
    told(&directory, &as_pcap(&relay.wire(), 1_700_000_000))
}

#[test]
fn tls_to_a_plaintext_port_is_told() {
    if !has("openssl", "version") {
        return;
    }
    let port = server(|mut socket| {
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = socket.write_all(answer);
    });
    let told = openssl_calls("tls-to-plaintext", port);
    told.loud("hs-scheme-mismatch");
}

#[test]
fn a_server_that_hangs_up_on_the_client_hello_is_told() {
    if !has("openssl", "version") {
        return;
    }
    let told = openssl_calls("no-server-hello", server(drop));
    let finding = told.loud("tls-no-response");
    assert_eq!(finding["data"]["kind"], "hung-up");
}
