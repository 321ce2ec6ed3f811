//! Causal consistency, by the bad patterns of Bouajjani, Enea, Guerraoui and Hamza (POPL 2017).
//!
//! The causal order is the least one that has the order of each session and puts each write before the
//! operations that saw it. A history of cells is *causally consistent* (CC) if that order has no circle
//! (CyclicCO), nobody saw a value that was not written (ThinAirRead), nobody saw the first value after a write
//! of the cell (WriteCOInitRead), and nobody saw a write that another one of the cell, known to the reader, had
//! overwritten (WriteCORead). It is *causally convergent* (CCv) if besides that the writes of each cell can be
//! put into one order for all: a write that a reader knew of comes before the one that it saw, and the
//! causal order and these together have no circle (CyclicCF). A compare-and-swap that succeeded is a read and
//! a write at once; one that failed is left out, since it does not tell what it met.
//!
//! A thread is a set that only grows. It is causally consistent if every read saw just the posts in its causal
//! past; the posts need no order, so it then converges as well.
//!
//! In a part of a history, writes from outside of it are known only through those that saw them.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{Finding, as_far_as_resolved, story};
use super::order::{Graph, Open};
use super::seen::{Saw, Service, Span};
use crate::id::ClientId;

/// The operations that began in a span and were answered, and the writes that they saw, in the order of
/// sessions and of what saw what.
pub(super) fn seen_order(service: &Service, span: Span) -> Graph {
    let inside = |index: usize| span.contains(service.operations[index].invoked);
    let answered = |&index: &usize| inside(index) && service.operations[index].answered.is_some();
    let answered: Vec<usize> = (0..service.operations.len()).filter(answered).collect();
    let common = seen_by_all(service, &answered);
    let mut members: BTreeSet<usize> = answered.iter().copied().collect();
    // An append that was not answered, but seen, has seen something itself.
    let mut open = answered;
    while let Some(index) = open.pop() {
        for &source in service.sources(index) {
            if (inside(source) || !common.contains(&source)) && members.insert(source) && inside(source) {
                open.push(source);
            }
        }
    }
    let mut graph = Graph::new(service, members.into_iter().collect(), inside);
    let previous = previous_observations(service, &graph, span);
    for (node, previous) in previous.into_iter().enumerate() {
        let operation = graph.operations[node];
        let known = previous.map_or(&[][..], |earlier| service.sources(graph.operations[earlier]));
        let sources = service.sources(operation).iter().filter(|source| known.binary_search(source).is_err());
        if inside(operation) {
            for from in sources.filter_map(|source| graph.nodes.get(source).copied()).collect::<Vec<_>>() {
                graph.edge(from, node);
            }
        }
    }
    graph
}

/// Posts that every one of these reads of their thread saw: nobody can have missed them.
fn seen_by_all(service: &Service, answered: &[usize]) -> BTreeSet<usize> {
    let mut common: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for &index in answered {
        if let Saw::Set(posts) = &service.saw[index] {
            let known = common.entry(service.key(index)).or_insert_with(|| posts.to_vec());
            known.retain(|post| posts.binary_search(post).is_ok());
        }
    }
    common.into_values().flatten().collect()
}

/// Of each node: the last observation of its key in its session before it. What that one saw comes before
/// this one without saying.
pub(super) fn previous_observations(service: &Service, graph: &Graph, span: Span) -> Vec<Option<usize>> {
    let mut so_far: BTreeMap<(ClientId, u32), Vec<usize>> = BTreeMap::new();
    let mut previous = vec![None; graph.len()];
    for (node, &operation) in graph.operations.iter().enumerate() {
        if service.saw[operation] == Saw::Nothing || !span.contains(service.operations[operation].invoked) {
            continue;
        }
        let name = (service.operations[operation].client, service.key(operation));
        let earlier = so_far.entry(name).or_default();
        let precedes = |other: &&usize| service.in_session_order(graph.operations[**other], operation);
        previous[node] = earlier.iter().rev().find(precedes).copied();
        earlier.push(node);
    }
    previous
}

/// The writes in a graph by key, as nodes.
pub(super) fn writes_of(service: &Service, graph: &Graph) -> BTreeMap<u32, Vec<usize>> {
    let mut writes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (node, &operation) in graph.operations.iter().enumerate() {
        if service.is_write(operation) {
            writes.entry(service.key(operation)).or_default().push(node);
        }
    }
    writes
}

/// The first observation in a span of a value that nobody wrote.
pub(super) fn from_thin_air(service: &Service, span: Span) -> Option<Finding> {
    let thin = |&index: &usize| span.contains(service.operations[index].invoked) && service.saw[index] == Saw::ThinAir;
    let index = (0..service.operations.len()).find(thin)?;
    Some(Finding::Violated(story(service, "nobody wrote what this met (ThinAirRead)", &[index])))
}

const CIRCLE: &str = "each of these must come before the next, and the last before the first";

pub(super) fn circle(service: &Service, operations: &[usize], pattern: &str) -> Finding {
    Finding::Violated(story(service, &format!("{CIRCLE} ({pattern})"), operations))
}

/// Whether a span is causally consistent, and whether it converges besides.
pub(super) fn judge(service: &Service, span: Span, budget: &mut u64) -> [Finding; 2] {
    let both = |finding: Finding| [finding.clone(), finding];
    if let Some(finding) = from_thin_air(service, span) {
        return both(finding);
    }
    let mut graph = seen_order(service, span);
    match graph.close() {
        Ok(()) => {}
        Err(Open::Cycle(operations)) => return both(circle(service, &operations, "CyclicCO")),
        Err(Open::TooLarge) => {
            return both(Finding::Unknown("it has too many operations in too many sessions".to_owned()));
        }
    }
    let mut conflicts = Vec::new();
    let writes = writes_of(service, &graph);
    for node in 0..graph.len() {
        let Some(writes) = writes.get(&service.key(graph.operations[node])) else { continue };
        if matches!(service.saw[graph.operations[node]], Saw::Nothing | Saw::Unresolved)
            || !in_span(service, &graph, span, node)
        {
            continue;
        }
        let Some(left) = budget.checked_sub(1 + writes.len() as u64 / 16) else {
            return both(Finding::Unknown("the budget ended first".to_owned()));
        };
        *budget = left;
        if let Some(finding) = misses_its_past(service, &graph, node, writes, &mut conflicts) {
            return both(finding);
        }
    }
    let causal = as_far_as_resolved(service, span);
    for (from, to) in conflicts {
        graph.edge(from, to);
    }
    let convergent = match graph.close() {
        Ok(()) => causal.clone(),
        Err(Open::Cycle(operations)) => circle(service, &operations, "CyclicCF"),
        Err(Open::TooLarge) => Finding::Unknown("it has too many operations in too many sessions".to_owned()),
    };
    [causal, convergent]
}

fn in_span(service: &Service, graph: &Graph, span: Span, node: usize) -> bool {
    span.contains(service.operations[graph.operations[node]].invoked)
}

/// Whether an observation saw less than it causally must. `conflicts` takes writes that must come before
/// another one if all are to agree.
fn misses_its_past(
    service: &Service,
    graph: &Graph,
    node: usize,
    writes: &[usize],
    conflicts: &mut Vec<(usize, usize)>,
) -> Option<Finding> {
    let operation = graph.operations[node];
    let saw = &service.saw[operation];
    // The newest first: the shortest story.
    for &write in writes.iter().rev().filter(|&&write| write != node && graph.reaches(write, node)) {
        match saw {
            Saw::Initial => {
                let sentence = "it saw what was there first, after a write that it knew of (WriteCOInitRead)";
                return Some(Finding::Violated(story(service, sentence, &graph.path(write, node))));
            }
            Saw::Set(posts) if posts.binary_search(&graph.operations[write]).is_err() => {
                let sentence = "it did not see a post that it knew of (WriteCORead)";
                return Some(Finding::Violated(story(service, sentence, &graph.path(write, node))));
            }
            Saw::Write(source) if graph.operations[write] != *source => {
                let source = graph.nodes[source];
                if graph.reaches(source, write) {
                    let sentence = "it saw a write that another one, which it knew of, had overwritten (WriteCORead)";
                    let mut path = graph.path(source, write);
                    path.extend(&graph.path(write, node)[1..]);
                    return Some(Finding::Violated(story(service, sentence, &path)));
                }
                conflicts.push((write, source));
            }
            _ => {}
        }
    }
    None
}
