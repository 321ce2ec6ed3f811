//! Expectations.

use super::Builder;
use crate::scenario::catalogue;
use crate::scenario::item::Item;
use crate::scenario::{Bound, Expectation, Protocol};
use crate::time::SimTime;

/// Metrics that count requests, and so can be asked for a span of time.
pub const CUT_BY_TIME: &[&str] = &[
    "requests_total",
    "requests_ok",
    "requests_failed",
    "availability",
    "availability_time",
    "outage_total_s",
    "outage_longest_s",
    "latency_p50_ms",
    "latency_p99_ms",
    "latency_p999_ms",
    "replies_degraded",
];

pub fn build(builder: &mut Builder<'_>, protocols: &[Protocol]) -> Vec<Expectation> {
    let root = builder.root;
    root.list("expect").iter().map(|item| expectation(builder, item, protocols)).collect()
}

fn expectation(builder: &mut Builder<'_>, item: &Item, protocols: &[Protocol]) -> Expectation {
    metric(builder, item);
    let protocol = item.get("protocol").and_then(|name| {
        let label = name.as_text()?;
        let labels = builder.root.get("protocols").map_or(&[][..], Item::fields);
        if !labels.is_empty() && !labels.iter().any(|(known, _)| known == label) {
            let known: Vec<_> = protocols.iter().map(|protocol| protocol.label.clone()).collect();
            builder.unknown(name, "protocol", &known);
        }
        Some(label.to_owned())
    });
    let (from, to) = span(builder, item);
    Expectation {
        metric: item.text("metric").unwrap_or_default().to_owned(),
        service: item.get("service").and_then(|name| builder.service(name)),
        protocol,
        from,
        to,
        bound: bound(item),
    }
}

fn metric(builder: &mut Builder<'_>, item: &Item) {
    let Some(field) = item.get("metric") else { return };
    let Some(name) = field.as_text() else { return };
    let known: Vec<_> = catalogue::metric_names();
    if !known.iter().any(|metric| metric == name) {
        builder.unknown(field, "metric", &known);
        let problem = builder.problems.0.last_mut();
        if let Some(problem) = problem.filter(|problem| problem.help.is_none()) {
            problem.help = Some("`firedrill list metrics` shows them".into());
        }
        return;
    }
    for bound in ["from", "to"] {
        if let (Some(span), false) = (item.get(bound), CUT_BY_TIME.contains(&name)) {
            builder
                .add(span, format!("`{name}` is of a whole run, so `{bound}` cannot cut it"))
                .expected(crate::scenario::diagnostics::quote_all(CUT_BY_TIME.iter().copied(), "or"));
        }
    }
}

fn span(builder: &mut Builder<'_>, item: &Item) -> (Option<SimTime>, Option<SimTime>) {
    let from = item.get("from").and_then(|from| builder.instant(from));
    let to = item.get("to").and_then(|to| {
        let time = to.as_time()?;
        if let Some(duration) = builder.duration
            && time > duration
        {
            builder.add(to, format!("{time} is past the end: the duration is {duration}"));
        }
        Some(SimTime::from_nanos(time.as_nanos()))
    });
    if let (Some(end), Some(field)) = (to, item.get("to")) {
        let warmup = builder.root.time("warmup").unwrap_or_default();
        let start = from.unwrap_or(SimTime::ZERO);
        if end <= start {
            builder.add(field, "it ends before it begins").expected("`from` < `to`");
        } else if end.as_nanos() <= warmup.as_nanos() {
            builder.add(field, format!("nothing is counted before the warm-up ends at {warmup}"));
        }
    }
    (from, to)
}

fn bound(item: &Item) -> Bound {
    if let Some(least) = item.number("at_least") {
        return Bound::AtLeast(least);
    }
    match item.number("at_most") {
        Some(most) => Bound::AtMost(most),
        None => Bound::Equals(item.number("equals").unwrap_or(0.0)),
    }
}
