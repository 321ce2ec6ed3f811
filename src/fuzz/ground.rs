//! What a scenario offers to a search, and the scenarios that inputs stand for.

use serde_json::{Map, Value, json};

use super::Action;
use super::swarm::Input;
use crate::scenario::{Check, Kind, Scenario};
use crate::time::Duration;
use crate::workload::Application;

/// Whatever moves is over this long before the end of a run with a quiet ending: later, and nothing can be said of
/// how it came to rest.
const REST: Duration = Duration::from_secs(46);

/// The ground of a search. The scenario's own timeline, failures and expectations are left out: disasters are drawn.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The scenario as it was written, without what is drawn.
    base: Map<String, Value>,
    pub(super) name: String,
    pub(super) data_centers: Vec<String>,
    pub(super) zones: Vec<String>,
    pub(super) nodes: Vec<String>,
    pub(super) services: Vec<String>,
    /// Services that somebody asks.
    pub(super) loaded: Vec<String>,
    /// Every service only grows: states can be joined.
    pub(super) grows_only: bool,
    pub(super) protocols: Vec<Subject>,
    /// Kinds of faults that may be drawn.
    pub(super) actions: Vec<Action>,
    /// Faults strike from here.
    pub(super) from_ms: u64,
    /// The end of arrivals, in whole milliseconds.
    pub(super) duration_ms: u64,
    /// The last instant at which anything may still move before a quiet ending.
    pub(super) quiet_ms: u64,
    labels: Vec<String>,
}

/// A protocol to be searched.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub kind: Kind,
    /// Its options as they are written; these are not drawn.
    pub written: Map<String, Value>,
}

impl Ground {
    /// Of the protocols that are asked for by label, all if `labels` is empty, and these kinds of faults.
    ///
    /// # Errors
    /// There is no time for faults, no such protocol, or no kind of fault that the ground has room for.
    pub fn new(scenario: &Scenario, labels: &[String], actions: &[Action]) -> Result<Self, String> {
        let ms = |time: Duration| time.as_nanos() / 1_000_000;
        let (from_ms, duration_ms) = (ms(scenario.warmup), ms(scenario.duration));
        if duration_ms < from_ms + 5_000 {
            return Err(format!(
                "{}: there are {} between `warmup` and `duration`, and disasters take 5 s at least",
                scenario.name,
                scenario.duration.saturating_sub(scenario.warmup)
            ));
        }
        let Value::Object(written) = &scenario.as_written else { return Err("the scenario is no object".into()) };
        let asked = |label: &str| labels.is_empty() || labels.iter().any(|asked| asked == label);
        let chosen = scenario.protocols.iter().filter(|one| asked(&one.label));
        let subject = |kind: &Kind, label: &str| {
            let options = &written["protocols"][label];
            Subject { kind: kind.clone(), written: options.as_object().cloned().unwrap_or_default() }
        };
        let (labels, protocols): (Vec<String>, Vec<Subject>) =
            chosen.map(|one| (one.label.clone(), subject(&one.kind, &one.label))).unzip();
        if labels.is_empty() {
            return Err(format!("{}: no protocol is asked for", scenario.name));
        }
        let end = ms(scenario.duration + scenario.drain);
        let quiet_ms = end.saturating_sub(ms(REST)).min(duration_ms).max(from_ms + 1_000);
        let topology = &scenario.topology;
        let mut zones: Vec<String> = topology.data_centers.iter().map(|site| site.zone.clone()).collect();
        zones.sort_unstable();
        zones.dedup();
        let mut ground = Self {
            base: base(written, &scenario.resolved),
            name: scenario.name.clone(),
            data_centers: topology.data_centers.iter().map(|site| site.name.clone()).collect(),
            zones,
            nodes: topology.nodes.iter().map(|node| node.name.clone()).collect(),
            services: scenario.services.iter().map(|service| service.name.clone()).collect(),
            loaded: scenario.loads.iter().map(|load| scenario.service(load.service).to_owned()).collect(),
            grows_only: scenario.services.iter().all(|service| service.application == Application::Board),
            protocols,
            actions: Vec::new(),
            from_ms,
            duration_ms,
            quiet_ms,
            labels,
        };
        ground.actions = actions.iter().copied().filter(|action| action.has_room(&ground)).collect();
        if ground.actions.is_empty() {
            return Err(format!("{}: these faults need more nodes than there are", ground.name));
        }
        Ok(ground)
    }

    /// The labels of the protocols that are searched.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The name of the scenario.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The scenario that an input stands for, with every check.
    pub fn scenario(&self, input: &Input) -> Value {
        Value::Object(self.build(input, &self.name, None, Check::ALL.map(Check::name).as_slice()))
    }

    /// As [`Ground::scenario`], under a name, with a description and some checks.
    pub(super) fn build(
        &self,
        input: &Input,
        name: &str,
        description: Option<&str>,
        checks: &[&str],
    ) -> Map<String, Value> {
        let mut built = self.base.clone();
        let mut set = |key: &str, value: Value| _ = built.insert(key.to_owned(), value);
        set("name", name.into());
        if let Some(text) = description {
            set("description", text.into());
        }
        set("seed", input.seed.into());
        set("protocols", json!({ self.labels[input.protocol].as_str(): self.options(input) }));
        set("workload", self.workload(input));
        set("timeline", input.timeline.iter().map(|entry| entry.to_value()).collect());
        if checks.is_empty() {
            built.shift_remove("checks");
        } else {
            set("checks", json!(checks));
        }
        in_order(built)
    }

    fn options(&self, input: &Input) -> Value {
        let mut options = self.protocols[input.protocol].written.clone();
        for (name, value) in &input.options {
            options.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Value::Object(options)
    }

    /// The scenario's load with what is drawn in place of what is written.
    fn workload(&self, input: &Input) -> Value {
        let Some(Value::Array(loads)) = self.base.get("workload") else { return Value::Null };
        let changed = |load: &Value| {
            let mut load = load.clone();
            if let Value::Object(fields) = &mut load {
                fields.extend(input.load.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            load
        };
        loads.iter().map(changed).collect()
    }
}

/// What stays of a scenario. A table of latencies of its own is taken along.
fn base(written: &Map<String, Value>, resolved: &Value) -> Map<String, Value> {
    let mut base = written.clone();
    for drawn in ["$schema", "timeline", "failures", "expect", "checks"] {
        base.shift_remove(drawn);
    }
    let latency = &resolved["topology"]["network"]["latency"];
    if let Some(network) = base.get_mut("topology").and_then(|topology| topology.get_mut("network"))
        && network["latency"].get("csv").is_some()
    {
        network["latency"] = latency.clone();
    }
    base
}

/// Fields in the order of the format.
fn in_order(mut fields: Map<String, Value>) -> Map<String, Value> {
    const ORDER: [&str; 14] = [
        "format",
        "name",
        "description",
        "sources",
        "seed",
        "duration",
        "warmup",
        "drain",
        "topology",
        "services",
        "protocols",
        "workload",
        "timeline",
        "checks",
    ];
    ORDER.iter().filter_map(|&name| Some((name.to_owned(), fields.shift_remove(name)?))).collect()
}
