//! Standard output and standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use super::Status;

/// Columns where there is no terminal to ask.
const WIDTH: usize = 100;

/// Writes the product to standard output. A reader that has seen enough (`| head`) is no error.
///
/// # Errors
/// Standard output cannot be written; the user is told, and the status is [`Status::NotWritten`].
pub fn product(text: &str) -> Result<(), Status> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            self::error(format_args!("cannot write to standard output: {}", reason(&error)));
            Err(Status::NotWritten)
        }
        _ => Ok(()),
    }
}

/// Writes a JSON value with an indent of two, as result files have it.
///
/// # Errors
/// As [`product`].
pub fn json(value: &serde_json::Value) -> Result<(), Status> {
    product(&format!("{value:#}\n"))
}

/// A line on standard error. If even that cannot be written, there is no one left to tell.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Something that the user should know, though all goes on.
pub fn warning(line: impl Display) {
    tell(format_args!("{} {line}", paint("1;33", "warning:")));
}

/// Something that stops a part or all of the command.
pub fn error(line: impl Display) {
    tell(format_args!("{} {line}", paint("1;31", "error:")));
}

fn paint(code: &str, text: &str) -> String {
    if colour_on_stderr() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Whether standard error may have colours.
pub fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && colours_wanted()
}

/// Whether standard output may have colours.
pub fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && colours_wanted()
}

/// `NO_COLOR` (no-color.org) and a terminal that knows none.
fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Whether signs beyond ASCII can be read. Only a locale that says otherwise is believed.
pub fn unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
        let value = std::env::var_os(name)?;
        (!value.is_empty()).then(|| value.to_string_lossy().to_lowercase())
    });
    locale.is_none_or(|locale| locale.contains("utf-8") || locale.contains("utf8"))
}

/// Columns of the terminal, or a fixed number where there is none: files are the same everywhere.
pub fn width() -> usize {
    terminal_width().unwrap_or(WIDTH)
}

/// Columns of the terminal that standard output is, if it is one.
pub fn terminal_width() -> Option<usize> {
    if io::stdout().is_terminal() { columns() } else { None }
}

#[cfg(unix)]
fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

#[cfg(not(unix))]
fn columns() -> Option<usize> {
    None
}

/// The words of the system, without Rust's error number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// `1 run`, `2 runs`.
pub fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// `a`, `a and b`, `a, b and c`.
pub fn and_list<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// A word as a shell takes it.
pub fn shell(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%=".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
