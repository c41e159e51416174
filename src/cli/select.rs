//! Which part of a capture a command is about: flags that all commands share
//! which read one.

use anyhow::{Result, bail};
use clap::Args;

use super::filter::Filter;
use super::moment::{Moment, Window};
use crate::session::{Condition, Record, RecordKind, Selector, Session, Wanted};
use crate::time::Timestamp;

/// Which part of it.
/// Given to each flag: a heading of the whole would last for the flags after it too.
const HEADING: &str = "Which part of the capture";

#[derive(Clone, Debug, Default, Args)]
pub(super) struct SelectArgs {
    /// Read only packets that match this BPF expression, as tcpdump's
    ///
    /// BPF sees the outermost headers: behind a VLAN tag it looks with `(EXPR) or (vlan and (EXPR))`, inside a
    /// tunnel not at all, and later fragments of a datagram have no ports. Sessions are numbered without what is left
    /// out. To choose sessions with all their packets, take --where.
    #[arg(help_heading = HEADING, long, value_name = "BPF")]
    pub(super) filter: Option<String>,

    /// Only sessions that were alive at this time or later, and what happened then
    ///
    /// A time is 2026-11-23T14:05:00Z (UTC, where no zone is given), a time of day (14:05 or 14:05:10.5, UTC, on the day
    /// on which the capture has it), or counted from the capture's first packet (+90s, +1m30s) or from its last (-5m; not
    /// for stdin). Packets before it are read, so that sessions which were open then are understood.
    #[arg(help_heading = HEADING, long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) from: Option<Moment>,

    /// Only sessions that were alive at this time or before, and what happened until then
    ///
    /// The same forms. Packets after it are not read: a session that ends later is shown as open.
    #[arg(help_heading = HEADING, long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) to: Option<Moment>,

    /// Only this session: s3, or 3 for Wireshark's tcp.stream; several with commas
    #[arg(help_heading = HEADING, long, value_name = "ID", value_delimiter = ',')]
    pub(super) session: Vec<Wanted>,

    /// Only sessions with this: client, server, host, path, user-agent, x-forwarded-for, subprotocol or finding
    ///
    /// GLOB has * (a slash too), ? and [a-z], and must match the whole value. client, server and x-forwarded-for
    /// take addresses (10.1.2.3, 10.1.2.3:443) and networks (10.0.0.0/8) too. Case matters in a path and a
    /// subprotocol only. Given several times: of the same key any, of different keys all.
    #[arg(help_heading = HEADING, long = "where", value_name = "KEY=GLOB")]
    pub(super) conditions: Vec<Condition>,
}

impl SelectArgs {
    pub(super) fn filter(&self) -> Result<Option<Filter>> {
        self.filter.as_deref().map(Filter::compile).transpose()
    }

    pub(super) fn selector(&self) -> Selector {
        Selector {
            wanted: self.session.clone(),
            conditions: self.conditions.clone(),
        }
    }

    /// Sessions are chosen, in whatever way. A filter chooses packets.
    pub(super) fn chooses(&self) -> bool {
        self.from.is_some() || self.to.is_some() || !self.selector().is_empty()
    }

    /// A time is told from the capture's end, which must be known beforehand.
    pub(super) fn counts_from_the_end(&self) -> bool {
        let from_end = |moment: &Moment| matches!(moment, Moment::BeforeLast(_));
        self.from.iter().chain(&self.to).any(from_end)
    }

    /// `last` is the time of the capture's last packet, if it was asked for.
    pub(super) fn reading(&self, last: Option<Timestamp>) -> Option<Reading> {
        let timed = self.from.is_some() || self.to.is_some();
        timed.then_some(Reading {
            from: self.from,
            to: self.to,
            last,
            window: None,
            late: 0,
        })
    }

    /// # Errors
    /// Somebody asked for a session that isn't there.
    pub(super) fn check(&self, sessions: &[Session]) -> Result<()> {
        let missing = |wanted: &&Wanted| !sessions.iter().any(|session| wanted.is(session));
        let Some(wanted) = self.session.iter().find(missing) else {
            return Ok(());
        };
        let there = there_is(sessions);
        let until = if self.to.is_some() { " until --to" } else { "" };
        match wanted {
            Wanted::Session(id) => {
                bail!("--session s{id}: there is none; the capture has {there}{until}")
            }
            Wanted::Stream(stream) => bail!(
                "--session {stream}: none on tcp.stream {stream}; the capture has {there}{until}{}",
                streams(sessions)
            ),
        }
    }
}

/// `3 sessions: s1 to s3`.
pub(super) fn there_is(sessions: &[Session]) -> String {
    match sessions {
        [] => "no WebSocket session".to_owned(),
        [_] => "1 session: s1".to_owned(),
        many => format!("{} sessions: s1 to s{0}", many.len()),
    }
}

/// On which streams there are sessions: the first few.
pub(super) fn streams(sessions: &[Session]) -> String {
    let mut numbers: Vec<u32> = sessions.iter().map(|s| s.leg.tcp_stream).collect();
    numbers.sort_unstable();
    numbers.dedup();
    // Rationale: enough to see how they are numbered; one line has to hold them.
    let shown: Vec<String> = numbers.iter().take(10).map(u32::to_string).collect();
    let more = if numbers.len() > shown.len() {
        ", ..."
    } else {
        ""
    };
    match shown.as_slice() {
        [] => String::new(),
        _ => format!(" (tcp.stream {}{more})", shown.join(", ")),
    }
}

/// Rationale: records of a capture with several queues are out of order by far
/// fewer packets than this; a single stamp from the future must not end the reading.
const ALL_LATE: u32 = 10_000;

/// Where packets lie in the time that is asked for.
pub(super) struct Reading {
    from: Option<Moment>,
    to: Option<Moment>,
    last: Option<Timestamp>,
    window: Option<Window>,
    /// Packets in a row that came after the end.
    late: u32,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Read,
    /// It came too late.
    Skip,
    /// So did all for a good while: nothing more is to come.
    Stop,
}

impl Reading {
    /// The first packet that this is asked about is the capture's first.
    ///
    /// # Errors
    /// The end lies before the start.
    pub(super) fn place(&mut self, time: Timestamp) -> Result<Place> {
        let window = match &mut self.window {
            Some(window) => window,
            none => {
                let last = self.last.unwrap_or(time);
                none.insert(Window::new(self.from, self.to, time, last)?)
            }
        };
        window.newest = window.newest.max(time);
        if window.to.is_none_or(|to| time <= to) {
            self.late = 0;
            return Ok(Place::Read);
        }
        self.late = self.late.saturating_add(1);
        Ok(if self.late < ALL_LATE {
            Place::Skip
        } else {
            Place::Stop
        })
    }

    /// From when to when; all, as long as there was no packet.
    pub(super) fn window(&self) -> Window {
        self.window.unwrap_or_default()
    }

    /// A message or control frame falls within, if only in part.
    pub(super) fn holds(&self, record: &Record) -> bool {
        let first = record.first().time;
        let last = match &record.kind {
            RecordKind::Message(message) => message.last.time,
            _ => first,
        };
        self.window().meets(first, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(to_nanos: i64) -> Reading {
        let to = Moment::At(Timestamp::from_nanos(to_nanos));
        let args = SelectArgs {
            to: Some(to),
            ..SelectArgs::default()
        };
        args.reading(None).expect("a time is given")
    }

    #[test]
    fn one_packet_from_the_future_does_not_end_the_reading() {
        let mut reading = reading(10);
        let places = [1, 99, 10, 11, 9].map(|nanos| {
            let place = reading.place(Timestamp::from_nanos(nanos));
            place.expect("an end after the start")
        });
        use Place::{Read, Skip};
        assert_eq!(places, [Read, Skip, Read, Skip, Read]);
    }

    #[test]
    fn a_good_while_after_the_end_nothing_is_read_any_more() {
        let mut reading = reading(10);
        let late = Timestamp::from_nanos(11);
        let read = (0..).take_while(|_| reading.place(late).ok() == Some(Place::Skip));
        assert_eq!(read.count(), 9_999);
    }
}
