//! How fast a whole scenario runs, and how its memory grows.
//!
//! Run `cargo bench --bench scenario`. It runs the majority-failure drill (five sites, 50 requests a second
//! at each, ten minutes, four of five replicas down for half of it) several times in one process and reports
//! CPU time, events a CPU second and nanoseconds an event, the median counting; then the growth of the peak
//! resident memory of a run of 10 and of 40 minutes, each in a child process of its own. The clock is the CPU
//! time of the process, since the machines on which this runs may be shared. Compare two versions by running
//! both in turn.

use std::path::Path;
use std::process::{Command, ExitCode};

use firedrill::run::{Keep, run};
use firedrill::scenario::{Scenario, Source, load};

const DRILL: &str = "scenarios/majority-failure.json";
const REPEAT: usize = 7;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        child(&arguments[at + 1]);
        return ExitCode::SUCCESS;
    }
    let drill = scenario("10m");
    let mut nanos: Vec<(u64, u64)> = (0..REPEAT).map(|_| measure(&drill)).collect();
    nanos.sort_unstable();
    let (cpu, events) = nanos[REPEAT / 2];
    println!("{DRILL}: {events} events, {:.3} CPU seconds (median of {REPEAT})", cpu as f64 / 1e9);
    println!(
        "{:.2} million events a CPU second, {:.0} ns an event",
        events as f64 * 1e3 / cpu as f64,
        cpu as f64 / events as f64
    );
    for duration in ["10m", "40m"] {
        let program = std::env::current_exe().expect("the bench knows its own path");
        let output = Command::new(program).args(["--child", duration]).output().expect("a child can be started");
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
    ExitCode::SUCCESS
}

fn scenario(duration: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DRILL);
    let source = Source { name: DRILL.into(), bytes: std::fs::read(path).expect("the drill is there") };
    let sets = [("duration".to_owned(), duration.to_owned())];
    load(&source, &sets, &|_| Err("no files".into())).expect("the drill is sound")
}

/// CPU nanoseconds and events of one run.
fn measure(drill: &Scenario) -> (u64, u64) {
    let before = cpu_ns();
    let result = run(drill, &drill.protocols[0], 1, Keep::default());
    (cpu_ns() - before, result.record.events)
}

fn child(duration: &str) {
    let drill = scenario(duration);
    let before = peak_kib();
    let result = run(&drill, &drill.protocols[0], 1, Keep::default());
    let acked = result.record.metrics.all.writes_acked.unwrap_or(0);
    println!("{duration}: peak memory grew by {} KiB over {acked} acknowledged writes", peak_kib() - before);
}

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("the bench needs Linux's procfs");
    text.split_whitespace().next().and_then(|first| first.parse().ok()).expect("schedstat starts with a number")
}

fn peak_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("the bench needs Linux's procfs");
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).expect("the peak is told");
    line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).expect("in KiB")
}
