//! What is smaller.

use std::fmt;

use serde_json::Value;

use super::Subject;
use super::edit;
use crate::time::Duration;

/// Longer runs are told apart in steps of this length at first, so that a round duration is not given up for a
/// second.
const STEP: u64 = 10 * edit::SECOND;

/// The size of a scenario. Of two, the first part that differs decides; so each accepted trial is smaller than what
/// it came from, and a search ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Entries of `timeline` and `failures`.
    pub entries: u64,
    pub services: u64,
    /// Entries of `workload`.
    pub loads: u64,
    pub nodes: u64,
    pub data_centers: u64,
    /// Over all services.
    pub replicas: u64,
    /// How hard the entries of the timeline are to understand; see [`fault`].
    faults: u64,
    /// Options of the protocol that are not its defaults.
    options: u64,
    /// Duration and drain, in steps.
    steps: u64,
    /// Sessions, over all places and loads.
    pub clients: u64,
    /// Requests to be expected in a year without profiles and surges, so that no rate is lost to rounding.
    requests: u64,
    keys: u64,
    /// Members of objects in the file.
    fields: u64,
    /// Digits in the file; see [`edit::digits`].
    digits: u64,
    /// Duration and drain, in nanoseconds.
    span: u64,
    /// Bytes of the file without spaces.
    bytes: u64,
    seed: u64,
}

impl Size {
    pub fn of(subject: &Subject) -> Self {
        let Subject { value, scenario } = subject;
        let span = (scenario.duration + scenario.drain).as_nanos();
        let loads = || scenario.loads.iter();
        let places = edit::places(value);
        let protocol = value.pointer(&format!("/protocols/{}", subject.label()));
        let year = 365.0 * 86_400.0;
        Self {
            entries: (edit::list(value, "/timeline").len() + scenario.failures.len()) as u64,
            services: scenario.services.len() as u64,
            loads: scenario.loads.len() as u64,
            nodes: scenario.topology.nodes.len() as u64,
            data_centers: scenario.topology.data_centers.len() as u64,
            replicas: scenario.services.iter().map(|service| service.replicas.len() as u64).sum(),
            faults: edit::list(value, "/timeline").iter().map(fault).sum(),
            options: protocol.and_then(Value::as_object).map_or(0, |options| options.len() as u64),
            steps: span.div_ceil(STEP),
            clients: loads().map(|load| u64::from(load.clients) * load.from.len() as u64).sum(),
            requests: loads().map(|load| (load.rate * load.from.len() as f64 * year) as u64).sum(),
            keys: loads().map(|load| u64::from(load.keys)).sum(),
            fields: places.iter().map(|(_, value)| value.as_object().map_or(0, |fields| fields.len() as u64)).sum(),
            digits: places.iter().map(|(_, value)| edit::digits(value)).sum(),
            span,
            bytes: value.to_string().len() as u64,
            seed: scenario.seed,
        }
    }
}

/// What a person has to understand of an entry: a crash of a named node is the plainest.
fn fault(entry: &Value) -> u64 {
    let kind = match entry.get("do").and_then(Value::as_str) {
        Some("crash" | "restart" | "heal") => 0,
        Some("partition" | "cut" | "pause") => 1,
        Some("slow" | "load") => 2,
        Some("clock" | "degrade") => 3,
        _ => 4,
    };
    let by = |field| entry.get(field).is_some();
    let pattern = edit::list(entry, "/nodes").iter().any(|name| name.as_str().is_some_and(|name| name.contains('*')));
    let target = match () {
        () if by("random") => 4,
        () if by("majority_of") || by("primary_of") => 3,
        () if by("zones") => 2,
        () if by("data_centers") || pattern => 1,
        () => 0,
    };
    // Members and names within: a list of three nodes is more than one of two.
    10 * (kind + target) + edit::places(entry).len() as u64
}

/// For a line of progress.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, nodes, clients, span, .. } = self;
        let span = Duration::from_nanos(*span);
        write!(f, "{entries} entries, {nodes} nodes, {clients} clients, {span}")
    }
}
