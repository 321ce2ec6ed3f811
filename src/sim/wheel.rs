//! A hierarchical timing wheel: it keeps entries apart by time, coarsely when they are far off.
//!
//! Time is cut into *leaves* of 2^14 ns (16.4 us). The number of a leaf has 50 bits, read as seven
//! digits of 8 bits; each digit has a *level* of 256 *buckets*. The wheel knows the leaf that the
//! simulation stands in, the *cursor*; an entry of a later leaf lies at the level of the highest digit
//! in which the two differ, in the bucket of its own digit there. So seven levels hold every `u64` of
//! nanoseconds, an entry is found again without a search, and the first occupied bucket of the lowest
//! occupied level always holds the earliest entry.
//!
//! A bucket is a chain of chunks of about 1 KiB out of one pool: memory follows the number of entries
//! and not the largest size that each bucket ever had, and a bucket is filled and read in a straight line.

/// A leaf spans 2^14 ns: short against a network delay, so few entries share one and have to be sorted.
const LEAF_BITS: u32 = 14;
/// A level has 2^8 buckets, so its occupancy is four words.
const DIGIT_BITS: u32 = 8;
const BUCKETS: usize = 1 << DIGIT_BITS;
/// Enough digits for all 64 - 14 bits of a leaf's number.
const LEVELS: usize = (u64::BITS - LEAF_BITS).div_ceil(DIGIT_BITS) as usize;
/// Small enough that a thousand half-empty buckets cost little, large enough that the links do.
const CHUNK_BYTES: usize = 1024;
/// The end of a chain of chunks.
const NONE: u32 = u32::MAX;

/// The number of the leaf that holds an instant given in nanoseconds.
#[inline]
pub const fn leaf_of(at: u64) -> u64 {
    at >> LEAF_BITS
}

/// Something that waits for a time.
#[derive(Clone, Copy)]
pub struct Entry<T> {
    /// Nanoseconds since the start of the run.
    pub at: u64,
    /// Decides among equal times; no two entries share it.
    pub order: u64,
    pub what: T,
}

impl<T> Entry<T> {
    /// Sorts by time, then order. One wide number compares faster than a pair.
    #[inline]
    pub fn key(&self) -> u128 {
        u128::from(self.at) << 64 | u128::from(self.order)
    }
}

/// All chunks, used and free. An index into `entries` addresses an entry, its quotient by
/// [`Pool::PER_CHUNK`] the chunk.
struct Pool<T> {
    entries: Vec<Entry<T>>,
    /// For each chunk the one after it in its bucket, or in the free chain.
    next: Vec<u32>,
    free: u32,
}

impl<T: Copy> Pool<T> {
    /// A power of two, so that "the chunk is full" is a mask.
    const PER_CHUNK: u32 = {
        let fit = CHUNK_BYTES / size_of::<Entry<T>>();
        if fit < 2 { 2 } else { 1 << fit.ilog2() }
    };

    /// A chunk whose content is arbitrary. `filler` initialises fresh memory.
    fn take(&mut self, filler: Entry<T>) -> u32 {
        if self.free != NONE {
            let chunk = self.free;
            self.free = self.next[chunk as usize];
            return chunk;
        }
        let chunk = self.next.len() as u32;
        assert!(chunk < NONE / Self::PER_CHUNK, "over four thousand million events are pending");
        self.next.push(NONE);
        self.entries.resize(self.entries.len() + Self::PER_CHUNK as usize, filler);
        chunk
    }

    fn give_back(&mut self, chunk: u32) {
        self.next[chunk as usize] = self.free;
        self.free = chunk;
    }
}

/// A chain of chunks. Whether it has any is in the occupancy bits alone: an empty bucket keeps old values.
#[derive(Clone, Copy)]
struct Bucket {
    /// The first chunk.
    head: u32,
    /// The index after the last entry. On a chunk boundary, the last chunk is full.
    end: u32,
}

/// A place in the wheel.
#[derive(Clone, Copy)]
pub struct Place {
    level: usize,
    slot: usize,
}

/// A bucket that was taken out and is being read. Read it to its end: only then are its chunks free again.
pub struct Walk {
    next: u32,
    end: u32,
}

/// See the module's documentation.
pub struct Wheel<T> {
    pool: Pool<T>,
    buckets: [[Bucket; BUCKETS]; LEVELS],
    /// A bit for each bucket that has entries.
    occupied: [[u64; BUCKETS / 64]; LEVELS],
    /// A bit for each level that has entries.
    levels: u32,
    /// The leaf that the simulation stands in. Every entry lies in a later one.
    cursor: u64,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel with room for this many entries before it allocates again.
    pub fn with_capacity(entries: usize) -> Self {
        let chunks = entries.div_ceil(Pool::<T>::PER_CHUNK as usize);
        let pool = Pool {
            entries: Vec::with_capacity(chunks * Pool::<T>::PER_CHUNK as usize),
            next: Vec::with_capacity(chunks),
            free: NONE,
        };
        Self {
            pool,
            buckets: [[Bucket { head: NONE, end: 0 }; BUCKETS]; LEVELS],
            occupied: [[0; BUCKETS / 64]; LEVELS],
            levels: 0,
            cursor: 0,
        }
    }

    #[inline]
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Moves the cursor of an empty wheel anywhere, also back.
    pub fn rewind(&mut self, leaf: u64) {
        debug_assert_eq!(self.levels, 0, "entries are placed relative to the cursor");
        self.cursor = leaf;
    }

    /// Puts in an entry of a leaf after the cursor.
    #[inline]
    pub fn put(&mut self, entry: Entry<T>) {
        let leaf = leaf_of(entry.at);
        debug_assert!(leaf > self.cursor, "an entry of the current leaf has to be sorted, not stored");
        let level = ((leaf ^ self.cursor).ilog2() / DIGIT_BITS) as usize;
        let slot = digit(leaf, level);
        let bucket = &mut self.buckets[level][slot];
        let bit = 1 << (slot % 64);
        let word = &mut self.occupied[level][slot / 64];
        if *word & bit == 0 {
            *word |= bit;
            self.levels |= 1 << level;
            bucket.head = self.pool.take(entry);
            bucket.end = bucket.head * Pool::<T>::PER_CHUNK;
        } else if bucket.end.is_multiple_of(Pool::<T>::PER_CHUNK) {
            let chunk = self.pool.take(entry);
            let last = (bucket.end - 1) / Pool::<T>::PER_CHUNK;
            self.pool.next[last as usize] = chunk;
            bucket.end = chunk * Pool::<T>::PER_CHUNK;
        }
        self.pool.entries[bucket.end as usize] = entry;
        bucket.end += 1;
    }

    /// Where the earliest entry lies; nothing if the wheel is empty.
    #[inline]
    pub fn first(&self) -> Option<Place> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize;
        self.occupied_from(level, 0)
    }

    /// The first occupied bucket of a level at or after a slot.
    fn occupied_from(&self, level: usize, slot: usize) -> Option<Place> {
        let mut mask = u64::MAX << (slot % 64);
        for word in slot / 64..BUCKETS / 64 {
            let bits = self.occupied[level][word] & mask;
            if bits != 0 {
                return Some(Place { level, slot: word * 64 + bits.trailing_zeros() as usize });
            }
            mask = u64::MAX;
        }
        None
    }

    /// The first occupied bucket after a place (or of all), in the order of the levels. For sweeps.
    pub fn after(&self, place: Option<Place>) -> Option<Place> {
        let (level, slot) = place.map_or((0, 0), |place| (place.level, place.slot + 1));
        if slot < BUCKETS
            && let Some(found) = self.occupied_from(level, slot)
        {
            return Some(found);
        }
        (level + 1..LEVELS).find_map(|level| self.occupied_from(level, 0))
    }

    /// Takes a bucket out, to be read with [`Wheel::step`].
    pub fn take(&mut self, place: Place) -> Walk {
        let Place { level, slot } = place;
        self.occupied[level][slot / 64] &= !(1 << (slot % 64));
        if self.occupied[level] == [0; BUCKETS / 64] {
            self.levels &= !(1 << level);
        }
        let bucket = self.buckets[level][slot];
        Walk { next: bucket.head * Pool::<T>::PER_CHUNK, end: bucket.end }
    }

    /// Moves the cursor into the [`first`](Wheel::first) bucket, which has just been taken out: to its
    /// beginning, or, if it is short, to its earliest entry, which spares the levels between.
    #[inline]
    pub fn enter(&mut self, place: Place, walk: &Walk) {
        let first = walk.next as usize;
        let leaf = leaf_of(self.pool.entries[first].at);
        if place.level == 0 {
            self.cursor = leaf;
        } else if (walk.next + 1..=walk.next + Pool::<T>::PER_CHUNK).contains(&walk.end) {
            let chunk = &self.pool.entries[first..walk.end as usize];
            self.cursor = chunk.iter().fold(leaf, |earliest, entry| earliest.min(leaf_of(entry.at)));
        } else {
            let below = (1 << (place.level as u32 * DIGIT_BITS)) - 1;
            self.cursor = leaf & !below;
        }
    }

    #[cfg(test)]
    pub fn memory_entries(&self) -> usize {
        self.pool.entries.len()
    }

    /// Counts the entries, and asserts that each lies after the cursor in the bucket that `put` would choose.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        let per_chunk = Pool::<T>::PER_CHUNK as usize;
        let mut count = 0;
        let mut at = self.after(None);
        while let Some(place) = at {
            let Bucket { head, end } = self.buckets[place.level][place.slot];
            let mut next = head as usize * per_chunk;
            loop {
                let leaf = leaf_of(self.pool.entries[next].at);
                assert!(leaf > self.cursor);
                assert_eq!(((leaf ^ self.cursor).ilog2() / DIGIT_BITS) as usize, place.level);
                assert_eq!(digit(leaf, place.level), place.slot);
                count += 1;
                next += 1;
                if next == end as usize {
                    break;
                } else if next.is_multiple_of(per_chunk) {
                    next = self.pool.next[next / per_chunk - 1] as usize * per_chunk;
                }
            }
            at = self.after(Some(place));
        }
        count
    }

    /// The next entry of a bucket that was taken out.
    #[inline]
    pub fn step(&mut self, walk: &mut Walk) -> Option<Entry<T>> {
        if walk.next == NONE {
            return None;
        }
        let entry = self.pool.entries[walk.next as usize];
        let chunk = walk.next / Pool::<T>::PER_CHUNK;
        walk.next += 1;
        if walk.next == walk.end {
            self.pool.give_back(chunk);
            walk.next = NONE;
        } else if walk.next.is_multiple_of(Pool::<T>::PER_CHUNK) {
            walk.next = self.pool.next[chunk as usize] * Pool::<T>::PER_CHUNK;
            self.pool.give_back(chunk);
        }
        Some(entry)
    }
}

/// A leaf's digit at a level, which is its bucket there.
#[inline]
fn digit(leaf: u64, level: usize) -> usize {
    (leaf >> (level as u32 * DIGIT_BITS)) as usize % BUCKETS
}
