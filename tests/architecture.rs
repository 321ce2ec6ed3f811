//! The rules of the house that can be read off its sources.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first. A module imports only from its own row and those before it.
const LAYERS: [&[&str]; 16] = [
    &["time", "id", "hash", "interval", "rng", "op", "history", "power"],
    &["machine"],
    &["sim"],
    &["protocols"],
    &["reorg"],
    &["world"],
    &["workload"],
    &["import"],
    &["check", "metrics"],
    &["scenario"],
    &["run"],
    &["fuzz"],
    &["shrink"],
    &["story"],
    &["output"],
    &["cli"],
];

/// Modules that may not see each other although the order of layers would allow it.
const BLIND: [(&str, &str); 6] = [
    ("protocols", "sim"),
    ("reorg", "sim"),
    ("reorg", "protocols"),
    ("world", "protocols"),
    ("world", "reorg"),
    ("scenario", "metrics::recorder"),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the sources are there") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with the top-level module that it belongs to, without tests and comments.
fn modules() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found.sort();
    let module = |path: &Path| {
        let first = path.strip_prefix(&root).expect("below src").components().next().expect("not empty");
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    };
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("sources are text");
        (module(&path), path, code_of(&text))
    };
    found.into_iter().map(read).filter(|(module, ..)| module != "lib" && module != "main").collect()
}

/// The text up to its unit tests, without comments.
fn code_of(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn is_test_support(path: &Path) -> bool {
    let name = path.to_string_lossy();
    ["/tests", "tests.rs", "fixture.rs", "reference.rs", "theatre.rs", "dialogue.rs", "soak.rs", "stories.rs"]
        .iter()
        .any(|part| name.contains(part))
}

#[test]
fn imports_go_down_only() {
    let level = |module: &str| LAYERS.iter().position(|row| row.contains(&module));
    let mut wrong = Vec::new();
    for (module, path, code) in modules() {
        let own = level(&module).unwrap_or_else(|| panic!("{} is in no layer: add it to the map", path.display()));
        for (at, _) in code.match_indices("crate::") {
            let name: String = code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if level(&name).is_some_and(|other| other > own) && !is_test_support(&path) {
                wrong.push(format!("{} imports {name}, which lies above it", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn some_rooms_do_not_see_each_other() {
    let mut wrong = Vec::new();
    for (module, path, code) in modules() {
        for (from, to) in BLIND {
            if module == from && code.contains(&format!("crate::{to}")) {
                wrong.push(format!("{} may not know {to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_power_has_its_room() {
    let rules: [(&str, &[&str]); 8] = [
        ("println!", &["cli"]),
        ("eprintln!", &["cli"]),
        ("std::fs", &["output", "cli"]),
        ("Instant::now", &["cli"]),
        ("SystemTime", &["cli"]),
        ("thread::spawn", &["cli"]),
        ("rayon", &["cli"]),
        ("HashMap", &[]),
    ];
    let mut wrong = Vec::new();
    for (module, path, code) in modules() {
        for (power, rooms) in rules {
            if code.contains(power) && !rooms.contains(&module.as_str()) && !is_test_support(&path) {
                wrong.push(format!("{} uses {power}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("the map is there");
    for module in LAYERS.iter().copied().flatten() {
        assert!(map.contains(&format!("[`{module}`]")), "the map does not tell of {module}");
        assert!(map.contains(&format!("pub mod {module};")), "{module} is not declared");
    }
}
