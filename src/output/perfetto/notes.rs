//! Decisions of replicas as the names of instants.

use crate::id::NodeId;
use crate::machine::Note;
use crate::output::diagram::branches_in_words;
use crate::scenario::Scenario;

/// The name of a decision and its details; `None`: it is no news on a lane that shows views and roles.
pub fn told(scenario: &Scenario, note: &Note) -> Option<(String, Vec<(&'static str, String)>)> {
    let name = |node: &NodeId| scenario.topology.nodes.get(node.index()).map_or("?", |node| &node.name).to_owned();
    let names = |nodes: &[NodeId]| nodes.iter().map(name).collect::<Vec<_>>().join(", ");
    let plain = |text: String| Some((text, Vec::new()));
    match note {
        Note::Suspected(node) => plain(format!("suspects {}", name(node))),
        Note::Trusted(node) => plain(format!("hears from {} again", name(node))),
        Note::Follows(node) => plain(format!("follows {}", name(node))),
        Note::Proposed { epoch, members } => {
            Some((format!("proposes view {epoch}"), vec![("members", names(members))]))
        }
        Note::Abandoned { epoch, missing } => {
            Some((format!("gives up view {epoch}"), vec![("no answer of", names(missing))]))
        }
        Note::Confirmed { epoch, members, .. } => {
            Some((format!("view {epoch} is held by every member"), vec![("members", names(members))]))
        }
        Note::Merged { branches, reapplied, revoked, duplicates, .. } => Some((
            format!("merges {}", branches_in_words(*branches)),
            vec![
                ("executed again", reapplied.to_string()),
                ("revoked", revoked.to_string()),
                ("in several branches", duplicates.to_string()),
            ],
        )),
        Note::HeldDown { node, failures } => {
            Some((format!("holds {} down", name(node)), vec![("failures", failures.to_string())]))
        }
        Note::SteppedDown { why } => plain(format!("steps down: {why}")),
        Note::Corrected(why) => plain(format!("corrects: {why}")),
        Note::Refused(why) => plain(format!("refuses {why}")),
        Note::ReplicaSet(nodes) => Some(("changes the replica set".into(), vec![("nodes", names(nodes))])),
        Note::Campaigns { term } => plain(format!("stands for election in term {term}")),
        Note::Elected { term } => plain(format!("is elected in term {term}")),
        Note::ViewChange { view } => plain(format!("calls for view {view}")),
        Note::Recovering => plain("recovers".into()),
        Note::Recovered => plain("has recovered".into()),
        Note::Decided(decision) => Some((
            decision.action.to_owned(),
            vec![("because of", decision.class.to_owned()), ("machines", names(&decision.nodes))],
        )),
        Note::Installed { .. } | Note::Compacted { .. } | Note::Snapshot { .. } => None,
    }
}
