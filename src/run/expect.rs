//! Expectations of a scenario against what was measured.

use crate::metrics::window::Window;
use crate::metrics::{Metrics, MetricsTable};
use crate::scenario::{Bound, Expectation, Scenario};

use super::ExpectationResult;

/// The span that an expectation is about: its own within the measured run.
pub fn window(expectation: &Expectation, measured: Window) -> Window {
    Window {
        from: expectation.from.unwrap_or(measured.from).max(measured.from),
        to: expectation.to.unwrap_or(measured.to).min(measured.to),
    }
}

/// Judges those that concern the protocol. `cut(i)` gives the metrics of the span of expectation `i`.
pub fn judge(
    scenario: &Scenario,
    protocol: &str,
    whole: &MetricsTable,
    cut: impl Fn(usize) -> MetricsTable,
) -> Vec<ExpectationResult> {
    let mut results = Vec::new();
    for (index, one) in scenario.expectations.iter().enumerate() {
        if one.protocol.as_deref().is_some_and(|wanted| wanted != protocol) {
            continue;
        }
        let spanned = one.from.is_some() || one.to.is_some();
        let table = if spanned { &cut(index) } else { whole };
        for (service, metrics) in &table.services {
            if one.service.is_none_or(|wanted| scenario.service(wanted) == service) {
                results.push(judge_one(one, service, metrics));
            }
        }
    }
    results
}

fn judge_one(one: &Expectation, service: &str, metrics: &Metrics) -> ExpectationResult {
    let measured = metrics.get(&one.metric);
    let (expected, held) = match one.bound {
        Bound::AtLeast(bound) => (format!("at least {bound}"), measured.is_some_and(|value| value >= bound)),
        Bound::AtMost(bound) => (format!("at most {bound}"), measured.is_some_and(|value| value <= bound)),
        Bound::Equals(bound) => (format!("equal to {bound}"), measured == Some(bound)),
    };
    let span = (one.from.is_some() || one.to.is_some()).then(|| {
        let from = one.from.map_or("the start".to_owned(), |at| format!("{} s", at.as_secs_f64()));
        let to = one.to.map_or("the end".to_owned(), |at| format!("{} s", at.as_secs_f64()));
        format!("of requests that started from {from} to {to}")
    });
    let missing = "does not apply, or was not reached before the end of the run".to_owned();
    ExpectationResult {
        metric: one.metric.clone(),
        service: Some(service.to_owned()),
        expected,
        measured,
        held,
        note: if measured.is_none() { Some(missing) } else { span },
    }
}
