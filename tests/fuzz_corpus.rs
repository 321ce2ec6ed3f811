//! The inputs that the fuzz targets found worth keeping, and a few thousand changes of them, without libFuzzer:
//! nothing panics, and what is refused is refused at a place. `fuzz/src/targets.rs` says what is asserted.

#[path = "../fuzz/src/mutate.rs"]
mod mutate;
#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::path::PathBuf;

use rayon::prelude::*;

use targets::Target;

/// Changes of the whole corpus of a target, shared out among its files.
const CHANGES: u64 = 3_000;

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = PathBuf::from("fuzz/corpus").join(target.name);
    let files = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("it can be listed").path()).collect();
    paths.sort();
    let read = |path: PathBuf| (path.clone(), std::fs::read(&path).expect("a file can be read"));
    paths.into_iter().map(read).collect()
}

/// Runs a target on an input, and names the input if it panics.
fn check(target: &Target, input: &[u8], what: &str) {
    if std::panic::catch_unwind(|| (target.run)(input)).is_err() {
        panic!("target {}, {what}: {:?}", target.name, String::from_utf8_lossy(input));
    }
}

#[test]
fn every_target_holds_on_its_corpus_and_on_changes_of_it() {
    for target in &targets::ALL {
        let corpus = corpus(target);
        assert!(corpus.len() >= 3, "{} has next to no corpus", target.name);
        let each = CHANGES.div_ceil(corpus.len() as u64);
        corpus.par_iter().for_each(|(path, input)| {
            let name = path.display();
            check(target, input, &name.to_string());
            for seed in 0..each {
                let changed = if target.json && seed % 4 != 0 { mutate::json(input, seed) } else { None };
                let changed = changed.unwrap_or_else(|| mutate::bytes(input, seed));
                check(target, &changed, &format!("{name} changed by seed {seed}"));
            }
        });
    }
}

/// The changes are worth something: most inputs are near enough to right ones to get beyond the first error.
#[test]
fn some_changed_inputs_are_still_right() {
    let scenario = targets::ALL.iter().find(|target| target.name == "scenario").expect("it is a target");
    let taken = |input: &[u8]| {
        let source = firedrill::scenario::Source { name: "input".into(), bytes: input.to_vec() };
        firedrill::scenario::load(&source, &[], &|_| Err("there is no such file".into())).is_ok()
    };
    let corpus = corpus(scenario);
    let changed = corpus.iter().flat_map(|(_, input)| (0..40).filter_map(|seed| mutate::json(input, seed)));
    let verdicts: Vec<bool> = changed.map(|input| taken(&input)).collect();
    let right = verdicts.iter().filter(|&&right| right).count();
    assert!(right > 20 && verdicts.len() > right + 100, "{right} of {}", verdicts.len());
}
