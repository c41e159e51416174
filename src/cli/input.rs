//! Opening what the command line names, and reading it to its end.

use std::path::Path;

use super::args::InputArgs;
use super::faults::{Foreign, faults, readable};
use super::filter::Filter;
use super::moment::Window;
use super::output;
use super::select::{Place, Reading};
use crate::packet::carries_ip;
use crate::pipeline::{Analyzer, Finished, Options};
use crate::session::redact::Secrets;
use crate::session::{Attempt, Capture, CaptureFile as FileFacts, Damage, Lead, Session};
use crate::session::{Record, Selector};
use crate::source::{Comment, FileSummary, Input, expand};
use crate::stream::PacketRef;
use crate::time::Timestamp;

/// What [`InputArgs::read`] tells on the way.
pub(super) enum Told<'a> {
    /// A message or a control frame.
    Record(&'a Record),
    /// Nothing comes for now: what waits to be shown should be.
    Pause,
}

/// All that was read and settled.
pub(super) struct Read {
    pub(super) capture: Capture,
    pub(super) sessions: Vec<Session>,
    pub(super) attempts: Vec<Attempt>,
    /// The time that was asked for.
    pub(super) window: Window,
    /// Of some input nothing could be read; why, was said.
    pub(super) incomplete: bool,
}

impl InputArgs {
    pub(super) fn secrets(&self) -> Secrets {
        if self.show_secrets {
            Secrets::Shown
        } else {
            Secrets::Redacted
        }
    }

    /// Reads all files to their ends, to the end of the time that was asked for, or until somebody interrupts;
    /// `tell` gets messages and control frames of that time as they settle, only those of the sessions that `only` takes.
    ///
    /// # Errors
    /// Nothing of an input could be read, a session that was asked for isn't there, or `tell` failed.
    pub(super) fn read(
        &self,
        options: Options,
        only: Selector,
        quiet: bool,
        mut tell: impl FnMut(Told<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Read> {
        let mut filter = self.select.filter()?;
        let mut reading = self.select.reading(self.last_time()?);
        let (mut files, mut incomplete) = self.open(quiet)?;
        let mut foreign = Foreign::default();
        let mut analyzer = Analyzer::new(options);
        analyzer.only_records_of(only);
        self.learn_keys(&mut analyzer, quiet)?;
        let mut finished = Vec::new();
        while let Some(input) = files.next()? {
            if let Input::Packet(packet) = &input {
                foreign.note(packet);
                if let Some(reading) = &mut reading {
                    match reading.place(packet.at.time)? {
                        Place::Read => {}
                        Place::Skip => continue,
                        Place::Stop => break,
                    }
                }
                if let Some(filter) = &mut filter
                    && carries_ip(packet.link)
                    && !filter.matches(packet)
                {
                    continue;
                }
            }
            analyzer.push(&input, &mut finished);
            let paused = matches!(input, Input::Tick(_));
            if options.records {
                while let Some(next) = analyzer.next_record() {
                    if holds(&reading, &next) {
                        tell(Told::Record(&next))?;
                    }
                }
            }
            if paused {
                tell(Told::Pause)?;
            }
        }
        let mut failed = Ok(());
        let mut capture = analyzer.finish(&mut finished, |next| {
            if failed.is_ok() && holds(&reading, &next) {
                failed = tell(Told::Record(&next));
            }
        });
        failed?;
        let summaries = files.summaries();
        let mut faults = faults(&summaries, &foreign);
        let numbered = summaries.iter().enumerate();
        let unread = numbered
            .filter(|(source, file)| !readable(*source, file, &foreign))
            .count();
        incomplete |= unread > 0;
        if unread == summaries.len()
            && let Some(last) = faults.pop()
        {
            faults.iter().for_each(|fault| output::complain(fault));
            return Err(anyhow::Error::msg(last));
        }
        capture.filter = filter.map(Filter::outcome).transpose()?;
        let leads = numbered_leads(&summaries);
        let files = summaries.into_iter().zip(leads);
        capture.files = files.map(|(file, lead)| facts(file, lead)).collect();
        if !quiet {
            faults.iter().for_each(|fault| output::complain(fault));
            warn_about(&capture);
        }
        let read = sorted(capture, finished);
        self.select.check(&read.sessions)?;
        Ok(Read {
            incomplete,
            window: reading.map(|reading| reading.window()).unwrap_or_default(),
            ..read
        })
    }

    /// The time of the newest packet, where a flag counts from it: one more
    /// pass, that only looks at the stamps.
    fn last_time(&self) -> anyhow::Result<Option<Timestamp>> {
        if !self.select.counts_from_the_end() {
            return Ok(None);
        }
        self.can_be_read_twice("a time that counts from the end (-5m)")?;
        let (mut files, _) = self.open(true)?;
        let mut last = None;
        while let Some(input) = files.next()? {
            if let Input::Packet(packet) = &input {
                last = last.max(Some(packet.at.time));
            }
        }
        Ok(last)
    }

    /// # Errors
    /// An input is no regular file, and `what` needs two passes.
    pub(super) fn can_be_read_twice(&self, what: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.follow,
            "--follow: {what} needs two passes, and what grows has no end; leave one of the two out"
        );
        for path in expand(&self.files)?.files {
            let regular = std::fs::metadata(&path).is_ok_and(|facts| facts.is_file());
            anyhow::ensure!(
                regular || !(path.as_os_str() == "-" || path.exists()),
                "{}: {what} needs two passes, and this can be read only once; write it to a file first",
                if path.as_os_str() == "-" {
                    Path::new("stdin")
                } else {
                    &path
                }
                .display()
            );
        }
        Ok(())
    }
}

fn holds(reading: &Option<Reading>, record: &Record) -> bool {
    reading.as_ref().is_none_or(|reading| reading.holds(record))
}

/// What corrects each file's times, with packets that say which files they are of.
fn numbered_leads(files: &[FileSummary]) -> Vec<Option<Lead>> {
    let lead = |(own, file): (u16, &FileSummary)| {
        let lead = file.lead.as_ref()?;
        let than = files.iter().position(|other| other.path == lead.than)?;
        let than = u16::try_from(than).ok()?;
        let (sent, acked) = match lead.sent_here {
            true => (own, than),
            false => (than, own),
        };
        let of = |at: PacketRef, source| PacketRef { source, ..at };
        Some(Lead {
            nanos: lead.nanos,
            sent: of(lead.sent, sent),
            acked: of(lead.acked, acked),
        })
    };
    (0..).zip(files).map(lead).collect()
}

fn facts(file: FileSummary, lead: Option<Lead>) -> FileFacts {
    FileFacts {
        path: file.path,
        format: file.format.name(),
        packets: file.packets,
        bytes: file.bytes,
        first: file.first,
        last: file.last,
        comments: file.comments.into_iter().map(comment).collect(),
        damage: file.damage.map(|damage| Damage {
            offset: damage.offset,
            what: damage.what,
        }),
        lead,
    }
}

fn comment(comment: Comment) -> String {
    match comment.packet {
        Some(number) => format!("packet {number}: {}", comment.text),
        None => comment.text,
    }
}

fn warn_about(capture: &Capture) {
    if capture.failures > 0 {
        output::complain(&format!(
            "{} connections could not be worked on because of a bug in wscope; please report it with the capture",
            capture.failures
        ));
    }
}

fn sorted(capture: Capture, finished: Vec<Finished>) -> Read {
    // Exactly as many as there are: doubling would cost as much again.
    let is_session = |finished: &&Finished| matches!(finished, Finished::Session(_));
    let mut sessions = Vec::with_capacity(finished.iter().filter(is_session).count());
    let mut attempts = Vec::new();
    for finished in finished {
        match finished {
            Finished::Session(session) => sessions.push(*session),
            Finished::Attempt(attempt) => attempts.push(*attempt),
        }
    }
    sessions.sort_by_key(|session| session.id);
    attempts.sort_by_key(|attempt| attempt.leg.tcp_stream);
    Read {
        capture,
        sessions,
        attempts,
        window: Window::default(),
        incomplete: false,
    }
}
