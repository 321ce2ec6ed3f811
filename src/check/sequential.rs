//! Sequential consistency (Lamport 1979): whether one order of all operations, of all keys together, explains
//! every answer and keeps the order of each session. Time does not matter.
//!
//! Unlike linearizability it cannot be judged key by key, and in general only by a search. What must hold in
//! any order is found first: a write that must come before a reader comes before what that reader saw, and a
//! write that must come after what a reader saw comes after the reader (the saturation of Gibbons and Korach
//! 1997, over all keys). A circle is a violation. For threads that is all: any order that is left explains
//! every answer. For cells the rest is a search through such orders, with a memo, until the budget ends.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{Finding, as_far_as_resolved, story};
use super::causal::{circle, from_thin_air, previous_observations, seen_order, writes_of};
use super::linearizability::Operation;
use super::order::{Graph, Open};
use super::seen::{Saw, Service, Span, met};
use crate::hash;
use crate::op::{Answer, Op};

/// Judges a span.
pub(super) fn judge(service: &Service, span: Span, budget: &mut u64) -> Finding {
    if let Some(finding) = from_thin_air(service, span) {
        return finding;
    }
    let mut graph = seen_order(service, span);
    loop {
        match graph.close() {
            Ok(()) => {}
            Err(Open::Cycle(operations)) => return circle(service, &operations, "no order"),
            Err(Open::TooLarge) => {
                return Finding::Unknown("it has too many operations in too many sessions".to_owned());
            }
        }
        match saturate(service, &mut graph, span, budget) {
            None => return Finding::Unknown("the budget ended first".to_owned()),
            Some(false) => break,
            Some(true) => {}
        }
    }
    let resolved = as_far_as_resolved(service, span);
    let whole = span == Span::WHOLE && !service.initial_unknown;
    if resolved != Finding::Valid && !whole {
        return resolved;
    }
    let posts = |&index: &usize| matches!(service.saw[index], Saw::Unresolved) && service.is_thread(service.key(index));
    if graph.operations.iter().any(posts) {
        return resolved;
    }
    Search::new(service, &graph, span, whole).run(budget)
}

/// Adds what follows from the order so far. Whether anything did; none if the budget ended.
fn saturate(service: &Service, graph: &mut Graph, span: Span, budget: &mut u64) -> Option<bool> {
    let writes = writes_of(service, graph);
    let mut new = Vec::new();
    let mut next = vec![None; graph.len()];
    for (node, previous) in previous_observations(service, graph, span).into_iter().enumerate() {
        if let Some(previous) = previous {
            next[previous] = Some(node);
        }
    }
    for node in 0..graph.len() {
        let operation = graph.operations[node];
        let Some(writes) = writes.get(&service.key(operation)) else { continue };
        if !span.contains(service.operations[operation].invoked) || matches!(service.saw[operation], Saw::Nothing) {
            continue;
        }
        *budget = budget.checked_sub(1 + writes.len() as u64 / 16)?;
        for &write in writes.iter().filter(|&&write| write != node) {
            match &service.saw[operation] {
                Saw::Initial => new.push((node, write)),
                Saw::Set(posts) if posts.binary_search(&graph.operations[write]).is_err() => {
                    // If the session's next read does not see it either, that one comes before it.
                    let unseen = |next: usize| match &service.saw[graph.operations[next]] {
                        Saw::Set(posts) => posts.binary_search(&graph.operations[write]).is_err(),
                        _ => false,
                    };
                    if !next[node].is_some_and(unseen) {
                        new.push((node, write));
                    }
                }
                Saw::Write(source) if graph.operations[write] != *source => {
                    let source = graph.nodes[source];
                    if graph.reaches(write, node) {
                        new.push((write, source));
                    }
                    if graph.reaches(source, write) {
                        new.push((node, write));
                    }
                }
                _ => {}
            }
        }
    }
    new.retain(|&(from, to)| !graph.reaches(from, to));
    for &(from, to) in &new {
        graph.edge(from, to);
    }
    Some(!new.is_empty())
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Node(usize),
    /// A write that was not answered, and that nobody certainly saw.
    Optional(usize),
}

struct Frame {
    /// What was taken here, with the value that its key had before.
    placed: Vec<(Item, u64)>,
    choices: Vec<Item>,
    next: usize,
}

/// A search for an order.
struct Search<'a> {
    service: &'a Service,
    graph: &'a Graph,
    /// What must come after each node.
    after: Vec<Vec<u32>>,
    waits: Vec<usize>,
    /// Writes from outside the span: their effect counts, and not what they met.
    outside: Vec<bool>,
    ready: BTreeSet<usize>,
    left: usize,
    optional: Vec<usize>,
    used: Vec<bool>,
    /// What comes before each of these in its session, as nodes.
    needs: Vec<Vec<usize>>,
    done: Vec<bool>,
    state: BTreeMap<u32, u64>,
    /// How many operations still have to meet a value of a key.
    awaited: BTreeMap<(u32, u64), u32>,
    /// Failed compare-and-swaps count.
    strict: bool,
    position: u128,
    memo: BTreeSet<u128>,
    frames: Vec<Frame>,
    fewest: usize,
    stuck: Vec<usize>,
}

impl<'a> Search<'a> {
    fn new(service: &'a Service, graph: &'a Graph, span: Span, whole: bool) -> Self {
        let mut after = vec![Vec::new(); graph.len()];
        let mut waits = vec![0; graph.len()];
        for (node, waits) in waits.iter_mut().enumerate() {
            *waits = graph.before(node).len();
            for &earlier in graph.before(node) {
                after[earlier as usize].push(node as u32);
            }
        }
        let mut state = BTreeMap::new();
        let mut awaited: BTreeMap<(u32, u64), u32> = BTreeMap::new();
        let outside: Vec<bool> =
            graph.operations.iter().map(|&operation| !span.contains(service.operations[operation].invoked)).collect();
        for (&operation, &outside) in graph.operations.iter().zip(&outside) {
            let free = outside || is_free(service, operation);
            if let (false, Some(value)) = (free, met(&service.operations[operation])) {
                let key = service.key(operation);
                *awaited.entry((key, value)).or_default() += 1;
                if service.saw[operation] == Saw::Initial {
                    state.insert(key, value);
                }
            }
        }
        let optional = |&index: &usize| {
            let operation = &service.operations[index];
            whole
                && operation.answered.is_none()
                && span.contains(operation.invoked)
                && !graph.nodes.contains_key(&index)
        };
        let optional: Vec<usize> = (0..service.operations.len()).filter(optional).collect();
        let ready = (0..graph.len()).filter(|&node| waits[node] == 0).collect();
        let needs = |&write: &usize| {
            let before = |&node: &usize| service.in_session_order(graph.operations[node], write);
            (0..graph.len()).filter(before).collect()
        };
        Self {
            needs: optional.iter().map(needs).collect(),
            done: vec![false; graph.len()],
            used: vec![false; optional.len()],
            left: graph.len(),
            fewest: usize::MAX,
            stuck: Vec::new(),
            memo: BTreeSet::new(),
            frames: Vec::new(),
            strict: whole,
            position: 0,
            service,
            graph,
            after,
            waits,
            outside,
            ready,
            optional,
            state,
            awaited,
        }
    }

    fn run(mut self, budget: &mut u64) -> Finding {
        self.enter(None, budget);
        while self.left > 0 {
            if *budget == 0 {
                return Finding::Unknown("the budget ended first".to_owned());
            }
            let Some(frame) = self.frames.last_mut() else {
                let sentence = "no order of all operations keeps that of the sessions; the longest stops before these";
                return Finding::Violated(story(self.service, sentence, &self.stuck));
            };
            match frame.choices.get(frame.next).copied() {
                Some(choice) => {
                    frame.next += 1;
                    self.enter(Some(choice), budget);
                }
                None => self.leave(),
            }
        }
        Finding::Valid
    }

    fn operation(&self, item: Item) -> &Operation {
        let index = match item {
            Item::Node(node) => self.graph.operations[node],
            Item::Optional(number) => self.optional[number],
        };
        &self.service.operations[index]
    }

    fn value(&self, key: u32) -> u64 {
        self.state.get(&key).copied().unwrap_or(0)
    }

    fn is_free(&self, node: usize) -> bool {
        self.outside[node] || is_free(self.service, self.graph.operations[node])
    }

    /// The value of its key after an operation.
    fn effect(&self, item: Item, before: u64) -> u64 {
        let op = self.operation(item).op;
        let Item::Node(node) = item else { return op.apply(before, 0).0 };
        match (self.outside[node], op) {
            (true, Op::Append { .. }) => {
                let before = self.service.appended_to.get(&self.graph.operations[node]).copied().unwrap_or(before);
                op.apply(before, 0).0
            }
            (true, Op::CompareAndSwap { value, .. }) => value.digest,
            _ => op.apply(before, 0).0,
        }
    }

    /// Whether an operation explains its answer where it would stand now.
    fn fits(&self, node: usize) -> bool {
        if self.is_free(node) {
            return true;
        }
        let operation = self.operation(Item::Node(node));
        let value = self.value(operation.op.key());
        match (operation.op, operation.answered) {
            (Op::CompareAndSwap { expect, .. }, Some((_, Answer::Swapped(false)))) => !self.strict || expect != value,
            (Op::CompareAndSwap { expect, .. }, None) => expect == value,
            _ => met(operation).is_none_or(|met| met == value),
        }
    }

    /// Takes a choice, and then everything that fits and changes nothing.
    fn enter(&mut self, choice: Option<Item>, budget: &mut u64) {
        let mut placed = Vec::new();
        if let Some(item) = choice {
            placed.push((item, self.place(item)));
        }
        loop {
            *budget = budget.saturating_sub(1 + self.ready.len() as u64 / 8);
            let idle = |node: &usize| !self.service.is_write(self.graph.operations[*node]) && self.fits(*node);
            let idle: Vec<usize> = self.ready.iter().copied().filter(idle).collect();
            if idle.is_empty() {
                break;
            }
            for node in idle {
                placed.push((Item::Node(node), self.place(Item::Node(node))));
            }
        }
        if self.left < self.fewest {
            self.fewest = self.left;
            self.stuck = self.ready.iter().map(|&node| self.graph.operations[node]).collect();
        }
        let choices = if self.memo.insert(self.position) { self.choices() } else { Vec::new() };
        self.frames.push(Frame { placed, choices, next: 0 });
    }

    fn leave(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        for &(item, before) in frame.placed.iter().rev() {
            self.take_back(item, before);
        }
    }

    /// Whether the value of a key must stay until somebody else has met it.
    fn is_held(&self, key: u32, by_others_than: u32) -> bool {
        let awaited = self.awaited.get(&(key, self.value(key))).copied().unwrap_or(0);
        self.service.unique && awaited > by_others_than
    }

    fn choices(&self) -> Vec<Item> {
        let mut choices = Vec::new();
        for &node in self.ready.iter().filter(|&&node| self.service.is_write(self.graph.operations[node])) {
            let operation = self.operation(Item::Node(node));
            let own = u32::from(met(operation).is_some() && !self.is_free(node));
            if self.fits(node) && !self.is_held(operation.op.key(), own) {
                choices.push((operation.returned(), Item::Node(node)));
            }
        }
        choices.sort_unstable();
        let mut choices: Vec<Item> = choices.into_iter().map(|(_, item)| item).collect();
        let may = |&number: &usize| !self.used[number] && self.needs[number].iter().all(|&node| self.done[node]);
        for number in (0..self.optional.len()).filter(may) {
            let op = self.operation(Item::Optional(number)).op;
            let now = self.value(op.key());
            if op.apply(now, 0).0 != now && !self.is_held(op.key(), 0) {
                choices.push(Item::Optional(number));
            }
        }
        choices
    }

    /// Puts an operation next. Returns the value that its key had.
    fn place(&mut self, item: Item) -> u64 {
        let Operation { op, answered, .. } = *self.operation(item);
        let key = op.key();
        let before = self.value(key);
        if !matches!(answered, Some((_, Answer::Swapped(false)))) {
            self.set(key, self.effect(item, before));
        }
        self.count(item, false);
        match item {
            Item::Optional(number) => self.used[number] = true,
            Item::Node(node) => {
                self.left -= 1;
                self.done[node] = true;
                self.ready.remove(&node);
                for &later in &self.after[node] {
                    self.waits[later as usize] -= 1;
                    if self.waits[later as usize] == 0 {
                        self.ready.insert(later as usize);
                    }
                }
            }
        }
        before
    }

    fn take_back(&mut self, item: Item, before: u64) {
        match item {
            Item::Optional(number) => self.used[number] = false,
            Item::Node(node) => {
                for &later in &self.after[node] {
                    if self.waits[later as usize] == 0 {
                        self.ready.remove(&(later as usize));
                    }
                    self.waits[later as usize] += 1;
                }
                self.ready.insert(node);
                self.done[node] = false;
                self.left += 1;
            }
        }
        self.count(item, true);
        let key = self.operation(item).op.key();
        self.set(key, before);
    }

    /// Notes that an operation is or is no longer among those to come.
    fn count(&mut self, item: Item, comes: bool) {
        let (tag, number) = match item {
            Item::Node(node) => (1, node),
            Item::Optional(number) => (2, number),
        };
        self.position ^= mark([tag, number as u64, 0]);
        let Item::Node(node) = item else { return };
        let operation = self.operation(item);
        let (key, met) = (operation.op.key(), met(operation));
        if self.is_free(node) {
            return;
        }
        if let Some(count) = met.and_then(|met| self.awaited.get_mut(&(key, met))) {
            *count = if comes { *count + 1 } else { *count - 1 };
        }
    }

    fn set(&mut self, key: u32, value: u64) {
        let before = self.state.insert(key, value).unwrap_or(0);
        self.position ^= mark([3, u64::from(key), before]) ^ mark([3, u64::from(key), value]);
    }
}

/// The order alone says what a reader of a thread saw.
fn is_free(service: &Service, operation: usize) -> bool {
    matches!(service.saw[operation], Saw::Set(_)) || matches!(service.operations[operation].op, Op::Post { .. })
}

fn mark(words: [u64; 3]) -> u128 {
    u128::from(hash::of(words)) << 64 | u128::from(hash::of([words[2], words[1], words[0], 1]))
}
