//! `firedrill completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Status, screen};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  firedrill completions bash > ~/.local/share/bash-completion/completions/firedrill
  firedrill completions fish > ~/.config/fish/completions/firedrill.fish
  firedrill completions zsh > \"${fpath[1]}/_firedrill\"";

/// Prints the script.
pub fn completions(args: &Args) -> Status {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "firedrill", &mut script);
    screen::product(&String::from_utf8_lossy(&script)).err().unwrap_or(Status::Held)
}
