//! Data centers, nodes and links.

use std::collections::{BTreeMap, BTreeSet};

use super::{power, reorganise};
use crate::id::{DcId, NodeId};
use crate::scenario::diagnostics::{Problems, nearest, quote};
use crate::scenario::item::Item;
use crate::time::Duration;
use crate::world::regions;
use crate::world::topology::{DataCenter, Node, Path, Topology};

/// Nodes of a scenario, at most.
const MOST_NODES: usize = 10_000;

/// A data center's region, if it has one, while the topology is built.
type Regions = Vec<Option<String>>;

pub fn build<'a>(root: &'a Item, problems: &'a mut Problems) -> Topology {
    let empty = Topology { data_centers: Vec::new(), nodes: Vec::new(), paths: Vec::new(), overrides: BTreeMap::new() };
    let Some(item) = root.get("topology") else { return empty };
    let measured = reorganise::whole(root).is_some();
    let classes = BTreeMap::new();
    let mut work = Work { topology: empty, classes, regions: Vec::new(), measured, problems };
    work.kinds(item);
    work.sites(item);
    work.paths(item);
    work.links(item.list("links"));
    work.topology
}

struct Work<'a> {
    topology: Topology,
    /// Kinds of machines, by name.
    classes: BTreeMap<&'a str, &'a Item>,
    regions: Regions,
    /// Energy is measured.
    measured: bool,
    problems: &'a mut Problems,
}

impl<'a> Work<'a> {
    /// Checks powers wherever they stand, and takes down classes.
    fn kinds(&mut self, item: &'a Item) {
        let classes = item.list("node_classes");
        for class in classes {
            let Some((id, name)) = class.get("id").and_then(|id| Some((id, id.as_text()?))) else { continue };
            if self.classes.insert(name, class).is_some() {
                self.problems.add(id.origin, &id.path, format!("the node class {} is repeated", quote(name)));
            }
        }
        let own = item.list("data_centers").iter().flat_map(|site| site.list("nodes"));
        for node in item.get("node").into_iter().chain(classes).chain(own.clone()) {
            power::check(node.get("power"), self.problems);
        }
        for class in own.filter_map(|node| node.get("class")) {
            let Some(name) = class.as_text().filter(|name| !self.classes.contains_key(name)) else { continue };
            let problem = self.problems.add(class.origin, &class.path, format!("unknown node class {}", quote(name)));
            match nearest(name, self.classes.keys().copied()) {
                Some(near) => problem.help(format!("did you mean {}?", quote(near))),
                None => problem.help("`topology.node_classes` lists them"),
            };
        }
    }

    fn class(&self, node: &Item) -> Option<&'a Item> {
        self.classes.get(node.text("class")?).copied()
    }

    fn sites(&mut self, item: &Item) {
        let mut seen = BTreeSet::new();
        for site in item.list("data_centers") {
            let name = site.text("id").unwrap_or_default().to_owned();
            if !name.is_empty() && !seen.insert(name.clone()) {
                let id = site.get("id").unwrap_or(site);
                self.problems.add(id.origin, &id.path, format!("the data center {} is repeated", quote(&name)));
            }
            let (latitude, longitude) = self.location(site);
            let first = self.topology.nodes.len();
            self.nodes(site, &name, item.get("node"));
            self.topology.data_centers.push(DataCenter {
                zone: site.text("zone").unwrap_or(&name).to_owned(),
                name,
                latitude,
                longitude,
                nodes: (first..self.topology.nodes.len()).map(NodeId::from).collect(),
                pue: site.number("pue").unwrap_or(1.0),
            });
            self.regions.push(site.text("region").map(str::to_owned));
        }
    }

    fn location(&mut self, site: &Item) -> (f64, f64) {
        if let Some(location) = site.get("location") {
            return (location.number("lat").unwrap_or(0.0), location.number("lon").unwrap_or(0.0));
        }
        let Some((region, id)) = site.get("region").and_then(|region| Some((region, region.as_text()?))) else {
            return (0.0, 0.0);
        };
        if let Some(known) = regions::find(id) {
            return (known.latitude, known.longitude);
        }
        let problem = self.problems.add(region.origin, &region.path, format!("unknown region {}", quote(id)));
        let prefixed = format!("azure:{}", id.to_lowercase().replace([' ', '-', '_'], ""));
        let near = regions::find(&prefixed).map(|region| region.id);
        let near = near.or_else(|| nearest(id, regions::all().iter().map(|region| region.id)));
        match near {
            Some(near) => problem.help(format!("did you mean {}?", quote(near))),
            None => problem.help("`firedrill list regions` shows them; or give a `location`"),
        };
        (0.0, 0.0)
    }

    fn nodes(&mut self, site: &Item, name: &str, common: Option<&Item>) {
        let data_center = DcId::from(self.topology.data_centers.len());
        let special = site.list("nodes");
        let times = |item: &Item| item.whole("count").unwrap_or(1) as usize;
        let count = site.whole("nodes").map_or(special.iter().map(times).sum(), |count| count as usize);
        if self.topology.nodes.len() + count > MOST_NODES {
            let place = site.get("nodes").unwrap_or(site);
            self.problems.add(place.origin, &place.path, format!("more than {MOST_NODES} nodes in all"));
            return;
        }
        let mut own = special.iter().flat_map(|item| std::iter::repeat_n(item, times(item)));
        for index in 0..count {
            let own = own.next();
            // The first that says it counts.
            let layers = [own, own.and_then(|own| self.class(own)), common];
            let item = |field: &str| layers.into_iter().flatten().find(|layer| layer.get(field).is_some());
            let number = |field: &str| item(field).and_then(|item| item.number(field));
            let whole = |field: &str| item(field).and_then(|item| item.whole(field));
            let time = |field: &str| item(field).and_then(|item| item.time(field)).unwrap_or_default();
            let power = item("power").and_then(|item| item.get("power"));
            self.topology.nodes.push(Node {
                name: format!("{name}/{index}"),
                data_center,
                rack: own.and_then(|item| item.text("rack")).map(str::to_owned),
                capacity: number("capacity").unwrap_or(1.0),
                queue: whole("queue").and_then(|queue| u32::try_from(queue).ok()).unwrap_or(0),
                fsync: time("fsync"),
                boot: time("boot"),
                shutdown: time("shutdown"),
                power: self.measured.then(|| power::of(power)),
                exponential_service: common.and_then(|item| item.text("service_time")) == Some("exponential"),
                message_cost: time("message_cost"),
            });
        }
    }

    /// The matrix of paths between data centers, before `links`.
    fn paths(&mut self, item: &Item) {
        let network = item.get("network");
        let number = |field: &str| network.and_then(|network| network.number(field)).unwrap_or(0.0);
        let (jitter, loss) = (number("jitter"), number("loss"));
        let bandwidth = network.and_then(|network| network.whole("bandwidth")).unwrap_or(1);
        let latency = network.and_then(|network| network.get("latency"));
        let by_distance = latency.and_then(Item::as_text) == Some("distance");
        let table = self.table(latency.map_or(&[], |latency| latency.list("rows")));
        let count = self.topology.data_centers.len();
        for from in 0..count {
            for to in 0..count {
                let pair = (from.min(to), from.max(to));
                let round_trip = table.get(&pair).copied().unwrap_or_else(|| self.round_trip(from, to, by_distance));
                self.topology.paths.push(Path { one_way: round_trip.scale(1, 2), jitter, loss, bandwidth });
            }
        }
    }

    /// The round trip between two data centers that no table names.
    fn round_trip(&self, from: usize, to: usize, by_distance: bool) -> Duration {
        if from == to {
            return regions::SAME_SITE;
        }
        if let (Some(a), Some(b)) = (&self.regions[from], &self.regions[to]) {
            if a == b {
                return regions::SAME_REGION;
            }
            if let (Some(measured), false) = (regions::measured(a, b), by_distance) {
                return measured;
            }
        }
        let place = |index: usize| {
            let site = &self.topology.data_centers[index];
            (site.latitude, site.longitude)
        };
        regions::by_distance(regions::kilometres(place(from), place(to)))
    }

    /// The scenario's own round trips, by pair; the mean of the two directions.
    fn table(&mut self, rows: &[Item]) -> BTreeMap<(usize, usize), Duration> {
        let mut directed = BTreeMap::new();
        for row in rows {
            let (Some(from), Some(to)) = (self.site(row.get("from")), self.site(row.get("to"))) else { continue };
            if directed.insert((from, to), row.time("round_trip").unwrap_or_default()).is_some() {
                self.problems.add(row.origin, &row.path, "this pair is repeated");
            }
        }
        let mean = |(&(from, to), &there): (&(usize, usize), &Duration)| {
            let back = if from == to { None } else { directed.get(&(to, from)) };
            let both = back.map_or(there, |back| Duration::from_nanos(there.as_nanos().midpoint(back.as_nanos())));
            ((from.min(to), from.max(to)), both)
        };
        directed.iter().map(mean).collect()
    }

    fn site(&mut self, item: Option<&Item>) -> Option<usize> {
        let item = item?;
        let name = item.as_text()?;
        let found = self.topology.data_centers.iter().position(|site| site.name == name);
        if found.is_none() {
            let problem = self.problems.add(item.origin, &item.path, format!("unknown data center {}", quote(name)));
            if let Some(near) = nearest(name, self.topology.data_centers.iter().map(|site| site.name.as_str())) {
                problem.help(format!("did you mean {}?", quote(near)));
            }
        }
        found
    }

    fn links(&mut self, links: &[Item]) {
        let mut seen = BTreeSet::new();
        let mut between_nodes = Vec::new();
        for link in links {
            let ends = link.list("between");
            let [Some(a), Some(b)] = [self.end(ends.first()), self.end(ends.get(1))] else { continue };
            if a == b && matches!(a, End::Node(_)) {
                self.problems.add(link.origin, &link.path, "a node has no link with itself");
            }
            if !seen.insert((a.min(b), a.max(b))) {
                self.problems.add(link.origin, &link.path, "this link is repeated");
            }
            match (a, b) {
                (End::Site(a), End::Site(b)) => {
                    let count = self.topology.data_centers.len();
                    for at in [a * count + b, b * count + a] {
                        change(&mut self.topology.paths[at], link);
                    }
                }
                _ => between_nodes.push((a, b, link)),
            }
        }
        for (a, b, link) in between_nodes {
            for &from in &self.nodes_of(a) {
                for &to in &self.nodes_of(b) {
                    for pair in [(from, to), (to, from)] {
                        let mut path = *self.topology.between_nodes(pair.0, pair.1);
                        change(&mut path, link);
                        self.topology.overrides.insert(pair, path);
                    }
                }
            }
        }
    }

    fn nodes_of(&self, end: End) -> Vec<NodeId> {
        match end {
            End::Site(site) => self.topology.data_centers[site].nodes.clone(),
            End::Node(node) => vec![NodeId::from(node)],
        }
    }

    fn end(&mut self, item: Option<&Item>) -> Option<End> {
        let name = item?.as_text()?;
        match self.topology.nodes.iter().position(|node| node.name == name) {
            Some(node) => Some(End::Node(node)),
            None => self.site(item).map(End::Site),
        }
    }
}

/// An end of an entry of `links`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Site(usize),
    Node(usize),
}

fn change(path: &mut Path, link: &Item) {
    if let Some(round_trip) = link.time("round_trip") {
        path.one_way = round_trip.scale(1, 2);
    }
    path.jitter = link.number("jitter").unwrap_or(path.jitter);
    path.loss = link.number("loss").unwrap_or(path.loss);
    path.bandwidth = link.whole("bandwidth").unwrap_or(path.bandwidth);
}
