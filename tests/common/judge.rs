//! Judges a run by everything that the mechanism promises.

use firedrill::check::linearizability::{self, Outcome};
use firedrill::protocols::optimistic::{Ack, Options, ReadLevel};
use firedrill::run::{Examined, Probe, RunResult, VerdictOutcome, run_probed};
use firedrill::scenario::Scenario;
use firedrill::time::Duration;
use firedrill::world::fault::{Action, Disk};

use super::arbitrary_state_bound;

/// Steps that the linearizability checker may take in a run.
const BUDGET: u64 = 8_000_000;

/// Runs the scenario, and says what is wrong with the run, if anything.
pub fn complaints(scenario: &Scenario, options: &Options, seed: u64, probe: &Probe) -> Vec<String> {
    let (result, examined) = run_probed(scenario, options, seed, probe);
    let mut wrong = verdicts(&result);
    wrong.extend(fates(&result));
    wrong.extend(linearizable(scenario, options, &examined));
    wrong.extend(settled_for_good(scenario, options, &examined));
    wrong
}

/// As [`complaints`], and no acknowledged write may be out of reach once all disks are back.
pub fn complaints_and_strays(scenario: &Scenario, options: &Options, seed: u64, probe: &Probe) -> Vec<String> {
    let mut wrong = complaints(scenario, options, seed, probe);
    let (result, _) = run_probed(scenario, options, seed, probe);
    let all = &result.record.metrics.all;
    if (all.writes_stranded, all.writes_lost) != (Some(0), Some(0)) {
        wrong.push(format!("{:?} writes are stranded, {:?} lost", all.writes_stranded, all.writes_lost));
    }
    wrong
}

fn verdicts(result: &RunResult) -> Vec<String> {
    let violated = result.record.verdicts.iter().filter(|verdict| verdict.outcome == VerdictOutcome::Violated);
    violated
        .map(|verdict| format!("{}: {}", verdict.check, verdict.evidence.as_deref().unwrap_or("no evidence")))
        .collect()
}

fn fates(result: &RunResult) -> Vec<String> {
    let all = &result.record.metrics.all;
    let mut wrong = Vec::new();
    let sum = [all.writes_applied, all.writes_revoked, all.writes_stranded, all.writes_lost];
    if all.writes_acked != Some(sum.iter().map(|count| count.unwrap_or(0)).sum()) {
        wrong.push("the fates of writes do not add up".into());
    }
    // Every network condition is over long before the end, so every client can be told.
    if all.writes_revoked != all.writes_revoked_told {
        wrong.push(format!("{:?} writes were revoked, {:?} clients told", all.writes_revoked, all.writes_revoked_told));
    }
    wrong
}

/// I8: linearizable under `all` with reads `latest`, without corruption or loss of a disk, as long as the
/// confirmed views form one chain.
fn linearizable(scenario: &Scenario, options: &Options, examined: &Examined) -> Option<String> {
    let excused = scenario
        .timeline
        .iter()
        .any(|fault| matches!(fault.action, Action::Corrupt { .. } | Action::Crash { disk: Disk::Lost, .. }));
    if excused || options.ack != Ack::All || options.reads != ReadLevel::Latest {
        return None;
    }
    match linearizability::check(&examined.history, examined.chain_broken[0], BUDGET) {
        Outcome::Valid => None,
        Outcome::Unknown => Some("I8: the checker could not decide".into()),
        Outcome::Violated { key, evidence, .. } => Some(format!("I8: key {key}: {evidence}")),
    }
}

/// I6: from an arbitrary state, no view is installed later than B' after it, since nobody is suspected anew.
fn settled_for_good(scenario: &Scenario, options: &Options, examined: &Examined) -> Option<String> {
    let last = scenario.timeline.last().filter(|fault| matches!(fault.action, Action::Corrupt { .. }))?;
    let bound = arbitrary_state_bound(options, Duration::from_millis(35));
    let late = examined.installed.iter().find(|view| view.at.since(last.at) > bound)?;
    Some(format!("I6: a view was installed {:.1} s after the corruption", late.at.since(last.at).as_secs_f64()))
}
