//! The fuzz targets of firedrill, and what they share. `docs/fuzz-targets.md` tells how to run them.

pub mod mutate;
pub mod targets;

/// Changes the input within its buffer, and gives its new size: three times in four as JSON, so that what is
/// behind the parser is reached.
pub fn mutate_json(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let changed = if seed.is_multiple_of(4) { None } else { mutate::json(&data[..size], u64::from(seed)) };
    match changed {
        Some(text) if text.len() <= most.min(data.len()) => {
            data[..text.len()].copy_from_slice(&text);
            text.len()
        }
        _ => libfuzzer_sys::fuzzer_mutate(data, size, most),
    }
}
