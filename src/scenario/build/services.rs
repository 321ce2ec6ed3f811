//! Services and their replicas.

use std::collections::{BTreeMap, BTreeSet};

use super::{Builder, placement};
use crate::id::NodeId;
use crate::scenario::diagnostics::quote;
use crate::scenario::item::Item;
use crate::workload::{Application, Service};

/// Replicas of a service that says nothing about them.
const REPLICAS: usize = 3;

pub fn build(builder: &mut Builder<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    let mut names = BTreeSet::new();
    let mut used = BTreeMap::new();
    let root = builder.root;
    for item in root.list("services") {
        let name = item.text("id").unwrap_or_default().to_owned();
        if !name.is_empty() && !names.insert(name.clone()) {
            builder.add(item.get("id").unwrap_or(item), format!("the service {} is repeated", quote(&name)));
        }
        let application = match item.text("application") {
            Some("kv") => Application::Kv,
            _ => Application::Board,
        };
        let replicas = match item.get("place") {
            Some(place) => placed(builder, item, place),
            None => chosen(builder, item, &used),
        };
        for node in &replicas {
            *used.entry(*node).or_default() += 1;
        }
        services.push(Service { name, application, replicas });
    }
    services
}

fn placed(builder: &mut Builder<'_>, item: &Item, place: &Item) -> Vec<NodeId> {
    let mut nodes = Vec::new();
    let names = place.items();
    for name in names {
        let Some(node) = builder.node(name) else { continue };
        if nodes.contains(&node) {
            builder.repeated(name);
        } else {
            nodes.push(node);
        }
    }
    if let (Some(count), Some(replicas)) = (item.whole("replicas"), item.get("replicas"))
        && count as usize != names.len()
        && !place.is_bad()
    {
        builder
            .add(replicas, format!("{count} replicas, but `place` names {}", names.len()))
            .help("leave `replicas` out, or name as many nodes");
    }
    if nodes.len() == names.len() {
        check_spread(builder, item, &nodes, "`place`");
    }
    nodes
}

fn chosen(builder: &mut Builder<'_>, item: &Item, used: &BTreeMap<NodeId, usize>) -> Vec<NodeId> {
    let available = builder.topology.nodes.len();
    let count = match item.get("replicas") {
        Some(_) => item.whole("replicas").unwrap_or(0) as usize,
        None => REPLICAS.min(available),
    };
    if count > available && builder.names_are_whole("data_centers") {
        let place = item.get("replicas").unwrap_or(item);
        builder.add(place, format!("{count} replicas, but there are only {available} nodes"));
        return Vec::new();
    }
    let nodes = placement::choose(&builder.topology, used, count);
    check_spread(builder, item, &nodes, &format!("{count} replicas"));
    nodes
}

fn check_spread(builder: &mut Builder<'_>, item: &Item, nodes: &[NodeId], what: &str) {
    let Some(spread) = item.get("spread") else { return };
    if nodes.is_empty() {
        return;
    }
    let (sites, zones) = placement::reach(&builder.topology, nodes);
    for (field, reached, noun) in [("data_centers", sites, "data centers"), ("zones", zones, "zones")] {
        let wanted = spread.whole(field).unwrap_or(0) as usize;
        if reached < wanted {
            let place = spread.get(field).unwrap_or(spread);
            builder.add(place, format!("{what} cannot be in {wanted} {noun}: they reach {reached}"));
        }
    }
}
