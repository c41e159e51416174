//! Timelines of scripted sessions.

use super::{Gathered, Show, ShowFormat, State, ending, lanes};
use crate::diagnosis::Thresholds;
use crate::report::Report;
use crate::script::{Script, Told, frame};
use crate::session::redact::Secrets;
use crate::stream::Direction::{self, ClientToServer, ServerToClient};

const SHOW: Show = Show {
    format: ShowFormat::Text,
    all: false,
    all_fields: false,
    color: false,
    width: 80,
    from: None,
    to: None,
};

fn report(told: Told) -> (Report, Gathered) {
    let mut gathered = Gathered::default();
    let first = told.sessions.first().map(|session| session.id);
    for record in &told.records {
        if Some(record.session) == first {
            gathered.add(record);
        }
    }
    let (secrets, keys) = (Secrets::default(), false);
    let thresholds = Thresholds::default();
    let report = Report::new(
        told.capture,
        told.sessions,
        told.findings,
        secrets,
        keys,
        thresholds,
    );
    (report, gathered)
}

/// Each change of a state, in order, and what both applications were told.
fn states(script: Script) -> (Vec<String>, [String; 2]) {
    let (report, gathered) = report(script.told());
    let session = &report.sessions[0];
    let story = SHOW.story(&report, session, &gathered);
    let mut changes = Vec::new();
    for row in &story.rows {
        for (side, to, _) in &row.changes {
            let to = to.name().unwrap_or("none");
            changes.push(format!("{} {to} at {}", side.sender(), row.event));
        }
    }
    let told = Direction::BOTH.map(|side| {
        let known = !matches!(&story.why[side], Some((State::Unknown, _)));
        ending::told(session, &report, side, known)
    });
    (changes, told)
}

fn printed(script: Script, show: Show) -> String {
    let (report, gathered) = report(script.told());
    let mut out = Vec::new();
    show.write(&report, &report.sessions[0], &gathered, &mut out)
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn opened() -> Script {
    Script::new().watched().upgrade()
}

/// What each session that opened in view begins with.
const OPENING: [&str; 3] = [
    "client CONNECTING at syn",
    "server OPEN at response",
    "client OPEN at response",
];

fn after_the_opening(script: Script) -> (Vec<String>, [String; 2]) {
    let (mut changes, told) = states(script);
    let rest = changes.split_off(OPENING.len().min(changes.len()));
    assert_eq!(changes, OPENING);
    (rest, told)
}

// --- states ---------------------------------------------------------------

#[test]
fn who_sends_a_close_frame_is_closing_and_its_fin_closes_both() {
    for (first, other) in [
        (ClientToServer, ServerToClient),
        (ServerToClient, ClientToServer),
    ] {
        let script = opened()
            .close(first, 1000, "")
            .close(other, 1000, "")
            .fin(ServerToClient)
            .fin(ClientToServer);
        let (changes, told) = after_the_opening(script);
        let [one, two] = [first.sender(), other.sender()];
        assert_eq!(
            changes[..2],
            [
                format!("{one} CLOSING at close"),
                format!("{two} CLOSING at close")
            ]
        );
        let mut closed = changes[2..].to_vec();
        closed.sort();
        assert_eq!(closed, ["client CLOSED at fin", "server CLOSED at fin"]);
        for told in told {
            assert!(told.starts_with("its API reports 1000"), "{told}");
        }
    }
}

#[test]
fn a_fin_alone_closes_its_sender_at_once_and_the_other_when_it_follows() {
    let script = opened().fin(ServerToClient).fin(ClientToServer);
    let (changes, [client, _]) = after_the_opening(script);
    assert_eq!(changes, ["server CLOSED at fin", "client CLOSED at fin"]);
    assert!(client.starts_with("its API reports 1006"), "{client}");
}

#[test]
fn a_reset_closes_both() {
    let (changes, [client, _]) = after_the_opening(opened().rst(ServerToClient));
    let mut sorted = changes;
    sorted.sort();
    assert_eq!(sorted, ["client CLOSED at rst", "server CLOSED at rst"]);
    assert!(client.starts_with("its API reports 1006"), "{client}");
}

#[test]
fn who_is_forgotten_by_the_path_still_believes_to_be_open() {
    let script = opened()
        .text(ServerToClient, "hi")
        .wait_s(400.0)
        .silent(ServerToClient, true)
        .text(ClientToServer, "still there?")
        .bare_rst(ServerToClient);
    let (changes, [client, server]) = after_the_opening(script);
    let mut sorted = changes;
    sorted.sort();
    assert_eq!(sorted, ["client CLOSED at rst", "server unknown at rst"]);
    assert!(client.starts_with("its API reports 1006"), "{client}");
    assert!(server.contains("still OPEN until"), "{server}");
}

#[test]
fn the_report_tells_no_code_of_who_was_forgotten_either() {
    let script = opened()
        .text(ServerToClient, "hi")
        .wait_s(400.0)
        .silent(ServerToClient, true)
        .text(ClientToServer, "still there?")
        .bare_rst(ServerToClient);
    let (report, _) = report(script.told());
    let sees = report.judged(&report.sessions[0]).closing.sees;
    assert_eq!((sees.client, sees.server), (Some(1006), None));
}

#[test]
fn of_who_answers_nothing_any_more_the_state_is_unknown() {
    let mut script = opened().silent(ServerToClient, true);
    script = script.text(ClientToServer, "lost");
    for wait in [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8] {
        script = script.wait_s(wait).again(ClientToServer, LOST);
    }
    let (changes, [client, server]) = after_the_opening(script);
    assert_eq!(changes, ["server unknown at text"]);
    assert_eq!(client, "nothing yet: the capture ends first");
    assert!(server.contains("still OPEN until"), "{server}");
}

/// `lost`, as [`Script::text`] frames it for the client.
const LOST: &[u8] = b"\x81\x84\x00\x00\x00\x00lost";

#[test]
fn a_refused_request_closes_the_client_and_opens_nothing() {
    let script = Script::new()
        .watched()
        .handshake()
        .request("")
        .answer("403 Forbidden", "", "no")
        .fin(ServerToClient)
        .fin(ClientToServer);
    let (changes, [_, server]) = states(script);
    assert_eq!(
        changes,
        ["client CONNECTING at syn", "client CLOSED at response"]
    );
    assert_eq!(server, "no WebSocket: the request was refused");
}

#[test]
fn a_request_that_nobody_answers_leaves_the_client_connecting() {
    let script = Script::new().watched().handshake().request("");
    let (changes, _) = states(script);
    assert_eq!(changes, ["client CONNECTING at syn"]);
}

#[test]
fn where_the_capture_begins_in_the_middle_frames_tell_who_is_open() {
    let talk = |mut script: Script| {
        for word in ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"] {
            script = script
                .text(ClientToServer, word)
                .text(ServerToClient, word)
                .wait_s(0.1);
        }
        script
    };
    let script = Script::new().watched().unseen(Script::upgrade);
    let (changes, _) = states(talk(talk(talk(script))));
    let mut sorted = changes;
    sorted.sort();
    assert_eq!(sorted.len(), 2, "{sorted:?}");
    assert!(sorted[0].starts_with("client OPEN at "), "{sorted:?}");
    assert!(sorted[1].starts_with("server OPEN at "), "{sorted:?}");
}

#[test]
fn a_capture_that_ends_early_leaves_both_open() {
    let script = opened()
        .text(ClientToServer, "hi")
        .text(ServerToClient, "ho");
    let (changes, told) = after_the_opening(script);
    assert!(changes.is_empty(), "{changes:?}");
    assert_eq!(told, ["nothing yet: the capture ends first"; 2]);
}

#[test]
fn a_close_frame_that_the_capture_ends_upon_closes_nobody() {
    let script = opened().close(ClientToServer, 1000, "");
    let (changes, _) = after_the_opening(script);
    assert_eq!(changes.first().unwrap(), "client CLOSING at close");
    assert!(!changes.iter().any(|change| change.contains("CLOSED")));
}

#[test]
fn states_never_step_back() {
    // The client goes on sending after its Close frame, and the FIN comes twice.
    let script = opened()
        .close(ClientToServer, 1000, "")
        .text(ClientToServer, "more")
        .fin(ClientToServer)
        .rst(ServerToClient);
    let (report, gathered) = report(script.told());
    let story = SHOW.story(&report, &report.sessions[0], &gathered);
    let client: Vec<lanes::State> = story.rows.iter().map(|row| row.states.client).collect();
    assert!(client.is_sorted(), "{client:?}");
}

// --- text -----------------------------------------------------------------

#[test]
fn a_payload_cannot_write_on_the_terminal() {
    let hostile = "a\u{1b}[2J\u{1b}]0;t\u{7}\r\n#1 fake\u{202e}\u{2066}\u{9b}31m\u{feff}\u{61c}";
    let script = opened().text(ServerToClient, hostile).close(
        ServerToClient,
        1000,
        "bye\u{1b}[31m\r\n\u{202e}",
    );
    let text = printed(script, SHOW);
    let harmful = |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{202e}' | '\u{2066}');
    assert_eq!(text.chars().find(harmful), None, "{text}");
    assert!(!text.lines().any(|line| line.starts_with("#1 fake")));
    assert!(text.contains("a·[2J·]0;t···#1 fake"), "{text}");
}

#[test]
fn a_chosen_time_keeps_its_findings_and_counts_the_others() {
    let script = || {
        opened()
            .wait_s(10.0)
            .text(ServerToClient, "hi")
            .wait_s(10.0)
            .rst(ServerToClient)
    };
    let (report, gathered) = report(script().told());
    let session = &report.sessions[0];
    let whole = SHOW.story(&report, session, &gathered);
    assert!(!whole.about.is_empty());
    let message = gathered.items().next().map(|item| match item {
        super::Item::Record(record) => record.first().time,
        super::Item::LeftOut(_) => unreachable!(),
    });
    let show = Show {
        to: message,
        ..SHOW
    };
    let part = show.story(&report, session, &gathered);
    assert!(part.rows.len() < whole.rows.len());
    assert_eq!(part.about.len() + part.elsewhere, whole.about.len());
}

#[test]
fn a_reply_names_its_request_for_scripts_too() {
    let script = opened()
        .text(ClientToServer, r#"{"jsonrpc":"2.0","id":1,"method":"sum"}"#)
        .wait_s(0.25)
        .text(ServerToClient, r#"{"jsonrpc":"2.0","id":1,"result":3}"#);
    let show = Show {
        format: ShowFormat::Jsonl,
        ..SHOW
    };
    let lines = printed(script, show);
    let rows: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let texts: Vec<_> = rows.iter().filter(|row| row["event"] == "text").collect();
    assert_eq!(texts[1]["reply_to"], texts[0]["packet"]);
    assert!(texts[1]["latency_ms"].as_f64().unwrap() >= 250.0);
    assert!(texts[0]["reply_to"].is_null());
}

#[test]
fn many_messages_behind_one_loss_are_told_once() {
    let frames = [b"lost" as &[u8], b"a", b"b", b"c"].map(|word| frame(0x81, word, false));
    let script = opened()
        .silent(ClientToServer, true)
        .uncaptured(ServerToClient, &frames[0])
        .text(ServerToClient, "a")
        .text(ServerToClient, "b")
        .text(ServerToClient, "c")
        .wait_s(0.5)
        .again(ServerToClient, &frames.concat());
    let text = printed(script, SHOW);
    assert_eq!(text.matches("held up 5").count(), 1, "{text}");
}
