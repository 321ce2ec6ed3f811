//! Texts that grow by appending, as chains of digests.
//!
//! An answer is the whole text. It is taken apart into one put (or nothing) and the appends that can have
//! made it; if that can be done in two ways, nobody knows which.

use std::collections::BTreeMap;

use crate::hash;
use crate::op::{Op, Value};

/// Comparisons of pieces, over all texts. Beyond them, texts count as not understood.
const MOST_STEPS: u64 = 200_000_000;

#[derive(Debug, Default)]
struct Key {
    puts: BTreeMap<String, u64>,
    appends: BTreeMap<String, u64>,
}

/// Everything that was written, by key.
#[derive(Debug, Default)]
pub(super) struct Texts {
    keys: BTreeMap<u32, Key>,
    known: BTreeMap<(u32, String), Option<u64>>,
    steps: u64,
}

impl Texts {
    pub(super) fn wrote(&mut self, key: u32, append: bool, text: &str, digest: u64) {
        let key = self.keys.entry(key).or_default();
        let pieces = if append { &mut key.appends } else { &mut key.puts };
        if !text.is_empty() {
            pieces.insert(text.to_owned(), digest);
        }
    }

    /// The digest of a text. None: two chains explain it. What no chain explains has a digest of its own.
    pub(super) fn digest(&mut self, key: u32, text: &str) -> Option<u64> {
        if text.is_empty() {
            return Some(0);
        }
        let name = (key, text.to_owned());
        if let Some(&known) = self.known.get(&name) {
            return known;
        }
        let mut ways = self.ways(key, text)?;
        let digest = match (ways.pop(), ways.pop()) {
            (None, _) => Some(hash::of([u64::MAX, self.known.len() as u64])),
            (Some(one), None) => Some(one),
            (Some(_), Some(_)) => None,
        };
        self.known.insert(name, digest);
        digest
    }

    /// Up to two digests of the whole text. None: it took too long.
    fn ways(&mut self, key: u32, text: &str) -> Option<Vec<u64>> {
        let Some(key) = self.keys.get(&key) else { return Some(Vec::new()) };
        let mut at: BTreeMap<usize, Vec<u64>> = BTreeMap::from([(0, vec![0])]);
        for (put, &digest) in &key.puts {
            if text.starts_with(put.as_str()) {
                at.entry(put.len()).or_default().push(digest);
            }
        }
        while let Some((from, digests)) = at.pop_first() {
            if from == text.len() {
                return Some(digests);
            }
            let rest = text.get(from..)?;
            self.steps += key.appends.len() as u64;
            if self.steps > MOST_STEPS {
                return None;
            }
            for (append, &piece) in key.appends.iter().filter(|(append, _)| rest.starts_with(append.as_str())) {
                let ways = at.entry(from + append.len()).or_default();
                for &digest in &digests {
                    let value = Value { digest: piece, bytes: 0 };
                    let after = Op::Append { key: 0, value }.apply(digest, 0).0;
                    if ways.len() < 2 && !ways.contains(&after) {
                        ways.push(after);
                    }
                }
            }
        }
        Some(Vec::new())
    }
}
