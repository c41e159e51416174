//! Who may import whom: reads every path in `src/` that leads to another
//! module of the crate, in `use` and inline, and holds it to one table. The
//! table is the one in ARCHITECTURE.md.
#![allow(clippy::indexing_slicing)] // Offsets into text that this file found itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What one module may use of the others.
struct Layer {
    name: &'static str,
    /// Modules, besides itself.
    may_use: &'static [&'static str],
    /// What is out of bounds in these modules all the same.
    but_not: &'static [&'static str],
}

const fn layer(
    name: &'static str,
    may_use: &'static [&'static str],
    but_not: &'static [&'static str],
) -> Layer {
    Layer {
        name,
        may_use,
        but_not,
    }
}

/// Session and what stands on it take the layers' facts, never their machinery.
const MACHINERY: &[&str] = &[
    "tcp::Connection",
    "tls::Connection",
    "http::Connection",
    "websocket::Connection",
    "packet::Decoder",
];
const BELOW_REPORT: &[&str] = &[
    "time",
    "stream",
    "source",
    "packet",
    "tcp",
    "tls",
    "http",
    "websocket",
    "session",
];

/// From the bottom to the top. `main.rs` and `lib.rs` may use everything.
const TABLE: &[Layer] = &[
    layer("time", &[], &[]),
    layer("stream", &["time"], &[]),
    layer("source", &["time", "stream"], &[]),
    layer(
        "packet",
        &["time", "stream", "source"],
        &["source::Source", "source::Input"],
    ),
    layer(
        "tcp",
        &["time", "stream", "packet"],
        &["packet::Decoder", "packet::Decoded"],
    ),
    layer("tls", &["time", "stream"], &[]),
    layer("http", &["time", "stream"], &[]),
    layer("websocket", &["time", "stream"], &[]),
    layer(
        "session",
        &["time", "stream", "tcp", "tls", "http", "websocket"],
        MACHINERY,
    ),
    layer("diagnosis", &["time", "stream", "session"], &[]),
    layer("report", &["time", "stream", "session", "diagnosis"], &[]),
    layer("pipeline", BELOW_REPORT, &[]),
    layer(
        "cli",
        &[
            "diagnosis",
            "report",
            "pipeline",
            "time",
            "stream",
            "source",
            "packet",
            "tcp",
            "tls",
            "http",
            "websocket",
            "session",
        ],
        &[],
    ),
];

#[test]
fn imports_go_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.sort();
    let sources: Vec<(PathBuf, String)> = files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a file that was just listed");
            (
                path.strip_prefix(&src).expect("it lies in src/").to_owned(),
                blank_comments(&text),
            )
        })
        .collect();
    let test_files: BTreeSet<PathBuf> = sources
        .iter()
        .flat_map(|(path, text)| test_modules(path, text))
        .collect();

    let mut faults = Vec::new();
    let mut imports = 0;
    for (path, text) in &sources {
        if test_files
            .iter()
            .any(|test| path.with_extension("").starts_with(test))
        {
            continue;
        }
        let found = check(path, &blank_tests(text));
        imports += found.0;
        faults.extend(found.1);
    }
    assert!(
        imports > 0,
        "no imports found: the reader of this test is broken"
    );
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The number of imports between modules in one file of `src/`, and those that
/// the table forbids, as lines for the reader.
fn check(path: &Path, text: &str) -> (usize, Vec<String>) {
    let modules = module_path(path);
    let Some(own) = modules.first() else {
        return (0, Vec::new()); // lib.rs, main.rs
    };
    let Some(layer) = TABLE.iter().find(|layer| layer.name == own) else {
        let fault = format!(
            "src/{}: the module `{own}` is not in the table of tests/layering.rs",
            path.display()
        );
        return (0, vec![fault]);
    };
    let mut count = 0;
    let mut faults = Vec::new();
    for (offset, import) in crate_paths(text, modules.len()) {
        let Some(target) = import.first().filter(|target| *target != own) else {
            continue;
        };
        if !TABLE.iter().any(|layer| layer.name == target) {
            continue; // A macro or a re-export at the crate's root.
        }
        count += 1;
        let spelled = import.join("::");
        let barred = layer
            .but_not
            .iter()
            .any(|item| spelled == *item || spelled.starts_with(&format!("{item}::")));
        if barred || !layer.may_use.contains(&target.as_str()) {
            let line = text[..offset].matches('\n').count() + 1;
            faults.push(format!(
                "src/{}:{line}: `{own}` must not import `crate::{spelled}`",
                path.display()
            ));
        }
    }
    (count, faults)
}

/// `tcp/half.rs` is `[tcp, half]`; `lib.rs` and `main.rs` are the root, `[]`.
fn module_path(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> = path
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if parts.last().is_some_and(|last| last == "mod")
        || matches!(parts.as_slice(), [root] if root == "lib" || root == "main")
    {
        parts.pop();
    }
    parts
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src/ can be listed") {
        let path = entry.expect("src/ can be listed").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every path of `text` that starts at the crate's root: `crate::...`, or as
/// many `super::` as the module is deep. Groups are taken apart, so that
/// `use crate::{time, tcp::{Event, Half}}` is three paths.
fn crate_paths(text: &str, depth: usize) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((start, word)) = next_word(text, at) {
        at = start + word.len();
        let mut supers = 0;
        if word == "super" {
            supers = 1;
            while let Some((next, "super")) =
                path_separator(text, at).and_then(|next| next_word(text, next))
            {
                supers += 1;
                at = next + "super".len();
            }
        }
        let at_root = word == "crate" || (supers > 0 && supers == depth);
        if let Some(next) = path_separator(text, at).filter(|_| at_root) {
            at = use_tree(text, next, &[], &mut found);
        }
    }
    found
}

/// Reads one use-tree from `at`, returns where it ends.
fn use_tree(
    text: &str,
    at: usize,
    prefix: &[String],
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let at = skip_space(text, at);
    if text[at..].starts_with('{') {
        let mut at = at + 1;
        loop {
            at = skip_space(text, at);
            match text[at..].chars().next() {
                None => return at,
                Some('}') => return at + 1,
                Some(',') => at += 1,
                Some(_) => {
                    let next = use_tree(text, at, prefix, found);
                    at = next.max(at + 1);
                }
            }
        }
    }
    let Some((start, word)) = next_word(text, at).filter(|(start, _)| *start == at) else {
        found.push((at, prefix.to_vec())); // `*`, or `<` of a generic: the path ends here.
        return at;
    };
    let mut path = prefix.to_vec();
    if word != "self" {
        path.push(word.to_owned());
    }
    let end = start + word.len();
    if let Some(next) = path_separator(text, end) {
        return use_tree(text, next, &path, found);
    }
    found.push((start, path));
    // `as name` inside a group is no path of its own.
    match next_word(text, end) {
        Some((next, "as")) if text[end..next].trim().is_empty() => {
            next_word(text, next + 2).map_or(end, |(start, word)| start + word.len())
        }
        _ => end,
    }
}

fn skip_space(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}

/// The offset behind a `::` that follows `at`, white space aside.
fn path_separator(text: &str, at: usize) -> Option<usize> {
    let at = skip_space(text, at);
    text[at..].starts_with("::").then_some(at + 2)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first identifier or keyword at or after `at`.
fn next_word(text: &str, at: usize) -> Option<(usize, &str)> {
    let start = at + text[at..].find(is_word)?;
    let rest = &text[start..];
    let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    Some((start, &rest[..len]))
}

/// `text` with comments and the insides of string and character literals
/// blanked; offsets and line numbers stay.
fn blank_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let len = opaque_len(rest, out.chars().next_back());
        if len > 0 {
            blank(&rest[..len], &mut out);
            rest = &rest[len..];
        } else {
            let len = rest.chars().next().map_or(0, char::len_utf8);
            out.push_str(&rest[..len]);
            rest = &rest[len..];
        }
    }
    out
}

/// How many bytes of comment or literal `rest` starts with; 0 for code.
fn opaque_len(rest: &str, before: Option<char>) -> usize {
    let until = |end: &str, from: usize| {
        rest[from..]
            .find(end)
            .map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_len(rest);
    }
    if rest.starts_with('"') {
        return quoted_len(rest, '"');
    }
    let prefix = rest.trim_start_matches(['b', 'c']);
    if !before.is_some_and(is_word) && rest.len() - prefix.len() <= 1 && prefix.starts_with('r') {
        let hashes = prefix[1..].len() - prefix[1..].trim_start_matches('#').len();
        if prefix[1 + hashes..].starts_with('"') {
            let open = rest.len() - prefix.len() + 1 + hashes + 1;
            return until(&format!("\"{}", "#".repeat(hashes)), open);
        }
    }
    // 'a' and '\n' are characters, 'a without a closing quote is a lifetime.
    if rest.starts_with("'\\") {
        return quoted_len(rest, '\'');
    }
    let mut chars = rest.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn quoted_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Spaces in place of all but the line ends, byte for byte.
fn blank(what: &str, out: &mut String) {
    out.extend(
        what.bytes()
            .map(|byte| if byte == b'\n' { '\n' } else { ' ' }),
    );
}

const CFG_TEST: &str = "#[cfg(test)]";

/// `text` (without comments) with each item under `#[cfg(test)]` blanked.
fn blank_tests(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(CFG_TEST) {
        out.push_str(&rest[..at]);
        let end = at + item_len(&rest[at..]);
        blank(&rest[at..end], &mut out);
        rest = &rest[end..];
    }
    out + rest
}

/// How long the item at the start of `text` is: to its `;`, or to the brace
/// that closes its first one.
fn item_len(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// The modules in files of their own that `text` declares under
/// `#[cfg(test)]`, as paths without an extension.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder: PathBuf = module_path(path).iter().collect();
    text.match_indices(CFG_TEST)
        .filter_map(|(at, _)| {
            let item = &text[at + CFG_TEST.len()..at + item_len(&text[at..])];
            let name = item
                .trim()
                .trim_start_matches("pub(crate) ")
                .strip_prefix("mod ")?;
            Some(folder.join(name.strip_suffix(';')?.trim()))
        })
        .collect()
}

mod reader {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        check(Path::new(path), &blank_tests(&blank_comments(text))).1
    }

    #[test]
    fn an_upward_import_is_told_with_its_place() {
        assert_eq!(
            faults(
                "http/head.rs",
                "use crate::time::Timestamp;\nuse crate::{\n    tcp::Event,\n};\n"
            ),
            ["src/http/head.rs:3: `http` must not import `crate::tcp::Event`"]
        );
    }

    #[test]
    fn an_inline_path_counts_as_an_import() {
        assert_eq!(
            faults(
                "tls/mod.rs",
                "fn f() -> Vec<crate::session::Session> { Vec::new() }"
            ),
            ["src/tls/mod.rs:1: `tls` must not import `crate::session::Session`"]
        );
    }

    #[test]
    fn the_way_through_super_counts_too() {
        assert_eq!(
            faults("tls/record.rs", "use super::super::http::Event;").len(),
            1
        );
        assert_eq!(faults("tls/record.rs", "use super::http::Event;").len(), 0);
    }

    #[test]
    fn facts_may_be_imported_where_machinery_may_not() {
        assert_eq!(
            faults(
                "session/mod.rs",
                "use crate::tcp::{self, Connection, Event as Fact};"
            ),
            ["src/session/mod.rs:1: `session` must not import `crate::tcp::Connection`"]
        );
    }

    #[test]
    fn tests_comments_and_strings_are_exempt() {
        let text = "/// [`crate::tcp`]\nconst A: &str = \"crate::tcp\";\nfn f<'a>(_: &'a str) {}\n\
                    #[cfg(test)]\nmod tests {\n    use crate::tcp::Event;\n}\n";
        assert!(faults("http/mod.rs", text).is_empty());
        assert_eq!(
            faults("http/mod.rs", &format!("{text}use crate::tcp::Half;")).len(),
            1
        );
    }

    #[test]
    fn a_module_outside_the_table_is_told() {
        assert_eq!(faults("utils.rs", "").len(), 1);
    }

    #[test]
    fn test_modules_in_their_own_files_are_known() {
        let text = "mod half;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod inline { }\n";
        assert_eq!(
            test_modules(Path::new("tcp/mod.rs"), text),
            [PathBuf::from("tcp/tests")]
        );
    }
}
