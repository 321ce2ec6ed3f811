//! A small fixed 64-bit hash for log chains, digests of values and the fingerprint of a run.
//!
//! It multiplies 64-bit words into 128 bits and folds the halves (the construction of wyhash). It is
//! fast and the same everywhere; it is not cryptographic, and nothing here needs that: a simulated
//! fault is random, not an attacker.

const SEED: u64 = 0xa076_1d64_78bd_642f;
const STEP: u64 = 0xe703_7ed1_a0b4_28db;

/// Multiplies to 128 bits and xors the halves.
#[inline]
pub const fn fold(a: u64, b: u64) -> u64 {
    let wide = a as u128 * b as u128;
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// A running hash over 64-bit words. The order of words matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hasher {
    state: u64,
    words: u64,
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher {
    pub const fn new() -> Self {
        Self { state: SEED, words: 0 }
    }
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.words = self.words.wrapping_add(1);
        self.state = fold(self.state ^ word, STEP ^ self.words.rotate_left(32)).wrapping_add(word.rotate_left(23));
    }
    #[inline]
    pub fn words(mut self, words: impl IntoIterator<Item = u64>) -> Self {
        for word in words {
            self.word(word);
        }
        self
    }
    #[inline]
    pub fn finish(&self) -> u64 {
        fold(self.state ^ STEP, self.words ^ SEED)
    }
}

/// Hashes a few words at once.
#[inline]
pub fn of(words: impl IntoIterator<Item = u64>) -> u64 {
    Hasher::new().words(words).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_fixed() {
        // A change here changes every fingerprint: it must be on purpose.
        assert_eq!(fold(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210), 0x2317_228f_4816_5bb2);
        assert_eq!(of([]), 0x111c_b3a7_8f59_a58e);
        assert_eq!(of([0]), 0xba86_21ce_071e_8d60);
        assert_eq!(of([1, 2, 3]), 0x3a3c_b31c_e97f_12a6);
        assert_eq!(of([u64::MAX; 5]), 0xcd16_3551_583f_68cf);
    }

    #[test]
    fn order_and_number_of_words_matter() {
        assert_ne!(of([1, 2]), of([2, 1]));
        assert_ne!(of([0]), of([0, 0]));
    }

    #[test]
    fn one_flipped_bit_changes_about_half_of_the_output() {
        let base = of([1, 2, 3]);
        let mut flipped = 0;
        for bit in 0..64 {
            flipped += (base ^ of([1, 2 ^ (1 << bit), 3])).count_ones();
        }
        assert!((1_700..2_400).contains(&flipped), "{flipped} of 4096 bits");
    }
}
