//! Histories from files: firedrill's own, Jepsen's and Porcupine's, as events of one vocabulary.
//!
//! A file is text from anywhere. Whatever is wrong with it is a [`Problem`] with a line, never a panic, and
//! what cannot be told from it (a read that saw "nil", a text that two sequences of appends explain) is left
//! out and noted, so that no judge takes a guess for an observation. `docs/histories.md` has the formats.

mod builder;
mod edn;
mod firedrill;
mod jepsen;
mod porcupine;
pub mod seal;
mod strings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::history::Event;
use crate::id::ServiceId;

/// Files larger than this are refused.
pub const LARGEST: u64 = 512 << 20;
/// More events than this are refused.
const MOST_EVENTS: usize = 5_000_000;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// `history.jsonl`.
    Firedrill,
    /// Operations as EDN maps.
    Jepsen,
    /// Logs of `jepsen.util` as in Porcupine's tests of etcd, or maps with a `:key`, as in its tests of a store.
    Porcupine,
}

/// What the operations of a file mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Cells by key: read, put, append, compare-and-swap.
    Kv,
    /// One cell.
    Register,
    /// Sets by key that only grow: read and post.
    Board,
}

/// What a cell holds before anything is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initial {
    Absent,
    /// Any one value.
    Unknown,
    /// This one, as it stands in the file.
    Value(String),
}

/// How to read a file. What is `None` follows from the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub input: Option<Input>,
    pub model: Option<Model>,
    pub initial: Option<Initial>,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1; 0 is the file as a whole.
    pub line: usize,
    pub message: String,
}

impl Problem {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}: ", self.line)?;
        }
        f.write_str(&self.message)
    }
}

/// A history, and what its numbers are called in the file.
#[derive(Clone, Debug)]
pub struct Imported {
    pub input: Input,
    pub model: Option<Model>,
    pub events: Vec<Event>,
    /// By [`ServiceId`].
    pub services: Vec<String>,
    /// Keys that are no numbers in the file, by number.
    pub keys: Vec<String>,
    /// Values that are no digests in the file, by digest.
    pub values: BTreeMap<u64, String>,
    /// Cells begin with any value instead of none.
    pub initial_unknown: bool,
    /// Times are seconds of a clock; otherwise they are line numbers.
    pub clock: bool,
    /// Observations that had to be left out; a verdict cannot be better than unknown then.
    pub left_out: Vec<String>,
}

impl Imported {
    pub fn service(&self, service: ServiceId) -> &str {
        self.services.get(service.index()).map_or("", String::as_str)
    }

    pub fn key(&self, key: u32) -> String {
        self.keys.get(key as usize).cloned().unwrap_or_else(|| key.to_string())
    }

    /// Puts the file's own words for values where a text names digests.
    pub fn in_its_words(&self, text: &str) -> String {
        let is_digest = |word: &str| word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let word = |word: &str| {
            let digest = if is_digest(word) { u64::from_str_radix(word, 16).ok() } else { None };
            digest.and_then(|digest| self.values.get(&digest)).cloned().unwrap_or_else(|| word.to_owned())
        };
        let mut out = String::new();
        let mut last = String::new();
        for piece in text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
            let end =
                piece.len() - piece.chars().last().filter(|c| !c.is_ascii_alphanumeric()).map_or(0, char::len_utf8);
            let key = if last == "key" { piece[..end].parse().ok().map(|key| self.key(key)) } else { None };
            out.push_str(&key.unwrap_or_else(|| word(&piece[..end])));
            out.push_str(&piece[end..]);
            piece[..end].clone_into(&mut last);
        }
        out
    }
}

/// Reads a history.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn read(text: &str, options: &Options) -> Result<Imported, Problem> {
    let start = text.trim_start();
    if start.is_empty() {
        return Err(Problem::new(0, "it is empty: there is no operation in it"));
    }
    let input = options.input.or_else(|| guess(start)).ok_or_else(|| {
        Problem::new(1, "it is no history that firedrill knows: neither JSON lines, EDN maps, nor a log of jepsen.util")
    })?;
    let imported = match input {
        Input::Firedrill => firedrill::read(text, options)?,
        Input::Porcupine if start.starts_with("INFO") => porcupine::read_log(text, options)?,
        Input::Porcupine => porcupine::read_store(text, options)?,
        Input::Jepsen => jepsen::read(text, options)?,
    };
    if imported.events.is_empty() {
        return Err(Problem::new(0, "there is no operation in it"));
    }
    Ok(imported)
}

/// The format that a text looks like.
fn guess(start: &str) -> Option<Input> {
    let mut letters = start.chars().filter(|letter| !letter.is_whitespace());
    match letters.next()? {
        'I' if start.starts_with("INFO") => Some(Input::Porcupine),
        '{' if letters.next() == Some('"') => Some(Input::Firedrill),
        '{' if start.lines().next().is_some_and(|line| line.contains(":key ")) => Some(Input::Porcupine),
        '{' | '[' | '(' | '#' | ';' => Some(Input::Jepsen),
        _ => None,
    }
}
