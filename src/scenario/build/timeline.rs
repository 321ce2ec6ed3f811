//! Timeline and failures.

use super::Builder;
use crate::id::DcId;
use crate::scenario::diagnostics::quote;
use crate::scenario::item::Item;
use crate::time::{Duration, SimTime};
use crate::workload::{Load, Surge};
use crate::world::fault::{Action, CorruptWhat, Disk, Distribution, Failure, FailureKind, Fault};

/// The faults, sorted by time; equal times keep the order of the scenario.
pub fn build(builder: &mut Builder<'_>, loads: &mut [Load]) -> Vec<Fault> {
    let root = builder.root;
    let mut faults: Vec<Fault> = root.list("timeline").iter().filter_map(|item| fault(builder, item, loads)).collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn fault(builder: &mut Builder<'_>, item: &Item, loads: &mut [Load]) -> Option<Fault> {
    let at = item.get("at").and_then(|at| builder.instant(at));
    let lasts = item.time("for");
    let action = match item.kind() {
        "" => return None,
        "load" => {
            surge(builder, item, at.unwrap_or_default(), lasts, loads);
            Action::Load
        }
        "partition" => {
            let groups: Vec<_> = item.list("groups").iter().map(Item::items).collect();
            let place = item.get("groups").unwrap_or(item);
            Action::Partition { groups: builder.groups(&groups, place, true) }
        }
        "cut" => {
            let (from, to) = (item.get("from")?, item.get("to")?);
            let (from, to) = builder.sides(from, to, item);
            Action::Cut { from, to, one_way: item.flag("one_way").unwrap_or(false) }
        }
        "flap" => Action::Flap {
            between: builder.between(item)?,
            up: item.time("up").unwrap_or_default(),
            down: item.time("down").unwrap_or_default(),
        },
        "degrade" => degrade(builder, item)?,
        "heal" => Action::Heal { between: builder.between(item) },
        _ => machines(builder, item),
    };
    Some(Fault { at: at?, lasts, action, label: label(item) })
}

/// Actions on machines.
fn machines(builder: &mut Builder<'_>, item: &Item) -> Action {
    let targets = builder.targets(item);
    match item.kind() {
        "crash" => Action::Crash { targets, disk: disk(item) },
        "restart" => Action::Restart { targets, cold: item.flag("cold").unwrap_or(false) },
        "pause" => Action::Pause { targets },
        "slow" => Action::Slow { targets, factor: item.number("factor").unwrap_or(1.0) },
        "clock" => {
            let (jump, drift_ppm) = (item.jump("jump").unwrap_or(0), item.number("drift_ppm").unwrap_or(0.0));
            let written = |field| item.get(field).is_some_and(|field| !is_default(field));
            if !written("jump") && !written("drift_ppm") {
                builder.add(item, "the clock neither jumps nor drifts").help("give `jump` or `drift_ppm`");
            }
            Action::Clock { targets, jump, drift_ppm }
        }
        _ => Action::Corrupt {
            targets,
            what: match item.text("what") {
                Some("volatile") => CorruptWhat::Volatile,
                Some("log") => CorruptWhat::Log,
                Some("messages") => CorruptWhat::Messages,
                _ => CorruptWhat::All,
            },
        },
    }
}

fn is_default(item: &Item) -> bool {
    !item.origin.is_written()
}

fn degrade(builder: &mut Builder<'_>, item: &Item) -> Option<Action> {
    let fields = ["add_delay", "loss", "duplicate", "reorder"];
    if fields.iter().all(|field| item.get(field).is_none_or(is_default)) {
        builder.add(item, "nothing gets worse").expected("`add_delay`, `loss`, `duplicate` or `reorder`");
    }
    let number = |field| item.number(field).unwrap_or(0.0);
    Some(Action::Degrade {
        between: builder.between(item)?,
        add_delay: item.time("add_delay").unwrap_or_default(),
        loss: number("loss"),
        duplicate: number("duplicate"),
        reorder: number("reorder"),
    })
}

fn disk(item: &Item) -> Disk {
    if item.text("disk") == Some("lost") { Disk::Lost } else { Disk::Kept }
}

/// Adds a change of load to the loads it concerns.
fn surge(builder: &mut Builder<'_>, item: &Item, at: SimTime, lasts: Option<Duration>, loads: &mut [Load]) {
    let Some(name) = item.get("service") else { return };
    let services = builder.services_like(name);
    if services.is_empty() {
        return;
    }
    let ramp = item.time("ramp").unwrap_or_default();
    if let (Some(lasts), Some(field)) = (lasts, item.get("ramp"))
        && ramp > lasts
    {
        builder.add(field, format!("a ramp of {ramp} does not fit into {lasts}")).expected("`ramp` <= `for`");
    }
    let factor = item.number("factor").unwrap_or(1.0);
    let named = item.get("from").map(|list| builder.data_centers(list.items()));
    let mut asked: Vec<DcId> = Vec::new();
    for load in loads.iter_mut().filter(|load| services.contains(&load.service)) {
        let concerned = |place: &DcId| named.as_ref().is_none_or(|named| named.contains(place));
        let from: Vec<_> = load.from.iter().copied().filter(concerned).collect();
        asked.extend(&from);
        if !from.is_empty() {
            load.surges.push(Surge { from, at, lasts, factor, ramp });
        }
    }
    if !builder.root.list("workload").iter().all(|load| load.text("service").is_some()) {
        return;
    }
    let quiet = named.into_iter().flatten().find(|place| !asked.contains(place));
    if let Some(place) = quiet {
        let place = quote(&builder.topology.data_centers[place.index()].name);
        let field = item.get("from").unwrap_or(item);
        builder.add(field, format!("no load on {} comes from {place}", quote(name.as_text().unwrap_or_default())));
    } else if !loads.iter().any(|load| services.contains(&load.service)) {
        let message = format!("there is no load on {}", quote(name.as_text().unwrap_or_default()));
        builder.add(name, message);
    }
}

/// What plots and phases call an entry.
fn label(item: &Item) -> String {
    let names = |list: &[Item]| {
        let shown: Vec<_> = list.iter().take(3).filter_map(Item::as_text).collect();
        let more = if list.len() > 3 { format!(" and {} more", list.len() - 3) } else { String::new() };
        format!("{}{more}", shown.join(", "))
    };
    let side = |item: Option<&Item>| match item {
        Some(item) => item.as_text().map_or_else(|| names(item.items()), str::to_owned),
        None => String::new(),
    };
    let ends = |item: &Item| {
        let ends = item.list("between");
        format!("{} - {}", side(ends.first()), side(ends.get(1)))
    };
    let whom = |item: &Item| {
        ["nodes", "data_centers", "zones"]
            .iter()
            .find_map(|field| item.get(field))
            .map(|list| names(list.items()))
            .or_else(|| {
                item.text("majority_of").map(|service| match item.whole("count") {
                    Some(count) => format!("{count} of {service}"),
                    None => format!("majority of {service}"),
                })
            })
            .or_else(|| item.text("primary_of").map(|service| format!("primary of {service}")))
            .or_else(|| item.get("random").map(random_label))
            .unwrap_or_default()
    };
    let number = |field| item.number(field).unwrap_or(0.0);
    match item.kind() {
        "partition" => format!("partition {}", partition_label(item.list("groups"))),
        "cut" => {
            let arrow = if item.flag("one_way") == Some(true) { "->" } else { "-" };
            format!("cut {} {arrow} {}", side(item.get("from")), side(item.get("to")))
        }
        "flap" | "degrade" => format!("{} {}", item.kind(), ends(item)),
        "heal" if item.get("between").is_some() => format!("heal {}", ends(item)),
        "heal" => "heal".into(),
        "load" => format!("load of {} x{}", item.text("service").unwrap_or_default(), number("factor")),
        "slow" => format!("slow {} x{}", whom(item), number("factor")),
        "crash" if item.text("disk") == Some("lost") => format!("crash {}, disk lost", whom(item)),
        "corrupt" => format!("corrupt {} of {}", item.text("what").unwrap_or_default(), whom(item)),
        other => format!("{other} {}", whom(item)),
    }
}

fn random_label(item: &Item) -> String {
    match (item.number("fraction"), item.whole("count")) {
        (Some(fraction), _) => format!("{}% of nodes", libm::round(fraction * 100.0)),
        (None, Some(1)) => "1 node".into(),
        (None, count) => format!("{} nodes", count.unwrap_or(0)),
    }
}

/// `tokyo, osaka | *`, or only the sizes of groups that are long to name.
fn partition_label(groups: &[Item]) -> String {
    let named: Vec<_> =
        groups.iter().map(|group| group.items().iter().filter_map(Item::as_text).collect::<Vec<_>>()).collect();
    let whole = named.iter().map(|group| group.join(", ")).collect::<Vec<_>>().join(" | ");
    if whole.len() <= 40 || named.iter().flatten().any(|name| *name == "*") {
        return whole;
    }
    named.iter().map(|group| group.len().to_string()).collect::<Vec<_>>().join("/")
}

/// Stochastic failures.
pub fn failures(builder: &mut Builder<'_>) -> Vec<Failure> {
    let root = builder.root;
    let mut out = Vec::new();
    for item in root.list("failures") {
        let kind = match item.kind() {
            "" => continue,
            "node" => FailureKind::Node,
            "data-center" => FailureKind::DataCenter,
            _ => FailureKind::Link,
        };
        if kind == FailureKind::Link && builder.topology.data_centers.len() == 1 {
            builder.add(item, "there is only one data center, and so no link");
        }
        let law = |field| item.get(field).map_or(Distribution::Constant(Duration::ZERO), distribution);
        out.push(Failure { kind, between: law("between"), repair: law("repair"), disk: disk(item) });
    }
    out
}

fn distribution(item: &Item) -> Distribution {
    let time = |item: &Item, field| item.time(field).unwrap_or_default();
    let number = |item: &Item, field| item.number(field).unwrap_or(1.0);
    if let Some(law) = item.get("exponential") {
        return Distribution::Exponential { mean: time(law, "mean") };
    }
    if let Some(law) = item.get("weibull") {
        return Distribution::Weibull { shape: number(law, "shape"), scale: time(law, "scale") };
    }
    if let Some(law) = item.get("lognormal") {
        return Distribution::Lognormal { median: time(law, "median"), sigma: number(law, "sigma") };
    }
    Distribution::Constant(item.as_time().unwrap_or_default())
}
