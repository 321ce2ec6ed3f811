//! Faults that are easier to understand.

use serde_json::{Map, Value, json};

use super::Subject;
use super::edit;
use crate::world::fault::{Action, Targets};

/// The most sets of named nodes that are tried in place of one that is drawn.
const MOST_SETS: usize = 40;

/// Each entry as a plainer kind of fault, and with nodes by name.
pub fn simpler(subject: &Subject) -> Vec<Value> {
    let mut proposals = Vec::new();
    for (at, entry) in edit::list(&subject.value, "/timeline").iter().enumerate() {
        let Some(entry) = entry.as_object() else { continue };
        let plainer = kinds(entry).into_iter().chain(named(subject, entry));
        proposals.extend(plainer.map(|other| edit::put(&subject.value, &format!("/timeline/{at}"), other.into())));
    }
    proposals
}

/// A pause may do as a crash, what is slow as a pause, and bad links as cut ones.
fn kinds(entry: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let as_kind = |kind: &str, gone: &[&str]| {
        let mut other = entry.clone();
        gone.iter().for_each(|key| _ = other.shift_remove(*key));
        other.insert("do".into(), kind.into());
        other
    };
    match entry.get("do").and_then(Value::as_str) {
        Some("pause") => vec![as_kind("crash", &[])],
        Some("slow") => vec![as_kind("crash", &["factor"]), as_kind("pause", &["factor"])],
        Some("corrupt") => vec![as_kind("crash", &["what"])],
        Some(kind @ ("flap" | "degrade")) => {
            let gone = ["between", "up", "down", "add_delay", "loss", "duplicate", "reorder"];
            let cut = |from: usize, to: usize, one_way: bool| {
                let mut cut = as_kind("cut", &gone);
                cut.extend([
                    ("from".into(), entry["between"][from].clone()),
                    ("to".into(), entry["between"][to].clone()),
                ]);
                cut.extend(one_way.then(|| ("one_way".into(), Value::Bool(true))));
                cut
            };
            let mut plainer = vec![cut(0, 1, false), cut(0, 1, true), cut(1, 0, true)];
            if kind == "flap" {
                let mut lossy = as_kind("degrade", &["up", "down"]);
                lossy.insert("loss".into(), json!(1));
                plainer.push(lossy);
            }
            plainer
        }
        _ => Vec::new(),
    }
}

/// Machines by name instead of those that are drawn or found, and one instead of several.
fn named(subject: &Subject, entry: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let Some((key, nodes)) = targets(subject, entry) else { return Vec::new() };
    let by_name = |nodes: Vec<&str>| {
        let mut other = entry.clone();
        other.shift_remove("count");
        other.shift_remove(key);
        other.insert("nodes".into(), nodes.into());
        other
    };
    nodes.into_iter().map(by_name).collect()
}

/// Which field chooses the machines, and which sets of them it might mean. Which an entry draws is for the world to
/// say, and changes with everything else: of those all sets are tried, the smaller first.
fn targets<'a>(subject: &'a Subject, entry: &Map<String, Value>) -> Option<(&'static str, Vec<Vec<&'a str>>)> {
    let keys = ["random", "majority_of", "primary_of", "zones", "data_centers", "nodes"];
    let key = keys.into_iter().find(|&key| entry.contains_key(key))?;
    let alone = edit::put(&subject.value, "/timeline", json!([entry]));
    let alone = Subject::new(alone).ok()?.scenario;
    let names = |nodes: &[crate::id::NodeId]| nodes.iter().map(|&node| subject.nodes()[node.index()]).collect();
    let (nodes, most): (Vec<&str>, _) = match alone.timeline.first().map(|fault| &fault.action)? {
        Action::Crash { targets, .. }
        | Action::Restart { targets, .. }
        | Action::Pause { targets }
        | Action::Slow { targets, .. }
        | Action::Clock { targets, .. }
        | Action::Corrupt { targets, .. } => match targets {
            Targets::Nodes { nodes, .. } => (names(nodes), None),
            Targets::Random { of, count } => (names(of), Some(*count)),
            Targets::Majority { service, count } => (names(&alone.services[service.index()].replicas), Some(*count)),
            Targets::Primary { service } => (names(&alone.services[service.index()].replicas), Some(1)),
        },
        _ => return None,
    };
    let Some(most) = most else {
        // The lists of names are shortened elsewhere; here patterns and sites become names.
        return Some((key, vec![nodes]));
    };
    Some((key, sets(&nodes, most)))
}

/// The subsets with 1 to `most` elements, the smaller first, up to [`MOST_SETS`].
fn sets<'a>(nodes: &[&'a str], most: usize) -> Vec<Vec<&'a str>> {
    let mut all: Vec<Vec<&str>> = Vec::new();
    let mut last: Vec<(usize, Vec<&str>)> = vec![(0, Vec::new())];
    for _ in 0..most {
        let longer = |(from, set): &(usize, Vec<&'a str>)| {
            let set = set.clone();
            (*from..nodes.len()).map(move |at| (at + 1, [&set[..], &[nodes[at]]].concat())).collect::<Vec<_>>()
        };
        last = last.iter().flat_map(longer).take(MOST_SETS).collect();
        all.extend(last.iter().map(|(_, set)| set.clone()));
    }
    all.truncate(MOST_SETS);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_sets_come_first_and_none_twice() {
        assert_eq!(
            sets(&["a", "b", "c"], 2),
            [vec!["a"], vec!["b"], vec!["c"], vec!["a", "b"], vec!["a", "c"], vec!["b", "c"]]
        );
        let nodes: Vec<String> = (0..30).map(|node| node.to_string()).collect();
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        assert_eq!(sets(&nodes, 20).len(), MOST_SETS);
    }
}
