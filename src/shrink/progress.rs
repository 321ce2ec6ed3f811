//! What a search that was stopped needs to go on.

use serde::{Deserialize, Serialize};

use super::{Answers, Bounds, Failure, Subject};

/// The content of a progress file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Version of this format: 1.
    format: u32,
    /// Version of firedrill; another may run the same scenario otherwise.
    firedrill: String,
    /// Hash of the scenario that the search began with.
    finding: String,
    /// What is to be shown.
    failure: String,
    bounds: Bounds,
    /// By the beginning of a scenario's hash, whether it showed the failure.
    answers: Answers,
}

impl Progress {
    /// Of a search for this failure from this finding.
    pub fn new(finding: &Subject, failure: &Failure, bounds: &Bounds, answers: Answers) -> Self {
        Self {
            format: 1,
            firedrill: env!("CARGO_PKG_VERSION").to_owned(),
            finding: finding.scenario.hash.clone(),
            failure: failure.to_string(),
            bounds: bounds.clone(),
            answers,
        }
    }

    /// The content of a file.
    pub fn text(&self) -> String {
        format!("{:#}\n", serde_json::to_value(self).expect("progress has only string keys"))
    }

    /// Reads a file, which must be of the same search as this one.
    ///
    /// # Errors
    /// A clause that says why it is not.
    pub fn resume(&self, text: &str) -> Result<Answers, String> {
        let read: Self =
            serde_json::from_str(text).map_err(|error| format!("it is no progress of a shrink: {error}"))?;
        let differs =
            |what: &str, theirs: &str, ours: &str| Err(format!("it is of {what} {theirs}, and this is {ours}"));
        if read.format != self.format || read.firedrill != self.firedrill {
            return differs("firedrill", &read.firedrill, &self.firedrill);
        }
        if read.finding != self.finding {
            return Err("it is of another finding, or the finding has been changed".into());
        }
        if read.failure != self.failure {
            return differs("a search for:", &read.failure, &self.failure);
        }
        if read.bounds.seeds != self.bounds.seeds {
            let [theirs, ours] = [&read, self].map(|one| one.bounds.seeds.to_string());
            return differs("a search with --seeds", &theirs, &ours);
        }
        if read.bounds.keep != self.bounds.keep {
            return differs("a search with --keep", &read.bounds.keep.join(","), &self.bounds.keep.join(","));
        }
        Ok(read.answers)
    }
}
