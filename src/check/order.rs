//! What must come before what: a graph of operations with the order of sessions in it, closed by a clock of
//! one counter for each chain of operations (Fidge 1988, Mattern 1989).

use std::collections::{BTreeMap, VecDeque};

use super::seen::Service;
use crate::id::ClientId;

/// Counters in all clocks together: 256 MB.
const LARGEST: usize = 64 << 20;

/// Why a graph has no closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// These must come before one another, in a circle.
    Cycle(Vec<usize>),
    TooLarge,
}

/// A graph whose nodes are operations of a service.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// The operation of each node.
    pub operations: Vec<usize>,
    /// The node of each operation.
    pub nodes: BTreeMap<usize, usize>,
    chain: Vec<u32>,
    place: Vec<u32>,
    chains: usize,
    before: Vec<Vec<u32>>,
    clocks: Vec<u32>,
}

impl Graph {
    /// A graph with the order of sessions among those for which `has_session` holds.
    pub(super) fn new(service: &Service, operations: Vec<usize>, has_session: impl Fn(usize) -> bool) -> Self {
        let nodes = operations.iter().enumerate().map(|(node, &operation)| (operation, node)).collect();
        let count = operations.len();
        let mut graph = Self {
            operations,
            nodes,
            chain: vec![0; count],
            place: vec![0; count],
            chains: 0,
            before: vec![Vec::new(); count],
            clocks: Vec::new(),
        };
        // The chains of each client, as nodes in order. What is open for ever ends its chain.
        let mut sessions: BTreeMap<ClientId, Vec<Vec<u32>>> = BTreeMap::new();
        for node in 0..count {
            let operation = graph.operations[node];
            if !has_session(operation) {
                graph.begin_chain(node);
                continue;
            }
            let chains = sessions.entry(service.operations[operation].client).or_default();
            let precedes = |&one: &u32| service.in_session_order(graph.operations[one as usize], operation);
            let lasts = chains.iter().map(|chain| chain[..chain.partition_point(precedes)].last().copied());
            let lasts: Vec<Option<u32>> = lasts.collect();
            graph.before[node].extend(lasts.iter().flatten());
            let mut free = (0..chains.len())
                .filter(|&chain| lasts[chain].is_some() && lasts[chain] == chains[chain].last().copied());
            match free.next() {
                Some(chain) => {
                    let last = chains[chain][chains[chain].len() - 1] as usize;
                    (graph.chain[node], graph.place[node]) = (graph.chain[last], graph.place[last] + 1);
                    chains[chain].push(node as u32);
                }
                None => {
                    chains.push(vec![node as u32]);
                    graph.begin_chain(node);
                }
            }
        }
        graph
    }

    fn begin_chain(&mut self, node: usize) {
        self.chain[node] = self.chains as u32;
        self.chains += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// One node must come before another.
    pub(super) fn edge(&mut self, from: usize, to: usize) {
        if from != to {
            self.before[to].push(from as u32);
        }
    }

    /// Nodes that must come just before this one.
    pub(super) fn before(&self, node: usize) -> &[u32] {
        &self.before[node]
    }

    /// Brings the clocks up to date with all edges.
    pub(super) fn close(&mut self) -> Result<(), Open> {
        let count = self.len();
        if count.saturating_mul(self.chains) > LARGEST {
            return Err(Open::TooLarge);
        }
        let mut after: Vec<Vec<u32>> = vec![Vec::new(); count];
        let mut waits: Vec<u32> = vec![0; count];
        for (node, before) in self.before.iter_mut().enumerate() {
            before.sort_unstable();
            before.dedup();
            waits[node] = before.len() as u32;
            for &earlier in before.iter() {
                after[earlier as usize].push(node as u32);
            }
        }
        self.clocks.clear();
        self.clocks.resize(count * self.chains, 0);
        let mut ready: Vec<usize> = (0..count).filter(|&node| waits[node] == 0).collect();
        let mut done = 0;
        let mut clock = vec![0; self.chains];
        while let Some(node) = ready.pop() {
            done += 1;
            clock.fill(0);
            for &earlier in &self.before[node] {
                let earlier = earlier as usize;
                let theirs = &self.clocks[earlier * self.chains..][..self.chains];
                for (mine, &theirs) in clock.iter_mut().zip(theirs) {
                    *mine = theirs.max(*mine);
                }
                let own = &mut clock[self.chain[earlier] as usize];
                *own = (*own).max(self.place[earlier] + 1);
            }
            self.clocks[node * self.chains..][..self.chains].copy_from_slice(&clock);
            for &later in &after[node] {
                waits[later as usize] -= 1;
                if waits[later as usize] == 0 {
                    ready.push(later as usize);
                }
            }
        }
        if done == count { Ok(()) } else { Err(Open::Cycle(self.cycle(&waits))) }
    }

    /// Whether one node must come before another, by the edges up to the last closure.
    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        self.clocks[to * self.chains + self.chain[from] as usize] > self.place[from]
    }

    /// The shortest of the circles through some of the nodes that still wait.
    fn cycle(&self, waits: &[u32]) -> Vec<usize> {
        let waiting: Vec<usize> = (0..self.len()).filter(|&node| waits[node] > 0).collect();
        let step = waiting.len().div_ceil(100).max(1);
        let circles =
            waiting.iter().step_by(step).filter_map(|&node| self.path_where(node, node, |node| waits[node] > 0));
        let shortest = circles.min_by_key(Vec::len);
        // A node that waits may only be behind a circle; going back from it leads there.
        let shortest = shortest.or_else(|| {
            let mut node = *waiting.first()?;
            for _ in 0..=self.len() {
                node = *self.before[node].iter().find(|&&node| waits[node as usize] > 0)? as usize;
            }
            self.path_where(node, node, |node| waits[node] > 0)
        });
        self.named(shortest.unwrap_or_default())
    }

    /// The shortest chain of edges, as operations, both ends included.
    pub(super) fn path(&self, from: usize, to: usize) -> Vec<usize> {
        let path = self.path_where(from, to, |node| node == from || self.reaches(from, node));
        self.named(path.unwrap_or_else(|| vec![from, to]))
    }

    fn named(&self, nodes: Vec<usize>) -> Vec<usize> {
        nodes.into_iter().map(|node| self.operations[node]).collect()
    }

    /// Backwards from `to`, breadth first. From a node to itself it is a circle, with the node once.
    fn path_where(&self, from: usize, to: usize, may: impl Fn(usize) -> bool) -> Option<Vec<usize>> {
        let mut next: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue = VecDeque::from([to]);
        while let Some(node) = queue.pop_front() {
            for &earlier in &self.before[node] {
                let earlier = earlier as usize;
                if earlier == from {
                    let mut path = vec![from];
                    let mut at = node;
                    while at != to {
                        path.push(at);
                        at = next[&at];
                    }
                    if from != to {
                        path.push(to);
                    }
                    return Some(path);
                }
                if may(earlier) && earlier != to && !next.contains_key(&earlier) {
                    next.insert(earlier, node);
                    queue.push_back(earlier);
                }
            }
        }
        None
    }
}
