//! What `fuzz` prints.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::screen::{count, shell};
use crate::fuzz::{Finding, Search};

/// Features that were reached, and findings, of all protocols together.
pub(super) fn reached(search: &Search) -> (usize, usize) {
    (search.tallies().map(|(_, tally)| tally.features()).sum(), search.findings().count())
}

/// A line while the search goes on.
pub(super) fn progress(
    runs: u64,
    elapsed: Duration,
    features: usize,
    findings: usize,
    left: Option<Duration>,
) -> String {
    let rate = runs as f64 / elapsed.as_secs_f64().max(1e-9);
    let left = left.map_or(String::new(), |left| format!(", {} s left", left.as_secs()));
    format!(
        "{}, {rate:.0} a second, {}, {}{left}",
        count(runs, "run"),
        count(features as u64, "feature"),
        count(findings as u64, "finding")
    )
}

fn path(dir: &Path, finding: &Finding) -> String {
    dir.join(&finding.protocol).join(format!("{}.json", finding.name)).display().to_string()
}

fn undecided(search: &Search) -> u64 {
    search.tallies().map(|(_, tally)| tally.undecided).sum()
}

/// A table of protocols, and then the findings.
pub(super) fn human(search: &Search, dir: &Path, seconds: f64) -> String {
    let (features, _) = reached(search);
    let mut text = format!(
        "{}: {} in {seconds:.1} s, {:.1} a second; {}, {} undecided\n\n",
        search.ground().name(),
        count(search.runs(), "run"),
        search.runs() as f64 / seconds.max(1e-9),
        count(features as u64, "feature"),
        undecided(search),
    );
    let width = search.tallies().map(|(label, _)| label.len()).max().unwrap_or(0).max("protocol".len());
    text.push_str(&format!(
        "{:width$}  {:>9}  {:>9}  {:>9}  {:>9}\n",
        "protocol", "runs", "features", "undecided", "findings"
    ));
    for (label, tally) in search.tallies() {
        let found = search.findings().filter(|finding| finding.protocol == label).count();
        let (runs, features, undecided) = (tally.runs, tally.features(), tally.undecided);
        text.push_str(&format!("{label:width$}  {runs:>9}  {features:>9}  {undecided:>9}  {found:>9}\n"));
    }
    for finding in search.findings() {
        let Finding { protocol, broken, entries, first, run, .. } = finding;
        let entries = if *entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
        text.push_str(&format!("\n{protocol}: {}, first in run {first}, now run {run} with {entries}\n", broken.check));
        text.push_str(&format!("  {}\n", broken.evidence.replace('\n', "\n  ")));
        text.push_str(&format!("  firedrill run {}\n", shell(&path(dir, finding))));
    }
    text
}

/// For programs. Only `seconds` and `runs_per_second` differ between two searches that are alike.
pub(super) fn json(search: &Search, dir: &Path, seconds: f64) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "protocol": finding.protocol,
            "check": finding.broken.check,
            "evidence": finding.broken.evidence,
            "scenario": path(dir, finding),
            "entries": finding.entries,
            "seed": finding.seed,
            "run": finding.run,
            "first_run": finding.first,
        })
    };
    let protocol = |(label, tally): (&str, &crate::fuzz::Tally)| {
        json!({
            "protocol": label,
            "runs": tally.runs,
            "events": tally.events,
            "features": tally.features(),
            "undecided": tally.undecided,
            "refused": tally.refused,
        })
    };
    json!({
        "scenario": search.ground().name(),
        "seed": search.seed(),
        "runs": search.runs(),
        "seconds": seconds,
        "runs_per_second": search.runs() as f64 / seconds.max(1e-9),
        "protocols": search.tallies().map(protocol).collect::<Vec<_>>(),
        "findings": search.findings().map(finding).collect::<Vec<_>>(),
    })
}
