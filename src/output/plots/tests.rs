use super::*;
use crate::output::fixture::{self, Fake};
use crate::output::{write_run, write_summary};

/// Writes the runs of a made-up scenario, and draws them.
fn draw(out: &Path, fake: &Fake, protocols: &[&str], seeds: std::ops::Range<u64>) -> Vec<PathBuf> {
    let mut records = Vec::new();
    for protocol in protocols {
        for seed in seeds.clone() {
            let result = fixture::run(fake, protocol, seed);
            write_run(out, fake.name, &result).unwrap();
            records.push(result.record);
        }
    }
    write_summary(out, fake.name, &records).unwrap();
    plot(&out.join(fake.name)).unwrap()
}

const THREE: [&str; 3] = ["optimistic", "raft", "static-primary"];

/// The pictures to look at, in a directory that is kept if `FIREDRILL_GALLERY` names one.
#[test]
fn the_gallery_is_drawn() {
    let Some(kept) = std::env::var_os("FIREDRILL_GALLERY") else { return };
    let out = Path::new(&kept);
    let quake = fixture::quake();
    draw(out, &Fake { name: "one", ..fixture::quake() }, &["optimistic"], 1..2);
    draw(out, &Fake { name: "three", ..quake }, &THREE, 1..2);
    draw(out, &Fake { name: "seeds", ..fixture::quake() }, &THREE, 0..20);
    draw(
        out,
        &Fake { name: "services", services: vec!["board", "accounts", "mail"], power: true, ..fixture::quake() },
        &THREE,
        1..2,
    );
    let day = Fake {
        name: "day",
        duration: 86_400,
        warmup: 600,
        cuts: vec![
            (600, "before"),
            (21_600, "typhoon: crash of zone kanto and of everything that hangs on its power"),
            (32_400, "partition tokyo | rest"),
            (43_200, "partition ends"),
            (64_800, "restart tokyo"),
        ],
        rate: 20,
        ..fixture::quake()
    };
    draw(out, &day, &THREE, 1..2);
    let flap = Fake {
        name: "flap",
        cuts: (0..12)
            .map(|index| (20 + index * 25, if index % 2 == 0 { "flap tokyo <-> sendai" } else { "flap ends" }))
            .collect(),
        ..fixture::quake()
    };
    draw(out, &flap, &["optimistic", "raft"], 1..2);
    let short = Fake {
        name: "short",
        cuts: (0..60)
            .map(|index| (20 + index * 3, if index % 2 == 0 { "cut tokyo to osaka" } else { "cut ends" }))
            .collect(),
        ..fixture::quake()
    };
    draw(
        out,
        &short,
        &["optimistic", "raft", "omnipaxos", "viewstamped", "static-primary", "lazy-consensus", "dynamic-voting"],
        1..2,
    );
}
