//! How a command ends.

use std::process::ExitCode;

use crate::run::{Record, VerdictOutcome};

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
        let verdict = record.verdicts.iter().map(|verdict| match verdict.outcome {
            VerdictOutcome::Valid | VerdictOutcome::NotApplicable => Self::Held,
            VerdictOutcome::Unknown => Self::Undecided,
            VerdictOutcome::Violated => Self::Violated,
        });
        let expected = record.expectations.iter().map(|one| if one.held { Self::Held } else { Self::Violated });
        verdict.chain(expected).max().unwrap_or(Self::Held)
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
}
