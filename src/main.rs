//! The table of contents: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use firedrill::cli::{self, Cli, Command};

fn main() -> ExitCode {
    let status = match Cli::parse().command {
        Command::Run(args) => cli::run::run(args),
        Command::Check(args) => cli::check::check(&args),
        Command::Replay(args) => cli::replay::replay(&args),
        Command::Fuzz(args) => cli::fuzz::fuzz(&args),
        Command::Shrink(args) => cli::shrink::shrink(&args),
        Command::Explain(args) => cli::explain::explain(&args),
        Command::Verify(args) => cli::verify::verify(&args),
        Command::Plot(args) => cli::plot::plot(&args),
        Command::List(args) => cli::list::list(&args),
        Command::Schema => cli::schema::schema(),
        Command::Completions(args) => cli::completions::completions(&args),
    };
    status.into()
}
