//! A scenario, a protocol and a seed give a [`RunResult`].

use serde::{Deserialize, Serialize};

use crate::metrics::{MetricsTable, Phase, Recovery, Second};

/// All that a run leaves behind: the content of `result.json`, and the rows of its time series.
/// It holds no wall-clock time, path or host name.
#[derive(Clone, Debug)]
pub struct RunResult {
    pub record: Record,
    /// By service, in scenario order, one row a second from 0 to the duration.
    pub seconds: Vec<(String, Vec<Second>)>,
    /// Lines of `history.jsonl`, if asked for.
    pub history: Option<Vec<u8>>,
    /// Lines of `trace.jsonl`, if asked for.
    pub trace: Option<Vec<u8>>,
}

/// `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this format: 1.
    pub format: u32,
    /// Version of firedrill.
    pub firedrill: String,
    pub scenario: ScenarioRecord,
    /// The label of the protocol.
    pub protocol: String,
    pub seed: u64,
    /// Empty until rare-event sampling: (event index, new seed) at which the streams are reseeded.
    pub branches: Vec<(u64, u64)>,
    /// 16 hexadecimal digits: a hash over every event.
    pub fingerprint: String,
    pub events: u64,
    pub simulated_s: f64,
    pub metrics: MetricsTable,
    pub recoveries: Vec<Recovery>,
    pub phases: Vec<Phase>,
    pub expectations: Vec<ExpectationResult>,
    pub verdicts: Vec<Verdict>,
    /// Facts a reader must know, for example that a target depended on the protocol.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioRecord {
    pub name: String,
    pub as_written: serde_json::Value,
    pub resolved: serde_json::Value,
    pub hash: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectationResult {
    pub metric: String,
    pub service: Option<String>,
    /// For example `at least 0.97`.
    pub expected: String,
    pub measured: Option<f64>,
    pub held: bool,
    /// Why a null or censored metric violates it, or the span it was cut to.
    pub note: Option<String>,
}

/// The judgement of one checker. Order of severity: valid, unknown, violated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// For example `I1`, `I4`.
    pub check: String,
    /// What it states, in a sentence.
    pub states: String,
    pub outcome: VerdictOutcome,
    /// The smallest evidence it can give.
    pub evidence: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictOutcome {
    Valid,
    /// It does not apply to this run: the faults that happened are outside what the protocol promises.
    NotApplicable,
    Unknown,
    Violated,
}
