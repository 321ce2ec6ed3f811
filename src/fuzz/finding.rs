//! A run that broke a promise, as a scenario file that shows it.

use serde_json::Value;

use super::ground::Ground;
use super::swarm::Input;
use crate::scenario::Check;

/// The check of a run that a broken invariant stopped.
pub const PANIC: &str = "panic";

/// Names in scenarios are no longer than this.
const LONGEST_NAME: usize = 64;

/// Letters of the evidence that a description quotes, at most.
const QUOTED: usize = 300;

/// A promise that a run broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The name of the verdict, or `panic`.
    pub check: String,
    pub evidence: String,
}

/// What was found, and the smallest input so far that shows it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The label of the protocol.
    pub protocol: String,
    pub broken: Broken,
    /// The name of its file, without an extension.
    pub name: String,
    /// A scenario of this protocol alone: running it as it is breaks the same promise.
    pub scenario: Value,
    /// Entries of its timeline.
    pub entries: usize,
    /// The seed of the run.
    pub seed: u64,
    /// The number of the run that is shown.
    pub run: u64,
    /// The number of the run that broke this first.
    pub first: u64,
    size: (usize, u64, usize),
}

impl Finding {
    /// `search` is the seed of the search, the number of this run, and that of the first like it.
    pub(super) fn new(
        ground: &Ground,
        input: &Input,
        (seed, run, first): (u64, u64, u64),
        broken: Broken,
        name: String,
    ) -> Self {
        let protocol = ground.labels()[input.protocol].clone();
        let defect = ground.protocols[input.protocol].kind.defect();
        let with = defect.map_or(String::new(), |(name, _)| format!(" with the defect `{name}`"));
        let what = match broken.check.as_str() {
            PANIC => "stops at a broken invariant".to_owned(),
            check => format!("breaks `{check}`"),
        };
        let evidence: String = broken.evidence.chars().take(QUOTED).collect();
        let description = format!(
            "{protocol}{with} {what}: {evidence}. Found by a search over `{}`, seed {seed}, run {run}.",
            ground.name
        );
        let further = Check::ALL.map(Check::name);
        let checks: Vec<&str> = further.into_iter().filter(|&check| check == broken.check).collect();
        let scenario = ground.build(input, &file_name(&ground.name, &protocol, &name), Some(&description), &checks);
        Self {
            protocol,
            broken,
            name,
            scenario: Value::Object(scenario),
            entries: input.timeline.len(),
            seed: input.seed,
            run,
            first,
            size: input.size(),
        }
    }

    /// Smaller is better.
    pub(super) fn size(&self) -> (usize, u64, usize) {
        self.size
    }
}

/// A check as part of a name.
pub(super) fn slug(check: &str) -> String {
    check.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-")
}

/// The name of the scenario: the end of it tells findings apart.
fn file_name(scenario: &str, protocol: &str, finding: &str) -> String {
    let room = LONGEST_NAME.saturating_sub(protocol.len() + finding.len() + 2);
    let start: String = scenario.chars().take(room).collect();
    let name = format!("{start}-{protocol}-{finding}");
    let start = name.len().saturating_sub(LONGEST_NAME);
    name[start..].trim_start_matches(['-', '.', '_']).to_owned()
}
