//! The whole story, cut where faults begin and end.

use std::collections::BTreeMap;

use crate::history::What;
use crate::id::{NodeId, ServiceId};
use crate::metrics::recorder::Disturbance;
use crate::metrics::{Metrics, Second};

use crate::op::WriteKey;
use crate::run::phases::disturbances;
use crate::run::tape::{Fate, Tape};
use crate::run::{RunResult, VerdictOutcome};
use crate::scenario::Scenario;
use crate::time::{Duration, SimTime};
use crate::world::fault::Action;

use super::beats::Teller;
use super::course::Course;
use super::scene::{FaultSpan, Life, Scene};
use super::serve;
use super::words::{self, grouped, length, time};
use super::{Chapter, Kind, Line, Outage, ServiceStory, Stage, Story};

/// Tells the story of a run, of one service or of all.
pub fn tell(scenario: &Scenario, result: &RunResult, tape: &Tape, only: Option<ServiceId>) -> Story {
    let scene = Scene::new(scenario.topology.nodes.len(), tape);
    let stage = Stage { scenario, scene: &scene };
    let services = (0..scenario.services.len()).map(ServiceId::from);
    let wanted = services.filter(|&service| only.is_none_or(|only| only == service));
    Story {
        scenario: scenario.name.clone(),
        protocol: result.record.protocol.clone(),
        seed: result.record.seed,
        services: wanted.map(|service| of_service(stage, service, result, tape)).collect(),
    }
}

/// The outages of a service, in the measured span.
pub fn outages_of(scenario: &Scenario, service: ServiceId, result: &RunResult) -> Vec<Outage> {
    let (from, to) = (scenario.warmup.as_nanos(), scenario.duration.as_nanos());
    let measured = |row: &&Second| (from..to).contains(&row.second.saturating_mul(1_000_000_000));
    let seconds = result.seconds.get(service.index()).map_or(&[][..], |rows| &rows.1);
    serve::outages(&seconds.iter().filter(measured).cloned().collect::<Vec<_>>())
}

fn of_service(stage: Stage<'_>, service: ServiceId, result: &RunResult, tape: &Tape) -> ServiceStory {
    let scenario = stage.scenario;
    let placed = &scenario.services[service.index()];
    let course = Course::new(service, &placed.replicas, tape, stage.scene);
    let edges = edges(stage.scene);
    let teller = Teller { stage, course: &course, edges: &edges };
    let outages = outages_of(scenario, service, result);
    let mut lines = teller.lines();
    lines.extend(teller.changes());
    lines.extend(teller.servings(tape.views));
    lines.extend(teller.outages(&outages, &tape.outcomes[service.index()]));
    lines.extend(converged(scenario, result, &placed.name));
    lines.sort_by_key(|line| (line.at, line.kind));
    let end = SimTime::from_nanos((result.record.simulated_s * 1e9) as u64);
    ServiceStory {
        service: placed.name.clone(),
        replicas: placed.replicas.iter().map(|&node| scenario.node(node).to_owned()).collect(),
        chapters: chapters(&teller, lines, tape, end),
        remains: remains(&teller, result, tape, end),
        outages,
    }
}

/// Instants at which faults begin or end.
fn edges(scene: &Scene) -> Vec<SimTime> {
    let mut edges: Vec<SimTime> =
        scene.faults.iter().flat_map(|fault| [Some(fault.began), fault.ended]).flatten().collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn chapters(teller: &Teller<'_>, lines: Vec<Line>, tape: &Tape, end: SimTime) -> Vec<Chapter> {
    let edges = teller.edges;
    let mut chapters: Vec<Chapter> = (0..=edges.len())
        .map(|index| Chapter {
            from: index.checked_sub(1).map_or(SimTime::ZERO, |before| edges[before]),
            to: edges.get(index).copied().unwrap_or(end),
            heads: index.checked_sub(1).map_or_else(Vec::new, |before| heads(teller, edges[before])),
            lines: Vec::new(),
            requests: 0,
            answered: 0,
        })
        .collect();
    for line in lines {
        chapters[teller.chapter(line.at)].lines.push(line);
    }
    for event in tape.history.iter().filter(|event| event.service == teller.course.service) {
        let chapter = &mut chapters[teller.chapter(event.invoked)];
        match event.what {
            What::Invoke => chapter.requests += 1,
            What::Ok { .. } => chapter.answered += 1,
            _ => {}
        }
    }
    chapters
}

/// The faults that begin or end at an instant.
fn heads(teller: &Teller<'_>, at: SimTime) -> Vec<Line> {
    let mut lines = Vec::new();
    for fault in &teller.stage.scene.faults {
        if fault.ended == Some(at) && !fault.is_instant() {
            lines.push(Line::new(
                at,
                Kind::FaultEnds,
                format!("“{}” ends{}", fault.told.label, after_end(teller, fault, at)),
            ));
        }
        if fault.began == at {
            lines.push(Line::new(at, Kind::FaultBegins, format!("“{}”{}", fault.told.label, begins(teller, fault))));
        }
    }
    lines
}

/// What a fault does, to whom, and for how long.
fn begins(teller: &Teller<'_>, fault: &FaultSpan) -> String {
    let words = teller.stage.words();
    let nodes = &fault.told.nodes;
    let concerned = nodes.iter().any(|node| teller.course.replicas.contains(node));
    let whom = if nodes.is_empty() { String::new() } else { format!(": {}", words.nodes(nodes)) };
    let until = match fault.ended {
        _ if fault.is_instant() => String::new(),
        Some(ended) => format!(", until {}", time(ended)),
        None => ", to the end".into(),
    };
    let aside = if nodes.is_empty() || concerned { "" } else { "; no replica of this service is among them" };
    let void = if fault.told.unsupported { "; the protocol does not support it, so nothing changed" } else { "" };
    let how = match &fault.told.action {
        Action::Flap { up, down, .. } => format!(" ({} down, {} up, in turn)", length(*down), length(*up)),
        Action::Degrade { add_delay, loss, .. } => {
            let mut how = Vec::new();
            if !add_delay.is_zero() {
                how.push(format!("{} more delay", length(*add_delay)));
            }
            if *loss > 0.0 {
                how.push(format!("{:.0} % loss", loss * 100.0));
            }
            if how.is_empty() { String::new() } else { format!(" ({})", words::list(&how)) }
        }
        _ => String::new(),
    };
    format!("{how}{whom}{until}{aside}{void}")
}

/// Who runs again when a fault ends, and who does not.
fn after_end(teller: &Teller<'_>, fault: &FaultSpan, at: SimTime) -> String {
    let words = teller.stage.words();
    let holds = matches!(fault.told.action, Action::Crash { .. } | Action::Pause { .. });
    if !holds || fault.told.nodes.is_empty() {
        return String::new();
    }
    let (up, down): (Vec<NodeId>, Vec<NodeId>) =
        fault.told.nodes.iter().partition(|&&node| teller.stage.scene.life(node, at).0 == Life::Up);
    let verb = |nodes: &[NodeId], one, many| words::verb(nodes.len(), one, many);
    match (up.is_empty(), down.is_empty()) {
        (false, true) => format!(": {} {} again", words.nodes(&up), verb(&up, "runs", "run")),
        (false, false) => format!(
            ": {} {} again, {} still {} not",
            words.nodes(&up),
            verb(&up, "runs", "run"),
            words.nodes(&down),
            verb(&down, "does", "do")
        ),
        (true, _) => format!(": {} still {} not run", words.nodes(&down), verb(&down, "does", "do")),
    }
}

/// When the service had settled after each disturbance.
fn converged(scenario: &Scenario, result: &RunResult, service: &str) -> Vec<Line> {
    let mut by_instant: BTreeMap<SimTime, Vec<(Duration, &str)>> = BTreeMap::new();
    let ends = disturbances(scenario);
    for recovery in result.record.recoveries.iter().filter(|one| one.service == service) {
        let same = |one: &&Disturbance| one.label == recovery.fault && one.at.as_secs_f64() == recovery.at_s;
        let end = ends.iter().find(same).and_then(|one| one.end);
        if let (Some(took), Some(end)) = (recovery.converged_s, end) {
            let took = Duration::from_nanos((took * 1e9).round() as u64);
            by_instant.entry(end + took).or_default().push((took, &recovery.fault));
        }
    }
    let line = |(at, ends): (SimTime, Vec<(Duration, &str)>)| {
        let after = ends.iter().map(|end| end.0).min().unwrap_or_default();
        let labels: Vec<String> = ends.iter().map(|end| format!("“{}”", end.1)).collect();
        let of = words::list(&labels);
        let text = format!("settled {} after the end of {of}: one leader, one view, one history", length(after));
        Line::new(at, Kind::Converged, text)
    };
    by_instant.into_iter().map(line).collect()
}

/// What is left at the end of a run.
fn remains(teller: &Teller<'_>, result: &RunResult, tape: &Tape, end: SimTime) -> Vec<String> {
    let service = teller.course.service;
    let name = &teller.stage.scenario.services[service.index()].name;
    let mut out = Vec::new();
    let words = teller.stage.words();
    let serving = teller.course.serving_at(end);
    out.push(match serving {
        [] => "at the end nobody serves".into(),
        [one] => format!("at the end {} serves", words.node(*one)),
        several => format!("at the end {} serve, each a branch of its own", words.nodes(several)),
    });
    if let Some(metrics) = result.record.metrics.services.get(name) {
        out.extend(of_writes(metrics));
    }
    out.extend(stranded(teller, tape, end));
    out.extend(lost(teller, tape));
    let mine = |evidence: &Option<String>| evidence.as_ref().is_some_and(|text| text.starts_with(&format!("{name}: ")));
    for verdict in &result.record.verdicts {
        let what = match verdict.outcome {
            VerdictOutcome::Violated => "VIOLATED",
            VerdictOutcome::Unknown => "could not be decided",
            VerdictOutcome::Valid | VerdictOutcome::NotApplicable => continue,
        };
        if mine(&verdict.evidence) {
            let evidence = verdict.evidence.as_deref().unwrap_or_default();
            out.push(format!("{what}: {}: {}; {evidence}", verdict.check, verdict.states));
        }
    }
    out
}

fn of_writes(metrics: &Metrics) -> Vec<String> {
    let of = |value: Option<u64>| value.unwrap_or(0);
    let mut out = Vec::new();
    if let (Some(ok), Some(total), Some(share)) = (metrics.requests_ok, metrics.requests_total, metrics.availability) {
        out.push(format!(
            "{} of {} were answered ({:.2} %)",
            grouped(ok),
            words::count(total, "request"),
            share * 100.0
        ));
    }
    if let (Some(total), Some(longest)) = (metrics.outage_total_s, metrics.outage_longest_s)
        && total > 0.0
    {
        out.push(format!("outages: {total} s in all, the longest {longest} s"));
    }
    if let Some(acked) = metrics.writes_acked {
        let mut parts = vec![format!("{} in the history", grouped(of(metrics.writes_applied)))];
        let mut add = |number: Option<u64>, what: &str| {
            if of(number) > 0 {
                parts.push(format!("{} {what}", grouped(of(number))));
            }
        };
        add(metrics.writes_reapplied, "of them executed again by a merge");
        add(metrics.writes_revoked, "revoked");
        add(metrics.writes_revoked_told, "of these told to their clients");
        add(metrics.writes_stranded, "stranded out of reach");
        add(metrics.writes_lost, "LOST");
        out.push(format!("{} acknowledged: {}", words::count(acked, "write"), words::list(&parts)));
    }
    if of(metrics.reads_stale) > 0 {
        out.push(format!("{} missed a write acknowledged before", words::count(of(metrics.reads_stale), "read")));
    }
    out
}

/// Where the stranded writes are, and why nobody serves them.
fn stranded(teller: &Teller<'_>, tape: &Tape, end: SimTime) -> Vec<String> {
    let service = teller.course.service;
    let mut by_disks: BTreeMap<&[NodeId], u64> = BTreeMap::new();
    for ((_, _), fate) in tape.fates.iter().filter(|((of, _), _)| *of == service) {
        if let Fate::Stranded(nodes) = fate {
            *by_disks.entry(nodes).or_default() += 1;
        }
    }
    let (scene, words) = (teller.stage.scene, teller.stage.words());
    by_disks
        .into_iter()
        .map(|(nodes, number)| {
            let down: Vec<NodeId> = nodes.iter().copied().filter(|&node| !scene.runs(node, end)).collect();
            let why = match (down.len() == nodes.len(), down.is_empty()) {
                (true, _) => format!("which {} not run", words::verb(nodes.len(), "does", "do")),
                (false, true) => format!(
                    "which {}, but {} no serving group",
                    words::verb(nodes.len(), "runs", "run"),
                    words::verb(nodes.len(), "is in", "are in")
                ),
                (false, false) => {
                    format!("of which {} {} not run", words.nodes(&down), words::verb(down.len(), "does", "do"))
                }
            };
            format!("stranded: {} only on the disks of {}, {why}", words::count(number, "write"), words.nodes(nodes))
        })
        .collect()
}

/// The faults that destroyed disks, if a write is on none.
fn lost(teller: &Teller<'_>, tape: &Tape) -> Option<String> {
    let service = teller.course.service;
    let lost: Vec<WriteKey> = tape
        .fates
        .iter()
        .filter(|((of, _), fate)| *of == service && **fate == Fate::Lost)
        .map(|((_, write), _)| *write)
        .collect();
    let first = lost.first()?;
    let destroys = |fault: &&FaultSpan| {
        matches!(fault.told.action, Action::Crash { disk: crate::world::fault::Disk::Lost, .. })
            && fault.told.nodes.iter().any(|node| teller.course.replicas.contains(node))
    };
    let faults: Vec<String> = teller
        .stage
        .scene
        .faults
        .iter()
        .filter(destroys)
        .map(|fault| format!("“{}” ({})", fault.told.label, time(fault.began)))
        .collect();
    let by =
        if faults.is_empty() { super::NO_CAUSE.into() } else { format!("disks destroyed by {}", words::list(&faults)) };
    Some(format!(
        "lost: {}, for example c{}/w{}: {by}",
        words::count(lost.len() as u64, "write"),
        first.client.0,
        first.number
    ))
}
