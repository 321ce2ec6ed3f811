//! Cells: a search for an order, after Wing and Gong (1993), with the memo of Lowe (2017).
//!
//! What keeps the search small, each without loss:
//! - An operation that leaves the cell as it is (a read, a failed compare-and-swap) and that may come next
//!   with its answer is taken at once: in any order that has it later, it could be here.
//! - No value occurs twice. So a value is not left while somebody still has to see it.
//! - A pending write need not have happened. It is only taken where the next operation notices.
//! - What was reached before with the same operations done, the same value, and no more of the pending
//!   writes used up, is not tried again.

use std::collections::{BTreeMap, BTreeSet};

use super::blocks::{met, torn};
use super::{Operation, Verdict};
use crate::hash;
use crate::op::{Answer, Op};
use crate::time::SimTime;

/// Marks the end of a list.
const NONE: u32 = u32::MAX;

/// A search over the operations of one key, which may be interrupted and continued.
pub(super) struct Search {
    /// With an answer, by invocation.
    done: Vec<Operation>,
    /// Without one, by invocation.
    pending: Vec<Operation>,
    /// Pending puts that nobody ever saw or expected: one is as good as another.
    nameless: Vec<bool>,
    /// Every value occurs at most once, so the rules that need that hold.
    unique: bool,
    /// Some operation appends or posts, so the value after a write may show in later ones.
    appends: bool,
    by_start: List,
    by_end: List,
    /// How many operations still have to see each value.
    awaited: BTreeMap<u64, u32>,
    used: Vec<u64>,
    /// A hash of the set of answered operations in the order so far.
    placed: u128,
    state: u64,
    frames: Vec<Frame>,
    memo: BTreeMap<(u128, u64), Vec<Visit>>,
    /// The longest run of pending writes that is tried: first none, then longer ones until no order is
    /// cut short.
    run_limit: u32,
    cut: bool,
    verdict: Verdict,
}

/// A way in which a set of operations and a value were reached: which pending writes it used, and how
/// many of them it took last.
struct Visit {
    used: Box<[u64]>,
    run: u32,
}

/// One place in the order: what was taken there, and what else may be.
struct Frame {
    /// What led here; none at the root.
    taken: Option<Choice>,
    state_before: u64,
    /// Pending writes taken last without an answered operation after them.
    run: u32,
    /// Operations taken at once after that.
    eager: Vec<u32>,
    choices: Vec<Choice>,
    next: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Choice {
    Done(u32),
    Pending(u32),
}

/// The operations without a place yet, in some order: a doubly linked list with a head at the end.
struct List {
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl List {
    fn new(order: &[u32]) -> Self {
        let count = order.len();
        let mut list = Self { next: vec![NONE; count + 1], previous: vec![NONE; count + 1] };
        let mut last = count;
        for &item in order {
            list.next[last] = item;
            list.previous[item as usize] = last as u32;
            last = item as usize;
        }
        list.previous[count] = last as u32;
        list
    }
    fn first(&self) -> u32 {
        self.next[self.next.len() - 1]
    }
    fn remove(&mut self, item: u32) {
        let (before, after) = (self.previous[item as usize], self.next[item as usize]);
        self.next[before as usize] = after;
        let after = if after == NONE { self.next.len() - 1 } else { after as usize };
        self.previous[after] = before;
    }
    /// Undoes the last removal that was not undone.
    fn restore(&mut self, item: u32) {
        let (before, after) = (self.previous[item as usize], self.next[item as usize]);
        self.next[before as usize] = item;
        let after = if after == NONE { self.next.len() - 1 } else { after as usize };
        self.previous[after] = item;
    }
}

impl Search {
    pub(super) fn new(operations: &[Operation]) -> Self {
        let (done, pending): (Vec<Operation>, Vec<Operation>) =
            operations.iter().copied().partition(|operation| operation.answered.is_some());
        let order: Vec<u32> = (0..done.len() as u32).collect();
        let mut by_end = order.clone();
        by_end.sort_by_key(|&index| done[index as usize].returned());
        let mut awaited: BTreeMap<u64, u32> = BTreeMap::new();
        for value in done.iter().filter_map(met) {
            *awaited.entry(value).or_default() += 1;
        }
        let mut values = BTreeSet::from([0]);
        let mut written = operations.iter().filter_map(|operation| operation.op.value());
        let unique = written.all(|value| values.insert(value.digest));
        let appends = operations.iter().any(|operation| matches!(operation.op, Op::Append { .. } | Op::Post { .. }));
        let mut named: BTreeSet<u64> = awaited.keys().copied().collect();
        named.extend(operations.iter().filter_map(|operation| match operation.op {
            Op::CompareAndSwap { expect, .. } => Some(expect),
            _ => None,
        }));
        let nameless = |operation: &Operation| match operation.op {
            Op::Put { value, .. } => unique && !appends && !named.contains(&value.digest),
            _ => false,
        };
        let mut search = Self {
            nameless: pending.iter().map(nameless).collect(),
            unique,
            appends,
            by_start: List::new(&order),
            by_end: List::new(&by_end),
            awaited,
            used: vec![0; pending.len().div_ceil(64)],
            placed: 0,
            state: 0,
            frames: Vec::new(),
            memo: BTreeMap::new(),
            run_limit: 0,
            cut: false,
            verdict: Verdict::Unknown,
            done,
            pending,
        };
        search.enter(None, 0);
        if unique && torn(operations) {
            search.verdict = Verdict::Violated;
        }
        search
    }

    /// Continues for at most this many steps, and leaves in `steps` those it did not need.
    pub(super) fn run(&mut self, steps: &mut u64) -> Verdict {
        while self.verdict == Verdict::Unknown && *steps > 0 {
            *steps -= 1;
            self.step();
        }
        self.verdict
    }

    /// Takes the next choice of the last place, or goes back from it.
    fn step(&mut self) {
        let Some(frame) = self.frames.last_mut() else {
            return self.begin_again();
        };
        let Some(&choice) = frame.choices.get(frame.next) else {
            return self.leave();
        };
        frame.next += 1;
        let run = match choice {
            Choice::Done(_) => 0,
            Choice::Pending(_) => frame.run + 1,
        };
        self.enter(Some(choice), run);
    }

    /// Every order was tried. If some were cut short, it begins again with longer runs of pending writes.
    fn begin_again(&mut self) {
        if !self.cut {
            self.verdict = Verdict::Violated;
            return;
        }
        self.cut = false;
        self.run_limit = (2 * self.run_limit).max(1);
        self.memo.clear();
        self.enter(None, 0);
    }

    /// Takes a choice and everything that follows at once, and lists what may come after.
    fn enter(&mut self, taken: Option<Choice>, run: u32) {
        let state_before = self.state;
        match taken {
            Some(Choice::Done(index)) => {
                self.state = self.done[index as usize].op.apply(self.state, 0).0;
                self.place(index);
            }
            Some(Choice::Pending(index)) => {
                self.state = self.pending[index as usize].op.apply(self.state, 0).0;
                self.used[index as usize / 64] |= 1 << (index % 64);
            }
            None => {}
        }
        let eager = self.take_eager();
        let run = if eager.is_empty() { run } else { 0 };
        let mut frame = Frame { taken, state_before, run, eager, choices: Vec::new(), next: 0 };
        if self.by_end.first() == NONE {
            self.verdict = Verdict::Valid;
        } else if self.is_new(run) {
            frame.choices = self.choices(run);
        }
        self.frames.push(frame);
    }

    /// Goes back from the last place.
    fn leave(&mut self) {
        let frame = self.frames.pop().expect("only called with a place to leave");
        for &index in frame.eager.iter().rev() {
            self.unplace(index);
        }
        match frame.taken {
            Some(Choice::Done(index)) => self.unplace(index),
            Some(Choice::Pending(index)) => self.used[index as usize / 64] &= !(1 << (index % 64)),
            None => {}
        }
        self.state = frame.state_before;
    }

    fn place(&mut self, index: u32) {
        self.by_start.remove(index);
        self.by_end.remove(index);
        self.placed ^= mark(index);
        if let Some(count) = met(&self.done[index as usize]).and_then(|value| self.awaited.get_mut(&value)) {
            *count -= 1;
        }
    }

    fn unplace(&mut self, index: u32) {
        self.by_end.restore(index);
        self.by_start.restore(index);
        self.placed ^= mark(index);
        if let Some(count) = met(&self.done[index as usize]).and_then(|value| self.awaited.get_mut(&value)) {
            *count += 1;
        }
    }

    /// Answered operations that may come next: none of those left ended before they began.
    fn window(&self) -> impl Iterator<Item = u32> + '_ {
        let first_end = self.first_end();
        let begin = Some(self.by_start.first()).filter(|&first| first != NONE);
        std::iter::successors(begin, |&item| Some(self.by_start.next[item as usize]).filter(|&next| next != NONE))
            .take_while(move |&item| self.done[item as usize].invoked <= first_end)
    }

    fn first_end(&self) -> SimTime {
        match self.by_end.first() {
            NONE => SimTime::MAX,
            first => self.done[first as usize].returned(),
        }
    }

    /// Whether an operation could come next with its answer, and would leave the cell as it is.
    fn is_eager(&self, index: u32) -> bool {
        let operation = &self.done[index as usize];
        match (operation.op, operation.answered) {
            (Op::Read { .. }, Some((_, Answer::Read { digest, .. }))) => digest == self.state,
            (Op::CompareAndSwap { expect, .. }, Some((_, Answer::Swapped(false)))) => expect != self.state,
            _ => false,
        }
    }

    fn take_eager(&mut self) -> Vec<u32> {
        let mut taken = Vec::new();
        loop {
            let ready: Vec<u32> = self.window().filter(|&index| self.is_eager(index)).collect();
            if ready.is_empty() {
                return taken;
            }
            for &index in &ready {
                self.place(index);
            }
            taken.extend(ready);
        }
    }

    /// Notes where the search is; false if it was there before, with no fewer possibilities left.
    fn is_new(&mut self, run: u32) -> bool {
        let visits = self.memo.entry((self.placed, self.state)).or_default();
        let within = |mine: &[u64], theirs: &[u64]| mine.iter().zip(theirs).all(|(mine, theirs)| mine & !theirs == 0);
        if visits.iter().any(|visit| visit.run <= run && within(&visit.used, &self.used)) {
            return false;
        }
        visits.retain(|visit| visit.run < run || !within(&self.used, &visit.used));
        visits.push(Visit { used: self.used.clone().into_boxed_slice(), run });
        true
    }

    /// What may come next, the most promising first: what somebody waits for now, then answered
    /// operations by their end, then pending ones.
    fn choices(&mut self, run: u32) -> Vec<Choice> {
        let state = self.state;
        let is_awaited = |value: u64| self.awaited.get(&value).is_some_and(|&count| count > 0);
        let held = self.unique && is_awaited(state);
        let mut wanted = BTreeSet::new();
        let mut refused = false;
        let mut may_append = false;
        for operation in self.window().map(|index| &self.done[index as usize]) {
            wanted.extend(met(operation));
            may_append |= matches!(operation.op, Op::Append { .. } | Op::Post { .. });
            refused |= matches!(
                (operation.op, operation.answered),
                (Op::CompareAndSwap { expect, .. }, Some((_, Answer::Swapped(false)))) if expect == state
            );
        }
        let mut ranked: Vec<(u8, SimTime, Choice)> = Vec::new();
        for index in self.window() {
            let operation = &self.done[index as usize];
            let possible = match (operation.op, operation.answered) {
                (Op::Read { .. }, _) | (_, Some((_, Answer::Swapped(false)))) => false,
                (Op::CompareAndSwap { expect, .. }, _) => {
                    // It may be the only one left to see the value that it replaces.
                    expect == state && !(self.unique && self.awaited.get(&state).is_some_and(|&count| count > 1))
                }
                // A pending write just before a put would have gone unnoticed.
                (Op::Put { .. }, _) => !held && run == 0,
                _ => !held,
            };
            if possible {
                let after = operation.op.apply(state, 0).0;
                let rank = if wanted.contains(&after) { 0 } else { 1 };
                ranked.push((rank, operation.returned(), Choice::Done(index)));
            }
        }
        if !held {
            let noticed = Noticed { wanted, refused, may_append };
            self.pending_choices(run, &noticed, &mut ranked);
        }
        ranked.sort_unstable();
        ranked.into_iter().map(|(.., choice)| choice).collect()
    }

    fn pending_choices(&mut self, run: u32, noticed: &Noticed, ranked: &mut Vec<(u8, SimTime, Choice)>) {
        let first_end = self.first_end();
        let is_used = |index: usize| self.used[index / 64] >> (index % 64) & 1 == 1;
        let begun = || self.pending.iter().enumerate().take_while(|(_, write)| write.invoked <= first_end);
        let left = || begun().filter(|&(index, _)| !is_used(index));
        let more_appends =
            self.appends && left().any(|(_, write)| matches!(write.op, Op::Append { .. } | Op::Post { .. }));
        let swaps: BTreeSet<u64> = left()
            .filter_map(|(_, write)| if let Op::CompareAndSwap { expect, .. } = write.op { Some(expect) } else { None })
            .collect();
        let mut nameless = false;
        let mut cut = false;
        for (index, write) in left() {
            let blind = matches!(write.op, Op::Put { .. });
            let (after, _, answer) = write.op.apply(self.state, 0);
            if answer == Answer::Swapped(false) || (blind && run > 0) {
                continue;
            }
            let seen = noticed.wanted.contains(&after);
            let goes_on = noticed.may_append || more_appends || swaps.contains(&after);
            if !seen && !noticed.refused && !goes_on {
                continue;
            }
            if self.nameless[index] && std::mem::replace(&mut nameless, true) {
                continue;
            }
            if run >= self.run_limit {
                cut = true;
                continue;
            }
            ranked.push((if seen { 0 } else { 2 }, write.invoked, Choice::Pending(index as u32)));
        }
        self.cut |= cut;
    }
}

/// What the operations that may come next would notice.
struct Noticed {
    /// Values that they met.
    wanted: BTreeSet<u64>,
    /// One of them expected the present value and did not meet it.
    refused: bool,
    /// One of them appends.
    may_append: bool,
}

/// The share of one operation in the hash of a set of them.
fn mark(index: u32) -> u128 {
    let index = u64::from(index);
    u128::from(hash::of([index, 1])) << 64 | u128::from(hash::of([index, 2]))
}
