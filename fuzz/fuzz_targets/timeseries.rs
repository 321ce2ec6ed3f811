#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| firedrill_fuzz::targets::timeseries(input));
