//! Protocols of one history under seeded chaos, judged by everything that they promise.

use firedrill::machine::Machine;
use firedrill::run::{Contest, Keep, Probe, RunResult, VerdictOutcome, run, run_machine_probed};
use firedrill::scenario::{Check, Kind, Protocol, Scenario};

use super::chaos::{Kinds, chaos};

/// What protocols of one history are judged by beyond what every run is.
pub const CHECKS: [Check; 2] = [Check::Linearizability, Check::Accounts];

/// A drill of the seed with this protocol in it.
pub fn drill(seed: u64, kinds: Kinds, kind: &Kind) -> Scenario {
    let (mut scenario, _) = chaos(seed, kinds);
    scenario.protocols = vec![Protocol { label: kind.name().to_owned(), kind: kind.clone(), policy: None }];
    scenario.checks = CHECKS.to_vec();
    scenario
}

/// What the judges say of a run.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    pub wrong: Vec<String>,
    /// The linearizability checker gave up: too many writes of unknown outcome at once.
    pub undecided: bool,
}

/// Runs the only protocol of the scenario, and judges the run.
pub fn judge(scenario: &Scenario, seed: u64) -> Judgement {
    examine(&run(scenario, &scenario.protocols[0], seed, Keep::default()))
}

/// As [`judge`], of a machine with a defect.
pub fn judge_broken<M: Machine>(scenario: &Scenario, seed: u64, contest: &Contest<'_, M>) -> Judgement {
    examine(&run_machine_probed(scenario, "broken", seed, &Probe::default(), contest).0)
}

/// Judges a run by its verdicts, and by what they do not tell.
pub fn examine(result: &RunResult) -> Judgement {
    let violated = result.record.verdicts.iter().filter(|verdict| verdict.outcome == VerdictOutcome::Violated);
    let mut wrong: Vec<String> =
        violated.map(|one| format!("{}: {}", one.check, one.evidence.as_deref().unwrap_or("no evidence"))).collect();
    let all = &result.record.metrics.all;
    let sum = [all.writes_applied, all.writes_revoked, all.writes_stranded, all.writes_lost];
    if all.writes_acked != Some(sum.iter().map(|count| count.unwrap_or(0)).sum()) {
        wrong.push("the fates of writes do not add up".into());
    }
    let open = |verdict: &firedrill::run::Verdict| {
        verdict.check == Check::Linearizability.name() && verdict.outcome == VerdictOutcome::Unknown
    };
    Judgement { wrong, undecided: result.record.verdicts.iter().any(open) }
}
