//! The log: a compacted image, the entries after it, and the state at its tip.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::entry::{Data, Entry, Segment};
use super::state::{Confirmed, State};
use crate::op::Tip;

/// The state up to a compaction floor.
#[derive(Clone, Debug)]
pub struct Image {
    pub tip: Tip,
    pub state: State,
    /// `state.full_digest()` when the image was made: a mismatch means that it was corrupted since.
    pub digest: u64,
}

impl Image {
    pub fn new(tip: Tip, state: State) -> Rc<Self> {
        let digest = state.full_digest();
        Rc::new(Self { tip, state, digest })
    }
    pub fn is_sound(&self) -> bool {
        self.digest == self.state.full_digest()
    }
}

/// An image and a run of entries after it: a history that can be compared, cut and sent.
#[derive(Clone, Debug)]
pub struct Chain {
    pub base: Rc<Image>,
    pub entries: Vec<Rc<Entry>>,
}

impl Chain {
    pub fn tip(&self) -> Tip {
        self.entries.last().map_or(self.base.tip, |last| Tip { length: self.length(), hash: last.hash })
    }

    pub fn length(&self) -> u64 {
        self.base.tip.length + self.entries.len() as u64
    }

    /// The entry at a position, counted from 1; `None` if it is compacted or not there yet.
    pub fn entry(&self, length: u64) -> Option<&Rc<Entry>> {
        let offset = length.checked_sub(self.base.tip.length)?.checked_sub(1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// The hash at a position, the image's tip included.
    pub fn hash_at(&self, length: u64) -> Option<u64> {
        if length == self.base.tip.length {
            return Some(self.base.tip.hash);
        }
        self.entry(length).map(|entry| entry.hash)
    }

    /// Whether the chain itself, from the image's tip on, passes through `tip`.
    pub fn passes(&self, tip: Tip) -> bool {
        self.hash_at(tip.length) == Some(tip.hash)
    }

    /// Entries after a position.
    pub fn after(&self, length: u64) -> &[Rc<Entry>] {
        let from = length.saturating_sub(self.base.tip.length).min(self.entries.len() as u64);
        &self.entries[from as usize..]
    }

    /// The chain up to a position, which must not lie below the image.
    pub fn prefix(&self, length: u64) -> Self {
        let keep = length.saturating_sub(self.base.tip.length).min(self.entries.len() as u64);
        Self { base: self.base.clone(), entries: self.entries[..keep as usize].to_vec() }
    }

    /// Whether entries link up from the tip, each sound.
    pub fn links(&self, entries: &[Rc<Entry>]) -> bool {
        let mut prev = self.tip().hash;
        entries.iter().all(|entry| {
            let linked = entry.prev == prev && entry.is_sound();
            prev = entry.hash;
            linked
        })
    }

    /// Whether the image and all entries are as they were made.
    pub fn is_sound(&self) -> bool {
        self.base.is_sound() && Self { base: self.base.clone(), entries: Vec::new() }.links(&self.entries)
    }

    /// Positions to find a common entry by: the tip, then back at doubling distances, then the image.
    pub fn ancestry(&self) -> Vec<Tip> {
        let mut tips = vec![self.tip()];
        let mut step = 1;
        let mut at = self.length();
        while at.saturating_sub(step) > self.base.tip.length {
            at -= step;
            step *= 2;
            tips.push(Tip { length: at, hash: self.hash_at(at).expect("positions above the image have entries") });
        }
        if tips.last() != Some(&self.base.tip) {
            tips.push(self.base.tip);
        }
        tips
    }

    /// The last position that both chains pass through.
    pub fn fork(&self, other: &Self) -> Option<Tip> {
        let low = self.base.tip.length.max(other.base.tip.length);
        let high = self.length().min(other.length());
        if low > high || self.hash_at(low) != other.hash_at(low) {
            return None;
        }
        // Hash chains that agree at a position agree at every one before it.
        let (mut agree, mut differ) = (low, high + 1);
        while differ - agree > 1 {
            let middle = agree + (differ - agree) / 2;
            if self.hash_at(middle) == other.hash_at(middle) { agree = middle } else { differ = middle }
        }
        Some(Tip { length: agree, hash: self.hash_at(agree).expect("the fork lies in the chain") })
    }

    /// Segments of the merges in the retained entries, with the position of their merge.
    pub fn segments(&self) -> impl Iterator<Item = (u64, &Segment)> {
        let base = self.base.tip.length;
        self.entries.iter().enumerate().flat_map(move |(offset, entry)| {
            let segments: &[Segment] = match &entry.data {
                Data::Merge(merge) => &merge.segments,
                _ => &[],
            };
            segments.iter().map(move |segment| (base + offset as u64 + 1, segment))
        })
    }

    /// The last View entry that a later Confirm names.
    pub fn confirmed(&self) -> Option<Confirmed> {
        let mut state = State::default();
        state.confirmed = self.base.state.confirmed;
        state.last_view = self.base.state.last_view;
        for (offset, entry) in self.entries.iter().enumerate() {
            if matches!(entry.data, Data::View(_) | Data::Confirm { .. }) {
                state.apply(entry, self.base.tip.length + offset as u64 + 1);
            }
        }
        state.confirmed
    }

    /// Whether the history up to position `limit`, segments included, holds `tip`.
    pub fn history_holds(&self, tip: Tip, limit: u64) -> bool {
        if tip.length <= limit && self.passes(tip) {
            return true;
        }
        if tip.length < self.base.tip.length && self.base.state.views.contains(&tip) {
            return true;
        }
        self.segments().any(|(at, segment)| at <= limit && segment.hashes.contains(&tip.hash))
    }

    /// The state at the tip, by replay.
    pub fn replay(&self) -> State {
        let mut state = self.base.state.clone();
        for (offset, entry) in self.entries.iter().enumerate() {
            state.apply(entry, self.base.tip.length + offset as u64 + 1);
        }
        state
    }
}

/// A chain with what is derived from it.
#[derive(Clone, Debug)]
pub struct Log {
    chain: Chain,
    state: State,
    /// Hashes in segments, with the position of the merge that took them in.
    absorbed: BTreeMap<u64, u64>,
    /// A fault may have overwritten it.
    doubtful: bool,
}

impl Log {
    pub fn new(state: State) -> Self {
        Self::from_chain(Chain { base: Image::new(Tip::default(), state), entries: Vec::new() })
    }

    pub fn from_chain(chain: Chain) -> Self {
        let state = chain.replay();
        Self::assemble(chain, state)
    }

    fn assemble(chain: Chain, state: State) -> Self {
        let absorbed =
            chain.segments().flat_map(|(at, segment)| segment.hashes.iter().map(move |&hash| (hash, at))).collect();
        Self { chain, state, absorbed, doubtful: false }
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }
    pub fn state(&self) -> &State {
        &self.state
    }
    pub fn tip(&self) -> Tip {
        self.chain.tip()
    }
    pub fn length(&self) -> u64 {
        self.chain.length()
    }
    pub fn is_empty(&self) -> bool {
        self.chain.length() == 0
    }

    /// Whether `tip` is in the history: in the chain, in a segment of a merge, or a compacted view's entry.
    pub fn covers(&self, tip: Tip) -> bool {
        tip.length == 0
            || self.chain.passes(tip)
            || self.absorbed.contains_key(&tip.hash)
            || (tip.length < self.chain.base.tip.length && self.chain.base.state.views.contains(&tip))
    }

    /// As [`Log::covers`] for a token of a client: `None` if it is compacted and cannot be told.
    pub fn covers_token(&self, tip: Tip) -> Option<bool> {
        if self.chain.passes(tip) || tip.length == 0 {
            return Some(true);
        }
        if self.absorbed.contains_key(&tip.hash) {
            return Some(false);
        }
        if tip.length < self.chain.base.tip.length {
            return self.chain.base.state.views.contains(&tip).then_some(true);
        }
        Some(false)
    }

    /// Appends data as the next entry.
    pub fn push(&mut self, data: Data) -> Rc<Entry> {
        let entry = Entry::new(self.tip().hash, data);
        self.append(entry.clone());
        entry
    }

    /// Appends an entry that links to the tip.
    pub fn append(&mut self, entry: Rc<Entry>) {
        debug_assert_eq!(entry.prev, self.tip().hash, "an entry must link to the tip");
        let length = self.length() + 1;
        self.state.apply(&entry, length);
        if let Data::Merge(merge) = &entry.data {
            self.absorbed
                .extend(merge.segments.iter().flat_map(|segment| segment.hashes.iter().map(|&hash| (hash, length))));
        }
        self.chain.entries.push(entry);
    }

    /// Cuts the log back to a position.
    pub fn truncate(&mut self, length: u64) {
        if length < self.length() {
            *self = Self { doubtful: self.doubtful, ..Self::from_chain(self.chain.prefix(length)) };
        }
    }

    /// Moves the image up to a position that has an entry.
    pub fn compact(&mut self, floor: u64) {
        let Some(hash) = self.chain.hash_at(floor).filter(|_| floor > self.chain.base.tip.length) else { return };
        let keep = (floor - self.chain.base.tip.length) as usize;
        let mut state = self.chain.base.state.clone();
        for (offset, entry) in self.chain.entries[..keep].iter().enumerate() {
            state.apply(entry, self.chain.base.tip.length + offset as u64 + 1);
        }
        self.chain.base = Image::new(Tip { length: floor, hash }, state);
        self.chain.entries.drain(..keep);
        self.absorbed.retain(|_, at| *at > floor);
    }

    /// The first position whose entry does not link or is not sound, looking at up to `budget` entries from `from`.
    pub fn first_bad(&self, from: u64, budget: u64) -> Option<u64> {
        let start = from.max(self.chain.base.tip.length + 1);
        let end = start.saturating_add(budget).min(self.length() + 1);
        (start..end).find(|&at| {
            let entry = self.chain.entry(at).expect("positions up to the tip have entries");
            !entry.is_sound() || Some(entry.prev) != self.chain.hash_at(at - 1)
        })
    }

    /// Computes the state afresh; true if it differed.
    pub fn rebuild(&mut self) -> bool {
        let fresh = Self::from_chain(self.chain.clone());
        let differs = fresh.state.full_digest() != self.state.full_digest()
            || fresh.state.digest() != self.state.digest()
            || fresh.absorbed != self.absorbed;
        *self = Self { doubtful: self.doubtful, ..fresh };
        differs
    }

    /// Whether anything was changed but by what a log does itself.
    pub const fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// For fault injection only.
    pub fn parts_mut(&mut self) -> (&mut Chain, &mut State) {
        self.doubtful = true;
        (&mut self.chain, &mut self.state)
    }
}
