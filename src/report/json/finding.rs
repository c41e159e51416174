//! A finding as JSON, and the rules that fired.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::diagnosis::{Evidence, Finding, Rule, Subject, Value};
use crate::report::Report;
use crate::report::when::{ms, rfc3339};

pub(in crate::report) fn finding(finding: &Finding, report: &Report) -> Json {
    let session = match finding.subject {
        Subject::Session(id) => Some(format!("s{id}")),
        Subject::Connection { .. } | Subject::Capture => None,
    };
    let evidence: Vec<Json> = finding.evidence.iter().map(one_evidence).collect();
    let causes: Vec<Json> = finding
        .causes
        .iter()
        .map(|cause| json!({"text": cause.text, "confidence": cause.confidence.name()}))
        .collect();
    let data: Map<String, Json> = finding
        .data
        .iter()
        .map(|(name, value)| ((*name).to_owned(), number_or_word(value)))
        .collect();
    json!({
        "id": finding.rule.id,
        "severity": finding.severity.name(),
        "confidence": finding.confidence.name(),
        "session": session,
        "summary": finding.summary,
        "advice": finding.advice,
        "causes": causes,
        "data": data,
        "evidence": evidence,
        "filter": filter(finding, report),
    })
}

fn one_evidence(evidence: &Evidence) -> Json {
    json!({
        "file": evidence.at.source,
        "packet": evidence.at.number,
        "time": rfc3339(evidence.at.time),
        "what": evidence.what,
    })
}

/// A filter, or an object of one per file. The number of a stream is that of
/// all files together, so that it helps only where there is one.
fn filter(finding: &Finding, report: &Report) -> Json {
    let files = report.capture.files.len();
    if files <= 1 {
        return json!(finding.filter(0, true));
    }
    let per_file: BTreeMap<String, String> = report
        .capture
        .files
        .iter()
        .zip(0_u16..)
        .filter_map(|(file, source)| {
            Some((
                file.path.to_string_lossy().into_owned(),
                finding.filter(source, false)?,
            ))
        })
        .collect();
    json!(per_file)
}

fn number_or_word(value: &Value) -> Json {
    match value {
        Value::Ms(duration) => json!(ms(*duration)),
        Value::Count(count) => json!(count),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Flag(flag) => json!(flag),
        Value::List(words) => json!(words),
    }
}

#[derive(serde::Serialize)]
pub(super) struct RuleEntry {
    severity: &'static str,
    summary: &'static str,
    url: String,
}

/// The rules that fired.
pub(super) fn rules(report: &Report) -> BTreeMap<&'static str, RuleEntry> {
    report
        .findings
        .iter()
        .map(|finding| (finding.rule.id, entry(finding.rule)))
        .collect()
}

fn entry(rule: &Rule) -> RuleEntry {
    RuleEntry {
        severity: rule.severity.name(),
        summary: rule.summary,
        url: format!("docs/findings.md#{}", rule.id),
    }
}
