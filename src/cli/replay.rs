//! `firedrill replay`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::bug::{self, Bug};
use super::options::Format;
use super::progress::Progress;
use super::screen::{self, count};
use super::{Status, interrupt};
use crate::output::{self, Written};
use crate::run::{Keep, Record, RunResult};
use crate::scenario::{self, Protocol, Scenario};

/// Run again what a result file records, and compare everything.
///
/// Prints `same` and the fingerprint, or the first difference and exits with 1. It needs nothing but the result
/// file, and writes nothing without --out. Files of the run that stand beside it may not have been changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A result.json that `firedrill run` wrote.
    #[arg(value_name = "RESULT.json")]
    result: PathBuf,
    /// Write the new run here, to look into a difference or to get a history or trace.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write history.jsonl too: every operation of every client.
    #[arg(long, requires = "out")]
    history: bool,
    /// Write trace.jsonl too: every event of the run.
    #[arg(long, requires = "out")]
    trace: bool,
    /// Print sentences, or a JSON object.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print nothing; the exit code tells.
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  firedrill replay results/majority-failure/optimistic/seed-1/result.json
  firedrill replay result.json --out again --history --trace";

/// Characters of a value that are shown, at most.
const WIDEST: usize = 200;

/// Runs again and compares.
pub fn replay(args: &Args) -> Status {
    match prepare(args) {
        Ok((written, scenario, protocol)) => compare(args, &written, &scenario, &protocol),
        Err(status) => status,
    }
}

/// Reads a result and its scenario, and checks that this version can run them.
///
/// # Errors
/// The file is no result, or of another version, or was changed; the user is told.
pub(super) fn read(path: &Path) -> Result<(Written, Scenario, Protocol), Status> {
    let refuse = |why: String| {
        screen::error(why);
        Status::Refused
    };
    let written = output::read_result_to_replay(path, scenario::hash).map_err(|error| refuse(error.to_string()))?;
    let record = &written.record;
    let path = path.display();
    if !record.branches.is_empty() {
        return Err(refuse(format!("{path}: it reseeds its streams on the way, which this firedrill cannot do")));
    }
    let mut scenario = scenario::from_value(&record.scenario.resolved)
        .map_err(|wrong| refuse(format!("{path}: its scenario is not valid:\n{wrong}")))?;
    scenario.as_written = record.scenario.as_written.clone();
    let label = &record.protocol;
    let protocol = scenario.protocols.iter().find(|protocol| protocol.label == *label).cloned();
    let protocol = protocol.ok_or_else(|| refuse(format!("{path}: its scenario has no protocol `{label}`")))?;
    Ok((written, scenario, protocol))
}

/// Reads the record, and checks that a new run could be written.
fn prepare(args: &Args) -> Result<(Written, Scenario, Protocol), Status> {
    let (written, scenario, protocol) = read(&args.result)?;
    let record = &written.record;
    if let Some(out) = &args.out {
        let dir = output::run_dir(out, &scenario.name, &record.protocol, record.seed);
        if same_place(&dir, args.result.parent().unwrap_or(Path::new(""))) {
            let (out, path) = (out.display(), args.result.display());
            screen::error(format_args!("--out {out} would replace {path} itself; choose another place"));
            return Err(Status::Refused);
        }
        output::check_destination(&dir).map_err(|error| {
            screen::error(error);
            Status::NotWritten
        })?;
    }
    Ok((written, scenario, protocol))
}

/// Whether both are there and are one directory.
fn same_place(one: &Path, other: &Path) -> bool {
    let other = if other.as_os_str().is_empty() { Path::new(".") } else { other };
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn compare(args: &Args, recorded: &Written, scenario: &Scenario, protocol: &Protocol) -> Status {
    bug::prepare();
    interrupt::watch(|| std::process::exit(Status::Interrupted.code().into()));
    let progress = Progress::new(1, args.quiet);
    let has = |name: &str| recorded.files.contains_key(name);
    let (history, trace) = (args.history || has("history.jsonl"), args.trace || has("trace.jsonl"));
    let keep = Keep { history, trace, ..Keep::default() };
    let done = bug::caught(|| crate::run::run(scenario, protocol, recorded.record.seed, keep));
    progress.end();
    let mut now = match done {
        Ok(now) => now,
        Err(bug) => return tell_bug(args, &bug),
    };
    let mut again = Written::of(&now);
    // What is only asked for now was not recorded, and is no difference.
    again.files.retain(|name, _| has(name));
    let mut different = Vec::new();
    differences("", &recorded.to_value(), &again.to_value(), &mut different);
    let status = if different.is_empty() { Status::Held } else { Status::Violated };
    let printed = match args.format {
        Format::Json => screen::json(&verdict(&now.record, &different)),
        Format::Human if args.quiet => Ok(()),
        Format::Human => screen::product(&sentence(&recorded.record, &now.record, &different)),
    };
    let status = status.max(printed.err().unwrap_or(Status::Held));
    now.history = now.history.filter(|_| args.history);
    now.trace = now.trace.filter(|_| args.trace);
    status.max(write(args, scenario, &now))
}

fn write(args: &Args, scenario: &Scenario, now: &RunResult) -> Status {
    let Some(out) = &args.out else { return Status::Held };
    match output::write_run(out, &scenario.name, now) {
        Ok(dir) => {
            if !args.quiet {
                screen::tell(format_args!("the new run is in {}", dir.display()));
            }
            Status::Held
        }
        Err(error) => {
            screen::error(error);
            Status::NotWritten
        }
    }
}

fn tell_bug(args: &Args, bug: &Bug) -> Status {
    let path = args.result.to_string_lossy();
    screen::error("a bug in firedrill stopped the replay");
    bug.tell(&format!("firedrill replay {}", screen::shell(&path)));
    Status::Bug
}

/// A value that is not as it was recorded; `None` where there is none.
#[derive(Clone, Debug, PartialEq)]
struct Difference {
    /// Dotted, with indices of lists as numbers.
    path: String,
    recorded: Option<Value>,
    now: Option<Value>,
}

/// Every difference, in the order of the record.
fn differences(path: &str, recorded: &Value, now: &Value, out: &mut Vec<Difference>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let mut pair = |key: &str, recorded: Option<&Value>, now: Option<&Value>| match (recorded, now) {
        (Some(recorded), Some(now)) => differences(&below(key), recorded, now, out),
        _ => out.push(Difference { path: below(key), recorded: recorded.cloned(), now: now.cloned() }),
    };
    match (recorded, now) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                pair(key, Some(value), after.get(key));
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                pair(key, None, Some(value));
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for index in 0..before.len().max(after.len()) {
                pair(&index.to_string(), before.get(index), after.get(index));
            }
        }
        _ if recorded == now => {}
        _ => out.push(Difference { path: path.to_owned(), recorded: Some(recorded.clone()), now: Some(now.clone()) }),
    }
}

/// For programs.
fn verdict(now: &Record, different: &[Difference]) -> Value {
    json!({
        "same": different.is_empty(),
        "fingerprint": now.fingerprint,
        "differences": different.len(),
        "first": different.first().map(|first| json!({
            "path": first.path, "recorded": first.recorded, "now": first.now,
        })),
    })
}

/// For people.
fn sentence(record: &Record, now: &Record, different: &[Difference]) -> String {
    let Some(first) = different.first() else {
        let (name, label, seed) = (&now.scenario.name, &now.protocol, now.seed);
        let events = count(now.events, "event");
        return format!("same: fingerprint {} ({name}, {label}, seed {seed}, {events})\n", now.fingerprint);
    };
    let show = |value: &Option<Value>| {
        let text = value.as_ref().map_or("nothing".to_owned(), Value::to_string);
        match text.char_indices().nth(WIDEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    };
    let mut text =
        format!("different: {}\n  recorded  {}\n  now       {}\n", first.path, show(&first.recorded), show(&first.now));
    let others = different.len() as u64 - 1;
    let events = if record.fingerprint == now.fingerprint {
        "every event is the same, so the record was changed, or what is measured"
    } else {
        "the events of the run are not the same"
    };
    match others {
        0 => text.push_str(&format!("It is the only difference; {events}.\n")),
        _ => text.push_str(&format!("There {}; {events}.\n", more(others))),
    }
    text
}

fn more(others: u64) -> String {
    if others == 1 { "is one more difference".into() } else { format!("are {others} more differences") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(recorded: &Value, now: &Value) -> Vec<Difference> {
        let mut out = Vec::new();
        differences("", recorded, now, &mut out);
        out
    }

    #[test]
    fn differences_are_found_at_any_depth() {
        let recorded = json!({"a": {"b": [1, 2]}, "c": null});
        assert_eq!(first(&recorded, &recorded), []);
        let now = json!({"a": {"b": [1, 3, 4]}, "d": 0});
        let difference =
            |path: &str, recorded: Option<Value>, now: Option<Value>| Difference { path: path.into(), recorded, now };
        assert_eq!(
            first(&recorded, &now),
            [
                difference("a.b.1", Some(json!(2)), Some(json!(3))),
                difference("a.b.2", None, Some(json!(4))),
                difference("c", Some(Value::Null), None),
                difference("d", None, Some(json!(0))),
            ]
        );
    }

    #[test]
    fn numbers_are_compared_exactly() {
        assert_eq!(first(&json!(1), &json!(1.0)).len(), 1);
        assert_eq!(first(&json!(0.1), &json!(0.1)).len(), 0);
    }
}
