//! Fewer services, places, sessions, requests and keys.

use serde_json::Value;

use super::edit;
use super::{Subject, without_parts};

/// Without each part of the services with all that names them, and without each part of the loads.
pub fn services(subject: &Subject) -> Vec<Value> {
    let ids: Vec<&str> = subject.scenario.services.iter().map(|service| service.name.as_str()).collect();
    let parts = edit::chunks(ids.len()).into_iter().filter(|part| part.len() < ids.len());
    let without = parts.map(|part| without_services(&subject.value, &ids[part]));
    without.chain(without_parts(&subject.value, "/workload")).collect()
}

fn without_services(value: &Value, gone: &[&str]) -> Value {
    let mut value = value.clone();
    let names_one = |item: &Value| {
        let is_gone = |field| item.get(field).and_then(Value::as_str).is_some_and(|name| gone.contains(&name));
        ["id", "service", "majority_of", "primary_of"].into_iter().any(is_gone)
    };
    for list in ["services", "workload", "timeline", "expect"] {
        if let Some(Value::Array(items)) = value.get_mut(list) {
            items.retain(|item| !names_one(item));
        }
    }
    value
}

/// Less of each load: sessions, places, requests, keys; and fewer replicas of each service.
pub fn less(subject: &Subject) -> Vec<Value> {
    let mut proposals = Vec::new();
    for (at, load) in subject.scenario.loads.iter().enumerate() {
        let pointer = format!("/workload/{at}");
        let put = |key: &str, new: Value| edit::put_member(&subject.value, &pointer, key, new);
        let places = load.from.iter().map(|place| subject.scenario.place(*place));
        proposals.extend(places.map(|place| put("from", [place].as_slice().into())));
        let [clients, keys] = [load.clients, load.keys].map(u64::from);
        proposals.extend(below(clients).into_iter().map(|fewer| put("clients", fewer.into())));
        proposals.extend(below(keys).into_iter().map(|fewer| put("keys", fewer.into())));
        let rate = subject.value.pointer(&format!("{pointer}/rate")).and_then(edit::rate);
        let slower = rate.into_iter().flat_map(|(rate, unit)| slower(rate).into_iter().map(move |rate| (rate, unit)));
        proposals.extend(slower.map(|(rate, unit)| put("rate", format!("{}{unit}", edit::number(rate)).into())));
    }
    for (at, service) in subject.scenario.services.iter().enumerate() {
        let put = |fewer: u64| edit::put_member(&subject.value, &format!("/services/{at}"), "replicas", fewer.into());
        proposals.extend(below(service.replicas.len() as u64).into_iter().map(put));
    }
    proposals
}

/// Counts from 1 to below `count`: the least first, a half, and one less.
fn below(count: u64) -> Vec<u64> {
    let mut fewer = vec![1, 2, 3, count / 4, count / 2, count.saturating_sub(1)];
    fewer.retain(|&one| one > 0 && one < count);
    fewer.dedup();
    fewer
}

/// Rates that a person would choose below `rate`, the lowest first.
fn slower(rate: f64) -> Vec<f64> {
    let decades = [0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0].into_iter();
    decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * decade)).filter(|&slower| slower < rate).collect()
}
