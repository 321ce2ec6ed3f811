//! `--break NAME`: deliberate defects, for tests of the judges and for demonstrations.

use super::load::{self, Loaded};
use super::screen::and_list;
use super::{Status, screen};
use crate::scenario::catalogue;
use crate::scenario::diagnostics::nearest;
use crate::scenario::{Protocol, Scenario};

/// Gives the defect to each protocol that is asked for (each at all if `labels` is empty) and has one of that name,
/// as if the option `break` stood in the scenario.
///
/// # Errors
/// No protocol of a scenario has it, or the scenario cannot be read any more; the user is told.
pub fn give(
    loaded: Vec<Loaded>,
    sets: &[(String, String)],
    labels: &[String],
    name: &str,
) -> Result<Vec<Loaded>, Status> {
    let broken = |one: Loaded| {
        let breaks = breaks(&one.scenario, labels, name).map_err(|why| {
            screen::error(why);
            Status::Refused
        })?;
        load::load(&one.path, &[sets, &breaks].concat()).map_err(|wrong| load::refuse(&[wrong]))
    };
    loaded.into_iter().map(broken).collect()
}

/// The changes to a scenario.
fn breaks(scenario: &Scenario, labels: &[String], name: &str) -> Result<Vec<(String, String)>, String> {
    let asked = |one: &&Protocol| labels.is_empty() || labels.contains(&one.label);
    let asked: Vec<&Protocol> = scenario.protocols.iter().filter(asked).collect();
    let defects = |one: &Protocol| catalogue::defects(one.kind.name()).iter().map(|&(defect, _)| defect);
    let has = |one: &&&Protocol| defects(one).any(|defect| defect == name);
    let breaks: Vec<_> =
        asked.iter().filter(has).map(|one| (format!("protocols.{}.break", one.label), format!("\"{name}\""))).collect();
    // A label that is not there is told of elsewhere.
    if !breaks.is_empty() || asked.is_empty() {
        return Ok(breaks);
    }
    let of = |one: &&Protocol| match defects(one).collect::<Vec<_>>().as_slice() {
        [] => format!("{} has none", one.label),
        defects => format!("{} has {}", one.label, and_list(defects)),
    };
    let guess = nearest(name, asked.iter().flat_map(|one| defects(one)));
    let guess = guess.map_or(String::new(), |guess| format!("; did you mean `{guess}`?"));
    let known: Vec<String> = asked.iter().map(of).collect();
    Err(format!(
        "{}: no protocol that runs has a defect `{name}`{guess}\n  {}\n  `firedrill list defects` says what each does",
        scenario.name,
        known.join("\n  ")
    ))
}
