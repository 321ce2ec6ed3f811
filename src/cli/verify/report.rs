//! What `verify` prints.

use serde_json::{Value, json};

use super::{Part, Service};
use crate::check::verify::{Judgement, Outcome};
use crate::cli::screen::{and_list, count};
use crate::import::{Imported, Input, Model};

fn input(imported: &Imported) -> &'static str {
    match imported.input {
        Input::Firedrill => "firedrill",
        Input::Jepsen => "jepsen",
        Input::Porcupine => "porcupine",
    }
}

/// A table of properties against parts for each service, and then the evidence.
pub(super) fn human(path: &str, imported: &Imported, parts: &[Part], services: &[Service]) -> String {
    let operations: usize = services.iter().map(|service| service.operations).sum();
    let mut text = format!("{path}: {}, {}", count(operations as u64, "operation"), input(imported));
    if !imported.clock {
        text.push_str("; it has no clock, and times count its events");
    }
    if imported.initial_unknown && imported.model != Some(Model::Board) {
        text.push_str("; cells may hold anything at first");
    }
    text.push('\n');
    for service in services {
        text.push('\n');
        table(&mut text, parts, service);
    }
    if parts.len() > 1 {
        text.push('\n');
        for (number, part) in parts.iter().enumerate() {
            text.push_str(&format!("{:>2}  {}\n", number + 1, part.label));
        }
    }
    for service in services {
        evidence(&mut text, imported, parts, service);
    }
    text
}

fn table(text: &mut String, parts: &[Part], service: &Service) {
    let Some((_, first)) = service.parts.first() else { return };
    let name = if service.name.is_empty() { "history" } else { &service.name };
    let width =
        first.iter().map(|judgement| judgement.check.name().len()).max().unwrap_or(0).max(name.chars().count()) + 2;
    let mut row = |head: &str, cells: Vec<String>| {
        let mut line = format!("{head:width$}");
        for cell in cells {
            line.push_str(&format!("{cell:10}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    match parts {
        [part] => row(name, vec![part.label.clone()]),
        _ => row(name, (1..=parts.len()).map(|number| number.to_string()).collect()),
    }
    row("operations", service.parts.iter().map(|(operations, _)| operations.to_string()).collect());
    for (place, judgement) in first.iter().enumerate() {
        let cells =
            service.parts.iter().filter_map(|(_, judgements)| Some(judgements.get(place)?.outcome.name().to_owned()));
        row(judgement.check.name(), cells.collect());
    }
}

/// Every violation, and why what is unknown is; once for all properties of which the same is said.
fn evidence(text: &mut String, imported: &Imported, parts: &[Part], service: &Service) {
    for (part, (_, judgements)) in parts.iter().zip(&service.parts) {
        let mut told: Vec<(Outcome, &Option<String>, Vec<&str>)> = Vec::new();
        for Judgement { check, outcome, evidence } in judgements.iter().filter(|one| one.outcome != Outcome::Valid) {
            match told.iter_mut().find(|(other, same, _)| other == outcome && *same == evidence) {
                Some((.., names)) => names.push(check.name()),
                None => told.push((*outcome, evidence, vec![check.name()])),
            }
        }
        for (outcome, evidence, names) in told {
            let name = if service.name.is_empty() { String::new() } else { format!("{}: ", service.name) };
            let place = if parts.len() > 1 { format!(", {}", part.label) } else { String::new() };
            let why = words(imported, evidence).unwrap_or_default().replace('\n', "\n    ");
            text.push_str(&format!("\n{name}{} {}{place}\n  {why}\n", outcome.name(), and_list(&names)));
        }
    }
}

fn words(imported: &Imported, evidence: &Option<String>) -> Option<String> {
    let words = imported.in_its_words(evidence.as_ref()?);
    // Without a clock an instant is the number of an event.
    Some(if imported.clock { words } else { words.replace(".000000 s", "") })
}

/// For programs.
pub(super) fn json(path: &str, imported: &Imported, parts: &[Part], services: &[Service], outcome: Outcome) -> Value {
    let judgement = |judgement: &Judgement| {
        json!({
            "check": judgement.check.name(),
            "states": judgement.check.states(),
            "outcome": judgement.outcome.name(),
            "evidence": words(imported, &judgement.evidence),
        })
    };
    let part = |(part, (operations, judgements)): (&Part, &(usize, Vec<Judgement>))| {
        let whole = part.span == crate::check::verify::Span::WHOLE;
        json!({
            "label": part.label,
            "from_s": if whole { Value::Null } else { json!(part.span.from.as_secs_f64()) },
            "to_s": if whole { Value::Null } else { json!(part.span.to.as_secs_f64()) },
            "operations": operations,
            "checks": judgements.iter().map(judgement).collect::<Vec<_>>(),
        })
    };
    let service = |service: &Service| {
        json!({
            "service": service.name,
            "operations": service.operations,
            "parts": parts.iter().zip(&service.parts).map(part).collect::<Vec<_>>(),
        })
    };
    json!({
        "history": path,
        "input": input(imported),
        "clock": imported.clock,
        "outcome": outcome.name(),
        "services": services.iter().map(service).collect::<Vec<_>>(),
    })
}
