//! Shorter runs: less before, between and after what happens.

use serde_json::Value;

use super::Subject;
use super::edit::{self, SECOND};

/// A shorter drain, an earlier end, and less time before each entry.
pub fn shorter(subject: &Subject) -> Vec<Value> {
    let Subject { value, scenario } = subject;
    let [duration, drain] = [scenario.duration, scenario.drain].map(|time| time.as_nanos());
    let mut instants: Vec<u64> = scenario.timeline.iter().map(|fault| fault.at.as_nanos()).collect();
    instants.dedup();
    let last = instants.last().copied().unwrap_or(0);
    let mut proposals = Vec::new();
    for after in [0, 1, 2, 5, 10, 20, 30, 45, 60] {
        let end = last + after * SECOND + 1;
        proposals.push(ending(value, end.next_multiple_of(SECOND)));
    }
    proposals.extend(less(duration).map(|shorter| ending(value, shorter)));
    let drains = [0, 1, 2, 5, 10, 20, 30].map(|seconds| seconds * SECOND).into_iter().chain(less(drain));
    proposals.extend(drains.map(|shorter| edit::put_member(value, "", "drain", edit::time_value(shorter))));
    let before = [0].into_iter().chain(instants.iter().copied());
    for (before, &instant) in before.zip(&instants).filter(|(before, instant)| before < instant) {
        let gap = instant - before;
        let cuts = [gap, gap - gap / 8, gap / 2, gap / 4, gap / 8].into_iter().chain([10 * SECOND, SECOND]);
        let cuts = cuts.map(|cut| if cut > SECOND { cut / SECOND * SECOND } else { cut });
        proposals.extend(cuts.filter(|&cut| cut > 0 && cut <= gap).map(|cut| earlier(value, instant, cut, duration)));
    }
    proposals
}

/// Shorter lengths of time.
fn less(time: u64) -> impl Iterator<Item = u64> {
    let shorter = [time / 4, time / 2, time - time / 4, time.saturating_sub(10 * SECOND), time.saturating_sub(SECOND)];
    shorter.into_iter().map(|shorter| shorter.next_multiple_of(SECOND)).filter(move |&shorter| shorter < time)
}

/// Ends at another instant; a warm-up that would leave nothing of it goes.
fn ending(value: &Value, end: u64) -> Value {
    let ending = edit::put_member(value, "", "duration", edit::time_value(end));
    let warmup = value.get("warmup").map_or(Some(10 * SECOND), edit::time).unwrap_or(0);
    if warmup < end { ending } else { edit::put_member(&ending, "", "warmup", edit::time_value(0)) }
}

/// Everything from an instant on happens earlier.
fn earlier(value: &Value, from: u64, by: u64, duration: u64) -> Value {
    let mut value = ending(value, duration.saturating_sub(by).max(SECOND));
    let moved = |time: &mut Value| {
        if let Some(old) = edit::time(time).filter(|&old| old >= from) {
            *time = edit::time_value(old - by);
        }
    };
    for (list, keys) in [("timeline", &["at"][..]), ("expect", &["from", "to"])] {
        for item in value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            for key in keys {
                item.get_mut(*key).into_iter().for_each(moved);
            }
        }
    }
    value
}
