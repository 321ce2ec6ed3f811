//! Scenario files, read from disk and checked.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Status, screen};
use crate::scenario::{self, Diagnostics, LARGEST, Scenario, Source};

/// A scenario that was read without a mistake.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// As the user named it.
    pub path: PathBuf,
    pub scenario: Scenario,
}

/// Reads and checks a scenario.
///
/// # Errors
/// Everything that is wrong with it; a file that cannot be read is one problem.
pub fn load(path: &Path, sets: &[(String, String)]) -> Result<Loaded, Diagnostics> {
    let name = path.display().to_string();
    let bytes = read(path).map_err(|why| Diagnostics::whole(&name, format!("cannot read the scenario: {why}")))?;
    let beside = path.parent().unwrap_or(Path::new("")).to_owned();
    let reader = |file: &str| {
        let path = beside.join(file);
        read(&path).map_err(|why| format!("cannot read {}: {why}", path.display()))
    };
    let scenario = scenario::load(&Source { name, bytes }, sets, &reader)?;
    Ok(Loaded { path: path.to_owned(), scenario })
}

/// Leaves out schemas, which stand beside scenarios and come along with `scenarios/*.json`, and says so.
pub fn scenarios_among(paths: &[PathBuf]) -> Vec<&PathBuf> {
    let is_schema = |path: &&PathBuf| path.to_string_lossy().ends_with(".schema.json");
    for path in paths.iter().filter(is_schema) {
        screen::warning(format_args!("{}: skipping it, as it is a schema and no scenario", path.display()));
    }
    paths.iter().filter(|path| !is_schema(path)).collect()
}

/// Reads and checks each; the problems of all are told at once.
///
/// # Errors
/// The problems, by file.
pub fn load_all(paths: &[PathBuf], sets: &[(String, String)]) -> Result<Vec<Loaded>, Vec<Diagnostics>> {
    let (mut loaded, mut wrong) = (Vec::new(), Vec::new());
    for path in scenarios_among(paths) {
        match load(path, sets) {
            Ok(one) => loaded.push(one),
            Err(diagnostics) => wrong.push(diagnostics),
        }
    }
    if wrong.is_empty() { Ok(loaded) } else { Err(wrong) }
}

/// Reads no more than what shows that a file is too large.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| reason(path, &error))?;
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(|error| reason(path, &error))?;
    Ok(bytes)
}

fn reason(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        _ if path.is_dir() => "it is a directory".into(),
        _ => screen::reason(error),
    }
}

/// Tells what is wrong with scenarios.
pub fn refuse(wrong: &[Diagnostics]) -> Status {
    let colour = screen::colour_on_stderr();
    for diagnostics in wrong {
        screen::tell(diagnostics.render(colour).trim_end());
    }
    Status::Refused
}
