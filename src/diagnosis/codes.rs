//! What close codes mean (RFC 6455, section 7.4; IANA's registry; what libraries document of theirs).

use super::Severity;

/// A close code explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// Its name in a few words.
    pub(super) name: &'static str,
    /// Who defined it.
    pub(super) by: &'static str,
    /// Whether something broke.
    pub(super) severity: Severity,
    /// What to do.
    pub(super) advice: &'static str,
}

type Row = (u16, &'static str, Severity, &'static str);
use Severity::{Error, Info, Warn};

const STANDARD: &[Row] = &[
    (1000, "normal closure", Info, "nothing: it was meant"),
    (
        1001,
        "going away",
        Info,
        "a server that stops or a page that is left: reconnect with a delay that varies",
    ),
    (
        1002,
        "protocol error",
        Error,
        "look in its sender's log for what it objected to: the capture shows no frame before it that breaks the protocol",
    ),
    (
        1003,
        "unsupported data",
        Error,
        "the receiver doesn't take this kind of data (text or binary): check what it expects",
    ),
    (
        1007,
        "invalid payload data",
        Error,
        "look in its sender's log for the message that it couldn't take, usually text that isn't UTF-8: the capture shows none",
    ),
    (
        1008,
        "policy violation",
        Error,
        "the application refused on principle: look for authentication, origin or rate limits in its log",
    ),
    (
        1009,
        "message too big",
        Error,
        "split the message or raise the receiver's limit",
    ),
    (
        1010,
        "mandatory extension missing",
        Error,
        "the client needs an extension that the server didn't accept",
    ),
    (
        1011,
        "internal error",
        Error,
        "look in the sender's log for the exception",
    ),
    (
        1012,
        "service restart",
        Info,
        "reconnect with a delay that varies",
    ),
    (
        1013,
        "try again later",
        Warn,
        "the server is overloaded: reconnect later, and to another one if there is one",
    ),
    (
        1014,
        "bad gateway",
        Error,
        "the gateway got nothing usable from the server behind it: look there",
    ),
    (
        3000,
        "unauthorized",
        Error,
        "renew the credentials before the next attempt",
    ),
    (
        3003,
        "forbidden",
        Error,
        "the credentials don't allow this: don't retry with the same",
    ),
    (
        3008,
        "timeout",
        Warn,
        "the operation took too long: look for what blocked",
    ),
];

const GRAPHQL: &[Row] = &[
    (
        4004,
        "bad response",
        Error,
        "the client got a message that it can't read",
    ),
    (
        4005,
        "internal client error",
        Error,
        "look in the client's log",
    ),
    (
        4400,
        "bad request",
        Error,
        "the client sent a message that the protocol doesn't know",
    ),
    (
        4401,
        "unauthorized",
        Error,
        "send connection_init, and wait for connection_ack, before the first subscribe",
    ),
    (
        4403,
        "forbidden",
        Error,
        "the server refused connection_init: check the credentials in its payload",
    ),
    (
        4406,
        "subprotocol not acceptable",
        Error,
        "offer graphql-transport-ws",
    ),
    (
        4408,
        "connection initialisation timeout",
        Error,
        "send connection_init at once after the handshake",
    ),
    (
        4409,
        "subscriber already exists",
        Error,
        "use a new id for each subscription",
    ),
    (
        4429,
        "too many initialisation requests",
        Error,
        "send connection_init once",
    ),
    (
        4500,
        "internal server error",
        Error,
        "look in the server's log",
    ),
    (
        4504,
        "connection acknowledgement timeout",
        Error,
        "the server didn't answer connection_init: look there",
    ),
];

const CENTRIFUGO: &[Row] = &[
    (3000, "connection closed", Info, "nothing: it was meant"),
    (3001, "shutdown", Info, "the client library reconnects"),
    (
        3004,
        "internal server error",
        Error,
        "look in the server's log",
    ),
    (3005, "connection expired", Warn, "renew the token in time"),
    (
        3006,
        "subscription expired",
        Warn,
        "renew the subscription's token in time",
    ),
    (3008, "slow", Error, "the client reads too slowly"),
    (3009, "write error", Error, "the path to the client broke"),
    (
        3010,
        "insufficient state",
        Warn,
        "the client library reconnects and recovers",
    ),
    (
        3011,
        "force reconnect",
        Info,
        "the client library reconnects",
    ),
    (
        3012,
        "no pong",
        Error,
        "the client didn't answer the server's ping in time",
    ),
    (3013, "too many requests", Warn, "slow down"),
    (
        3500,
        "invalid token",
        Error,
        "get a new token: retrying with this one is useless",
    ),
    (
        3501,
        "bad request",
        Error,
        "the client sent what the server can't read",
    ),
    (
        3502,
        "stale",
        Error,
        "the client didn't authenticate in time",
    ),
    (
        3503,
        "force disconnect",
        Warn,
        "the application threw the client out",
    ),
    (
        3504,
        "connection limit",
        Error,
        "raise the limit or open fewer connections",
    ),
    (3505, "channel limit", Error, "subscribe to fewer channels"),
    (3507, "permission denied", Error, "check the token's rights"),
    (
        3508,
        "not available",
        Error,
        "the server doesn't offer this",
    ),
    (
        3509,
        "too many errors",
        Error,
        "look at the errors before it",
    ),
];

/// What `code` means in a session of this subprotocol.
pub(super) fn meaning(code: u16, subprotocol: Option<&str>) -> Meaning {
    let vendor = match subprotocol {
        Some("graphql-transport-ws") => Some(("graphql-transport-ws", GRAPHQL)),
        Some(name) if name.contains("centrifug") => Some(("Centrifugo", CENTRIFUGO)),
        _ => None,
    };
    let tables = vendor.into_iter().chain([("IANA", STANDARD)]);
    for (by, table) in tables {
        if let Some((_, name, severity, advice)) = table.iter().find(|row| row.0 == code) {
            return Meaning {
                name,
                by,
                severity: *severity,
                advice,
            };
        }
    }
    if subprotocol.is_some_and(|name| name.contains("pusher")) {
        return pusher(code);
    }
    by_range(code)
}

fn pusher(code: u16) -> Meaning {
    let (name, advice) = match code {
        4000..=4099 => (
            "don't reconnect",
            "fix the key or the request: retrying as it is doesn't help",
        ),
        4100..=4199 => (
            "reconnect after a pause",
            "the server is over capacity: wait at least 1 s",
        ),
        4200..=4299 => ("reconnect at once", "the client library reconnects"),
        _ => return by_range(code),
    };
    let severity = if code < 4100 { Error } else { Warn };
    Meaning {
        name,
        by: "Pusher",
        severity,
        advice,
    }
}

fn by_range(code: u16) -> Meaning {
    match code {
        // HTTP's status codes, moved by 4000: a habit of many applications.
        4400..=4599 => Meaning {
            name: like_http(code),
            by: "the application",
            severity: Error,
            advice: "the code follows HTTP's status codes: treat it like that status",
        },
        3000..=3999 => Meaning {
            name: "a code of a library or framework",
            by: "IANA's registry",
            severity: Info,
            advice: "look it up in the library's documentation",
        },
        4000..=4999 => Meaning {
            name: "a private code of the application",
            by: "the application",
            severity: Info,
            advice: "look it up in the application's documentation",
        },
        _ => Meaning {
            name: "a code that nobody defined",
            by: "nobody",
            severity: Warn,
            advice: "use a code from RFC 6455, section 7.4, or one from 4000 to 4999",
        },
    }
}

const fn like_http(code: u16) -> &'static str {
    match code {
        4400 => "bad request",
        4401 => "unauthorized",
        4403 => "forbidden",
        4404 => "not found",
        4408 => "request timeout",
        4409 => "conflict",
        4429 => "too many requests",
        4500..=4599 => "a failure of the server",
        _ => "a refusal of the request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_code_means_what_its_subprotocol_says() {
        assert_eq!(
            meaning(4408, Some("graphql-transport-ws")).by,
            "graphql-transport-ws"
        );
        assert_eq!(meaning(3012, Some("centrifuge-json")).name, "no pong");
        assert_eq!(meaning(3012, None).severity, Severity::Info);
        assert_eq!(meaning(4401, None).name, "unauthorized");
    }

    #[test]
    fn normal_ends_are_no_errors() {
        for code in [1000, 1001, 1012, 4000] {
            assert_eq!(meaning(code, None).severity, Severity::Info, "{code}");
        }
        assert_eq!(meaning(1008, None).severity, Severity::Error);
    }
}
