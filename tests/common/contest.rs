//! Protocols of one history under seeded chaos, judged by everything that they promise.

use firedrill::check::linearizability::{self, Outcome};
use firedrill::machine::Machine;
use firedrill::protocols::{omnipaxos, raft};
use firedrill::run::{Contest, Examined, Keep, Probe, RunResult, VerdictOutcome, run_examined, run_machine_probed};
use firedrill::scenario::{Kind, Protocol, Scenario};

use super::chaos::{Kinds, chaos};

/// Steps that the linearizability checker may take in a run.
const BUDGET: u64 = 2_000_000;

/// A drill of the seed with this protocol in it.
pub fn drill(seed: u64, kinds: Kinds, kind: &Kind) -> Scenario {
    let (mut scenario, _) = chaos(seed, kinds);
    scenario.protocols = vec![Protocol { label: kind.name().to_owned(), kind: kind.clone(), policy: None }];
    scenario
}

/// Whether it promises that histories are linearizable whatever clocks and leaders do.
fn is_linearizable(kind: &Kind) -> bool {
    match kind {
        Kind::Raft(options) => {
            options.reads == raft::Reads::ReadIndex && options.after_disk_loss == raft::AfterDiskLoss::StayOut
        }
        Kind::OmniPaxos(options) => {
            options.reads == omnipaxos::Reads::Log && options.after_disk_loss == raft::AfterDiskLoss::StayOut
        }
        Kind::Optimistic(_) => false,
        _ => true,
    }
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
    let protocol = &scenario.protocols[0];
    let (result, examined) = run_examined(scenario, protocol, seed, Keep::default());
    examine(&protocol.kind, &result, &examined)
}

/// As [`judge`], of a machine with a defect, judged by what its correct form promises.
pub fn judge_broken<M: Machine>(scenario: &Scenario, seed: u64, contest: &Contest<'_, M>) -> Judgement {
    let (result, examined) = run_machine_probed(scenario, "broken", seed, &Probe::default(), contest);
    examine(&scenario.protocols[0].kind, &result, &examined)
}

/// Judges a run of this kind of protocol.
pub fn examine(kind: &Kind, result: &RunResult, examined: &Examined) -> Judgement {
    let violated = result.record.verdicts.iter().filter(|verdict| verdict.outcome == VerdictOutcome::Violated);
    let mut wrong: Vec<String> =
        violated.map(|one| format!("{}: {}", one.check, one.evidence.as_deref().unwrap_or("no evidence"))).collect();
    let all = &result.record.metrics.all;
    let sum = [all.writes_applied, all.writes_revoked, all.writes_stranded, all.writes_lost];
    if all.writes_acked != Some(sum.iter().map(|count| count.unwrap_or(0)).sum()) {
        wrong.push("the fates of writes do not add up".into());
    }
    if all.writes_revoked != Some(0) {
        wrong.push(format!("{:?} writes were revoked", all.writes_revoked));
    }
    // A majority of disks lost is beyond what any of them survives; the verdicts say so.
    let excused = result.record.verdicts.iter().any(|verdict| verdict.outcome == VerdictOutcome::NotApplicable);
    let mut undecided = false;
    if is_linearizable(kind) && !excused {
        match linearizability::check(&examined.history, None, BUDGET) {
            Outcome::Valid => {}
            Outcome::Unknown => undecided = true,
            Outcome::Violated { key, evidence, .. } => wrong.push(format!("not linearizable: key {key}: {evidence}")),
        }
    }
    Judgement { wrong, undecided }
}
