//! The table that a person reads after a run.

use std::path::{Path, PathBuf};

use super::distinct;
use super::numbers::{self, Unit};
use super::paired;
use crate::metrics::{Metrics, Recovery};
use crate::run::{ExpectationResult, Record, VerdictOutcome};

mod layout;

use layout::{Cell, Paint, Row, Tone};

/// How to show the table, and what it may point to.
#[derive(Clone, Copy, Debug)]
pub struct TableStyle<'a> {
    /// Columns of the terminal; at least 60 are used.
    pub width: usize,
    /// Whether ✔, ✘ and – may be used; else their ASCII forms.
    pub unicode: bool,
    /// Whether ANSI colours may be used.
    pub colour: bool,
    /// The directory of results as the user named it; `None` if nothing was written.
    pub out: Option<&'a Path>,
    /// Plots that were drawn.
    pub plots: &'a [PathBuf],
}

impl Default for TableStyle<'_> {
    fn default() -> Self {
        Self { width: 100, unicode: true, colour: false, out: None, plots: &[] }
    }
}

/// At most so many phases are listed, those with the worst availability.
const MOST_PHASES: usize = 24;

/// The table for the runs of one scenario in one command: protocols against metrics, the phases of the
/// disaster, expectations, verdicts that are not valid, plots, and how to replay.
pub fn summary_table(records: &[Record], style: TableStyle<'_>) -> String {
    let Some(first) = records.first() else { return String::new() };
    let paint = Paint { colour: style.colour, unicode: style.unicode };
    let groups = by_protocol(records);
    let mut text = heading(first, &groups, records, paint);
    let heads: Vec<_> = groups.iter().map(|(label, _)| label.to_string()).collect();
    let mut section = |title: &str, rows: Vec<Row>| {
        if !rows.is_empty() {
            text.push('\n');
            text.push_str(&layout::table(title, &heads, &rows, style.width.max(60), paint));
        }
    };
    section("", metric_rows(&groups));
    section("availability by service", service_rows(&groups));
    section("availability by phase", phase_rows(&groups));
    if let Some((base, _)) = groups.first() {
        section(&format!("difference from {base}, by seed"), paired_rows(records, &groups));
    }
    for part in [
        expectations(records, style.width, paint),
        verdicts(records, style.width, paint),
        notes(records, style.width, paint),
        pointers(records, style, paint),
    ] {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

type Groups<'a> = Vec<(&'a str, Vec<&'a Record>)>;

fn by_protocol(records: &[Record]) -> Groups<'_> {
    distinct(records.iter().map(|record| record.protocol.as_str()))
        .into_iter()
        .map(|label| (label, records.iter().filter(|record| record.protocol == label).collect()))
        .collect()
}

fn heading(first: &Record, groups: &Groups<'_>, records: &[Record], paint: Paint) -> String {
    let seeds = distinct(records.iter().map(|record| record.seed));
    let protocols = match groups.len() {
        1 => groups[0].0.to_owned(),
        many => format!("{many} protocols"),
    };
    let end = first.phases.last().map_or(first.simulated_s, |phase| phase.to_s);
    let mut line = format!(
        "{}  {}, {protocols}, {}",
        paint.tone(&first.scenario.name, Tone::Strong),
        numbers::span(end),
        seed_names(&seeds)
    );
    if seeds.len() > 1 {
        line.push_str(" (medians, min..max)");
    }
    line.push('\n');
    line
}

/// `seed 7`, `seeds 0..20` (half open), or `20 seeds`.
pub(super) fn seed_names(seeds: &[u64]) -> String {
    match seeds {
        [] => "no seed".into(),
        [seed] => format!("seed {seed}"),
        [first, .., last] if seeds.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1])) => {
            format!("seeds {first}..{}", u128::from(*last) + 1)
        }
        many => format!("{} seeds", many.len()),
    }
}

/// A row of the table: its name, its unit, when to show it, and its value.
struct Line {
    name: &'static str,
    unit: Unit,
    show: Show,
    value: fn(&Metrics) -> Option<f64>,
    /// For times of recovery: the part of a recovery that says whether it was reached.
    reached: Option<fn(&Recovery) -> Option<f64>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Show {
    Always,
    /// If any run measured it.
    Measured,
    /// If any run measured more than zero.
    NotZero,
}

const fn line(name: &'static str, unit: Unit, show: Show, value: fn(&Metrics) -> Option<f64>) -> Line {
    Line { name, unit, show, value, reached: None }
}

const fn recovery(
    name: &'static str,
    value: fn(&Metrics) -> Option<f64>,
    reached: fn(&Recovery) -> Option<f64>,
) -> Line {
    Line { name, unit: Unit::Seconds, show: Show::Measured, value, reached: Some(reached) }
}

fn count(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

const LINES: [Line; 25] = [
    line("availability", Unit::Percent, Show::Always, |m| m.availability),
    line("  seconds at 99 % or more", Unit::Percent, Show::Measured, |m| m.availability_time),
    line("outage, total", Unit::Seconds, Show::Always, |m| m.outage_total_s),
    line("outage, longest", Unit::Seconds, Show::Always, |m| m.outage_longest_s),
    recovery("recovery, first success", |m| m.recovery_first_s, |r| r.first_success_s),
    recovery("recovery, 99 % for 5 s", |m| m.recovery_s, |r| r.sustained_s),
    recovery("convergence", |m| m.convergence_s, |r| r.converged_s),
    line("divergence", Unit::Seconds, Show::Measured, |m| m.divergence_s),
    line("latency p50", Unit::Millis, Show::Always, |m| m.latency_p50_ms),
    line("latency p99", Unit::Millis, Show::Always, |m| m.latency_p99_ms),
    line("latency p99.9", Unit::Millis, Show::Measured, |m| m.latency_p999_ms),
    line("writes acknowledged", Unit::Count, Show::Always, |m| count(m.writes_acked)),
    line("  revoked", Unit::Count, Show::Measured, |m| count(m.writes_revoked)),
    line("  revoked, client told", Unit::Count, Show::NotZero, |m| count(m.writes_revoked_told)),
    line("  stranded", Unit::Count, Show::NotZero, |m| count(m.writes_stranded)),
    line("  lost", Unit::Count, Show::Always, |m| count(m.writes_lost)),
    line("  duplicated", Unit::Count, Show::NotZero, |m| count(m.writes_duplicated)),
    line("reads stale", Unit::Count, Show::NotZero, |m| count(m.reads_stale)),
    line("replies degraded", Unit::Count, Show::NotZero, |m| count(m.replies_degraded)),
    line("replies regressed", Unit::Count, Show::NotZero, |m| count(m.replies_regressed)),
    line("traffic over the WAN, MB", Unit::Plain, Show::Measured, |m| m.bytes_wan.map(|bytes| bytes as f64 / 1e6)),
    line("energy, kWh", Unit::Plain, Show::Measured, |m| m.energy_kwh),
    line("nodes awake, mean", Unit::Plain, Show::Measured, |m| m.nodes_awake_mean),
    line("balance of load (Jain)", Unit::Plain, Show::Measured, |m| m.load_jain),
    line("reprovisioning", Unit::Seconds, Show::Measured, |m| m.reprovision_s),
];

fn metric_rows(groups: &Groups<'_>) -> Vec<Row> {
    let shown = |line: &&Line| {
        let mut values =
            groups.iter().flat_map(|(_, runs)| runs).filter_map(|run| (line.value)(&run.metrics.all)).peekable();
        match line.show {
            Show::Always => true,
            Show::Measured => values.peek().is_some() || groups.iter().any(|(_, runs)| not_reached(line, runs)),
            Show::NotZero => values.any(|value| value > 0.0),
        }
    };
    let cell = |line: &Line, runs: &[&Record]| {
        let values: Vec<_> = runs.iter().map(|run| (line.value)(&run.metrics.all)).collect();
        let missing = if not_reached(line, runs) { Missing::NotReached } else { Missing::None };
        let tone = if line.name == "availability" { worst_tone(&values) } else { Tone::Plain };
        aggregate(values, line.unit, missing).with(tone)
    };
    LINES
        .iter()
        .filter(shown)
        .map(|line| Row { label: line.name.into(), cells: groups.iter().map(|(_, runs)| cell(line, runs)).collect() })
        .collect()
}

/// Whether some run waited for this recovery in vain, rather than not needing it.
fn not_reached(line: &Line, runs: &[&Record]) -> bool {
    let Some(reached) = line.reached else { return false };
    runs.iter().any(|run| {
        (line.value)(&run.metrics.all).is_none() && run.recoveries.iter().any(|it| it.censored && reached(it).is_none())
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Missing {
    /// Runs without a value are left out.
    None,
    /// Runs without a value took longer than all others.
    NotReached,
}

/// One value as it is; of several the median, and the range if they differ.
fn aggregate(values: Vec<Option<f64>>, unit: Unit, missing: Missing) -> Cell {
    let runs = values.len();
    let mut sorted: Vec<f64> = values
        .into_iter()
        .filter_map(|value| value.or((missing == Missing::NotReached).then_some(f64::INFINITY)))
        .collect();
    sorted.sort_by(f64::total_cmp);
    let show = |value: f64| if value.is_finite() { numbers::with_unit(value, unit) } else { "not reached".into() };
    let Some(median) = numbers::median(&sorted) else { return Cell::missing() };
    let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
    let mut cell = Cell::new(show(median));
    if runs > 1 && low != high {
        let high = if high.is_finite() { numbers::bare(high, unit) } else { "never".into() };
        cell.range = format!("{}..{high}", numbers::bare(low, unit));
    }
    cell
}

fn worst_tone(values: &[Option<f64>]) -> Tone {
    let worst = values.iter().flatten().copied().fold(1.0, f64::min);
    match worst {
        worst if worst < 0.5 => Tone::Bad,
        worst if worst < 0.99 => Tone::Warning,
        _ => Tone::Good,
    }
}

fn availability_cell(values: Vec<Option<f64>>) -> Cell {
    let tone = worst_tone(&values);
    aggregate(values, Unit::Percent, Missing::None).with(tone)
}

/// What the difference of two protocols is told of.
const PAIRED: [(&str, &str, Unit); 8] = [
    ("availability", "availability", Unit::Percent),
    ("outage, total", "outage_total_s", Unit::Seconds),
    ("recovery, first success", "recovery_first_s", Unit::Seconds),
    ("divergence", "divergence_s", Unit::Seconds),
    ("latency p50", "latency_p50_ms", Unit::Millis),
    ("writes revoked", "writes_revoked", Unit::Count),
    ("writes lost", "writes_lost", Unit::Count),
    ("reads stale", "reads_stale", Unit::Count),
];

/// The median difference of each protocol from the first over several seeds, and its range.
fn paired_rows(records: &[Record], groups: &Groups<'_>) -> Vec<Row> {
    if groups.iter().all(|(_, runs)| runs.len() < 2) {
        return Vec::new();
    }
    let found = paired::differences(records, &PAIRED.map(|(_, metric, _)| metric));
    let cell = |label: &str, metric: &str, unit: Unit| {
        let one = found.iter().find(|one| one.protocol == label && one.metric == metric);
        let Some(one) = one else { return Cell::missing() };
        let mut cell = Cell::new(numbers::signed(one.median, unit) + numbers::difference_suffix(unit));
        if one.lowest != one.highest {
            cell.range = format!("{}..{}", numbers::signed(one.lowest, unit), numbers::signed(one.highest, unit));
        }
        cell
    };
    let row = |&(name, metric, unit): &(&str, &str, Unit)| Row {
        label: name.into(),
        cells: groups.iter().map(|(label, _)| cell(label, metric, unit)).collect(),
    };
    let told = |(_, metric, _): &&(&str, &str, Unit)| {
        found.iter().any(|one| one.metric == *metric && (one.lowest, one.highest) != (0.0, 0.0))
    };
    PAIRED.iter().filter(told).map(row).collect()
}

/// Nothing for a single service, which equals `all`.
fn service_rows(groups: &Groups<'_>) -> Vec<Row> {
    let services = distinct(
        groups.iter().flat_map(|(_, runs)| runs).flat_map(|run| run.metrics.services.keys()).map(String::as_str),
    );
    if services.len() < 2 {
        return Vec::new();
    }
    let cell = |service: &str, runs: &[&Record]| {
        availability_cell(
            runs.iter().map(|run| run.metrics.services.get(service).and_then(|it| it.availability)).collect(),
        )
    };
    services
        .into_iter()
        .map(|service| Row {
            label: service.into(),
            cells: groups.iter().map(|(_, runs)| cell(service, runs)).collect(),
        })
        .collect()
}

/// The story of the disaster. Phases are those of the first run; they are the same for all protocols.
fn phase_rows(groups: &Groups<'_>) -> Vec<Row> {
    let first = groups[0].1[0];
    let of = |run: &Record, from: f64, to: f64| {
        let phase = run.phases.iter().find(|phase| phase.from_s == from && phase.to_s == to);
        phase.and_then(|phase| phase.metrics.all.availability)
    };
    let mut rows: Vec<(f64, Row)> = Vec::new();
    for phase in &first.phases {
        let values = |runs: &[&Record]| -> Vec<Option<f64>> {
            runs.iter().map(|run| of(run, phase.from_s, phase.to_s)).collect()
        };
        let worst = groups.iter().flat_map(|(_, runs)| values(runs)).flatten().fold(1.0, f64::min);
        let label = format!("{:>7}  {}", numbers::clock(phase.from_s), phase.label);
        let cells = groups.iter().map(|(_, runs)| availability_cell(values(runs))).collect();
        rows.push((worst, Row { label, cells }));
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&one, &other| rows[one].0.total_cmp(&rows[other].0));
    let hidden = order.split_off(MOST_PHASES.min(order.len()));
    let mut index = 0..;
    rows.retain(|_| index.next().is_some_and(|index| !hidden.contains(&index)));
    if !hidden.is_empty() {
        let label = format!("         ({} better phases are in result.json)", hidden.len());
        rows.push((0.0, Row { label, cells: Vec::new() }));
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn expectations(records: &[Record], width: usize, paint: Paint) -> String {
    let all: Vec<_> = records.iter().flat_map(|run| run.expectations.iter().map(move |it| (run, it))).collect();
    if all.is_empty() {
        return String::new();
    }
    let key = |run: &Record, it: &ExpectationResult| {
        (run.protocol.clone(), it.metric.clone(), it.service.clone(), it.expected.clone(), it.note.clone())
    };
    let mut keys = Vec::new();
    for (run, it) in &all {
        let key = key(run, it);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    // What holds alike of several protocols is told once.
    let mut lines: Vec<(Vec<String>, bool, String)> = Vec::new();
    for wanted in keys {
        let group: Vec<_> = all.iter().copied().filter(|(run, it)| key(run, it) == wanted).collect();
        let violated: Vec<_> = group.iter().copied().filter(|(_, it)| !it.held).collect();
        let (protocol, metric, service, expected, _) = wanted;
        let of = service.as_ref().map(|service| format!(" of {service}")).unwrap_or_default();
        let mut line = format!("{metric}{of} {expected}");
        match violated.first().or(group.first()) {
            Some((_, it)) if group.len() == 1 => line.push_str(&measured(it)),
            Some((run, it)) if !violated.is_empty() => line.push_str(&format!(
                "; violated in {} of {} runs, first by seed {}{}",
                violated.len(),
                group.len(),
                run.seed,
                measured(it)
            )),
            _ => line.push_str(&format!("; held in all {} runs", group.len())),
        }
        match lines.iter_mut().find(|(_, held, other)| *held && violated.is_empty() && *other == line) {
            Some((protocols, ..)) => protocols.push(protocol),
            None => lines.push((vec![protocol], violated.is_empty(), line)),
        }
    }
    let everyone = distinct(records.iter().map(|record| record.protocol.as_str())).len();
    let mut text = paint.tone("expectations", Tone::Strong) + "\n";
    for (protocols, held, line) in lines {
        let who = if protocols.len() == everyone && everyone > 2 {
            format!("all {everyone} protocols")
        } else {
            protocols.join(", ")
        };
        text.push_str(&layout::bullet(held.into(), &format!("{who}: {line}"), width, paint));
    }
    text
}

fn measured(it: &ExpectationResult) -> String {
    let note = it.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    match it.measured {
        Some(value) => format!("; measured {}{note}", numbers::exact(value)),
        None => format!("; not measured{note}"),
    }
}

/// One line if all is well, and otherwise what is not; the same finding in several runs is told once.
fn verdicts(records: &[Record], width: usize, paint: Paint) -> String {
    let all: Vec<_> = records.iter().flat_map(|run| run.verdicts.iter().map(move |it| (run, it))).collect();
    if all.is_empty() {
        return String::new();
    }
    let of = |outcome| all.iter().filter(|(_, it)| it.outcome == outcome).count();
    let mut counts = vec![format!("{} valid", of(VerdictOutcome::Valid))];
    for (outcome, name) in [
        (VerdictOutcome::NotApplicable, "not applicable under these faults"),
        (VerdictOutcome::Unknown, "undecided"),
        (VerdictOutcome::Violated, "violated"),
    ] {
        if of(outcome) > 0 {
            counts.push(format!("{} {name}", of(outcome)));
        }
    }
    let mut text = format!("{}  {}\n", paint.tone("checks", Tone::Strong), counts.join(", "));
    let mut problems: Vec<_> = all.iter().filter(|(_, it)| it.outcome >= VerdictOutcome::Unknown).collect();
    problems.sort_by_key(|(_, it)| std::cmp::Reverse(it.outcome));
    let mut told = Vec::new();
    for (run, it) in problems {
        let key = (&run.protocol, &it.check, it.outcome);
        if told.contains(&key) {
            continue;
        }
        told.push(key);
        let runs = records.iter().filter(|other| other.protocol == run.protocol).count();
        let same = all.iter().filter(|(run, it)| (&run.protocol, &it.check, it.outcome) == key).count();
        let (mark, outcome) = match it.outcome {
            VerdictOutcome::Violated => (layout::Mark::Bad, "violated"),
            _ => (layout::Mark::Unknown, "could not be decided"),
        };
        let many =
            if runs > 1 { format!(" in {same} of {runs} runs, first by seed {}", run.seed) } else { String::new() };
        let evidence = it.evidence.as_ref().map(|evidence| format!(": {evidence}")).unwrap_or_default();
        let line = format!("{}: {} ({}) {outcome}{many}{evidence}", run.protocol, it.check, it.states);
        text.push_str(&layout::bullet(mark, &line, width, paint));
    }
    text
}

fn notes(records: &[Record], width: usize, paint: Paint) -> String {
    let notes = distinct(records.iter().flat_map(|run| &run.notes).map(String::as_str));
    if notes.is_empty() {
        return String::new();
    }
    let lines = notes.iter().map(|note| layout::bullet(layout::Mark::Note, note, width, paint));
    paint.tone("notes", Tone::Strong) + "\n" + &lines.collect::<String>()
}

/// Where the plots are, and the command that runs the most interesting run again.
fn pointers(records: &[Record], style: TableStyle<'_>, paint: Paint) -> String {
    let mut text = String::new();
    let pictures: Vec<_> = style.plots.iter().filter(|path| path.extension().is_some_and(|it| it == "png")).collect();
    if let Some(first) = pictures.first() {
        let dir = first.parent().unwrap_or(Path::new(""));
        let names: Vec<_> = pictures.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
        let line = format!("{}/{{{}}}.{{svg,png}}", dir.display(), names.join(","));
        text.push_str(&format!("{}   {line}\n", paint.tone("plots", Tone::Strong)));
    }
    if let Some(out) = style.out {
        let bad = |run: &&Record| {
            run.verdicts.iter().any(|it| it.outcome == VerdictOutcome::Violated)
                || run.expectations.iter().any(|it| !it.held)
        };
        let run = records.iter().find(bad).unwrap_or(&records[0]);
        let path = super::run_dir(out, &run.scenario.name, &run.protocol, run.seed).join("result.json");
        text.push_str(&format!("{}  firedrill replay {}\n", paint.tone("replay", Tone::Strong), shell(&path)));
    }
    text
}

/// A path as a shell takes it.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%=".contains(letter);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests;
