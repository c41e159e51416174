//! Streams inside a stream, told as whole connections.

use crate::diagnosis::Severity;
use crate::script::{Script, Told};
use crate::session::{Lookalike, TunnelKind};
use crate::stream::Direction::{ClientToServer, ServerToClient};

const CONNECT: &[u8] = b"CONNECT ws.test:8080 HTTP/1.1\r\nHost: ws.test:8080\r\n\r\n";
const OPENED: &[u8] = b"HTTP/1.0 200 Connection established\r\n\r\n";

fn asked() -> Script {
    Script::new().handshake().bytes(ClientToServer, CONNECT)
}

fn opened() -> Script {
    asked().bytes(ServerToClient, OPENED)
}

/// A session's client and server messages, its way and its findings.
fn outcome(told: &Told) -> (u64, u64, Vec<String>, Vec<&'static str>) {
    let [session] = told.sessions.as_slice() else {
        panic!("{} sessions", told.sessions.len())
    };
    let way = session
        .leg
        .via
        .iter()
        .map(|tunnel| tunnel.target.clone().unwrap_or_default());
    let (up, down) = (session.messages.client.count, session.messages.server.count);
    let loud = |finding: &&crate::diagnosis::Finding| finding.severity > Severity::Info;
    let ids = told
        .findings
        .iter()
        .filter(loud)
        .map(|finding| finding.rule.id);
    (up, down, way.collect(), ids.collect())
}

fn talk(script: Script) -> Told {
    script
        .text(ClientToServer, "hi")
        .text(ServerToClient, "ho")
        .clean_close(ClientToServer)
        .told()
}

fn through(target: &str) -> (u64, u64, Vec<String>, Vec<&'static str>) {
    (1, 1, vec![target.to_owned()], vec![])
}

#[test]
fn a_session_in_a_tunnel_knows_its_way() {
    let told = talk(opened().request("").accept(""));
    assert_eq!(outcome(&told), through("ws.test:8080"));
    let leg = &told.sessions[0].leg;
    assert_eq!(leg.server.port(), 8080);
    let tunnel = &leg.via[0];
    let packets = [tunnel.asked, tunnel.opened].map(|at| at.map(|at| at.number));
    assert_eq!(
        (tunnel.kind, packets),
        (TunnelKind::Connect, [Some(4), Some(6)])
    );
}

#[test]
fn a_request_sent_before_the_tunnel_stood_is_read() {
    let told = talk(asked().request("").bytes(ServerToClient, OPENED).accept(""));
    assert_eq!(outcome(&told), through("ws.test:8080"));
}

#[test]
fn a_tunnel_whose_answer_was_not_captured_is_read() {
    let script = asked().uncaptured(ServerToClient, OPENED).request("");
    let told = talk(script.accept(""));
    let (up, down, way, _) = outcome(&told);
    assert_eq!((up, down, way), (1, 1, vec!["ws.test:8080".to_owned()]));
}

/// A session whose request for a tunnel was not captured, and which was answered so.
fn without_its_connect(answer: &[u8]) -> Told {
    let script = Script::new().handshake();
    let script = script.uncaptured(ClientToServer, b"CONNECT ws.test:8080 HTTP/1.1\r\n\r\n");
    talk(script.bytes(ServerToClient, answer).request("").accept(""))
}

#[test]
fn a_tunnel_whose_request_was_not_captured_shows_by_what_follows_its_answer() {
    let (up, down, way, _) = outcome(&without_its_connect(OPENED));
    // To whom it leads isn't known.
    assert_eq!((up, down, way), (1, 1, vec![String::new()]));
    for other in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
    ] {
        let (up, down, way, _) = outcome(&without_its_connect(other));
        assert_eq!((up, down, way), (1, 1, vec![]));
    }
}

#[test]
fn both_answers_may_be_lost() {
    let accept = [b'x'; 129];
    let script = asked().uncaptured(ServerToClient, OPENED).request("");
    let told = talk(script.uncaptured(ServerToClient, &accept));
    let (up, _, way, _) = outcome(&told);
    assert_eq!((up, way), (1, vec!["ws.test:8080".to_owned()]));
    assert!(told.sessions[0].handshake.answer_lost.is_some());
}

#[test]
fn a_tunnel_opens_after_an_authentication_in_three_steps() {
    let auth = "Proxy-Authenticate: NTLM\r\n";
    let script = asked()
        .answer("407 Auth", auth, "<html>no</html>")
        .bytes(ClientToServer, CONNECT)
        .answer("407 Auth", auth, "")
        .bytes(ClientToServer, CONNECT)
        .bytes(ServerToClient, OPENED);
    let told = talk(script.request("").accept(""));
    assert_eq!(outcome(&told), through("ws.test:8080"));
}

#[test]
fn a_tunnel_in_a_tunnel_is_read_to_a_depth() {
    let deeper = |depth: usize| {
        let script = (0..depth).fold(Script::new().handshake(), |script, _| {
            script
                .bytes(ClientToServer, CONNECT)
                .bytes(ServerToClient, OPENED)
        });
        script.request("").accept("").told()
    };
    let two = deeper(2);
    assert_eq!(outcome(&two).2.len(), 2);
    assert_eq!(deeper(50).sessions.len(), 0);
}

#[test]
fn a_refused_session_and_a_tunnel_on_one_connection_are_two_ways() {
    let script = Script::new().handshake().request("");
    let script = script.answer("403 Forbidden", "", "");
    let script = script.bytes(ClientToServer, CONNECT);
    let told = script
        .bytes(ServerToClient, OPENED)
        .request("")
        .accept("")
        .told();
    let ways: Vec<usize> = told.sessions.iter().map(|s| s.leg.via.len()).collect();
    assert_eq!(ways, [0, 1]);
}

#[test]
fn tls_in_a_tunnel_is_recognised() {
    let hello = [0x16, 3, 1, 0, 4, 1, 0, 0, 0];
    let answer = [0x16, 3, 3, 0, 4, 2, 0, 0, 0];
    let told = opened()
        .bytes(ClientToServer, &hello)
        .bytes(ServerToClient, &answer)
        .told();
    assert_eq!(told.capture.tls.connections, 1);
    assert_eq!(told.ids(), ["cap-no-websocket"]);
    let early = asked()
        .bytes(ClientToServer, &hello)
        .bytes(ServerToClient, OPENED)
        .bytes(ServerToClient, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .told();
    let attempt = &early.attempts[0];
    let client = attempt.looks_like.client.map(|(what, _)| what);
    assert_eq!(client, Some(Lookalike::TlsHandshake));
    assert_eq!(attempt.plain_answer.map(|at| at.number), Some(10));
    assert!(
        early
            .only("hs-scheme-mismatch")
            .summary
            .starts_with("ws.test:8080 is")
    );
}

#[test]
fn a_proxy_header_names_the_client_of_a_session() {
    let v2 = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(),
        &[192, 0, 2, 7, 192, 0, 2, 2, 0x9c, 0x41, 1, 187],
    ]
    .concat();
    let (head, rest) = v2.split_at(9);
    let script = Script::new().handshake();
    let script = script
        .bytes(ClientToServer, head)
        .bytes(ClientToServer, rest);
    let told = talk(script.request("").accept(""));
    let leg = &told.sessions[0].leg;
    assert_eq!(leg.forwarded_for, "192.0.2.7:40001".parse().ok());
    let header = leg
        .proxied
        .as_ref()
        .map(|(header, at)| (header.version, at.number));
    assert_eq!(header, Some((2, 4)));
}

#[test]
fn a_session_behind_a_proxy_header_that_was_not_captured_is_read() {
    let header = b"PROXY TCP4 192.0.2.7 192.0.2.2 40001 80\r\n";
    let script = Script::new().handshake();
    let told = talk(
        script
            .uncaptured(ClientToServer, header)
            .request("")
            .accept(""),
    );
    assert_eq!(told.sessions[0].messages.client.count, 1);
    assert_eq!(told.sessions[0].leg.forwarded_for, None);
}
