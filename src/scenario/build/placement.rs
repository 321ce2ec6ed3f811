//! Where replicas go that the scenario does not place.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{DcId, NodeId};
use crate::world::topology::Topology;

/// Chooses nodes one by one: a zone that the service is not in yet before others, then the data center with
/// the fewest of its replicas, then the node that other services use least, then the order of the scenario.
///
/// No other choice reaches more zones or more data centers. Gives fewer than `count` when nodes run out.
pub fn choose(topology: &Topology, used: &BTreeMap<NodeId, usize>, count: usize) -> Vec<NodeId> {
    let mut chosen: Vec<NodeId> = Vec::new();
    let mut taken = vec![false; topology.nodes.len()];
    let mut zones: BTreeSet<&str> = BTreeSet::new();
    let mut in_site: BTreeMap<DcId, usize> = BTreeMap::new();
    while chosen.len() < count {
        let next = (0..topology.nodes.len()).map(NodeId::from).filter(|node| !taken[node.index()]).min_by_key(|node| {
            let site = topology.site_of(*node);
            let zone = topology.data_centers[site.index()].zone.as_str();
            let mine = in_site.get(&site).copied().unwrap_or(0);
            (zones.contains(zone), mine, used.get(node).copied().unwrap_or(0), *node)
        });
        let Some(node) = next else { break };
        let site = topology.site_of(node);
        zones.insert(&topology.data_centers[site.index()].zone);
        *in_site.entry(site).or_default() += 1;
        taken[node.index()] = true;
        chosen.push(node);
    }
    chosen
}

/// How many data centers and zones a placement reaches.
pub fn reach(topology: &Topology, nodes: &[NodeId]) -> (usize, usize) {
    let sites: BTreeSet<_> = nodes.iter().map(|node| topology.site_of(*node)).collect();
    let zones: BTreeSet<_> = sites.iter().map(|site| &topology.data_centers[site.index()].zone).collect();
    (sites.len(), zones.len())
}
