//! Runs every engine on every workload in processes of their own, and prints the table.

use std::process::{Command, ExitCode};

use super::workload::{Engine, Kind, World};

/// The engine that ratios refer to.
pub const YARDSTICK: &str = "bare loop, wheel of vectors";

/// An engine by name, with its measuring function.
pub type Contestant = (&'static str, fn(Load) -> Outcome);

/// A workload and its size.
#[derive(Clone, Copy)]
pub struct Load {
    kind: Kind,
    nodes: u32,
    /// Events that bring the pending ones to their steady number; not timed.
    warm_up: u64,
    events: u64,
}

/// What one process measured.
pub struct Outcome {
    cpu_ns: u64,
    trace: u64,
    /// Growth of the peak resident memory since before the engine was made.
    memory_kib: u64,
    pending: u64,
}

/// Measures an engine in this process.
pub fn measure<E: Engine>(load: Load) -> Outcome {
    // From here on the kernel counts the peak anew.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = status_kib("VmRSS:");
    let mut engine = E::new();
    let mut world = World::start(load.kind, load.nodes, &mut engine);
    world.run(&mut engine, load.warm_up);
    let start = cpu_ns();
    world.run(&mut engine, load.events);
    let cpu_ns = cpu_ns() - start;
    let memory_kib = status_kib("VmHWM:").saturating_sub(before);
    Outcome { cpu_ns, trace: world.trace(), memory_kib, pending: world.pending }
}

/// CPU time that this process has used, in nanoseconds: user and system, without waiting for a core.
fn cpu_ns() -> u64 {
    // The kernel brings the figure up to date when a thread leaves its core, else only at each tick.
    std::thread::sleep(std::time::Duration::from_micros(1));
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("the bench needs Linux's procfs");
    text.split_whitespace().next().and_then(|first| first.parse().ok()).expect("schedstat starts with a number")
}

fn status_kib(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("the bench needs Linux's procfs");
    let line = text.lines().find(|line| line.starts_with(field)).expect("the kernel counts memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of kB")
}

/// The workloads, with `scale` times 10,000 timed events.
fn loads(scale: u64) -> Vec<Load> {
    let w1 = [10, 1_000, 10_000].map(|nodes| {
        let warm_up = u64::from(nodes) * 60;
        Load { kind: Kind::W1, nodes, warm_up, events: 10_000 * scale }
    });
    let w2 = Load { kind: Kind::W2, nodes: 1_000, warm_up: 1_500_000, events: 10_000 * scale };
    w1.into_iter().chain([w2]).collect()
}

/// Runs one engine on one workload in a child process.
fn in_child(engine: usize, load: usize, scale: u64) -> Outcome {
    let own = std::env::current_exe().expect("the bench knows its own file");
    let arguments = [engine as u64, load as u64, scale].map(|number| number.to_string());
    let output = Command::new(own).arg("--measure").args(arguments).output().expect("the bench can start itself");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().expect("a child prints numbers")).collect();
    let [cpu_ns, trace, memory_kib, pending] = numbers[..] else { panic!("a child prints four numbers: {text}") };
    Outcome { cpu_ns, trace, memory_kib, pending }
}

/// The bench's `main`. Options: `--quick` for a few seconds with less exact figures, `--repeat N`.
pub fn main(contestants: &[Contestant]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |option: &str, place: usize| {
        let at = arguments.iter().position(|argument| argument == option)?;
        arguments.get(at + place)?.parse::<u64>().ok()
    };
    if let (Some(engine), Some(load), Some(scale)) =
        (number("--measure", 1), number("--measure", 2), number("--measure", 3))
    {
        let outcome = contestants[engine as usize].1(loads(scale)[load as usize]);
        println!("{} {} {} {}", outcome.cpu_ns, outcome.trace, outcome.memory_kib, outcome.pending);
        return ExitCode::SUCCESS;
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let scale = if quick { 30 } else { 500 };
    let repeat = number("--repeat", 1).unwrap_or(if quick { 1 } else { 5 });
    println!("million events a CPU second, median of {repeat}; ratio to the {YARDSTICK}; peak memory\n");
    for (index, load) in loads(scale).iter().enumerate() {
        let mut outcomes: Vec<Vec<Outcome>> = contestants.iter().map(|_| Vec::new()).collect();
        for _ in 0..repeat {
            for (engine, outcomes) in outcomes.iter_mut().enumerate() {
                outcomes.push(in_child(engine, index, scale));
            }
        }
        report(load, contestants, &mut outcomes);
    }
    ExitCode::SUCCESS
}

/// Prints the lines of one workload.
fn report(load: &Load, contestants: &[Contestant], outcomes: &mut [Vec<Outcome>]) {
    let first = &outcomes[0][0];
    let each = first.pending as f64 / f64::from(load.nodes);
    println!("{:?}, N = {}: {} pending, {each:.1} a node", load.kind, load.nodes, first.pending);
    let trace = first.trace;
    let medians: Vec<(f64, u64)> = outcomes
        .iter_mut()
        .map(|runs| {
            assert!(runs.iter().all(|run| run.trace == trace), "every engine does the same work");
            runs.sort_by_key(|run| run.cpu_ns);
            let median = &runs[runs.len() / 2];
            (load.events as f64 * 1e3 / median.cpu_ns as f64, median.memory_kib)
        })
        .collect();
    let best = contestants.iter().zip(&medians).find(|(contestant, _)| contestant.0 == YARDSTICK);
    let best = best.expect("the yardstick takes part").1.0;
    for ((name, _), (rate, kib)) in contestants.iter().zip(medians) {
        println!("  {name:32} {rate:6.2}  x{:4.2}  {:6.1} MiB", rate / best, kib as f64 / 1024.0);
    }
    println!();
}
