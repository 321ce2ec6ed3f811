//! Panics inside a run: caught, so that other runs go on, and told with what is needed to meet them again.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};

use super::screen;

thread_local! {
    static IN_RUN: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of the run happened that was not raised again.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A bug that stopped a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bug {
    /// The message, with seed and event if the world knew them.
    pub message: String,
    /// `file:line:column` of the source.
    pub place: Option<String>,
}

impl Bug {
    /// Says what happened, and the command that meets it again.
    pub fn tell(&self, again: &str) {
        screen::tell(format_args!("  {}", self.message));
        if let Some(place) = &self.place {
            screen::tell(format_args!("  at {place}"));
        }
        screen::tell(format_args!("  meet it again with: {again}"));
    }
}

/// Where the world raises a panic again, with seed and event.
const RAISED_AGAIN: &str = "world/engine.rs";

/// Keeps panics inside runs from the terminal, where they would fall into the progress bar; with
/// `RUST_BACKTRACE` each is shown as usual, those too that a protocol's adapter catches. Other panics are as before.
pub fn prepare() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let again = panic.location().is_some_and(|place| place.file().ends_with(RAISED_AGAIN));
        let first = !again || PLACE.with_borrow(Option::is_none);
        if IN_RUN.get() && first {
            PLACE.set(panic.location().map(ToString::to_string));
        }
        if !IN_RUN.get() || first && std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            usual(panic);
        }
    }));
}

/// Runs `work`; a panic in it becomes a [`Bug`].
///
/// # Errors
/// `work` panicked.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Bug> {
    IN_RUN.set(true);
    PLACE.set(None);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IN_RUN.set(false);
    done.map_err(|cause| Bug { message: message(cause.as_ref()), place: PLACE.take() })
}

fn message(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    text.unwrap_or("an unknown panic").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An adapter catches the panic of a crate; a later one of our own is the bug.
    #[test]
    fn the_place_of_a_bug_is_not_that_of_a_panic_that_was_caught_before() {
        prepare();
        let bug = caught::<()>(|| {
            let _ = panic::catch_unwind(|| panic!("a crate's"));
            panic!("ours");
        })
        .expect_err("it panics");
        assert_eq!(bug.message, "ours");
        let line = |text: &str| include_str!("bug.rs").lines().position(|one| one.contains(text)).map(|at| at + 1);
        let ours = line("panic!(\"ours\")").expect("it stands above");
        assert!(bug.place.as_deref().is_some_and(|place| place.contains(&format!("bug.rs:{ours}:"))), "{bug:?}");
    }
}
