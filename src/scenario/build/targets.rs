//! Which machines a fault hits.

use super::Builder;
use crate::id::NodeId;
use crate::scenario::diagnostics::quote;
use crate::scenario::item::Item;
use crate::world::fault::Targets;

impl Builder<'_> {
    /// The targets of an entry. Its structure has exactly one kind of them.
    pub(super) fn targets(&mut self, item: &Item) -> Targets {
        if let (Some(count), None) = (item.get("count"), item.get("majority_of")) {
            self.add(count, "`count` goes with `majority_of`").help("for any nodes: \"random\": {\"count\": 2}");
        }
        if let Some(list) = item.get("nodes") {
            return Targets::Nodes { nodes: self.patterns(list.items(), false), silent: false };
        }
        if let Some(list) = item.get("data_centers") {
            let sites = self.data_centers(list.items());
            let nodes = sites.iter().flat_map(|site| self.topology.data_centers[site.index()].nodes.clone()).collect();
            return Targets::Nodes { nodes, silent: true };
        }
        if let Some(list) = item.get("zones") {
            return Targets::Nodes { nodes: self.zones(list.items()), silent: true };
        }
        if let Some(random) = item.get("random") {
            return self.random(random);
        }
        if let Some(name) = item.get("majority_of") {
            return self.majority(item, name);
        }
        let service = item.get("primary_of").and_then(|name| self.service(name)).unwrap_or_default();
        Targets::Primary { service }
    }

    /// Nodes by name or pattern, in scenario order, without repetition. `sites`: names of data centers too.
    fn patterns(&mut self, items: &[Item], sites: bool) -> Vec<NodeId> {
        let mut hit = vec![false; self.topology.nodes.len()];
        for item in items {
            let Some(pattern) = item.as_text() else { continue };
            let site = self.topology.data_centers.iter().find(|site| sites && site.name == pattern);
            if let Some(site) = site {
                site.nodes.iter().for_each(|node| hit[node.index()] = true);
            } else if pattern.contains('*') {
                let mut any = false;
                for (node, hit) in self.topology.nodes.iter().zip(&mut hit) {
                    if matches(pattern, &node.name) {
                        (any, *hit) = (true, true);
                    }
                }
                if !any && self.names_are_whole("data_centers") {
                    self.add(item, format!("no node matches {}", quote(pattern)));
                }
            } else if let Some(node) = self.node(item) {
                hit[node.index()] = true;
            }
        }
        hit.iter().enumerate().filter(|(_, hit)| **hit).map(|(node, _)| NodeId::from(node)).collect()
    }

    fn zones(&mut self, items: &[Item]) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        for item in items {
            let Some(zone) = item.as_text() else { continue };
            let sites = || self.topology.data_centers.iter().filter(|site| site.zone == zone);
            if sites().next().is_none() {
                if self.names_are_whole("data_centers") {
                    let mut known: Vec<_> = self.topology.data_centers.iter().map(|site| site.zone.clone()).collect();
                    known.sort();
                    known.dedup();
                    self.unknown(item, "zone", &known);
                }
            } else {
                nodes.extend(sites().flat_map(|site| site.nodes.iter().copied()));
            }
        }
        nodes.sort();
        nodes.dedup();
        nodes
    }

    fn random(&mut self, item: &Item) -> Targets {
        let of = match item.get("of") {
            Some(list) => self.patterns(list.items(), true),
            None => (0..self.topology.nodes.len()).map(NodeId::from).collect(),
        };
        let count = match (item.number("fraction"), item.whole("count")) {
            (Some(fraction), _) => (libm::round(fraction * of.len() as f64) as usize).max(1),
            (None, count) => count.unwrap_or(1) as usize,
        };
        if count > of.len() && !of.is_empty() {
            let place = item.get("count").unwrap_or(item);
            self.add(place, format!("{count} of {} nodes", of.len()));
        }
        Targets::Random { of, count }
    }

    fn majority(&mut self, item: &Item, name: &Item) -> Targets {
        let Some(service) = self.service(name) else {
            return Targets::Majority { service: Default::default(), count: 1 };
        };
        let replicas = self.services[service.index()].replicas.len();
        let count = item.whole("count").map_or(replicas / 2 + 1, |count| count as usize);
        if let (Some(field), true) = (item.get("count"), count > replicas && replicas > 0) {
            let service = self.services[service.index()].name.clone();
            self.add(field, format!("{count} of the {replicas} replicas of `{service}`"));
        }
        Targets::Majority { service, count }
    }
}

/// Whether a pattern, in which `*` stands for any characters, matches a whole name.
fn matches(pattern: &str, name: &str) -> bool {
    let parts: Vec<_> = pattern.split('*').collect();
    let [first, middle @ .., last] = &parts[..] else { return pattern == name };
    let Some(rest) = name.strip_prefix(first) else { return false };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, matched) in [
            ("*", "tokyo/0", true),
            ("tokyo/*", "tokyo/12", true),
            ("tokyo/*", "tokyo2/1", false),
            ("*/0", "tokyo/0", true),
            ("*/0", "tokyo/10", false),
            ("t*o/*", "tokyo/0", true),
            ("*a*a*", "osaka/0", true),
            ("ab*ba", "aba", false),
            ("tokyo/0", "tokyo/0", true),
        ] {
            assert_eq!(matches(pattern, name), matched, "{pattern} {name}");
        }
    }
}
