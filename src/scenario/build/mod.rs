//! From checked structure to a [`Scenario`]: names become indices, and what contradicts itself is reported.

mod expect;
mod placement;
mod power;
mod protocols;
mod reorganise;
mod services;
mod sites;
mod targets;
mod timeline;
mod topology;
mod workload;

use super::diagnostics::{Problem, Problems, nearest, quote};
use super::item::Item;
use super::{Expectation, Protocol, copies};
use crate::id::{DcId, NodeId, ServiceId};
use crate::time::{Duration, SimTime};
use crate::workload::{Load, Service};
use crate::world::fault::{Failure, Fault};
use crate::world::topology::Topology;

pub use expect::CUT_BY_TIME;

/// What a scenario is built from and into, while problems are collected.
pub struct Builder<'a> {
    pub root: &'a Item,
    pub problems: &'a mut Problems,
    pub topology: Topology,
    pub services: Vec<Service>,
    /// `None` if it was bad.
    pub duration: Option<Duration>,
}

/// Everything but the texts.
pub struct Built {
    pub topology: Topology,
    pub services: Vec<Service>,
    pub reorganisation: Option<reorganise::Whole>,
    pub protocols: Vec<Protocol>,
    pub loads: Vec<Load>,
    pub timeline: Vec<Fault>,
    pub failures: Vec<Failure>,
    pub expectations: Vec<Expectation>,
}

/// Builds as much as there is. If problems were added, the result is only good for throwing away.
pub fn build(root: &Item, problems: &mut Problems) -> Built {
    let topology = topology::build(root, problems);
    let mut builder = Builder { root, problems, topology, services: Vec::new(), duration: root.time("duration") };
    builder.span();
    builder.services = services::build(&mut builder);
    let reorganisation = reorganise::build(&mut builder);
    let protocols = protocols::build(&mut builder, reorganisation.as_ref());
    let mut loads = workload::build(&mut builder);
    let timeline = timeline::build(&mut builder, &mut loads);
    let failures = timeline::failures(&mut builder);
    let expectations = expect::build(&mut builder, &protocols);
    let Builder { topology, services, .. } = builder;
    Built { topology, services, reorganisation, protocols, loads, timeline, failures, expectations }
}

/// Of two values that contradict each other, the one that a person wrote; the first if both are.
fn written<'a>(first: &'a Item, second: &'a Item) -> &'a Item {
    if first.origin.is_written() { first } else { second }
}

impl Builder<'_> {
    fn add(&mut self, item: &Item, message: impl Into<String>) -> &mut Problem {
        self.problems.add(item.origin, &item.path, message)
    }

    /// The warm-up leaves something to count.
    fn span(&mut self) {
        if let (Some(duration), Some(warmup)) = (self.duration, self.root.get("warmup"))
            && let Some(time) = warmup.as_time()
            && time >= duration
        {
            // A default is nobody's line: point at the duration instead.
            let item = if warmup.origin.is_written() { warmup } else { self.root.get("duration").unwrap_or(warmup) };
            self.add(item, format!("the warm-up of {time} leaves nothing of the duration of {duration}"))
                .expected("`warmup` < `duration`");
        }
    }

    /// An instant before the end of the run.
    fn instant(&mut self, item: &Item) -> Option<SimTime> {
        let time = item.as_time()?;
        if let Some(duration) = self.duration
            && time >= duration
        {
            self.add(item, format!("{time} is past the end: the duration is {duration}"))
                .expected(format!("an instant before {duration}"));
        }
        Some(SimTime::from_nanos(time.as_nanos()))
    }

    /// Whether the names of a list could all be read, and differ, so that an unknown name is no echo of another problem.
    fn names_are_whole(&self, list: &str) -> bool {
        let items = match list {
            "services" => self.root.list("services"),
            _ => self.root.get("topology").map_or(&[][..], |topology| topology.list("data_centers")),
        };
        let names: std::collections::BTreeSet<_> = items.iter().filter_map(|item| item.text("id")).collect();
        !names.is_empty() && names.len() == items.len()
    }

    fn unknown(&mut self, item: &Item, what: &str, known: &[String]) {
        let name = item.as_text().unwrap_or_default().to_owned();
        let problem = self.add(item, format!("unknown {what} {}", quote(&name)));
        let names = known.iter().map(String::as_str);
        if let Some(near) = nearest(&name, names.clone()) {
            problem.help(format!("did you mean {}?", quote(near)));
        } else if !known.is_empty() && known.len() <= 12 {
            problem.expected(super::diagnostics::quote_all(names, "or"));
        }
    }

    fn data_center(&mut self, item: &Item) -> Option<DcId> {
        let name = item.as_text()?;
        let found = self.topology.data_centers.iter().position(|site| site.name == name);
        if found.is_none() && self.names_are_whole("data_centers") {
            let known: Vec<_> = self.topology.data_centers.iter().map(|site| site.name.clone()).collect();
            self.unknown(item, "data center", &known);
        }
        found.map(DcId::from)
    }

    /// Data centers of a list, without repetition.
    fn data_centers(&mut self, items: &[Item]) -> Vec<DcId> {
        let mut out = Vec::new();
        for item in items {
            let Some(site) = self.data_center(item) else { continue };
            if out.contains(&site) {
                self.repeated(item);
            } else {
                out.push(site);
            }
        }
        out
    }

    fn repeated(&mut self, item: &Item) {
        let name = quote(item.as_text().unwrap_or_default());
        self.add(item, format!("{name} is repeated"));
    }

    fn service(&mut self, item: &Item) -> Option<ServiceId> {
        let name = item.as_text()?;
        let found = self.services.iter().position(|service| service.name == name);
        if found.is_none() && self.names_are_whole("services") {
            let known: Vec<_> = self.services.iter().map(|service| service.name.clone()).collect();
            self.unknown(item, "service", &known);
        }
        found.map(ServiceId::from)
    }

    /// The services of a name, or of a pattern of names.
    fn services_like(&mut self, item: &Item) -> Vec<ServiceId> {
        let Some(pattern) = item.as_text().filter(|name| name.contains('*')) else {
            return self.service(item).into_iter().collect();
        };
        let alike = self.services.iter().enumerate().filter(|(_, service)| copies::matches(pattern, &service.name));
        let alike: Vec<_> = alike.map(|(index, _)| ServiceId::from(index)).collect();
        if alike.is_empty() && self.names_are_whole("services") {
            self.add(item, format!("no service is like {}", quote(pattern)));
        }
        alike
    }

    /// A node by its whole name.
    fn node(&mut self, item: &Item) -> Option<NodeId> {
        let name = item.as_text()?;
        let found = self.topology.nodes.iter().position(|node| node.name == name);
        if found.is_none() && self.names_are_whole("data_centers") {
            let known: Vec<_> = self.topology.nodes.iter().take(10_000).map(|node| node.name.clone()).collect();
            self.unknown_node(item, &known);
        }
        found.map(NodeId::from)
    }

    fn unknown_node(&mut self, item: &Item, known: &[String]) {
        let name = item.as_text().unwrap_or_default();
        if let Some(site) = self.topology.data_centers.iter().find(|site| site.name == name) {
            let help =
                format!("write `{0}/0` for one of its nodes, or `{0}/*` for all where patterns are taken", site.name);
            self.add(item, format!("{} is a data center, not a node", quote(name))).help(help);
            return;
        }
        let nodes_of = name.split_once('/').and_then(|(site, _)| {
            self.topology.data_centers.iter().find(|other| other.name == site).map(|site| site.nodes.len())
        });
        self.unknown(item, "node", known);
        if let (Some(count), Some(problem)) = (nodes_of, self.problems.0.last_mut())
            && let Some((site, _)) = name.split_once('/')
        {
            problem.help(format!("the nodes of `{site}` are `{site}/0` to `{site}/{}`", count.saturating_sub(1)));
        }
    }
}
