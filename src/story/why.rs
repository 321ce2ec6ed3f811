//! Causes: what the trace shows to have led to something, and how a story says it.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::NodeId;
use crate::time::SimTime;

use super::scene::Scene;
use super::words::{self, Words};

/// What a story says when the trace shows no cause.
pub const NO_CAUSE: &str = "no cause in the trace";

/// One cause. `by` names faults by their place among [`Scene::faults`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    Down {
        node: NodeId,
        since: SimTime,
        by: Vec<usize>,
    },
    Paused {
        node: NodeId,
        since: SimTime,
        by: Vec<usize>,
    },
    /// What one sent to the other was cut off.
    Cut {
        from: NodeId,
        to: NodeId,
        by: Vec<usize>,
    },
    /// So many messages were lost by chance.
    Lost {
        from: NodeId,
        to: NodeId,
        count: u32,
        by: Vec<usize>,
    },
    /// Messages are under way for longer than they were waited for.
    Late {
        from: NodeId,
        to: NodeId,
        by: Vec<usize>,
    },
    /// There was no connection between them.
    Disconnected {
        from: NodeId,
        to: NodeId,
    },
    /// Its process began anew.
    Restarted {
        node: NodeId,
        at: SimTime,
    },
    /// Who waited had stood still itself.
    Stalled {
        node: NodeId,
        from: SimTime,
        to: SimTime,
    },
    /// It works slowly.
    Slow {
        node: NodeId,
        by: Vec<usize>,
    },
    /// Its state was overwritten.
    Corrupted {
        node: NodeId,
        by: Vec<usize>,
    },
    /// The trace does not tell.
    Unknown {
        node: NodeId,
        what: &'static str,
    },
}

impl Why {
    pub fn faults(&self) -> &[usize] {
        match self {
            Self::Down { by, .. }
            | Self::Paused { by, .. }
            | Self::Cut { by, .. }
            | Self::Lost { by, .. }
            | Self::Late { by, .. }
            | Self::Corrupted { by, .. }
            | Self::Slow { by, .. } => by,
            Self::Disconnected { .. } | Self::Restarted { .. } | Self::Stalled { .. } | Self::Unknown { .. } => &[],
        }
    }
}

/// Who sends, and to whom.
type Pairs = Vec<(NodeId, NodeId)>;

/// Says causes: those of one kind and one fault together.
pub struct Telling<'a> {
    pub words: Words<'a>,
    pub scene: &'a Scene,
}

impl Telling<'_> {
    /// `“crash tokyo/0” (60.0 s)`, or several.
    pub fn faults(&self, by: &[usize]) -> String {
        let name = |&index: &usize| {
            let fault = &self.scene.faults[index];
            format!("“{}” ({})", fault.told.label, words::time(fault.began))
        };
        words::list(&by.iter().map(name).collect::<Vec<_>>())
    }

    /// The labels of the faults that causes name, each once.
    pub fn labels(&self, whys: &[Why]) -> Vec<String> {
        let indices: BTreeSet<usize> = whys.iter().flat_map(|why| why.faults().iter().copied()).collect();
        indices.into_iter().map(|index| self.scene.faults[index].told.label.clone()).collect()
    }

    /// A sentence for each kind of cause, fault and instant.
    pub fn causes(&self, whys: &[Why]) -> Vec<String> {
        let mut whys = whys.to_vec();
        whys.sort();
        whys.dedup();
        let mut out = Vec::new();
        self.of_nodes(&whys, &mut out);
        self.of_links(&whys, &mut out);
        self.others(&whys, &mut out);
        out
    }

    fn of_nodes(&self, whys: &[Why], out: &mut Vec<String>) {
        let mut groups: BTreeMap<(&str, SimTime, Vec<usize>), Vec<NodeId>> = BTreeMap::new();
        for why in whys {
            match why {
                Why::Down { node, since, by } => groups.entry(("down", *since, by.clone())).or_default().push(*node),
                Why::Paused { node, since, by } => {
                    groups.entry(("paused", *since, by.clone())).or_default().push(*node)
                }
                Why::Slow { node, by } => groups.entry(("slow", SimTime::ZERO, by.clone())).or_default().push(*node),
                Why::Corrupted { node, by } => {
                    groups.entry(("corrupted", SimTime::ZERO, by.clone())).or_default().push(*node);
                }
                _ => {}
            }
        }
        for ((what, since, by), nodes) in groups {
            let are = words::verb(nodes.len(), "is", "are");
            let names = self.words.nodes(&nodes);
            let by = if by.is_empty() { String::new() } else { format!(": {}", self.faults(&by)) };
            out.push(match what {
                "corrupted" => format!("the state of {names} was overwritten{by}"),
                "slow" => format!("{names} {} slowly{by}", words::verb(nodes.len(), "works", "work")),
                _ => format!("{names} {are} {what} since {}{by}", words::time(since)),
            });
        }
    }

    fn of_links(&self, whys: &[Why], out: &mut Vec<String>) {
        let mut cuts: BTreeMap<Vec<usize>, Pairs> = BTreeMap::new();
        let mut lost: BTreeMap<Vec<usize>, (u32, Pairs)> = BTreeMap::new();
        let mut late: BTreeMap<Vec<usize>, Pairs> = BTreeMap::new();
        let mut broken = Vec::new();
        for why in whys {
            match why {
                Why::Cut { from, to, by } => cuts.entry(by.clone()).or_default().push((*from, *to)),
                Why::Lost { from, to, count, by } => {
                    let (sum, pairs) = lost.entry(by.clone()).or_default();
                    *sum += count;
                    pairs.push((*from, *to));
                }
                Why::Late { from, to, by } => late.entry(by.clone()).or_default().push((*from, *to)),
                Why::Disconnected { from, to } => broken.push((*from, *to)),
                _ => {}
            }
        }
        for (by, pairs) in cuts {
            out.push(format!("nothing passes {}: {}", self.ways(&pairs), self.faults(&by)));
        }
        for (by, (sum, pairs)) in lost {
            let of = words::count(u64::from(sum), "message");
            let because = if by.is_empty() { "by chance".into() } else { format!("by {}", self.faults(&by)) };
            out.push(format!("{of} {} {} lost {because}", self.ways(&pairs), words::verb(sum as usize, "was", "were")));
        }
        for (by, pairs) in late {
            let because = if by.is_empty() { String::new() } else { format!(": {}", self.faults(&by)) };
            out.push(format!("messages {} are still on their way{because}", self.ways(&pairs)));
        }
        if !broken.is_empty() {
            out.push(format!("there was no connection {}", self.ways(&broken)));
        }
    }

    fn others(&self, whys: &[Why], out: &mut Vec<String>) {
        for why in whys {
            match why {
                Why::Restarted { node, at } => {
                    out.push(format!("the process of {} began anew at {}", self.words.node(*node), words::time(*at)));
                }
                Why::Stalled { node, from, to } => out.push(format!(
                    "{} itself stood still from {} to {}",
                    self.words.node(*node),
                    words::time(*from),
                    words::time(*to)
                )),
                _ => {}
            }
        }
        let mut unknown: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
        for why in whys {
            if let Why::Unknown { node, what } = why {
                unknown.entry(what).or_default().push(*node);
            }
        }
        out.extend(unknown.iter().map(|(what, nodes)| format!("{} {what}: {NO_CAUSE}", self.words.nodes(nodes))));
    }

    /// `from a to b and c`, `between a and b`, or only how many links there are.
    fn ways(&self, pairs: &[(NodeId, NodeId)]) -> String {
        let pairs: BTreeSet<_> = pairs.iter().copied().collect();
        let froms: BTreeSet<NodeId> = pairs.iter().map(|pair| pair.0).collect();
        let tos: BTreeSet<NodeId> = pairs.iter().map(|pair| pair.1).collect();
        let names = |set: &BTreeSet<NodeId>| self.words.nodes(&set.iter().copied().collect::<Vec<_>>());
        if froms.len() == 1 && tos.len() == 1 {
            return format!("from {} to {}", names(&froms), names(&tos));
        }
        if pairs.len() == froms.len() * tos.len() {
            return format!("from {} to {}", names(&froms), names(&tos));
        }
        match sides(&pairs) {
            Some((a, b)) => format!("between {}", opposed(&a, &b, names)),
            None => format!("on {} links", pairs.len()),
        }
    }
}

/// `a and b`, or `a and b on one side, c and d on the other`.
pub fn opposed(a: &BTreeSet<NodeId>, b: &BTreeSet<NodeId>, names: impl Fn(&BTreeSet<NodeId>) -> String) -> String {
    match a.len() == 1 && b.len() == 1 {
        true => format!("{} and {}", names(a), names(b)),
        false => format!("{} on one side and {} on the other", names(a), names(b)),
    }
}

/// Two sets between which the pairs are: some of all directed pairs across, and none within.
pub fn sides(pairs: &BTreeSet<(NodeId, NodeId)>) -> Option<(BTreeSet<NodeId>, BTreeSet<NodeId>)> {
    let &(first, _) = pairs.iter().next()?;
    let linked = |a: NodeId, b: NodeId| pairs.contains(&(a, b)) || pairs.contains(&(b, a));
    let all: BTreeSet<NodeId> = pairs.iter().flat_map(|&(from, to)| [from, to]).collect();
    let b: BTreeSet<NodeId> = all.iter().copied().filter(|&node| linked(first, node)).collect();
    let a: BTreeSet<NodeId> = all.difference(&b).copied().collect();
    let across = a.iter().all(|&x| b.iter().all(|&y| linked(x, y)));
    let within = |set: &BTreeSet<NodeId>| set.iter().any(|&x| set.iter().any(|&y| linked(x, y)));
    (across && !within(&a) && !within(&b)).then_some((a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(u32, u32)]) -> BTreeSet<(NodeId, NodeId)> {
        pairs.iter().map(|&(a, b)| (NodeId(a), NodeId(b))).collect()
    }

    fn set(nodes: &[u32]) -> BTreeSet<NodeId> {
        nodes.iter().map(|&node| NodeId(node)).collect()
    }

    #[test]
    fn two_sides_are_recognised_and_a_chain_has_none() {
        let split = pairs(&[(0, 2), (0, 3), (1, 2), (3, 1)]);
        assert_eq!(sides(&split), Some((set(&[0, 1]), set(&[2, 3]))));
        assert_eq!(sides(&pairs(&[(4, 1)])), Some((set(&[4]), set(&[1]))));
        assert_eq!(sides(&pairs(&[(0, 1), (1, 2), (2, 3)])), None, "0 and 3 are not cut off from each other");
        assert_eq!(sides(&pairs(&[(0, 1), (1, 2), (0, 2)])), None, "a triangle has no two sides");
        assert_eq!(sides(&pairs(&[])), None);
    }
}
