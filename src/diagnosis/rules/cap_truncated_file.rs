//! `cap-truncated-file`: a capture file ends inside a record, or is damaged.

use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "cap-truncated-file",
    severity: Severity::Warn,
    summary: "a capture file ends inside a record, or is damaged from an offset on",
    explain: "\
## What it means
Everything before the damage was read and counts. What came after it is unknown: sessions that were open there may have gone on, and how they
ended can't be told. `data.offset` is the byte in the (uncompressed) file from which on nothing could be read.

## What usually causes it
- The capturing program was killed, or the disk was full.
- The file was copied while it was still being written, or in text mode.
- A part is missing at the end of a download.

## How to tell them apart
An offset at the end of the file: cut off. An offset in the middle: damaged there; a text-mode copy has changed bytes all over the file.

## What to do
Stop the capture with Ctrl-C or `kill -INT`, so that it writes its buffer, and copy the file only then. `pcapfix` can sometimes read on behind
the damage.

## References
The pcap and pcapng file formats.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for file in &overview.capture.files {
        let Some(damage) = &file.damage else { continue };
        let path = file.path.display();
        findings.push(
            Finding::of_capture(
                &RULE,
                Confidence::Certain,
                format!(
                    "{path} can't be read from byte {} on ({}); the {} packets before it were",
                    damage.offset, damage.what, file.packets
                ),
            )
            .data("file", Value::Text(path.to_string()))
            .data("offset", Value::Count(damage.offset))
            .data("packets", Value::Count(file.packets))
            .cause(
                Confidence::Possible,
                "the capture was still being written when the file was copied, or its program was killed",
            )
            .advice("how sessions ended after that point is unknown: stop the capture first, then copy the file"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Thresholds, diagnose_capture};
    use crate::session::{Capture, CaptureFile, Damage};

    fn told(damage: Option<Damage>) -> Vec<Finding> {
        let file = CaptureFile {
            path: "a.pcap".into(),
            format: "pcap",
            packets: 7,
            bytes: 900,
            first: None,
            last: None,
            damage,
            comments: Vec::new(),
            lead: None,
        };
        let capture = Capture {
            files: vec![file],
            ..Capture::default()
        };
        let mut findings = diagnose_capture(&[], &[], &capture, &Thresholds::default());
        findings.retain(|finding| finding.rule.id == RULE.id);
        findings
    }

    #[test]
    fn damage_is_told_with_its_offset() {
        let found = told(Some(Damage {
            offset: 880,
            what: "the record's body is cut off".to_owned(),
        }));
        assert_eq!(found.len(), 1);
        assert!(found[0].data.contains(&("offset", Value::Count(880))));
    }

    #[test]
    fn a_whole_file_is_silent() {
        assert!(told(None).is_empty());
    }
}
