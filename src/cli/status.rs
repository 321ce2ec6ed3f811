//! How a command ends.

use std::process::ExitCode;

use crate::run::{ExpectationResult, Record, Verdict, VerdictOutcome};

/// How a command ended, by precedence: of several, the greatest is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Everything ran, and every expectation held.
    Held,
    /// A checker could not decide.
    Undecided,
    /// An expectation or a promise was broken, or a replay differed.
    Violated,
    /// Output could not be written.
    NotWritten,
    /// The user stopped it; what was finished is kept.
    Interrupted,
    /// A bug in firedrill. It is above an interrupt, so that no script hides it.
    Bug,
    /// A mistake in the command or in a scenario. Nothing ran, so nothing else can have happened.
    Refused,
}

impl Status {
    /// What the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Violated => 1,
            Self::Refused => 2,
            Self::Undecided => 3,
            Self::NotWritten => 4,
            Self::Bug => 101,
            Self::Interrupted => 130,
        }
    }

    /// What the findings of a run lead to.
    pub fn of(record: &Record) -> Self {
        Self::of_findings(&record.verdicts, &record.expectations)
    }

    fn of_findings(verdicts: &[Verdict], expectations: &[ExpectationResult]) -> Self {
        let verdicts = verdicts.iter().map(|verdict| match verdict.outcome {
            VerdictOutcome::Valid | VerdictOutcome::NotApplicable => Self::Held,
            VerdictOutcome::Unknown => Self::Undecided,
            VerdictOutcome::Violated => Self::Violated,
        });
        let expectations = expectations.iter().map(|one| if one.held { Self::Held } else { Self::Violated });
        verdicts.chain(expectations).max().unwrap_or(Self::Held)
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        status.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_that_of_the_manual() {
        let mut all = [
            Status::Held,
            Status::Violated,
            Status::Refused,
            Status::Undecided,
            Status::NotWritten,
            Status::Bug,
            Status::Interrupted,
        ];
        all.sort_by(|one, other| other.cmp(one));
        assert_eq!(all.map(Status::code), [2, 101, 130, 4, 1, 3, 0]);
    }

    #[test]
    fn the_worst_finding_counts() {
        let verdict = |outcome| Verdict { check: "I1".into(), states: String::new(), outcome, evidence: None };
        let expected = |held| ExpectationResult {
            metric: "availability".into(),
            service: None,
            expected: String::new(),
            measured: None,
            held,
            note: None,
        };
        let [valid, outside, unknown, violated] =
            [VerdictOutcome::Valid, VerdictOutcome::NotApplicable, VerdictOutcome::Unknown, VerdictOutcome::Violated]
                .map(verdict);
        let of = |verdicts: &[&Verdict], expectations: &[ExpectationResult]| {
            let verdicts: Vec<_> = verdicts.iter().map(|&verdict| verdict.clone()).collect();
            Status::of_findings(&verdicts, expectations).code()
        };
        assert_eq!(of(&[], &[]), 0);
        assert_eq!(of(&[&valid, &outside], &[expected(true)]), 0);
        assert_eq!(of(&[&valid, &unknown, &outside], &[expected(true)]), 3);
        assert_eq!(of(&[&unknown, &violated], &[]), 1);
        assert_eq!(of(&[&unknown], &[expected(true), expected(false)]), 1);
    }
}
