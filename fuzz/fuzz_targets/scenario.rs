#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| firedrill_fuzz::targets::scenario(input));
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    firedrill_fuzz::mutate_json(data, size, most, seed)
});
