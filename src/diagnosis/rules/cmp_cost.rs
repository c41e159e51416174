//! `cmp-cost`: what compression saves, and the memory that it takes.

use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::DeflateParameters;
use crate::session::Session;

pub(super) static RULE: Rule = Rule {
    id: "cmp-cost",
    severity: Severity::Info,
    summary: "what permessage-deflate saves, and the memory that it takes",
    explain: "\
## What it means
Sessions of this capture agreed on permessage-deflate. The finding says what that saved on the wire, and estimates what the contexts take on
each endpoint. With zlib's usual settings a session takes about 256 KiB to compress and 40 KiB to decompress, as long as context takeover is
on; smaller windows and `no_context_takeover` take less. These are typical figures: the library's memory level is not on the wire.

## What usually causes it
A server with many idle sessions pays for the contexts of all of them.

## How to tell them apart
Messages that barely shrink (already compressed, encrypted or tiny) cost processor time and memory and save nothing.

## What to do
If the ratio is close to 1, switch compression off or raise the size from which messages are compressed. If memory is short, agree on
`server_no_context_takeover` or a smaller `server_max_window_bits`.

## References
RFC 7692, sections 7.1.1 and 7.1.2.
",
    checks: &[Check::Capture(check)],
};

/// What zlib takes to compress beside its window: hash chains and pending output at memory level 8.
const COMPRESSOR_BASE: u64 = 128 << 10;
/// What it takes to decompress beside its window.
const DECOMPRESSOR_BASE: u64 = 7 << 10;

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let (mut sessions, mut memory, mut bytes, mut wire) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut first: Option<&Session> = None;
    for session in overview.sessions {
        let Some(deflate) = session.handshake.agreement.deflate else {
            continue;
        };
        let mut messages = 0;
        for (_, counts) in session.messages.iter() {
            let (count, plain, compressed) = counts.compressed;
            messages += count;
            bytes = bytes.saturating_add(plain);
            wire = wire.saturating_add(compressed);
        }
        if messages > 0 {
            sessions += 1;
            memory = memory.saturating_add(server_memory(deflate));
            first.get_or_insert(session);
        }
    }
    let Some(first) = first.filter(|_| bytes > 0) else {
        return;
    };
    #[expect(clippy::cast_precision_loss, reason = "a ratio of two decimals")]
    let ratio = bytes as f64 / wire.max(1) as f64;
    let each = memory / sessions.max(1) / 1024;
    let mut finding = Finding::of_capture(
        &RULE,
        Confidence::Likely,
        format!(
            "permessage-deflate in {sessions} session{}: {bytes} bytes of messages went as {wire} bytes of frames (ratio {ratio:.1}), for typically {each} KiB a session on the server",
            if sessions == 1 { "" } else { "s" }
        ),
    )
    .data("sessions", Value::Count(sessions))
    .data("ratio", Value::Number(ratio))
    .data("bytes", Value::Count(bytes))
    .data("wire_bytes", Value::Count(wire))
    .data("server_memory_bytes", Value::Count(memory));
    if let Some(response) = &first.handshake.response {
        finding.evidence.push(Evidence::new(
            response.last,
            "the first 101 that agrees on it",
        ));
    }
    findings.push(finding.advice(if ratio < 1.1 {
        "compression saves next to nothing here: switch it off, or compress only larger messages"
    } else {
        "if memory is short, agree on server_no_context_takeover or a smaller server_max_window_bits"
    }));
}

/// Bytes that a server's zlib typically keeps for such a session.
fn server_memory(deflate: DeflateParameters) -> u64 {
    let window = |bits: Option<u8>| 1_u64 << bits.unwrap_or(15).clamp(8, 15);
    let own = match deflate.server_no_context_takeover {
        true => 0,
        false => COMPRESSOR_BASE + 4 * window(deflate.server_max_window_bits),
    };
    let peers = match deflate.client_no_context_takeover {
        true => 0,
        false => DECOMPRESSOR_BASE + window(deflate.client_max_window_bits),
    };
    own + peers
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::ServerToClient;

    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

    #[test]
    fn a_compressed_session_has_its_cost_told() {
        let told = Script::new()
            .upgrade_with(DEFLATE, DEFLATE)
            .frame(ServerToClient, 0xc1, HELLO)
            .told();
        let finding = told.only("cmp-cost");
        assert!(
            finding
                .data
                .contains(&("server_memory_bytes", Value::Count((256 + 39) << 10)))
        );
        assert!(finding.data.contains(&("wire_bytes", Value::Count(9))));
    }

    #[test]
    fn an_agreement_that_nobody_used_is_silent() {
        let told = Script::new()
            .upgrade_with(DEFLATE, DEFLATE)
            .text(ServerToClient, "hi")
            .told();
        assert!(told.of("cmp-cost").is_empty());
    }
}
