//! The way from bytes to a scenario.

use super::build::{self, Built};
use super::diagnostics::{Diagnostics, Problems, quote};
use super::item::{Form, Item};
use super::json::{self, Json, Node, Origin};
use super::{Check, Kind, Protocol, Scenario, canonical, copies, set, table, walk};
use crate::id::{DcId, NodeId};

/// The largest scenario that is read, in bytes: 16 MiB. A reader need not read more than one byte beyond.
pub const LARGEST: usize = 16 << 20;

/// A scenario's text, not yet read.
#[derive(Clone, Debug)]
pub struct Source {
    /// What diagnostics call it, usually the path as the user gave it.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Reads the file that a scenario names (`latency: {"csv": NAME}`), relative to the scenario. The error is a
/// sentence for the user.
pub type Reader<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

/// Checks and resolves a scenario, after `sets` (path, value) have changed it.
///
/// # Errors
/// Every problem at once; only a text that is not JSON ends with the first.
pub fn load(source: &Source, sets: &[(String, String)], read: Reader<'_>) -> Result<Scenario, Diagnostics> {
    let text = text_of(source)?;
    let placed = |problems| Diagnostics::place(&source.name, text, sets, problems);
    let mut problems = Problems::default();
    let parsed = match json::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let origin = Origin::Text { start: error.start, end: error.end };
            problems.add(origin, "", error.message).help = error.help;
            return Err(placed(problems.0));
        }
    };
    for (start, end, key) in parsed.repeated {
        let origin = Origin::Text { start, end };
        problems.add(origin, "", format!("the key {} is repeated", quote(&key))).expected("each key once");
    }
    let mut root = parsed.root;
    set::apply(&mut root, sets, &mut problems);
    resolve(&root, read, problems).map_err(placed)
}

/// The same checks for a JSON value, such as the `resolved` of a result. `as_written` is that value.
///
/// # Errors
/// As [`load`]; lines and columns are those of the value written out with an indent of two.
pub fn from_value(value: &serde_json::Value) -> Result<Scenario, Diagnostics> {
    let bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    let source = Source { name: "resolved".into(), bytes };
    load(&source, &[], &|name| Err(format!("a result holds no file {}", quote(name))))
}

fn text_of(source: &Source) -> Result<&str, Diagnostics> {
    if source.bytes.len() > LARGEST {
        return Err(Diagnostics::whole(&source.name, "the file is larger than 16 MiB"));
    }
    std::str::from_utf8(&source.bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let mut diagnostics = Diagnostics::whole(
            &source.name,
            format!("the file is not UTF-8: byte {offset}, 0x{:02x}, begins no character", source.bytes[offset]),
        );
        let before = String::from_utf8_lossy(&source.bytes[..offset]);
        for diagnostic in &mut diagnostics.0 {
            diagnostic.line = before.matches('\n').count() + 1;
            diagnostic.column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        }
        diagnostics
    })
}

fn resolve(
    root: &Node,
    read: Reader<'_>,
    mut problems: Problems,
) -> Result<Scenario, Vec<super::diagnostics::Problem>> {
    if !matches!(root.value, Json::Object(_)) {
        problems.add(root.origin, "", "a scenario is an object").expected("`{`");
        return Err(problems.0);
    }
    let mut item = walk::scenario(root, &mut problems);
    embed(&mut item, read, &mut problems);
    copies::write_out(&mut item, &mut problems);
    let built = build::build(&item, &mut problems);
    if !problems.0.is_empty() {
        return Err(problems.each_once());
    }
    complete(&mut item, &built);
    let resolved = item.to_value();
    let text = |name: &str| item.text(name).unwrap_or_default().to_owned();
    let time = |name: &str| item.time(name).unwrap_or_default();
    let Built { topology, services, reorganisation, protocols, loads, timeline, failures, expectations } = built;
    Ok(Scenario {
        name: text("name"),
        description: text("description"),
        sources: item.list("sources").iter().filter_map(Item::as_text).map(str::to_owned).collect(),
        seed: item.whole("seed").unwrap_or_default(),
        duration: time("duration"),
        warmup: time("warmup"),
        drain: time("drain"),
        topology,
        services,
        map: reorganisation.map(|whole| whole.map),
        protocols,
        loads,
        timeline,
        failures,
        expectations,
        checks: checks(&item),
        as_written: root.to_value(),
        hash: canonical::hash(&resolved),
        resolved,
    })
}

fn checks(item: &Item) -> Vec<Check> {
    let asked: Vec<&str> = item.list("checks").iter().filter_map(Item::as_text).collect();
    Check::ALL.into_iter().filter(|check| asked.contains(&check.name())).collect()
}

/// Replaces the name of a table of round trips by its rows.
fn embed(item: &mut Item, read: Reader<'_>, problems: &mut Problems) {
    let sites: Vec<String> = item
        .get("topology")
        .map_or(&[][..], |topology| topology.list("data_centers"))
        .iter()
        .filter_map(|site| site.text("id").map(str::to_owned))
        .collect();
    let latency = item.get_mut("topology").and_then(|topology| topology.get_mut("network"));
    let Some(latency) = latency.and_then(|network| network.get_mut("latency")) else { return };
    let Some(file) = latency.get("csv").cloned() else { return };
    let Some(name) = file.as_text() else { return };
    let text = read(name).and_then(|bytes| {
        let large = bytes.len() > LARGEST;
        let text = String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", quote(name)));
        if large { Err(format!("{} is larger than 16 MiB", quote(name))) } else { text }
    });
    match text {
        Ok(text) => {
            let sites: Vec<_> = sites.iter().map(String::as_str).collect();
            let rows = table::rows(&text, &file, &sites, problems);
            latency.remove("csv");
            latency.put("rows", Form::List(rows));
        }
        Err(why) => _ = problems.add(file.origin, &file.path, why),
    }
}

/// Fills in the defaults that depend on the rest.
fn complete(item: &mut Item, built: &Built) {
    let topology = &built.topology;
    let place = |id: &DcId| topology.data_centers[id.index()].name.clone();
    let sites = item.get_mut("topology").and_then(|topology| topology.get_mut("data_centers"));
    for (site, data_center) in sites.map_or(&mut [][..], Item::items_mut).iter_mut().zip(&topology.data_centers) {
        site.put("zone", Form::Text(data_center.zone.clone()));
    }
    for Protocol { label, kind, .. } in &built.protocols {
        let tick = match kind {
            Kind::Raft(options) => options.tick,
            Kind::OmniPaxos(options) => options.tick,
            _ => continue,
        };
        if let Some(written) = item.get_mut("protocols").and_then(|protocols| protocols.get_mut(label)) {
            written.put("tick", Form::Time(tick));
        }
    }
    if let (Some(written), Some(whole)) = (item.get_mut("reorganise"), &built.reorganisation) {
        let policy = &whole.policy;
        written.put("repair", Form::Flag(policy.repair));
        written.put("balance", Form::Flag(policy.balance));
        written.put("save", Form::Flag(policy.save));
        written.put("next_degree", Form::Whole(policy.next_degree as u64));
        written.put("reserve_degree", Form::Whole(policy.reserve_degree as u64));
        written.put("pool", Form::Whole(whole.pool as u64));
    }
    let services = item.get_mut("services").map_or(&mut [][..], Item::items_mut);
    for (written, service) in services.iter_mut().zip(&built.services) {
        let name = |id: &NodeId| topology.nodes[id.index()].name.clone();
        written.put("replicas", Form::Whole(service.replicas.len() as u64));
        written.put("place", names(service.replicas.iter().map(name)));
    }
    let loads = item.get_mut("workload").map_or(&mut [][..], Item::items_mut);
    for (written, load) in loads.iter_mut().zip(&built.loads) {
        written.put("from", names(load.from.iter().map(place)));
    }
    for entry in item.get_mut("timeline").map_or(&mut [][..], Item::items_mut) {
        if entry.kind() == "load" && entry.get("from").is_none() {
            let service = entry.text("service").unwrap_or_default().to_owned();
            let mut from: Vec<DcId> = built
                .loads
                .iter()
                .filter(|load| copies::matches(&service, &built.services[load.service.index()].name))
                .flat_map(|load| load.from.iter().copied())
                .collect();
            from.sort();
            from.dedup();
            entry.put("from", names(from.iter().map(place)));
        }
    }
}

fn names(names: impl Iterator<Item = String>) -> Form {
    let item = |text| Item { origin: Origin::Default, path: String::new(), form: Form::Text(text) };
    Form::List(names.map(item).collect())
}
