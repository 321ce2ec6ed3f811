//! Progress on standard error, for people at a terminal.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that counts runs, and is nothing where no one looks.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    pub fn new(runs: u64, quiet: bool) -> Self {
        if quiet || !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr());
        bar.set_style(style(if runs == 1 {
            "{spinner} running, {elapsed}"
        } else {
            "{spinner} {pos} of {len} runs, {elapsed}"
        }));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// One more run has ended. Only now can be said how long the others will take.
    pub fn step(&self) {
        if self.0.position() == 0 {
            self.0.set_style(style("{bar:40} {pos} of {len} runs, {elapsed}, {eta} left"));
        }
        self.0.inc(1);
    }

    /// Leaves no trace on the terminal.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// A line that says how a search is going, and is nothing where no one looks.
#[derive(Debug)]
pub struct Watch(ProgressBar);

impl Watch {
    pub fn new(quiet: bool) -> Self {
        if quiet || !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {msg}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub fn tell(&self, line: String) {
        self.0.set_message(line);
    }

    /// Leaves no trace on the terminal.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("=> ")
}
