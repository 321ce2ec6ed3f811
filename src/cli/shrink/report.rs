//! What `shrink` prints.

use std::path::Path;

use serde_json::{Value, json};

use super::{End, replay};
use crate::run::{Record, VerdictOutcome};
use crate::scenario::Scenario;
use crate::shrink::Failure;

/// What a reader compares of the finding and the result.
pub struct Measures {
    entries: u64,
    duration: String,
    data_centers: u64,
    nodes: u64,
    services: u64,
    clients: u64,
    /// None if the run panicked.
    events: Option<u64>,
}

impl Measures {
    pub fn of(scenario: &Scenario, record: Option<&Record>) -> Self {
        Self {
            entries: (scenario.timeline.len() + scenario.failures.len()) as u64,
            duration: scenario.duration.to_string(),
            data_centers: scenario.topology.data_centers.len() as u64,
            nodes: scenario.topology.nodes.len() as u64,
            services: scenario.services.len() as u64,
            clients: scenario.loads.iter().map(|load| u64::from(load.clients) * load.from.len() as u64).sum(),
            events: record.map(|record| record.events),
        }
    }

    fn rows(&self) -> [(&'static str, Value); 7] {
        [
            ("entries", self.entries.into()),
            ("duration", self.duration.clone().into()),
            ("data_centers", self.data_centers.into()),
            ("nodes", self.nodes.into()),
            ("services", self.services.into()),
            ("clients", self.clients.into()),
            ("events", self.events.into()),
        ]
    }
}

/// What came of a search.
pub struct Report<'a> {
    pub failure: &'a Failure,
    pub before: Measures,
    pub after: Measures,
    pub out: &'a Path,
    pub runs: u64,
    pub end: End,
}

impl Report<'_> {
    pub fn human(&self, unicode: bool) -> String {
        let arrow = if unicode { "→" } else { "->" };
        let cell = |value: Value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut text = String::new();
        for ((name, before), (_, after)) in self.before.rows().into_iter().zip(self.after.rows()) {
            let name = name.replace('_', " ");
            text += &format!("{name:14}{:>10} {arrow} {}\n", cell(before), cell(after));
        }
        text += &format!("\nshows   {}\n", self.failure);
        text += &format!("runs    {}, {}\n", self.runs, self.ending());
        text += &format!("replay  {}\n", replay(self.out));
        text
    }

    fn ending(&self) -> &'static str {
        match self.end {
            End::Smallest => "and no pass finds anything smaller",
            _ => "which is all that --runs allows: more may make it smaller, and the same command with more goes on",
        }
    }

    pub fn json(&self) -> Value {
        let measures = |measures: &Measures| {
            let rows = measures.rows().into_iter().map(|(name, value)| (name.to_owned(), value));
            Value::Object(rows.collect())
        };
        json!({
            "failure": self.failure.to_string(),
            "check": self.failure.name(),
            "out": self.out.display().to_string(),
            "before": measures(&self.before),
            "after": measures(&self.after),
            "runs": self.runs,
            "smallest": self.end == End::Smallest,
            "replay": replay(self.out),
        })
    }
}

/// What a run shows, in a sentence for the description of a scenario.
pub fn sentence(failure: &Failure, record: Option<&Record>) -> String {
    let verdicts = record.iter().flat_map(|record| &record.verdicts);
    let mut violated = verdicts.filter(|one| one.outcome == VerdictOutcome::Violated);
    let verdict = violated.find(|one| one.check == failure.name());
    match (failure, verdict) {
        (Failure::Verdict { check }, Some(verdict)) => {
            let evidence = verdict.evidence.as_deref().unwrap_or("no evidence");
            format!("{check} ({}) is violated: {evidence}.", verdict.states)
        }
        _ => {
            let measured = record.iter().flat_map(|record| &record.expectations);
            let measured =
                measured.filter(|one| !one.held && one.metric == failure.name()).find_map(|one| one.measured);
            let measured = measured.map_or_else(String::new, |measured| format!(", but {measured}"));
            format!("{failure}{measured}.")
        }
    }
}
