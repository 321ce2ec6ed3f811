//! The mechanism in a whole world: what section 6 of its specification promises, disaster by disaster.

mod common;

use common::*;
use firedrill::run::{Keep, RunResult, run};
use firedrill::scenario::Scenario;
use firedrill::workload::Application;

fn play(scenario: &Scenario, seed: u64) -> RunResult {
    run(scenario, &scenario.protocols[0], seed, Keep::default()).expect("the protocol is built")
}

#[test]
fn a_quiet_service_answers_everything() {
    let result = play(&scenario(5, Application::Board, 60), 1);
    let all = &result.record.metrics.all;
    println!("{}", serde_json::to_string_pretty(&all).unwrap());
    println!("{:?}", result.record.verdicts);
    assert_eq!(all.availability, Some(1.0));
    assert_eq!(all.writes_lost, Some(0));
    assert_eq!(all.writes_acked, all.writes_applied);
}

#[test]
fn four_of_five_crash_and_the_service_goes_on() {
    let mut drill = scenario(5, Application::Board, 240);
    drill.timeline = vec![crash(60, 100, &[0, 1, 2, 3])];
    let result = play(&drill, 1);
    println!("{}", serde_json::to_string_pretty(&result.record.metrics.all).unwrap());
    println!("{:#?}", result.record.recoveries);
    for phase in &result.record.phases {
        println!("{} {:?}", phase.label, phase.metrics.all.availability);
    }
    println!("{:?}", result.record.verdicts);
}
#[test]
fn split() {
    let mut drill = scenario(5, Application::Board, 240);
    drill.timeline = vec![partition(60, 100, &[&[0, 1, 2], &[3, 4]])];
    let result = play(&drill, 1);
    println!("{}", serde_json::to_string_pretty(&result.record.metrics.all).unwrap());
    println!("{:#?}", result.record.recoveries);
    for phase in &result.record.phases {
        println!("{} {:?}", phase.label, phase.metrics.all.availability);
    }
    println!("{:?}", result.record.verdicts);
}
