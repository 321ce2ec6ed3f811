//! What is wrong with a scenario, at which place, in words for people and in JSON for programs.

use std::fmt::Write as _;

use serde_json::json;

use super::json::Origin;

/// A problem as it is found: where it is in the tree, not yet in the text.
#[derive(Clone, Debug)]
pub struct Problem {
    pub origin: Origin,
    pub path: String,
    pub message: String,
    pub expected: Option<String>,
    pub help: Option<String>,
}

/// Problems in the order they are found.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds a problem; the answer takes what was expected and a help line.
    pub fn add(&mut self, origin: Origin, path: &str, message: impl Into<String>) -> &mut Problem {
        let (path, message) = (path.to_owned(), message.into());
        self.0.push(Problem { origin, path, message, expected: None, help: None });
        self.0.last_mut().expect("one was just pushed")
    }

    /// Without repetitions: what is written once and stands for many would be wrong as often.
    pub fn each_once(self) -> Vec<Problem> {
        let mut seen = std::collections::BTreeSet::new();
        self.0.into_iter().filter(|problem| seen.insert((problem.origin, problem.message.clone()))).collect()
    }
}

impl Problem {
    pub fn expected(&mut self, expected: impl Into<String>) -> &mut Self {
        self.expected = Some(expected.into());
        self
    }
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

/// One problem, placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The name of the source, or `--set path=value`.
    pub file: String,
    /// From 1; 0 where there is no text, as for `--set`.
    pub line: usize,
    /// In characters, from 1; 0 where there is no text.
    pub column: usize,
    /// Dotted, as `--set` takes it; empty for the whole file.
    pub path: String,
    pub message: String,
    pub expected: Option<String>,
    pub help: Option<String>,
    /// The line, and how many characters of it from `column` are meant.
    snippet: Option<(String, usize, usize)>,
}

/// Every problem of one source, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

/// More problems than this are only counted.
const MOST: usize = 100;
/// Characters of a line that are shown, at most.
const WIDEST: usize = 100;

impl Diagnostics {
    /// Places problems in a text. Those of `--set` come last.
    pub fn place(name: &str, text: &str, sets: &[(String, String)], mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| match problem.origin {
            Origin::Text { start, .. } => (0, start),
            Origin::Default | Origin::Implied => (1, 0),
            Origin::Set(index) => (2, index),
        });
        let left_off = problems.len().saturating_sub(MOST);
        let starts = line_starts(text);
        let mut placed: Vec<_> =
            problems.into_iter().take(MOST).map(|problem| place(name, text, &starts, sets, problem)).collect();
        if left_off > 0 {
            placed.push(Diagnostic::whole(name, format!("and {left_off} more problems")));
        }
        Self(placed)
    }

    /// A problem of a source as a whole.
    pub fn whole(name: &str, message: impl Into<String>) -> Self {
        Self(vec![Diagnostic::whole(name, message)])
    }

    /// For people: each with its line and a caret under it.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for diagnostic in &self.0 {
            diagnostic.render(colour, &mut out);
        }
        out
    }

    /// For programs: an array of `{"file","line","column","path","message","expected","help"}`.
    pub fn to_json(&self) -> serde_json::Value {
        self.0.iter().map(Diagnostic::to_json).collect()
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1))
        .collect()
}

fn place(name: &str, text: &str, starts: &[usize], sets: &[(String, String)], problem: Problem) -> Diagnostic {
    let Problem { origin, path, message, expected, help } = problem;
    let mut placed = Diagnostic { path, expected, help, ..Diagnostic::whole(name, message) };
    match origin {
        Origin::Text { start, end } => {
            let line = starts.partition_point(|&begin| begin <= start).max(1);
            let begin = starts[line - 1];
            let rest = text.get(begin..).unwrap_or_default();
            let whole = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
            let before = text.get(begin..start).map_or(0, |part| part.chars().count());
            let meant = text.get(start..end.min(begin + whole.len())).map_or(1, |part| part.chars().count().max(1));
            placed.line = line;
            placed.column = before + 1;
            placed.snippet = Some(clip(whole, before, meant));
        }
        Origin::Set(index) => {
            if let Some((path, value)) = sets.get(index) {
                placed.file = format!("--set {}={}", printable(path), printable(value));
            }
        }
        Origin::Default | Origin::Implied => {}
    }
    placed
}

/// Cuts a long line around what is meant, and leaves nothing in it that a terminal would obey.
fn clip(line: &str, before: usize, meant: usize) -> (String, usize, usize) {
    let first = if before + meant.min(WIDEST / 2) > WIDEST { before - WIDEST / 3 } else { 0 };
    let mut shown: String = line.chars().skip(first).take(WIDEST).map(harmless).collect();
    if line.chars().nth(first + WIDEST).is_some() {
        shown.push('…');
    }
    let mut before = before - first;
    if first > 0 {
        shown.insert(0, '…');
        before += 1;
    }
    let meant = meant.min(shown.chars().count().saturating_sub(before)).max(1);
    (shown, before, meant)
}

fn harmless(c: char) -> char {
    match c {
        '\t' => ' ',
        _ if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
        {
            '\u{fffd}'
        }
        _ => c,
    }
}

fn printable(text: &str) -> String {
    let mut shown: String = text.chars().take(60).map(harmless).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

/// A text in backquotes, at most 60 characters of it, without control characters.
pub fn quote(text: &str) -> String {
    format!("`{}`", printable(text))
}

/// Names in backquotes: `a`, `b` or `c`.
pub fn quote_all<'a>(names: impl IntoIterator<Item = &'a str>, joint: &str) -> String {
    let quoted: Vec<_> = names.into_iter().map(quote).collect();
    match quoted.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {joint} {last}", rest.join(", ")),
    }
}

/// The known name that is most like an unknown one, if one is like it at all.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if unknown.len() > 200 {
        return None;
    }
    let lower = unknown.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for name in known {
        let likeness = strsim::jaro_winkler(&lower, &name.to_lowercase());
        let close = strsim::osa_distance(&lower, name) <= (name.len() / 3).max(1);
        if (close || likeness > 0.88) && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, name));
        }
    }
    best.map(|(_, name)| name)
}

impl Diagnostic {
    fn whole(name: &str, message: impl Into<String>) -> Self {
        Self {
            file: name.to_owned(),
            line: 0,
            column: 0,
            path: String::new(),
            message: message.into(),
            expected: None,
            help: None,
            snippet: None,
        }
    }

    fn render(&self, colour: bool, out: &mut String) {
        let paint = |code: &str, text: &str| {
            if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
        };
        let place =
            if self.line > 0 { format!("{}:{}:{}", self.file, self.line, self.column) } else { self.file.clone() };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{place}: {}: {}", paint("1;31", "error"), paint("1", &self.message));
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        if let Some((line, before, meant)) = &self.snippet {
            let bar = paint("34", "|");
            let caret = paint("1;31", &"^".repeat(*meant));
            let _ = writeln!(out, " {} {bar} {line}", paint("34", &number));
            let _ = writeln!(out, " {gutter} {bar} {}{caret}", " ".repeat(*before));
        }
        if !self.path.is_empty() && self.snippet.is_none() {
            let _ = writeln!(out, " {gutter} = at {}", printable(&self.path));
        }
        if let Some(expected) = &self.expected {
            let _ = writeln!(out, " {gutter} = expected {expected}");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, " {gutter} = {}: {help}", paint("1;36", "help"));
        }
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "file": self.file, "line": self.line, "column": self.column, "path": self.path,
            "message": self.message, "expected": self.expected, "help": self.help,
        })
    }
}
