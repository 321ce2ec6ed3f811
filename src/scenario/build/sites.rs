//! Groups and sides of links: names of data centers and nodes, and `*` for the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::Builder;
use crate::id::{DcId, NodeId};
use crate::scenario::diagnostics::quote;
use crate::scenario::item::Item;
use crate::world::fault::Endpoint;

/// Which group each named data center and node is in.
#[derive(Default)]
struct Named {
    sites: BTreeMap<DcId, usize>,
    nodes: BTreeMap<NodeId, usize>,
    /// The group of `*`.
    rest: Option<usize>,
    /// A name was unknown: what is missing is not known.
    broken: bool,
}

impl Builder<'_> {
    /// Resolves groups that exclude each other. A data center stands for its nodes, but for those named by
    /// themselves, and for its clients. `cover`: every endpoint must be in a group.
    pub(super) fn groups(&mut self, groups: &[&[Item]], whole: &Item, cover: bool) -> Vec<Vec<Endpoint>> {
        let mut named = Named::default();
        for (index, group) in groups.iter().enumerate() {
            for item in *group {
                self.name(item, index, &mut named);
            }
        }
        let mut out = vec![Vec::new(); groups.len()];
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        for (index, site) in self.topology.data_centers.iter().enumerate() {
            let id = DcId::from(index);
            let home = named.sites.get(&id).copied().or(named.rest);
            for node in &site.nodes {
                match named.nodes.get(node).copied().or(home) {
                    Some(group) => out[group].push(Endpoint::Node(*node)),
                    None => _ = missing.insert(&site.name),
                }
            }
            match home {
                Some(group) => out[group].push(Endpoint::Place(id)),
                None => _ = missing.insert(&site.name),
            }
        }
        if cover && !missing.is_empty() && !named.broken {
            let names = crate::scenario::diagnostics::quote_all(missing.into_iter().take(12), "and");
            self.add(whole, format!("in no group: {names}")).help("add a group [\"*\"] for the rest");
        }
        if let Some(index) = named.rest
            && out[index].is_empty()
            && !named.broken
        {
            self.add(whole, "nothing is left for `*`");
        }
        out
    }

    fn name(&mut self, item: &Item, group: usize, named: &mut Named) {
        let Some(name) = item.as_text() else {
            named.broken = true;
            return;
        };
        let before = if name == "*" {
            named.rest.replace(group)
        } else if let Some(node) = self.topology.nodes.iter().position(|node| node.name == name) {
            named.nodes.insert(NodeId::from(node), group)
        } else if let Some(site) = self.topology.data_centers.iter().position(|site| site.name == name) {
            named.sites.insert(DcId::from(site), group)
        } else {
            named.broken = true;
            if self.names_are_whole("data_centers") {
                let sites = self.topology.data_centers.iter().map(|site| site.name.clone());
                let known: Vec<_> = if name.contains('/') {
                    self.topology.nodes.iter().map(|node| node.name.clone()).collect()
                } else {
                    sites.collect()
                };
                self.unknown(item, "data center or node", &known);
            }
            None
        };
        match before {
            Some(other) if other == group => self.repeated(item),
            Some(_) => _ = self.add(item, format!("{} is already on another side", quote(name))),
            None => {}
        }
    }

    /// The two sides of a link: each a name or a list.
    pub(super) fn sides(&mut self, a: &Item, b: &Item, whole: &Item) -> (Vec<Endpoint>, Vec<Endpoint>) {
        let list = |item: &Item| if item.as_text().is_some() { vec![item.clone()] } else { item.items().to_vec() };
        let (left, right) = (list(a), list(b));
        let mut both = self.groups(&[&left, &right], whole, false).into_iter();
        (both.next().unwrap_or_default(), both.next().unwrap_or_default())
    }

    /// The two sides in a field `between`.
    pub(super) fn between(&mut self, item: &Item) -> Option<(Vec<Endpoint>, Vec<Endpoint>)> {
        let field = item.get("between")?;
        let (a, b) = (field.items().first()?, field.items().get(1)?);
        Some(self.sides(a, b, field))
    }
}
