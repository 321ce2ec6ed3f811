//! Second opinions, as plain as can be: every order, every partial order, every subset is tried.

use super::*;

/// A small history: what happened, with each operation's predecessors in its session.
pub(super) struct Small {
    pub operations: Vec<Operation>,
}

impl Small {
    pub(super) fn before(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.operations[one], &self.operations[other]);
        one.client == other.client && one.returned() < other.invoked
    }

    fn is_write(&self, index: usize) -> bool {
        let operation = &self.operations[index];
        !operation.op.is_read() && !matches!(operation.answered, Some((_, Answer::Swapped(false))))
    }

    pub(super) fn met(&self, index: usize) -> Option<u64> {
        crate::check::seen::met(&self.operations[index])
    }

    /// Every choice of operations that happened: all that were answered, any of the others.
    fn choices(&self) -> Vec<Vec<usize>> {
        let open: Vec<usize> =
            (0..self.operations.len()).filter(|&index| self.operations[index].answered.is_none()).collect();
        let choice = |mask: usize| {
            let left_out =
                |index: &usize| open.iter().position(|other| other == index).is_some_and(|bit| mask >> bit & 1 == 0);
            (0..self.operations.len()).filter(|index| !left_out(index)).collect()
        };
        (0..1 << open.len()).map(choice).collect()
    }

    /// Whether some order keeps `precedes` and explains every answer.
    pub(super) fn has_order(&self, precedes: &dyn Fn(usize, usize) -> bool) -> bool {
        self.choices().iter().any(|happened| self.extends(happened, &mut Vec::new(), precedes))
    }

    fn extends(&self, happened: &[usize], order: &mut Vec<usize>, precedes: &dyn Fn(usize, usize) -> bool) -> bool {
        if order.len() == happened.len() {
            return true;
        }
        for &next in happened {
            let free = !order.contains(&next)
                && happened.iter().all(|&other| order.contains(&other) || !precedes(other, next));
            if free && self.explains(order, next) {
                order.push(next);
                let found = self.extends(happened, order, precedes);
                order.pop();
                if found {
                    return true;
                }
            }
        }
        false
    }

    fn state(&self, order: &[usize], key: u32) -> u64 {
        let on_key = order.iter().map(|&index| self.operations[index].op).filter(|op| op.key() == key);
        on_key.fold(0, |state, op| op.apply(state, 0).0)
    }

    /// Whether the answer of `next` fits after these.
    fn explains(&self, order: &[usize], next: usize) -> bool {
        let operation = &self.operations[next];
        let state = self.state(order, operation.op.key());
        match (operation.op.apply(state, 0).2, operation.answered) {
            (_, None) => true,
            (Answer::Read { digest, .. }, Some((_, Answer::Read { digest: answered, .. }))) => digest == answered,
            (answer, Some((_, answered))) => answer == answered,
        }
    }

    /// Causal consistency by its definition: some partial order that has the sessions' in it explains each
    /// observation by its past alone, in some order of that past. With `agreed`, in the same order for all.
    pub(super) fn is_causal(&self, orders: &[Vec<u32>], agreed: bool) -> bool {
        self.choices().iter().any(|happened| orders.iter().any(|order| self.is_causal_by(happened, order, agreed)))
    }

    /// `order[i]` has a bit for each of those before `i`, by place in `happened`.
    fn is_causal_by(&self, happened: &[usize], order: &[u32], agreed: bool) -> bool {
        let count = happened.len();
        if order.len() < count
            || order[count..].iter().any(|&before| before != 0)
            || order[..count].iter().any(|&before| before >> count != 0)
        {
            return false;
        }
        let holds = |one: usize, other: usize| order[other] >> one & 1 == 1;
        let keeps = (0..count)
            .all(|one| (0..count).all(|other| !self.before(happened[one], happened[other]) || holds(one, other)));
        if !keeps {
            return false;
        }
        let observations: Vec<usize> = (0..count).filter(|&place| self.met(happened[place]).is_some()).collect();
        let lines = linear_extensions(order, count);
        let fits = |line: &Vec<usize>, place: usize| {
            let past = line.iter().filter(|&&other| holds(other, place)).map(|&other| happened[other]);
            // What swaps expected does not matter for the effect of those that succeeded.
            let past: Vec<usize> = past.filter(|&index| self.is_write(index)).collect();
            let key = self.operations[happened[place]].op.key();
            let posts = past.iter().any(|&index| matches!(self.operations[index].op, Op::Post { .. }));
            let mut on_key = past.iter().filter(|&&index| self.operations[index].op.key() == key);
            let state = if posts {
                on_key.fold(0, |state, &index| self.operations[index].op.apply(state, 0).0)
            } else {
                on_key.next_back().and_then(|&index| self.operations[index].op.value()).map_or(0, |value| value.digest)
            };
            Some(state) == self.met(happened[place])
        };
        if agreed {
            lines.iter().any(|line| observations.iter().all(|&place| fits(line, place)))
        } else {
            observations.iter().all(|&place| lines.iter().any(|line| fits(line, place)))
        }
    }

    /// Whether a guarantee of sessions is violated, by the definition in words.
    pub(super) fn breaks(&self, guarantee: Check) -> bool {
        let observations: Vec<usize> = (0..self.operations.len()).filter(|&index| self.met(index).is_some()).collect();
        let keys = [0, 1];
        let monotonic =
            |key: u32| self.has_version_order(key, &|r| self.required(Check::MonotonicReads, r), &|_, _| false);
        match guarantee {
            Check::ReadYourWrites | Check::MonotonicReads => {
                let required = |r: usize| self.required(guarantee, r);
                observations.iter().any(|&r| self.is_first(r) && !required(r).is_empty())
                    || keys.iter().any(|&key| !self.has_version_order(key, &required, &|_, _| false))
            }
            _ => {
                let own = |r: usize| self.required(guarantee, r);
                let both = |r: usize| [own(r), self.required(Check::MonotonicReads, r)].concat();
                let older = |one: usize, other: usize| match guarantee {
                    Check::MonotonicWrites => self.before(one, other),
                    _ => observations.iter().any(|&r| self.source(r) == Some(one) && self.before(r, other)),
                };
                observations.iter().any(|&r| self.is_first(r) && !own(r).is_empty())
                    || keys.iter().any(|&key| monotonic(key) && !self.has_version_order(key, &both, &older))
            }
        }
    }

    fn is_first(&self, observation: usize) -> bool {
        self.met(observation) == Some(0)
    }

    fn source(&self, observation: usize) -> Option<usize> {
        let met = self.met(observation)?;
        let key = self.operations[observation].op.key();
        let wrote = |&index: &usize| {
            let op = self.operations[index].op;
            self.is_write(index) && op.key() == key && op.value().is_some_and(|value| value.digest == met)
        };
        (0..self.operations.len()).find(wrote)
    }

    /// Writes of its key that must be visible to an observation.
    fn required(&self, guarantee: Check, r: usize) -> Vec<usize> {
        let all = 0..self.operations.len();
        let key = self.operations[r].op.key();
        let on_key = |index: &usize| self.operations[*index].op.key() == key && self.is_write(*index);
        // What the session has seen by then, itself included.
        let seen = |with_itself: bool| {
            let known = all.clone().filter(move |&other| self.before(other, r) || (with_itself && other == r));
            known.filter_map(|other| self.source(other))
        };
        match guarantee {
            Check::ReadYourWrites => all.clone().filter(|&write| self.before(write, r)).filter(on_key).collect(),
            Check::MonotonicReads => seen(false).filter(on_key).collect(),
            Check::MonotonicWrites => seen(true)
                .flat_map(|seen| all.clone().filter(move |&write| self.before(write, seen)))
                .filter(on_key)
                .collect(),
            _ => {
                let read_before = |seen: usize| all.clone().filter(move |&other| self.before(other, seen));
                seen(true).flat_map(read_before).filter_map(|other| self.source(other)).filter(on_key).collect()
            }
        }
    }

    /// Whether some order of the writes of a key has what every observation must see not after what it saw.
    fn has_version_order(
        &self,
        key: u32,
        required: &dyn Fn(usize) -> Vec<usize>,
        older: &dyn Fn(usize, usize) -> bool,
    ) -> bool {
        let writes: Vec<usize> = (0..self.operations.len())
            .filter(|&index| self.is_write(index) && self.operations[index].op.key() == key)
            .collect();
        let readers: Vec<usize> = (0..self.operations.len())
            .filter(|&r| self.operations[r].op.key() == key && self.source(r).is_some())
            .collect();
        permutations(writes.len()).iter().any(|ranks| {
            let rank = |write: usize| writes.iter().position(|&other| other == write).map(|place| ranks[place]);
            let sessions = writes
                .iter()
                .all(|&one| writes.iter().all(|&other| one == other || !older(one, other) || rank(one) < rank(other)));
            let newest = |&r: &usize| {
                required(r)
                    .into_iter()
                    .filter(|&write| write != r)
                    .all(|write| rank(write) <= self.source(r).and_then(rank))
            };
            sessions && readers.iter().all(newest)
        })
    }
}

/// Every strict partial order of `count` things: of each, which are before it.
pub(super) fn partial_orders(count: usize) -> Vec<Vec<u32>> {
    let pairs: Vec<(usize, usize)> = (0..count)
        .flat_map(|one| (0..count).map(move |other| (one, other)))
        .filter(|(one, other)| one != other)
        .collect();
    let mut orders = Vec::new();
    for mask in 0u32..1 << pairs.len() {
        let mut before = vec![0u32; count];
        for (bit, &(one, other)) in pairs.iter().enumerate() {
            before[other] |= (mask >> bit & 1) << one;
        }
        let transitive = (0..count)
            .all(|other| (0..count).all(|one| before[other] >> one & 1 == 0 || before[one] & !before[other] == 0));
        if transitive && (0..count).all(|one| before[one] >> one & 1 == 0) {
            orders.push(before);
        }
    }
    orders
}

fn linear_extensions(order: &[u32], count: usize) -> Vec<Vec<usize>> {
    fn extend(order: &[u32], count: usize, line: &mut Vec<usize>, placed: u32, lines: &mut Vec<Vec<usize>>) {
        if line.len() == count {
            lines.push(line.clone());
            return;
        }
        for next in (0..count).filter(|&next| placed >> next & 1 == 0 && order[next] & !placed == 0) {
            line.push(next);
            extend(order, count, line, placed | 1 << next, lines);
            line.pop();
        }
    }
    let mut lines = Vec::new();
    extend(order, count, &mut Vec::new(), 0, &mut lines);
    lines
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    linear_extensions(&vec![0; count], count)
}
