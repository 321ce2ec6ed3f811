//! What is tried, in the order in which it is tried: first what takes most away.

mod faults;
mod fields;
mod round;
mod sites;
mod window;
mod workload;

use serde_json::Value;

use super::Subject;
use super::edit;

/// A kind of proposals.
#[derive(Debug)]
pub struct Pass {
    /// What it tries, for people.
    pub says: &'static str,
    /// Whether its proposals are worth to be tried under other seeds too: they change what happens so much that the
    /// failure may be lost by chance.
    pub reseed: bool,
    /// Proposals from a scenario. They need not be valid, nor smaller.
    pub propose: fn(&Subject) -> Vec<Value>,
}

/// All passes.
pub const PASSES: &[Pass] = &[
    Pass { says: "fewer entries", reseed: true, propose: entries },
    Pass { says: "shorter", reseed: true, propose: window::shorter },
    Pass { says: "fewer services", reseed: true, propose: workload::services },
    Pass { says: "fewer sites", reseed: true, propose: sites::fewer },
    Pass { says: "simpler faults", reseed: true, propose: faults::simpler },
    Pass { says: "options at their defaults", reseed: false, propose: fields::options },
    Pass { says: "less load", reseed: true, propose: workload::less },
    Pass { says: "fewer fields", reseed: false, propose: fields::fewer },
    Pass { says: "shorter lists", reseed: false, propose: fields::lists },
    Pass { says: "rounder numbers", reseed: false, propose: round::rounder },
    Pass { says: "a smaller seed", reseed: false, propose: seeds },
];

/// Without parts of the timeline and of the random failures.
fn entries(subject: &Subject) -> Vec<Value> {
    without_parts(&subject.value, "/timeline").into_iter().chain(without_parts(&subject.value, "/failures")).collect()
}

/// Without each part of a list.
fn without_parts(value: &Value, pointer: &str) -> Vec<Value> {
    let list = edit::list(value, pointer);
    let parts = edit::chunks(list.len());
    parts.iter().map(|part| edit::put(value, pointer, edit::without(list, part).into())).collect()
}

/// Seeds that a person may choose.
fn seeds(subject: &Subject) -> Vec<Value> {
    (1..=10).map(|seed| Subject::seeded(&subject.value, seed)).collect()
}
