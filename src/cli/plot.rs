//! `firedrill plot`.

use std::path::PathBuf;

use super::options::Format;
use super::{Status, screen};
use crate::output;

/// Draw plots again, from result files alone.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A directory of results, or one scenario's directory in it.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print the paths of the plots one a line, or as a JSON array.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print nothing.
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  firedrill plot results
  firedrill plot results/majority-failure";

/// Draws, and says what.
pub fn plot(args: &Args) -> Status {
    let drawn = match output::plot(&args.dir) {
        Ok(drawn) => drawn,
        Err(error) => {
            screen::error(&error);
            return if error.is_about_writing() { Status::NotWritten } else { Status::Refused };
        }
    };
    let names = drawn.iter().map(|path| path.display().to_string());
    let printed = match args.format {
        Format::Json => screen::json(&names.collect()),
        Format::Human if args.quiet => Ok(()),
        Format::Human => screen::product(&names.map(|name| name + "\n").collect::<String>()),
    };
    printed.err().unwrap_or(Status::Held)
}
