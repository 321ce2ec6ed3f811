//! A scenario on its way to be smaller.

use serde_json::Value;

use super::edit;
use crate::scenario::{self, Diagnostics, Scenario};

/// A scenario with one protocol, as JSON and checked.
#[derive(Clone, Debug)]
pub struct Subject {
    pub value: Value,
    pub scenario: Scenario,
}

impl Subject {
    /// Checks a value as any file is checked.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(value: Value) -> Result<Self, Diagnostics> {
        scenario::from_value(&value).map(|scenario| Self { value, scenario })
    }

    /// What is to be shrunk of a scenario: one protocol, one seed, and no word that only people read. A table of round
    /// trips from another file is taken in, so that the finding stands alone.
    ///
    /// # Errors
    /// The scenario was changed by hand after it was checked.
    pub fn of(scenario: &Scenario, label: &str, seed: u64) -> Result<Self, Diagnostics> {
        let mut value = scenario.as_written.clone();
        for key in ["$schema", "description", "sources"] {
            edit::remove(&mut value, &format!("/{key}"));
        }
        if let Some(fields) = value.as_object_mut() {
            fields.insert("seed".into(), seed_value(seed));
        }
        if let Some(protocols) = value.get_mut("protocols").and_then(Value::as_object_mut) {
            protocols.retain(|other, _| other == label);
        }
        if let Some(expectations) = value.get_mut("expect").and_then(Value::as_array_mut) {
            expectations.retain(|one| one.get("protocol").is_none_or(|other| other == label));
        }
        let latency = "/topology/network/latency";
        if let (Some(written), Some(resolved)) = (value.pointer_mut(latency), scenario.resolved.pointer(latency))
            && written.get("csv").is_some()
        {
            *written = resolved.clone();
        }
        Self::new(value)
    }

    /// The label of its protocol.
    pub fn label(&self) -> &str {
        &self.scenario.protocols[0].label
    }

    /// The deliberate defect of its protocol, if it has one.
    pub fn defect(&self) -> Option<&str> {
        self.value.pointer(&format!("/protocols/{}/break", self.label()))?.as_str()
    }

    /// The same scenario without the defect; `None` if there is none.
    pub fn without_defect(&self) -> Option<Scenario> {
        self.defect()?;
        let mut value = self.value.clone();
        edit::remove(&mut value, &format!("/protocols/{}/break", self.label()));
        scenario::from_value(&value).ok()
    }

    /// As a file for people: under a name of its own, and with a description of what it shows.
    ///
    /// # Errors
    /// None: a valid scenario stays one under another name.
    pub fn told(&self, schema: Option<&str>, description: &str) -> Result<Self, Diagnostics> {
        let mut value = self.value.clone();
        let name = shrunk_name(&self.scenario.name);
        let schema = schema.map(|schema| ("$schema", schema.to_owned()));
        for (key, text) in schema.into_iter().chain([("name", name), ("description", description.to_owned())]) {
            value = edit::put_member(&value, "", key, text.into());
        }
        Self::new(value)
    }

    /// The same under another seed.
    pub(super) fn seeded(value: &Value, seed: u64) -> Value {
        edit::put_member(value, "", "seed", seed_value(seed))
    }

    /// The names of all nodes.
    pub(super) fn nodes(&self) -> Vec<&str> {
        self.scenario.topology.nodes.iter().map(|node| node.name.as_str()).collect()
    }
}

/// A seed beyond what a double holds is written as a text.
fn seed_value(seed: u64) -> Value {
    if seed < 1 << 53 { seed.into() } else { seed.to_string().into() }
}

/// A name that says that a scenario was shrunk, of at most 64 letters.
fn shrunk_name(name: &str) -> String {
    const SUFFIX: &str = "-shrunk";
    let bare = name.strip_suffix(SUFFIX).unwrap_or(name);
    let kept: String = bare.chars().take(64 - SUFFIX.len()).collect();
    kept + SUFFIX
}
