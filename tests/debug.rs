mod common;
use common::chaos::*;
use firedrill::run::*;
#[test]
fn debug() {
    let Ok(seed) = std::env::var("SEED") else { return };
    let seed: u64 = seed.parse().unwrap();
    let kind = std::env::var("KIND").unwrap();
    let (s, o) = match kind.as_str() {
        "keep" => chaos(seed, Kinds::KeepDisks),
        "lose" => chaos(seed, Kinds::LoseDisks),
        _ => corruption(seed),
    };
    let probe = Probe { keep: Keep { trace: true, history: true }, ..Probe::default() };
    let (r, e) = run_probed(&s, &o, seed, &probe);
    std::fs::write("/tmp/trace.jsonl", r.trace.unwrap()).unwrap();
    std::fs::write("/tmp/history.jsonl", r.history.unwrap()).unwrap();
    for f in &s.timeline {
        println!("{:.2} +{:?} {:?}", f.at.as_secs_f64(), f.lasts, f.action);
    }
    println!("{:?}", o);
    println!("{:?} {:?}", r.record.verdicts, e.chain_broken);
    println!("{:?}", common::judge::complaints(&s, &o, seed, &Probe::default()));
}
