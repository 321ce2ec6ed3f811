//! Ctrl-C: once to stop with what is finished, twice to stop at once.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Status, screen};

static PRESSED: AtomicBool = AtomicBool::new(false);

/// Calls `first` at the first Ctrl-C, on a thread of its own. The second ends the process.
pub fn watch(first: impl Fn() + Send + 'static) {
    let handler = move || {
        if PRESSED.swap(true, Ordering::SeqCst) {
            std::process::exit(Status::Interrupted.code().into());
        }
        first();
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        screen::warning(format_args!("Ctrl-C will end firedrill without a summary: {error}"));
    }
}

/// Whether Ctrl-C was pressed.
pub fn pressed() -> bool {
    PRESSED.load(Ordering::SeqCst)
}
