//! The command line: one file a command, and what they share. Only this module prints.
//!
//! Standard output carries the product alone: tables, lists, JSON. Warnings, errors and progress go to
//! standard error. Everything is checked before anything runs, and nothing is created if a check fails.

pub mod check;
pub mod completions;
pub mod explain;
pub mod fuzz;
pub mod list;
pub mod plot;
pub mod replay;
pub mod run;
pub mod schema;
pub mod shrink;
pub mod verify;

mod batch;
mod bug;
mod defect;
mod interrupt;
mod load;
mod options;
mod plan;
mod progress;
mod screen;
mod status;

use std::path::Path;

use clap::{Parser, Subcommand};

pub use status::Status;

use crate::scenario::{Diagnostics, Scenario};

/// Reads and checks a scenario file, for programs that use this crate as a library.
///
/// # Errors
/// Everything that is wrong with it.
pub fn open(path: &Path) -> Result<Scenario, Diagnostics> {
    load::load(path, &[]).map(|loaded| loaded.scenario)
}

/// Rehearse disasters on geo-replicated services.
///
/// Many data centers, WAN links, failures and shifting load are simulated, with real protocols running inside, and
/// the result says what each protocol would have cost its users.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Start here:
  firedrill run scenarios/majority-failure.json
  firedrill help run

Exit codes: 0 everything held; 1 an expectation or a promise of a protocol was broken, or a replay
differed; 2 a mistake in the command or in a scenario; 3 a checker could not decide; 4 output could
not be written; 130 interrupted, finished runs kept; 101 a bug in firedrill.";

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(run::Args),
    Check(check::Args),
    Replay(replay::Args),
    Fuzz(fuzz::Args),
    Explain(explain::Args),
    Verify(verify::Args),
    Shrink(shrink::Args),
    Plot(plot::Args),
    List(list::Args),
    /// Print the JSON Schema of scenarios, for editors and validators.
    #[command(after_help = schema::EXAMPLES)]
    Schema,
    Completions(completions::Args),
}
