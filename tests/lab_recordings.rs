//! The recordings whose truth the endpoints themselves wrote down, judged by
//! the script that lies beside them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/lab/score.py")
}

/// Runs the script on this build; `None` (aloud) where it or Python is missing.
fn score(arguments: &[&str]) -> Option<Output> {
    let run = Command::new("python3")
        .arg(script())
        .args(["--wscope", env!("CARGO_BIN_EXE_wscope")])
        .args(arguments)
        .output();
    match run {
        Ok(output) if script().exists() => Some(output),
        _ => {
            // Written past the test's capture: a test that didn't run has to be seen.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: ../shared/lab/score.py or python3 isn't here"
            );
            None
        }
    }
}

#[test]
fn the_spine_passes_95_of_100_recordings() {
    let Some(output) = score(&["--set", "spine", "--min", "95"]) else {
        return;
    };
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "\n{printed}{errors}");
}

#[test]
fn no_recording_fails_to_run_or_has_invented_messages() {
    let Some(output) = score(&[]) else {
        return;
    };
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("\npassed "),
        "the script didn't finish: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let is_fault = |line: &&str| line.contains("run: ") || line.contains("that nobody sent");
    let faults: Vec<&str> = printed.lines().filter(is_fault).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
