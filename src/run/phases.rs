//! The disaster's phases, and when each disturbance is over, from the timeline alone.

use crate::check::constraints::{Settling, Spans};
use crate::metrics::recorder::Disturbance;
use crate::metrics::window::Window;
use crate::scenario::Scenario;
use crate::time::SimTime;
use crate::world::fault::{Action, Fault};

/// Spans between two changes of the world, with what is going on in each.
pub fn phases(scenario: &Scenario) -> Vec<(Window, String)> {
    let start = SimTime::ZERO + scenario.warmup;
    let end = SimTime::ZERO + scenario.duration;
    let spans: Vec<(SimTime, SimTime, &str)> = scenario
        .timeline
        .iter()
        .enumerate()
        .filter(|(_, fault)| !is_cure(&fault.action))
        .map(|(index, fault)| (fault.at, end_of(scenario, index).unwrap_or(end), fault.label.as_str()))
        .collect();
    let ends = scenario.timeline.iter().filter_map(|fault| fault.lasts.map(|lasts| fault.at + lasts));
    let mut cuts: Vec<SimTime> = scenario.timeline.iter().map(|fault| fault.at).chain(ends).collect();
    cuts.extend([start, end]);
    cuts.retain(|&cut| start <= cut && cut <= end);
    cuts.sort_unstable();
    cuts.dedup();
    let label = |from: SimTime| {
        let active: Vec<&str> =
            spans.iter().filter(|(at, end, _)| *at <= from && from < *end).map(|span| span.2).collect();
        if !active.is_empty() {
            active.join(" + ")
        } else if spans.iter().any(|(at, ..)| *at <= from) {
            "after".to_owned()
        } else {
            "before".to_owned()
        }
    };
    cuts.windows(2).map(|pair| (Window { from: pair[0], to: pair[1] }, label(pair[0]))).collect()
}

/// Disturbances whose recovery is measured: every entry of the timeline that is not itself a cure.
pub fn disturbances(scenario: &Scenario) -> Vec<Disturbance> {
    let faults = scenario.timeline.iter().enumerate().filter(|(_, fault)| !is_cure(&fault.action));
    faults
        .map(|(index, fault)| Disturbance { label: fault.label.clone(), at: fault.at, end: end_of(scenario, index) })
        .collect()
}

/// When the constraints of the reorganisation are asked. Each disturbance has its time to settle after it begins, if
/// it is machines that are gone, and after it is over.
pub fn spans(scenario: &Scenario, settling: Settling) -> Spans {
    let Settling { after, without } = settling;
    let mut spans = Spans { unrest: vec![(SimTime::ZERO, SimTime::ZERO + after)], splits: Vec::new() };
    if !scenario.failures.is_empty() {
        spans.unrest.push((SimTime::ZERO, SimTime::MAX));
    }
    for (index, fault) in scenario.timeline.iter().enumerate().filter(|(_, fault)| !is_cure(&fault.action)) {
        let from = fault.at;
        let end = end_of(scenario, index);
        let until = match &fault.action {
            Action::Load => Some(end.unwrap_or(from)),
            Action::Clock { .. } => Some(from),
            _ => end,
        };
        match (&fault.action, until) {
            (Action::Crash { .. }, until) => {
                let given_up = from + without;
                spans.unrest.push((from, until.map_or(given_up, |until| until.min(given_up))));
                spans.unrest.extend(until.map(|until| (until, until + after)));
            }
            (_, Some(until)) => spans.unrest.push((from, until + after)),
            (_, None) => spans.unrest.push((from, SimTime::MAX)),
        }
        if matches!(fault.action, Action::Partition { .. } | Action::Cut { .. }) {
            spans.splits.push((from, end.unwrap_or(SimTime::MAX)));
        }
    }
    spans
}

const fn is_cure(action: &Action) -> bool {
    matches!(action, Action::Heal { .. } | Action::Restart { .. })
}

/// When a fault is over: at the end of its `for`, at once if it is but an instant, or at the `heal` or
/// `restart` after it. `None`: it stays.
fn end_of(scenario: &Scenario, index: usize) -> Option<SimTime> {
    let fault = &scenario.timeline[index];
    let own = fault.lasts.map(|lasts| fault.at + lasts);
    let instant = match fault.action {
        Action::Corrupt { .. } => Some(fault.at),
        Action::Clock { drift_ppm: 0.0, .. } => Some(fault.at),
        _ => None,
    };
    let cures = |later: &&Fault| {
        matches!(
            (&fault.action, &later.action),
            (Action::Crash { .. } | Action::Pause { .. }, Action::Restart { .. })
                | (
                    Action::Partition { .. } | Action::Cut { .. } | Action::Flap { .. } | Action::Degrade { .. },
                    Action::Heal { .. },
                )
        )
    };
    let cured = scenario.timeline[index + 1..].iter().find(cures).map(|later| later.at);
    instant.or(match (own, cured) {
        (Some(own), Some(cured)) => Some(own.min(cured)),
        (own, cured) => own.or(cured),
    })
}
