//! Fewer data centers and nodes, with all that names them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Subject;
use super::edit;

/// Without each part of the data centers, then without each node of those that have several.
pub fn fewer(subject: &Subject) -> Vec<Value> {
    let ids: Vec<&str> = subject.scenario.topology.data_centers.iter().map(|site| site.name.as_str()).collect();
    let parts = edit::chunks(ids.len()).into_iter().filter(|part| part.len() < ids.len());
    let sites = parts.map(|part| without_sites(subject, &ids[part]));
    let nodes = subject.scenario.topology.nodes.iter().enumerate().rev();
    let shared =
        nodes.filter(|(_, node)| subject.scenario.topology.data_centers[node.data_center.index()].nodes.len() > 1);
    sites.chain(shared.map(|(_, node)| without_node(subject, &node.name))).collect()
}

fn without_sites(subject: &Subject, gone: &[&str]) -> Value {
    let mut value = subject.value.clone();
    let site_of = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let is_gone = |name: &str| gone.contains(&site_of(name).as_str());
    if let Some(Value::Array(sites)) = value.pointer_mut("/topology/data_centers") {
        sites.retain(|site| !site["id"].as_str().is_some_and(is_gone));
    }
    let left = edit::list(&value, "/topology/data_centers");
    let zones: BTreeSet<String> =
        left.iter().filter_map(|site| site.get("zone").or(site.get("id"))?.as_str().map(str::to_owned)).collect();
    let zones = move |name: &str| zones.contains(name).then(|| name.to_owned());
    let names = |name: &str| (!is_gone(name)).then(|| name.to_owned());
    rename(&mut value, &names, &zones);
    fit(value, subject.scenario.topology.nodes.len() - count(subject, is_gone))
}

fn count(subject: &Subject, is_gone: impl Fn(&str) -> bool) -> usize {
    subject.nodes().iter().filter(|name| is_gone(name)).count()
}

/// Without one node; those behind it at its data center move up.
fn without_node(subject: &Subject, gone: &str) -> Value {
    let mut value = subject.value.clone();
    let Some((site, Ok(place))) = gone.split_once('/').map(|(site, place)| (site, place.parse::<usize>())) else {
        return value;
    };
    for one in value.pointer_mut("/topology/data_centers").and_then(Value::as_array_mut).into_iter().flatten() {
        if one["id"] == site {
            match &mut one["nodes"] {
                Value::Array(nodes) => _ = nodes.remove(place),
                nodes => *nodes = (nodes.as_u64().unwrap_or(1) - 1).into(),
            }
        }
    }
    let names = |name: &str| match name.split_once('/').map(|(other, at)| (other == site, at.parse::<usize>())) {
        Some((true, Ok(at))) if at == place => None,
        Some((true, Ok(at))) if at > place => Some(format!("{site}/{}", at - 1)),
        _ => Some(name.to_owned()),
    };
    rename(&mut value, &names, &|zone| Some(zone.to_owned()));
    fit(value, subject.scenario.topology.nodes.len() - 1)
}

/// A new name for an old one; `None` if what it named is gone.
type Names<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Renames data centers and nodes wherever they are named. What named only such as are gone goes with them; a service
/// and a load stay without saying where.
fn rename(value: &mut Value, names: Names<'_>, zones: Names<'_>) {
    for (list, free) in [
        ("/services", "place"),
        ("/workload", "from"),
        ("/timeline", ""),
        ("/topology/links", ""),
        ("/topology/network/latency/rows", ""),
    ] {
        if let Some(Value::Array(items)) = value.pointer_mut(list) {
            items
                .retain_mut(|item| item.as_object_mut().is_none_or(|fields| rename_fields(fields, free, names, zones)));
        }
    }
}

/// False if a field that names something has nothing left to name, and is not free to go.
fn rename_fields(fields: &mut Map<String, Value>, free: &str, names: Names<'_>, zones: Names<'_>) -> bool {
    let mut whole = true;
    fields.retain(|key, value| {
        let named = match key.as_str() {
            "nodes" | "data_centers" | "place" | "from" | "to" | "of" | "groups" | "between" => {
                rename_all(value, names, key == "between")
            }
            "zones" => rename_all(value, zones, false),
            "random" => value.as_object_mut().is_none_or(|random| rename_fields(random, free, names, zones)),
            _ => true,
        };
        whole &= named || key == free;
        named
    });
    whole
}

/// Renames all texts within. False if none is left, or if the two sides of a `pair` or the groups of a partition are
/// no longer two.
fn rename_all(value: &mut Value, names: Names<'_>, pair: bool) -> bool {
    match value {
        Value::String(name) => names(name).map(|new| *name = new).is_some(),
        Value::Array(items) => {
            let sides = items.iter().any(Value::is_array);
            items.retain_mut(|item| rename_all(item, names, false));
            items.len() >= if pair || sides { 2 } else { 1 }
        }
        // A count of nodes at a data center, or a spread.
        _ => true,
    }
}

/// Services have no more replicas than places, and no spread that they cannot reach.
fn fit(mut value: Value, nodes: usize) -> Value {
    let services = value.pointer_mut("/services").and_then(Value::as_array_mut);
    for service in services.into_iter().flatten().filter_map(Value::as_object_mut) {
        service.shift_remove("spread");
        let room = service.get("place").and_then(Value::as_array).map_or(nodes, Vec::len) as u64;
        let replicas = service.get("replicas").and_then(Value::as_u64);
        if let Some(replicas) = replicas.filter(|&replicas| replicas > room) {
            service.insert("replicas".into(), replicas.min(room).into());
        }
    }
    value
}
