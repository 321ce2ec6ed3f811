//! Payloads of events that are under way. An event names a slot, so it stays small.

/// Values under dense numbers that are used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    pub fn insert(&mut self, value: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = Some(value);
            return slot;
        }
        self.entries.push(Some(value));
        u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 payloads are under way")
    }

    /// The value leaves, and its slot is free again.
    pub fn take(&mut self, slot: u32) -> T {
        self.free.push(slot);
        self.entries[slot as usize].take().expect("a payload stays until its event")
    }

    pub fn get(&self, slot: u32) -> &T {
        self.entries[slot as usize].as_ref().expect("a payload stays until its event")
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().flatten()
    }

    /// How many values are under way.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_so_memory_follows_what_is_pending() {
        let mut slab = Slab::new();
        for round in 0..1_000 {
            let (a, b) = (slab.insert(round), slab.insert(round + 1));
            assert!(a < 2 && b < 2, "two values at a time need two slots");
            assert_eq!(slab.len(), 2);
            assert_eq!((slab.take(b), slab.take(a)), (round + 1, round));
        }
        assert_eq!(slab.len(), 0);
    }
}
