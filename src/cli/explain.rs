//! `firedrill explain`.

mod print;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bug;
use super::options::Format;
use super::progress::Progress;
use super::screen::{self, count};
use super::{Status, interrupt, replay};
use crate::id::ServiceId;
use crate::output::diagram::{self, Span};
use crate::output::{self, perfetto};
use crate::run::tape::{Tape, Wanted};
use crate::run::{Record, RunResult};
use crate::scenario::{self, Protocol, Scenario};
use crate::story;
use crate::time::SimTime;

/// Tell what happened in a run, and why.
///
/// Runs again what a result file records, and tells it as a story: what failed, who suspected whom, which view was
/// proposed and who did not answer, who served, what was merged, and what is left. Each cause is one that the trace
/// shows; where it shows none, the story says so.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A result.json that `firedrill run` wrote, or the directory of a run or of results.
    #[arg(value_name = "RESULT")]
    result: PathBuf,
    /// The protocol, by label, if RESULT holds several.
    #[arg(long, value_name = "LABEL")]
    protocol: Option<String>,
    /// The seed, if RESULT holds several.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only this service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The state at this instant, and what led to it: seconds, or with a unit as in 93.2s or 2m.
    #[arg(long, value_name = "TIME", value_parser = instant, conflicts_with_all = ["request", "failed"])]
    at: Option<SimTime>,
    /// The life of one request: c12/w34 is the write 34 of client 12, c12/r34 its read.
    #[arg(long, value_name = "ID", conflicts_with = "failed")]
    request: Option<String>,
    /// List requests that failed, or whose writes were revoked, stranded or lost.
    #[arg(long)]
    failed: bool,
    /// Draw a space-time diagram of --from to --to into this SVG file, instead of a story.
    #[arg(long, value_name = "FILE.svg", requires = "from", requires = "to", conflicts_with_all = ["at", "request", "failed", "perfetto"])]
    diagram: Option<PathBuf>,
    /// Write a trace for ui.perfetto.dev into this file, instead of a story.
    #[arg(long, value_name = "FILE.pftrace", conflicts_with_all = ["at", "request", "failed"])]
    perfetto: Option<PathBuf>,
    /// The beginning of a diagram, or of the messages in a trace.
    #[arg(long, value_name = "TIME", value_parser = instant, requires = "to")]
    from: Option<SimTime>,
    /// Their end.
    #[arg(long, value_name = "TIME", value_parser = instant, requires = "from")]
    to: Option<SimTime>,
    /// Only messages of these kinds in a diagram.
    #[arg(long, value_name = "A,B", value_delimiter = ',', requires = "diagram")]
    messages: Vec<String>,
    /// Heartbeats too, in a diagram or a trace.
    #[arg(long)]
    heartbeats: bool,
    /// Print sentences, or a JSON object.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// No progress, and no word on what was written.
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  firedrill explain results/majority-failure/optimistic/seed-1/result.json
  firedrill explain results/partition-3-2 --protocol optimistic-rank-wins
  firedrill explain results/partition-3-2 --protocol raft --at 62s
  firedrill explain results/partition-3-2 --protocol optimistic-rank-wins --failed
  firedrill explain results/partition-3-2 --protocol optimistic-rank-wins --request c12/w34
  firedrill explain results/partition-3-2 --protocol raft --diagram split.svg --from 62s --to 65s
  firedrill explain results/partition-3-2 --protocol raft --perfetto run.pftrace --from 60s --to 70s

A diagram shows replicas and what they send each other, without heartbeats unless --heartbeats. A trace
has lanes by data center, node and replica, faults, counters and, as flows, the messages from --from to
--to, or all; at most 200,000, without heartbeats unless --heartbeats.";

/// So many requests of a kind that `--failed` lists.
const LISTED: usize = 8;

/// Reads an instant of a run.
fn instant(text: &str) -> Result<SimTime, String> {
    let number = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    if let Some(seconds) = number {
        return Ok(SimTime::from_nanos((seconds * 1e9).round() as u64));
    }
    scenario::parse_duration(text)
        .map(|since| SimTime::ZERO + since)
        .map_err(|_| "an instant is a number of seconds, or a number with a unit: 93.2, 93.2s, 2m".to_owned())
}

/// A run that is explained.
struct Case {
    record: Record,
    scenario: Scenario,
    protocol: Protocol,
    service: Option<ServiceId>,
}

/// Runs again, and tells.
pub fn explain(args: &Args) -> Status {
    match prepare(args).and_then(|case| tell(args, &case)) {
        Ok(()) => Status::Held,
        Err(status) => status,
    }
}

fn refuse<T>(why: impl std::fmt::Display) -> Result<T, Status> {
    screen::error(why);
    Err(Status::Refused)
}

fn prepare(args: &Args) -> Result<Case, Status> {
    let path = choose(args)?;
    let (written, scenario, protocol) = replay::read(&path)?;
    let record = written.record;
    let service = match &args.service {
        None => None,
        Some(name) => match scenario.services.iter().position(|service| service.name == *name) {
            Some(index) => Some(ServiceId::from(index)),
            None => {
                let names: Vec<&str> = scenario.services.iter().map(|service| service.name.as_str()).collect();
                return refuse(format!("there is no service `{name}` in it: it has {}", screen::and_list(&names)));
            }
        },
    };
    let end = SimTime::from_nanos((record.simulated_s * 1e9) as u64);
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        return refuse(format!("--from {} s is not before --to {} s", from.as_secs_f64(), to.as_secs_f64()));
    }
    if let Some(at) = args.at.or(args.from).filter(|&at| at > end) {
        let (at, end) = (at.as_secs_f64(), end.as_secs_f64());
        return refuse(format!("{at} s is after the end of the run, which is at {end} s"));
    }
    Ok(Case { record, scenario, protocol, service })
}

/// The one result that is meant.
fn choose(args: &Args) -> Result<PathBuf, Status> {
    if !args.result.is_dir() {
        return Ok(args.result.clone());
    }
    let found = match output::find_results(&args.result) {
        Ok(found) => found,
        Err(error) => return refuse(error),
    };
    let label = |path: &Path| folder(path, 1).unwrap_or_default();
    let seed = |path: &Path| folder(path, 0).and_then(|name| name.strip_prefix("seed-")?.parse::<u64>().ok());
    let fits = |path: &&PathBuf| {
        args.protocol.as_ref().is_none_or(|wanted| *wanted == label(path))
            && args.seed.is_none_or(|wanted| seed(path) == Some(wanted))
    };
    let fitting: Vec<&PathBuf> = found.iter().filter(fits).collect();
    let place = args.result.display();
    match fitting[..] {
        [one] => Ok(one.clone()),
        [] if found.is_empty() => refuse(format!("{place}: there is no result.json in it or below it")),
        [] => refuse(format!(
            "{place}: none of its {} fits; they are of\n{}",
            count(found.len() as u64, "result"),
            listed(&found)
        )),
        _ => {
            let several: Vec<PathBuf> = fitting.into_iter().cloned().collect();
            let number = count(several.len() as u64, "result");
            refuse(format!(
                "{place}: there are {number} in it; name one, or choose with --protocol and --seed:\n{}",
                listed(&several)
            ))
        }
    }
}

/// The name of the directory so many levels above the file's own.
fn folder(path: &Path, up: usize) -> Option<String> {
    path.ancestors().nth(up + 1)?.file_name().map(|name| name.to_string_lossy().into_owned())
}

fn listed(paths: &[PathBuf]) -> String {
    const MOST: usize = 12;
    let mut lines: Vec<String> = paths.iter().take(MOST).map(|path| format!("  {}", path.display())).collect();
    if paths.len() > MOST {
        lines.push(format!("  and {} more", paths.len() - MOST));
    }
    lines.join("\n")
}

/// Runs again, and checks that it is the same run.
fn run_again(args: &Args, case: &Case, wanted: Wanted) -> Result<(RunResult, Tape), Status> {
    bug::prepare();
    interrupt::watch(|| std::process::exit(Status::Interrupted.code().into()));
    let progress = Progress::new(1, args.quiet);
    let done = bug::caught(|| crate::run::run_taped(&case.scenario, &case.protocol, case.record.seed, wanted));
    progress.end();
    let (result, tape) = done.map_err(|bug| {
        screen::error("a bug in firedrill stopped the run");
        bug.tell(&format!("firedrill replay {}", screen::shell(&args.result.to_string_lossy())));
        Status::Bug
    })?;
    let (was, is) = (&case.record.fingerprint, &result.record.fingerprint);
    if was != is {
        screen::error(format_args!(
            "the run is not the one that was recorded: its fingerprint is {is}, and was {was}; `firedrill replay` shows the first difference"
        ));
        return Err(Status::Violated);
    }
    Ok((result, tape))
}

fn tell(args: &Args, case: &Case) -> Result<(), Status> {
    let asked = match &args.request {
        None => None,
        Some(text) => match story::parse(text) {
            Ok(asked) => Some(asked),
            Err(why) => return refuse(why),
        },
    };
    let service = match (args.diagram.is_some(), case.service, case.scenario.services.len()) {
        (true, None, 2..) => {
            let names: Vec<&str> = case.scenario.services.iter().map(|service| service.name.as_str()).collect();
            return refuse(format!(
                "a diagram is of one service: choose with --service among {}",
                screen::and_list(&names)
            ));
        }
        (_, service, _) => service.unwrap_or(ServiceId(0)),
    };
    let span = args.from.zip(args.to);
    let wanted = Wanted { request: asked.map(|(client, number, _)| (client, number)), timers: span };
    let (result, tape) = run_again(args, case, wanted)?;
    if let (Some(path), Some((from, to))) = (&args.diagram, span) {
        let span = Span { from, to, service, kinds: args.messages.clone(), heartbeats: args.heartbeats };
        return match diagram::draw(&case.scenario, &tape, &case.record.protocol, &span) {
            Ok(svg) => write(args, path, svg.as_bytes()),
            Err(why) => refuse(why),
        };
    }
    if let Some(path) = &args.perfetto {
        let choice = perfetto::Choice { span, heartbeats: args.heartbeats };
        let trace = perfetto::encode(&case.scenario, &result, &tape, choice);
        if trace.left_out > 0 {
            let number = count(trace.left_out as u64, "message");
            screen::warning(format_args!("{number} are too many and were left out; choose some with --from and --to"));
        }
        return write(args, path, &trace.bytes);
    }
    let page = print::Page::new(screen::width(), screen::colour_on_stdout());
    if let Some((client, number, read)) = asked {
        let name = match story::find(&tape, client, number, read) {
            Ok(name) => name,
            Err(why) => return refuse(why),
        };
        let life = story::life(&case.scenario, &tape, name);
        return show(args, &life, |life| page.life(life));
    }
    if args.failed {
        let failed = story::failed(&case.scenario, &tape, case.service, LISTED);
        return show(args, &json_of_failed(&failed), |_| page.failed(&failed));
    }
    if let Some(at) = args.at {
        let instant = story::at(&case.scenario, &result, &tape, case.service, at);
        return show(args, &instant, |instant| page.instant(instant));
    }
    let story = story::tell(&case.scenario, &result, &tape, case.service);
    show(args, &story, |story| page.story(story))
}

fn write(args: &Args, path: &Path, bytes: &[u8]) -> Result<(), Status> {
    output::write_file(path, bytes).map_err(|error| {
        screen::error(error);
        Status::NotWritten
    })?;
    if !args.quiet {
        screen::tell(format_args!("wrote {}", path.display()));
    }
    Ok(())
}

fn show<T: serde::Serialize>(args: &Args, what: &T, text: impl Fn(&T) -> String) -> Result<(), Status> {
    match args.format {
        Format::Json => screen::json(&serde_json::to_value(what).expect("a story has only string keys")),
        Format::Human => screen::product(&text(what)),
    }
}

fn json_of_failed(failed: &[story::Failed]) -> Value {
    let one = |failed: &story::Failed| {
        let first = failed.first.iter();
        let first: Vec<Value> = first
            .map(|(name, at)| serde_json::json!({ "request": story::request_name(*name), "at_s": at.as_secs_f64() }))
            .collect();
        serde_json::json!({ "what": failed.what, "number": failed.number, "first": first })
    };
    failed.iter().map(one).collect()
}
