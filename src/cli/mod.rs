//! The command line: flags to options, options to a run, a run to an exit code.

mod analyze;
mod args;
mod choose;
mod explain;
mod faults;
mod filter;
mod input;
mod interrupt;
mod keys;
mod messages;
mod moment;
mod opening;
mod output;
mod select;
mod show;
mod timers;

use std::process::ExitCode;

pub use args::Cli;
use args::Command;

/// How a command ended, as grep's family has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing at or above `--fail-on`.
    Quiet,
    /// Something.
    Found,
    /// Nothing of one of the inputs could be read; the others were reported on.
    Incomplete,
}

/// Runs what the command line asks for. One line on stderr tells why it could not.
pub fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command() {
        Command::Analyze(args) => analyze::run(&args),
        Command::Messages(args) => messages::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Explain(args) => explain::run(&args),
    };
    match outcome {
        Ok(Outcome::Quiet) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        Ok(Outcome::Incomplete) => ExitCode::from(2),
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}
