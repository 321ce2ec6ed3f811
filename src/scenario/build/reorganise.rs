//! What agents do, and the directory of what there is.

use super::{Builder, placement, written};
use crate::hash;
use crate::id::NodeId;
use crate::reorg::{self, Constraints, Machine, Map, Policy, Site};
use crate::scenario::diagnostics::quote;
use crate::scenario::item::Item;
use crate::time::Duration;
use crate::world::topology::Topology;

/// Up to so many machines any may hold any service.
const ALL_UP_TO: usize = 64;
/// Machines of each data center for a service, if there are more.
const POOL: usize = 2;

/// What the scenario says of all protocols.
pub struct Whole {
    pub policy: Policy,
    pub pool: usize,
    pub map: Map,
}

/// `None`: nothing is reorganised.
pub fn build(builder: &mut Builder<'_>) -> Option<Whole> {
    let item = whole(builder.root)?;
    let policy = policy(builder, &Layers(vec![item]));
    let pool = pool(builder, item);
    let map = map(builder, pool)?;
    Some(Whole { policy, pool, map })
}

/// The scenario's `reorganise`, unless it is `off`.
pub fn whole(root: &Item) -> Option<&Item> {
    root.get("reorganise").filter(|item| item.get("policy").is_some())
}

/// The policy of the protocol in `item`, which may differ from the scenario's.
pub fn of_protocol(builder: &mut Builder<'_>, item: &Item, whole: Option<&Whole>) -> Option<Policy> {
    let Some(own) = item.get("reorganise") else { return whole.map(|whole| whole.policy.clone()) };
    if own.is_bad() || own.as_text().is_some() {
        return None;
    }
    let Some(all) = self::whole(builder.root) else {
        if builder.root.get("reorganise").is_none_or(|item| !item.is_bad()) {
            builder
                .add(own, "it changes the scenario's `reorganise`, which is off")
                .help("add `reorganise`, with a `policy`, to the scenario");
        }
        return None;
    };
    Some(policy(builder, &Layers(vec![own, all])))
}

/// The same constants in several places: the first that has one counts.
struct Layers<'a>(Vec<&'a Item>);

impl<'a> Layers<'a> {
    fn get(&self, name: &str) -> Option<&'a Item> {
        self.0.iter().find_map(|item| item.get(name))
    }
    fn time(&self, name: &str) -> Duration {
        self.get(name).and_then(Item::as_time).unwrap_or_default()
    }
    fn number(&self, name: &str) -> f64 {
        self.0.iter().find_map(|item| item.number(name)).unwrap_or(0.0)
    }
    fn degree(&self, name: &str) -> Option<usize> {
        self.0.iter().find_map(|item| item.whole(name)).map(|degree| degree as usize)
    }
    fn constraint(&self, name: &str) -> bool {
        self.0.iter().find_map(|item| item.get("constraints")?.flag(name)).unwrap_or(true)
    }
    /// A switch: a layer's own, or else what the layer's policy implies.
    fn switch(&self, name: &str, least: usize) -> bool {
        const LEVELS: [&str; 3] = ["repair", "balance", "save"];
        let level = |item: &Item| LEVELS.iter().position(|level| Some(*level) == item.text("policy"));
        let switch = |item: &&Item| item.flag(name).or_else(|| level(item).map(|level| level >= least));
        self.0.iter().find_map(switch).unwrap_or(false)
    }
}

fn policy(builder: &mut Builder<'_>, of: &Layers<'_>) -> Policy {
    contradictions(builder, of);
    let degrees = builder.services.iter().map(|service| service.replicas.len());
    let (fewest, most) = (degrees.clone().min().unwrap_or(1), degrees.max().unwrap_or(1));
    next_degree(builder, of);
    Policy {
        repair: of.switch("repair", 0),
        balance: of.switch("balance", 1),
        save: of.switch("save", 2),
        constraints: Constraints {
            spread: of.constraint("spread"),
            share: of.constraint("share"),
            next_disaster: of.constraint("next_disaster"),
            last_copies: of.constraint("last_copies"),
            suspend: of.constraint("suspend"),
        },
        advertise: of.time("advertise"),
        silent_after: of.time("silent_after"),
        repair_after: of.time("repair_after"),
        disaster_after: of.time("disaster_after"),
        lease: of.time("lease"),
        high: of.number("high"),
        high_for: of.time("high_for"),
        low: of.number("low"),
        low_for: of.time("low_for"),
        headroom: of.number("headroom"),
        next_degree: of.degree("next_degree").unwrap_or(fewest.saturating_sub(1).clamp(1, 2)),
        reserve_degree: of.degree("reserve_degree").unwrap_or(most.div_ceil(2).max(2)),
        wake_within: of.time("wake_within"),
        overload_weight: of.number("overload_weight"),
        violation_weight: of.number("violation_weight"),
        move_weight: of.number("move_weight"),
        epsilon: of.number("epsilon"),
    }
}

/// Constants that contradict each other, at the one that a person wrote.
fn contradictions(builder: &mut Builder<'_>, of: &Layers<'_>) {
    let advert = of.time("advertise");
    let mut twice = |name: &str, why: &str| {
        if let (Some(item), Some(period)) = (of.get(name), of.get("advertise"))
            && item.as_time().is_some_and(|time| time <= advert.saturating_mul(2))
        {
            let message = format!("{} with an advert each {advert}: one lost message {why}", of.time(name));
            builder.add(written(item, period), message).expected(format!("`{name}` > 2 x `advertise`"));
        }
    };
    twice("silent_after", "is silence");
    twice("lease", "ends a lease");
    let mut ascending = |first: &str, second: &str, message: &str| {
        if let (Some(a), Some(b)) = (of.get(first), of.get(second))
            && let (Some(low), Some(high)) = (a.as_time(), b.as_time())
            && low >= high
        {
            builder
                .add(written(b, a), format!("{message} ({low} and {high})"))
                .expected(format!("`{first}` < `{second}`"));
        }
    };
    ascending("silent_after", "repair_after", "a machine would be replaced before it is silent");
    ascending("repair_after", "disaster_after", "a partition would be a disaster before a machine is replaced");
    if let (Some(low), Some(high)) = (of.get("low"), of.get("high"))
        && !low.is_bad()
        && !high.is_bad()
        && of.number("low") >= of.number("high")
    {
        let message = format!("what is emptied below {} is hot above {}", of.number("low"), of.number("high"));
        builder.add(written(low, high), message).expected("`low` < `high`");
    }
}

/// No service keeps as many replicas as it has after it lost one of their data centers.
fn next_degree(builder: &mut Builder<'_>, of: &Layers<'_>) {
    let Some((degree, item)) = of.degree("next_degree").zip(of.get("next_degree")) else { return };
    let few = builder.services.iter().find(|service| (1..=degree).contains(&service.replicas.len()));
    if let Some(service) = few
        && !(degree == 1 && service.replicas.len() == 1)
    {
        let has = service.replicas.len();
        let name = quote(&service.name);
        builder
            .add(item, format!("{degree} replicas cannot outlive a data center: {name} has {has} in all"))
            .expected("fewer than the replicas of each service");
    }
}

fn pool(builder: &mut Builder<'_>, item: &Item) -> usize {
    let topology = &builder.topology;
    let Some(pool) = item.whole("pool").map(|pool| pool as usize) else {
        let all = topology.data_centers.iter().map(|site| site.nodes.len()).max().unwrap_or(1);
        return if topology.nodes.len() <= ALL_UP_TO { all } else { POOL };
    };
    let reach: usize = topology.data_centers.iter().map(|site| site.nodes.len().min(pool)).sum();
    let most = builder.services.iter().find(|service| service.replicas.len() > reach);
    if let (Some(service), Some(field)) = (most, item.get("pool")) {
        let (name, count) = (quote(&service.name), service.replicas.len());
        builder.add(
            field,
            format!("a pool of {pool} in each data center is {reach} machines, and {name} has {count} replicas"),
        );
    }
    pool
}

/// What a watt at each data center counts for: its carbon intensity relative to the mean, or 1 where none is known.
fn weights(builder: &mut Builder<'_>) -> Vec<f64> {
    let items = builder.root.get("topology").map_or(&[][..], |topology| topology.list("data_centers"));
    let known: Vec<_> = items.iter().filter_map(|item| item.number("carbon")).collect();
    let written = items.iter().find_map(|item| item.get("carbon"));
    let (Some(written), mean) = (written, known.iter().sum::<f64>() / known.len() as f64) else {
        return vec![1.0; items.len()];
    };
    if let Some(without) = items.iter().find(|item| item.get("carbon").is_none()) {
        let name = quote(without.text("id").unwrap_or_default());
        builder.add(written, format!("{name} has no `carbon`: watts here and there cannot be compared"));
    }
    items.iter().map(|item| item.number("carbon").map_or(1.0, |carbon| carbon / mean)).collect()
}

fn map(builder: &mut Builder<'_>, pool: usize) -> Option<Map> {
    let weights = weights(builder);
    let topology = &builder.topology;
    let machine = |node: &crate::world::topology::Node| {
        let power = node.power.clone()?;
        Some(Machine { site: node.data_center, capacity: node.capacity, boot: node.boot, power })
    };
    let mut zones: Vec<&str> = Vec::new();
    let mut sites = Vec::new();
    for (site, weight) in topology.data_centers.iter().zip(weights) {
        let known = zones.iter().position(|zone| *zone == site.zone);
        let zone = known.unwrap_or_else(|| {
            zones.push(&site.zone);
            zones.len() - 1
        });
        sites.push(Site { zone: zone as u32, nodes: site.nodes.clone(), pue: site.pue, weight });
    }
    let items = builder.root.list("services");
    Some(Map {
        machines: topology.nodes.iter().map(machine).collect::<Option<_>>()?,
        sites,
        services: builder.services.iter().zip(items).map(|(one, item)| service(topology, one, item, pool)).collect(),
        one_way: topology.paths.iter().map(|path| path.one_way).collect(),
    })
}

fn service(topology: &Topology, service: &crate::workload::Service, item: &Item, pool: usize) -> reorg::Service {
    // Two, as the specification asks, where nothing is said and the placement allows it.
    let (sites, zones) = placement::reach(topology, &service.replicas);
    let spread = |field: &str, reached: usize| {
        item.get("spread").and_then(|spread| spread.whole(field)).map_or(reached.min(2), |wanted| wanted as usize)
    };
    reorg::Service {
        degree: service.replicas.len(),
        data_centers: spread("data_centers", sites),
        zones: spread("zones", zones),
        pool: drawn(topology, service, pool),
        // It depends on the protocol: whoever meets one fills it in.
        reads_anywhere: false,
    }
}

/// The machines that may hold a service: of each data center those that rank first for its name, and where it is placed.
fn drawn(topology: &Topology, service: &crate::workload::Service, pool: usize) -> Vec<NodeId> {
    let digest = |text: &str| hash::of(text.bytes().map(u64::from));
    let name = digest(&service.name);
    let mut out = service.replicas.clone();
    for site in &topology.data_centers {
        let mut ranked: Vec<_> = site
            .nodes
            .iter()
            .map(|node| (hash::of([name, digest(&topology.nodes[node.index()].name)]), *node))
            .collect();
        ranked.sort_unstable();
        out.extend(ranked.into_iter().take(pool).map(|(_, node)| node));
    }
    out.sort_unstable();
    out.dedup();
    out
}
