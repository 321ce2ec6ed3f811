//! Evidence in words: an operation a line.

use super::linearizability::Operation;
use super::seen::{Saw, Service, Span};
use crate::op::{Answer, Op};

/// Operations that are listed, at most.
const LINES: usize = 12;

/// What a judge found, with words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Valid,
    /// Why it could not decide.
    Unknown(String),
    /// The smallest evidence that it has.
    Violated(String),
}

/// What to say of a part that shows no violation, when some observations in it have no certain origin.
pub(super) fn as_far_as_resolved(service: &Service, span: Span) -> Finding {
    let inside = |&index: &usize| span.contains(service.operations[index].invoked);
    let unresolved =
        (0..service.operations.len()).filter(inside).filter(|&index| service.saw[index] == Saw::Unresolved);
    match unresolved.count() {
        0 => Finding::Valid,
        1 => Finding::Unknown("of 1 answer it is not certain which writes it saw".to_owned()),
        count => Finding::Unknown(format!("of {count} answers it is not certain which writes they saw")),
    }
}

/// A sentence and the operations that it is about, a line each.
pub(super) fn story(service: &Service, sentence: &str, operations: &[usize]) -> String {
    let mut text = format!("{sentence}:");
    for &operation in operations.iter().take(LINES) {
        text.push('\n');
        text.push_str(&line(service, operation));
    }
    if operations.len() > LINES {
        text.push_str(&format!("\nand {} more", operations.len() - LINES));
    }
    text
}

/// When, what, whose, and what came of it.
pub(super) fn line(service: &Service, index: usize) -> String {
    let operation = &service.operations[index];
    let Operation { client, number, op, invoked, answered } = operation;
    let end = answered.map_or("open".to_owned(), |(at, _)| format!("{:.6} s", at.as_secs_f64()));
    let mut text = format!(
        "{:.6} s to {end}: {} {number} of client {} on key {}",
        invoked.as_secs_f64(),
        op.name(),
        client.0,
        op.key()
    );
    if let Op::CompareAndSwap { expect, .. } = op {
        text.push_str(&format!(" from {expect:016x}"));
    }
    if let Some(value) = op.value() {
        text.push_str(&format!(" of {:016x}", value.digest));
    }
    match answered {
        None => text.push_str(" was not answered"),
        Some((_, Answer::Done)) => text.push_str(" was done"),
        Some((_, Answer::Swapped(swapped))) => text.push_str(&format!(" answered {swapped}")),
        Some((_, Answer::Read { digest, .. })) => text.push_str(&format!(" saw {}", sight(service, index, *digest))),
    }
    text
}

fn sight(service: &Service, index: usize, digest: u64) -> String {
    match &service.saw[index] {
        Saw::Initial if digest == 0 => "nothing".to_owned(),
        Saw::Set(posts) if posts.is_empty() => "nothing".to_owned(),
        Saw::Set(posts) if posts.len() == 1 => "1 post".to_owned(),
        Saw::Set(posts) => format!("{} posts", posts.len()),
        Saw::Write(write) => {
            let Operation { client, number, op, .. } = &service.operations[*write];
            format!("{digest:016x}, the value of {} {number} of client {}", op.name(), client.0)
        }
        _ => format!("{digest:016x}"),
    }
}
