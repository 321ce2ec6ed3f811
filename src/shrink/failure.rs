//! What a finding shows.

use std::fmt;

use super::Subject;
use crate::run::{Record, VerdictOutcome};
use crate::scenario::Scenario;

/// A way in which a run can fail, told apart from others by what does not change while a scenario shrinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A broken invariant stopped the run, at this place of the source.
    Panic { place: String },
    /// A verdict is violated.
    Verdict { check: String },
    /// An expectation does not hold. That a metric is too large is another failure than that it does not apply.
    Expectation { metric: String, service: Option<String>, expected: String, measured: bool },
}

impl Failure {
    /// What fails in a run, each once, in the order of its record.
    pub fn of(record: &Record) -> Vec<Self> {
        let verdicts = record.verdicts.iter().filter(|one| one.outcome == VerdictOutcome::Violated);
        let verdicts = verdicts.map(|one| Self::Verdict { check: one.check.clone() });
        let expectations = record.expectations.iter().filter(|one| !one.held).map(|one| Self::Expectation {
            metric: one.metric.clone(),
            service: one.service.clone(),
            expected: one.expected.clone(),
            measured: one.measured.is_some(),
        });
        let mut failures = Vec::new();
        for failure in verdicts.chain(expectations) {
            if !failures.contains(&failure) {
                failures.push(failure);
            }
        }
        failures
    }

    /// What `--check` calls it: the check, the metric, or `panic`.
    pub fn name(&self) -> &str {
        match self {
            Self::Panic { .. } => "panic",
            Self::Verdict { check } => check,
            Self::Expectation { metric, .. } => metric,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic { place } => write!(f, "a panic at {place}"),
            Self::Verdict { check } => write!(f, "{check} is violated"),
            Self::Expectation { metric, service, expected, measured } => {
                let of = service.as_ref().map_or_else(String::new, |service| format!(" of {service}"));
                let is = if *measured { "is" } else { "is null and" };
                write!(f, "{metric}{of} {is} not {expected}")
            }
        }
    }
}

/// Whether a scenario shows a failure, by running it. Where the protocol has a deliberate defect, the same scenario
/// without the defect must keep every promise and not show the failure: otherwise a shrinking finding would drift to
/// one that does not need the defect, such as an expectation that nobody could meet.
pub fn shows(subject: &Subject, failure: &Failure, run: impl Fn(&Scenario) -> Vec<Failure>) -> bool {
    let counts = |other: &Failure| !matches!(other, Failure::Expectation { .. }) || other.name() == failure.name();
    let sound = |scenario: Scenario| !run(&scenario).iter().any(counts);
    run(&subject.scenario).contains(failure) && subject.without_defect().is_none_or(sound)
}
