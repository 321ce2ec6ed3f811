//! Results below a directory.

use std::fs;
use std::path::{Path, PathBuf};

use super::OutputError;

/// A directory of results, a scenario, a protocol, a seed: a result lies no deeper.
const DEEPEST: usize = 4;

/// Every `result.json` in a directory or below it, in order of name.
///
/// # Errors
/// A directory cannot be listed.
pub fn find_results(dir: &Path) -> Result<Vec<PathBuf>, OutputError> {
    let mut found = Vec::new();
    search(dir, DEEPEST, &mut found)?;
    found.sort();
    Ok(found)
}

fn search(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), OutputError> {
    let failed = |source| OutputError::Read { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden && depth > 0 {
            search(&path, depth - 1, found)?;
        } else if path.file_name().is_some_and(|name| name == "result.json") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_found_at_every_level_and_hidden_directories_are_left_out() {
        let out = tempfile::tempdir().unwrap();
        let run = |path: &str| {
            let dir = out.path().join(path);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("result.json"), "{}").unwrap();
        };
        ["quake/raft/seed-2", "quake/raft/seed-1", "quake/.raft.partial-1-0/seed-1"].into_iter().for_each(run);
        let found = |path: &str| -> Vec<PathBuf> {
            let found = find_results(&out.path().join(path)).unwrap();
            found.iter().map(|path| path.strip_prefix(out.path()).unwrap().to_owned()).collect()
        };
        let both = ["quake/raft/seed-1/result.json", "quake/raft/seed-2/result.json"].map(PathBuf::from);
        assert_eq!(found(""), both);
        assert_eq!(found("quake/raft"), both);
        assert_eq!(found("quake/raft/seed-2"), both[1..]);
        assert!(find_results(&out.path().join("none")).is_err());
    }
}
