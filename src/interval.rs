//! Sets of numbers as runs of consecutive ones: the writes of a client are nearly consecutive, so a set
//! of a million takes a few words.

use std::collections::BTreeMap;

use crate::id::ClientId;
use crate::op::WriteKey;

/// A set of `u32` as disjoint, non-adjacent half-open runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntervalSet {
    /// (start, end), ascending.
    runs: Vec<(u32, u32)>,
}

impl IntervalSet {
    /// Adds a number; false if it was there.
    pub fn insert(&mut self, number: u32) -> bool {
        let after = self.runs.partition_point(|&(start, _)| start <= number);
        if after > 0 && number < self.runs[after - 1].1 {
            return false;
        }
        let joins_left = after > 0 && self.runs[after - 1].1 == number;
        let joins_right = after < self.runs.len() && self.runs[after].0 == number + 1;
        match (joins_left, joins_right) {
            (true, true) => {
                self.runs[after - 1].1 = self.runs[after].1;
                self.runs.remove(after);
            }
            (true, false) => self.runs[after - 1].1 = number + 1,
            (false, true) => self.runs[after].0 = number,
            (false, false) => self.runs.insert(after, (number, number + 1)),
        }
        true
    }

    /// Removes a number; false if it was not there.
    pub fn remove(&mut self, number: u32) -> bool {
        let after = self.runs.partition_point(|&(start, _)| start <= number);
        if after == 0 || number >= self.runs[after - 1].1 {
            return false;
        }
        let (start, end) = self.runs[after - 1];
        match (start == number, end == number + 1) {
            (true, true) => {
                self.runs.remove(after - 1);
            }
            (true, false) => self.runs[after - 1].0 = number + 1,
            (false, true) => self.runs[after - 1].1 = number,
            (false, false) => {
                self.runs[after - 1].1 = number;
                self.runs.insert(after, (number + 1, end));
            }
        }
        true
    }

    pub fn contains(&self, number: u32) -> bool {
        let after = self.runs.partition_point(|&(start, _)| start <= number);
        after > 0 && number < self.runs[after - 1].1
    }

    pub fn len(&self) -> u64 {
        self.runs.iter().map(|&(start, end)| u64::from(end - start)).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|&(start, end)| start..end)
    }

    /// The runs, as half-open ranges, ascending.
    pub fn runs(&self) -> &[(u32, u32)] {
        &self.runs
    }
}

/// A set of writes, by client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSet(BTreeMap<ClientId, IntervalSet>);

impl WriteSet {
    pub fn insert(&mut self, write: WriteKey) -> bool {
        self.0.entry(write.client).or_default().insert(write.number)
    }
    pub fn contains(&self, write: WriteKey) -> bool {
        self.0.get(&write.client).is_some_and(|numbers| numbers.contains(write.number))
    }
    pub fn add(&mut self, client: ClientId, numbers: &IntervalSet) {
        let mine = self.0.entry(client).or_default();
        if mine.is_empty() {
            mine.clone_from(numbers);
        } else {
            for number in numbers.iter() {
                mine.insert(number);
            }
        }
    }
    pub fn add_all(&mut self, other: &Self) {
        for (&client, numbers) in &other.0 {
            self.add(client, numbers);
        }
    }
    pub fn iter(&self) -> impl Iterator<Item = WriteKey> + '_ {
        self.0.iter().flat_map(|(&client, numbers)| numbers.iter().map(move |number| WriteKey { client, number }))
    }
    pub fn len(&self) -> u64 {
        self.0.values().map(IntervalSet::len).sum()
    }
    pub fn is_empty(&self) -> bool {
        self.0.values().all(IntervalSet::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use std::collections::BTreeSet;

    #[test]
    fn behaves_as_a_plain_set_under_random_edits() {
        let mut stream = Stream::new(7, "interval test", &[]);
        let (mut set, mut model) = (IntervalSet::default(), BTreeSet::new());
        for _ in 0..20_000 {
            let number = stream.below(60) as u32;
            if stream.chance(0.5) {
                assert_eq!(set.insert(number), model.insert(number));
            } else {
                assert_eq!(set.remove(number), model.remove(&number));
            }
            assert_eq!(set.contains(number), model.contains(&number));
            assert_eq!(set.len(), model.len() as u64);
        }
        assert!(set.iter().eq(model.iter().copied()));
        assert!(set.runs.windows(2).all(|pair| pair[0].1 < pair[1].0), "runs never touch");
    }
}
