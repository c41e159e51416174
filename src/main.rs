//! wscope's command line: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    wscope::cli::run(wscope::cli::Cli::parse())
}
