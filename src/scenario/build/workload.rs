//! Loads.

use super::Builder;
use crate::id::DcId;
use crate::scenario::item::{Form, Item};
use crate::time::SimTime;
use crate::workload::{Application, Load, Profile};

pub fn build(builder: &mut Builder<'_>) -> Vec<Load> {
    let root = builder.root;
    root.list("workload").iter().filter_map(|item| load(builder, item)).collect()
}

fn load(builder: &mut Builder<'_>, item: &Item) -> Option<Load> {
    let service = item.get("service").and_then(|name| builder.service(name));
    let from = match item.get("from") {
        Some(list) => builder.data_centers(list.items()),
        None => (0..builder.topology.data_centers.len()).map(DcId::from).collect(),
    };
    let weights = weights(builder, item, from.len());
    shares(builder, item, service.map(|service| builder.services[service.index()].application));
    let profile = item.get("profile").map_or(Profile::Constant, |profile| self::profile(builder, profile));
    let (number, time) = (|field| item.number(field).unwrap_or(0.0), |field| item.time(field).unwrap_or_default());
    let small = |field| u32::try_from(item.whole(field).unwrap_or(0)).unwrap_or(u32::MAX);
    Some(Load {
        service: service?,
        from,
        rate: number("rate"),
        weights,
        reads_nearest: item.text("read_from") == Some("nearest"),
        reads: number("reads"),
        appends: number("appends"),
        swaps: number("swaps"),
        keys: small("keys"),
        skew: number("skew"),
        value_bytes: small("value_bytes"),
        deadline: time("deadline"),
        clients: small("clients"),
        attempt_timeout: time("attempt_timeout"),
        profile,
        surges: Vec::new(),
    })
}

/// One for each place that is named, or none.
fn weights(builder: &mut Builder<'_>, item: &Item, places: usize) -> Vec<f64> {
    let Some(field) = item.get("weights") else { return Vec::new() };
    let numbers = field.items().iter().map(|item| if let Form::Number(number) = item.form { number } else { 0.0 });
    let weights: Vec<f64> = numbers.collect();
    let named = item.get("from").map_or(places, |from| from.items().len());
    if weights.len() != named && !field.is_bad() && item.get("from").is_none_or(|from| !from.is_bad()) {
        builder
            .add(field, format!("{} weights for {named} places", weights.len()))
            .expected("a weight for each place of `from`, or for each data center");
    } else if !weights.is_empty()
        && weights.iter().all(|&weight| weight == 0.0)
        && !field.items().iter().any(Item::is_bad)
    {
        builder.add(field, "nobody asks anything: all weights are 0");
    }
    weights
}

fn shares(builder: &mut Builder<'_>, item: &Item, application: Option<Application>) {
    let share = |field| item.number(field).unwrap_or(0.0);
    let (appends, swaps) = (share("appends"), share("swaps"));
    for (field, share) in [("appends", appends), ("swaps", swaps)] {
        if share > 0.0 && application == Some(Application::Board) {
            let place = item.get(field).unwrap_or(item);
            builder.add(place, format!("`{field}` is for `kv`; the writes of a `board` are posts"));
        }
    }
    if appends + swaps > 1.0 {
        let place = item.get("swaps").unwrap_or(item);
        builder.add(place, format!("appends {appends} and swaps {swaps} are more than all writes"));
    }
}

fn profile(builder: &mut Builder<'_>, item: &Item) -> Profile {
    let time = |field| item.time(field).unwrap_or_default();
    match item.kind() {
        "diurnal" => {
            let mut hours = [0.0; 24];
            let list = item.list("hours");
            for (hour, factor) in hours.iter_mut().zip(list) {
                if let Form::Number(number) = factor.form {
                    *hour = number;
                }
            }
            let mean = hours.iter().sum::<f64>() / 24.0;
            let whole = list.len() == 24 && !list.iter().any(Item::is_bad);
            if !(0.999..=1.001).contains(&mean) && whole {
                let place = item.get("hours").unwrap_or(item);
                builder.add(place, format!("the mean of the factors is {mean}")).expected("a mean of 1, to 0.001");
            }
            let shifted = item.flag("shifted").unwrap_or(true);
            Profile::Diurnal {
                period: time("period"),
                hours,
                shifted,
                start: time("start"),
                weekend: item.number("weekend").unwrap_or(1.0),
            }
        }
        "flash-crowd" => Profile::FlashCrowd {
            at: item.get("at").and_then(|at| builder.instant(at)).unwrap_or(SimTime::ZERO),
            rise: time("rise"),
            hold: time("hold"),
            factor: item.number("factor").unwrap_or(1.0),
            half_life: time("half_life"),
        },
        _ => Profile::Constant,
    }
}
