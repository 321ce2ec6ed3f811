use super::*;
use crate::output::fixture;

fn runs(seeds: std::ops::Range<u64>) -> Vec<Record> {
    let protocols = ["optimistic", "raft", "static-primary"];
    protocols.iter().flat_map(|it| seeds.clone().map(|seed| fixture::record(it, seed))).collect()
}

const GOLDEN: &str = "\
tokyo-quake  10 min, 3 protocols, seed 1

                            optimistic      raft   static-primary
availability                   98.45 %   81.33 %          48.32 %
  seconds at 99 % or more      96.21 %   72.24 %          48.28 %
outage, total                      5 s      99 s            300 s
outage, longest                    5 s      90 s            300 s
recovery, first success         5.25 s    5.25 s      not reached
recovery, 99 % for 5 s           7.5 s     7.5 s      not reached
convergence                     3.12 s         –      not reached
divergence                        93 s       0 s              0 s
latency p50                    12.2 ms   12.2 ms          12.2 ms
latency p99                     232 ms    232 ms           232 ms
latency p99.9                  1204 ms   1204 ms          1204 ms
writes acknowledged             29 846    24 539           14 582
  revoked                           17         0                0
  lost                               0         0                0
traffic over the WAN, MB           443       441              441

availability by phase             optimistic      raft   static-primary
   0:20  before                        100 %     100 %            100 %
   1:00  crash tokyo                 91.25 %   82.50 %           1.56 %
   2:00  partition tokyo | rest      97.37 %    3.05 %              0 %
   3:30  partition ends              99.05 %   92.86 %              0 %
   6:00  restart tokyo                 100 %   99.95 %          99.51 %

expectations
  ✔ optimistic: availability of board at least 0.97; measured 0.984498
  ✘ raft: availability of board at least 0.97; measured 0.813347
  ✘ static-primary: availability of board at least 0.97; measured 0.483167

checks  5 valid, 1 undecided
  ? raft: I4 (an acknowledged write is never lost) could not be decided: the history is too long to
    decide

plots   results/tokyo-quake/{availability,outage}.{svg,png}
replay  firedrill replay results/tokyo-quake/raft/seed-1/result.json
";

#[test]
fn the_table_reads_as_it_should() {
    let plots = ["availability.svg", "availability.png", "outage.svg", "outage.png"];
    let plots: Vec<_> = plots.iter().map(|name| Path::new("results/tokyo-quake").join(name)).collect();
    let style = TableStyle { out: Some(Path::new("results")), plots: &plots, ..TableStyle::default() };
    let text = summary_table(&runs(1..2), style);
    assert_eq!(text, GOLDEN, "it was:\n{text}");
}

#[test]
fn many_runs_and_protocols_stay_within_the_terminal() {
    let mut records = runs(0..20);
    for (index, label) in ["omnipaxos", "viewstamped", "a-label-that-is-rather-long-for-a-column"].iter().enumerate() {
        records.push(Record { protocol: (*label).into(), ..records[index].clone() });
    }
    for width in [80, 100, 120] {
        let text = summary_table(&records, TableStyle { width, ..TableStyle::default() });
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        assert!(text.contains("seeds 0..20 (medians, min..max)"));
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("violated in 20 of 20 runs, first by seed 0"), "{text}");
    }
}

#[test]
fn ascii_and_colour_are_as_asked() {
    let records = runs(0..3);
    let plain = TableStyle { unicode: false, ..TableStyle::default() };
    assert!(summary_table(&records, plain).is_ascii());
    assert!(!summary_table(&records, TableStyle::default()).contains('\x1b'));
    assert!(summary_table(&records, TableStyle { colour: true, ..TableStyle::default() }).contains("\x1b[32m✔"));
}

#[test]
fn a_run_that_measured_nothing_shows_dashes_and_never_zero() {
    let mut record = fixture::record("raft", 1);
    record.metrics = crate::metrics::MetricsTable::default();
    record.recoveries.clear();
    record.phases.clear();
    record.expectations[0].measured = None;
    record.expectations[0].held = false;
    record.expectations[0].note = Some("no request started".into());
    record.notes = vec!["the target of `crash primary` depends on the protocol".into()];
    let text = summary_table(&[record], TableStyle::default());
    let metrics: Vec<_> = text.lines().skip(3).take_while(|line| !line.is_empty()).collect();
    assert_eq!(metrics.len(), 7, "{text}");
    assert!(metrics.iter().all(|line| line.ends_with('–')), "{text}");
    assert!(text.contains("✘ raft: availability of board at least 0.97; not measured (no request started)"), "{text}");
    assert!(text.contains("· the target of"), "{text}");
    assert_eq!(summary_table(&[], TableStyle::default()), "");
}

#[test]
fn a_long_timeline_shows_its_worst_phases() {
    let mut record = fixture::record("raft", 1);
    let phase = record.phases[2].clone();
    record.phases = (0..60)
        .map(|index| {
            let mut phase = phase.clone();
            phase.from_s = f64::from(index);
            phase.to_s = f64::from(index + 1);
            phase.metrics.all.availability = Some(f64::from(index) / 60.0);
            phase
        })
        .collect();
    let text = summary_table(&[record], TableStyle::default());
    assert!(text.contains("(36 better phases are in result.json)"), "{text}");
    assert!(text.contains("38.33 %") && !text.contains("40 %"), "{text}");
}

#[test]
fn the_replayed_run_is_one_that_went_wrong_and_its_path_fits_a_shell() {
    let mut records = runs(1..2);
    records[1].expectations[0].held = true;
    let style = TableStyle { out: Some(Path::new("my results")), ..TableStyle::default() };
    let text = summary_table(&records, style);
    assert!(text.ends_with("firedrill replay 'my results/tokyo-quake/static-primary/seed-1/result.json'\n"), "{text}");
}

#[test]
fn over_several_seeds_protocols_are_compared_seed_by_seed() {
    let text = summary_table(&runs(0..5), TableStyle { width: 140, ..TableStyle::default() });
    let section: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("difference from optimistic")).collect();
    let line = |name: &str| section.iter().find(|line| line.starts_with(name)).copied().unwrap_or_default();
    assert!(line("availability").contains(" pp") && line("availability").contains("-"), "{text}");
    assert!(line("outage, total").contains('+'), "{text}");
    assert!(!summary_table(&runs(1..2), TableStyle::default()).contains("difference from"), "one seed is no sample");
}

#[test]
fn what_holds_alike_of_all_protocols_is_told_once() {
    let mut records = runs(1..2);
    for record in &mut records {
        let one = &mut record.expectations[0];
        (one.metric, one.measured, one.held) = ("writes_lost".into(), Some(0.0), true);
        one.expected = "equal to 0".into();
    }
    let text = summary_table(&records, TableStyle::default());
    assert!(text.contains("✔ all 3 protocols: writes_lost of board equal to 0; measured 0\n"), "{text}");
    assert_eq!(text.matches("writes_lost").count(), 1, "{text}");
    records[1].expectations[0].measured = Some(3.0);
    records[1].expectations[0].held = false;
    let text = summary_table(&records, TableStyle::default());
    assert!(text.contains("✔ optimistic, static-primary: writes_lost"), "{text}");
    assert!(text.contains("✘ raft: writes_lost of board equal to 0; measured 3"), "{text}");
}
