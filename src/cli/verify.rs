//! `firedrill verify`.

mod report;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::options::Format;
use super::{Status, screen};
use crate::check::verify::{Check, History, Judgement, Outcome, Span};
use crate::import::{self, Imported, Initial};
use crate::output;
use crate::scenario;
use crate::time::{Duration, SimTime};

/// Judge a history of any store: linearizable, causal, and what sessions are promised.
///
/// Reads firedrill's history.jsonl, histories of Jepsen, and the logs of Porcupine's tests. Every property gets a
/// verdict: valid, unknown (the budget ended, or the history does not tell), or violated, with evidence.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The history.
    #[arg(value_name = "HISTORY")]
    history: PathBuf,
    /// What the operations mean; without it, as the file suggests.
    #[arg(long, value_enum)]
    model: Option<Model>,
    /// How the file is written.
    #[arg(long, value_enum, default_value_t)]
    input: Input,
    /// What a cell holds before it is written: absent, unknown, or a value as it stands in the file.
    #[arg(long, value_name = "VALUE")]
    initial: Option<String>,
    /// Only these properties, separated by commas; all without it.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    check: Vec<String>,
    /// Judge what began in this span, from an unknown state, for example 60s..5m; may be repeated.
    #[arg(long, value_name = "FROM..TO", value_parser = span)]
    span: Vec<Span>,
    /// Judge each phase of the run that this result.json records.
    #[arg(long, value_name = "RESULT.json", conflicts_with = "span")]
    phases: Option<PathBuf>,
    /// Steps that each judge may take before it says unknown; a step is about a microsecond.
    #[arg(long, value_name = "N", default_value_t = 5_000_000)]
    budget: u64,
    /// Print a table and evidence, or a JSON object.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print nothing; the exit code tells.
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Properties, for --check: linearizable, sequential, causal-convergence, causal, read-your-writes,
monotonic-reads, monotonic-writes, writes-follow-reads, no-lost-writes, no-revoked-writes,
no-duplicated-writes. docs/histories.md defines them, and the formats.

Exit codes: 0 all valid; 1 one is violated; 2 the file or the command is wrong; 3 one is unknown.

Examples:
  firedrill verify results/majority-failure/optimistic/seed-1/history.jsonl
  firedrill verify history.jsonl --phases result.json
  firedrill verify etcd_000.log --check linearizable
  firedrill verify history.edn --model kv --initial 0 --format json";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Model {
    /// Cells by key: read, put, append, compare-and-swap.
    Kv,
    /// One cell.
    Register,
    /// Sets by key that only grow: read and post.
    Board,
}

impl Model {
    fn means(self) -> import::Model {
        match self {
            Self::Kv => import::Model::Kv,
            Self::Register => import::Model::Register,
            Self::Board => import::Model::Board,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Input {
    /// As the first letters suggest.
    #[default]
    Auto,
    /// history.jsonl, as `run --history` writes it.
    Firedrill,
    /// EDN maps with :process, :type, :f and :value.
    Jepsen,
    /// Logs of etcd (`INFO jepsen.util - 0 :invoke :read nil`), or EDN maps with a :key.
    Porcupine,
}

impl Input {
    fn means(self) -> Option<import::Input> {
        match self {
            Self::Auto => None,
            Self::Firedrill => Some(import::Input::Firedrill),
            Self::Jepsen => Some(import::Input::Jepsen),
            Self::Porcupine => Some(import::Input::Porcupine),
        }
    }
}

/// Reads `FROM..TO`, half open.
fn span(text: &str) -> Result<Span, String> {
    let wanted = "a span is written FROM..TO, for example 60s..5m";
    let (from, to) = text.split_once("..").ok_or(wanted)?;
    let time = |text: &str| scenario::parse_duration(text).map_err(|why| format!("`{text}`: {why}; {wanted}"));
    let (from, to) = (SimTime::ZERO + time(from)?, SimTime::ZERO + time(to)?);
    if from < to { Ok(Span { from, to }) } else { Err(format!("there is no time in {text}; {wanted}")) }
}

/// A part of the history, and what it is called.
struct Part {
    span: Span,
    label: String,
}

/// What was found in one service, part by part.
struct Service {
    name: String,
    operations: usize,
    parts: Vec<(usize, Vec<Judgement>)>,
}

/// Judges, and tells.
pub fn verify(args: &Args) -> Status {
    match judge(args) {
        Ok(status) => status,
        Err(why) => {
            screen::error(why);
            Status::Refused
        }
    }
}

fn judge(args: &Args) -> Result<Status, String> {
    let checks = checks(&args.check)?;
    let parts = parts(args)?;
    let imported = read(args)?;
    let incomplete = match imported.left_out.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        [first, rest @ ..] => Some(format!("{first} (and {} more answers like this)", rest.len())),
    };
    let history = History::new(&imported.events, imported.initial_unknown, incomplete);
    let judged = |service| Service {
        name: imported.service(service).to_owned(),
        operations: history.operations(service, Span::WHOLE),
        parts: parts
            .iter()
            .map(|part| {
                let judgements = history.judge(service, part.span, &checks, args.budget);
                (history.operations(service, part.span), judgements)
            })
            .collect(),
    };
    let services: Vec<Service> = history.services().map(judged).collect();
    if services.is_empty() {
        return Err(format!(
            "{}: no operation in it has happened for certain, so there is nothing to judge",
            args.history.display()
        ));
    }
    let judgements = services.iter().flat_map(|service| &service.parts).flat_map(|(_, judgements)| judgements);
    let outcome = judgements.map(|judgement| judgement.outcome).max().unwrap_or(Outcome::Unknown);
    let status = match outcome {
        Outcome::Valid => Status::Held,
        Outcome::Unknown => Status::Undecided,
        Outcome::Violated => Status::Violated,
    };
    let path = args.history.display().to_string();
    let printed = match args.format {
        Format::Json => screen::json(&report::json(&path, &imported, &parts, &services, outcome)),
        Format::Human if args.quiet => Ok(()),
        Format::Human => screen::product(&report::human(&path, &imported, &parts, &services)),
    };
    Ok(status.max(printed.err().unwrap_or(Status::Held)))
}

fn checks(names: &[String]) -> Result<Vec<Check>, String> {
    if names.is_empty() {
        return Ok(Check::ALL.to_vec());
    }
    let check = |name: &String| {
        let all = Check::ALL.map(Check::name);
        let found = Check::ALL.into_iter().find(|check| check.name() == name);
        found.ok_or_else(|| format!("no property `{name}`; there are {}", screen::and_list(&all)))
    };
    names.iter().map(check).collect()
}

fn parts(args: &Args) -> Result<Vec<Part>, String> {
    let seconds = |span: Span| format!("{} s to {} s", span.from.as_secs_f64(), span.to.as_secs_f64());
    if let Some(path) = &args.phases {
        let record = output::read_record(path).map_err(|error| error.to_string())?;
        let at = |seconds: f64| SimTime::ZERO + Duration::from_nanos((seconds * 1e9).round() as u64);
        let part = |phase: &crate::metrics::Phase| {
            let span = Span { from: at(phase.from_s), to: at(phase.to_s) };
            Part { span, label: format!("{}: {}", seconds(span), phase.label) }
        };
        return Ok(record.phases.iter().map(part).collect());
    }
    if args.span.is_empty() {
        return Ok(vec![Part { span: Span::WHOLE, label: "the whole history".to_owned() }]);
    }
    Ok(args.span.iter().map(|&span| Part { span, label: seconds(span) }).collect())
}

fn read(args: &Args) -> Result<Imported, String> {
    let path = &args.history;
    let text = text(path)?;
    let initial = args.initial.as_ref().map(|initial| match initial.as_str() {
        "absent" => Initial::Absent,
        "unknown" => Initial::Unknown,
        value => Initial::Value(value.to_owned()),
    });
    let options = import::Options { input: args.input.means(), model: args.model.map(Model::means), initial };
    import::read(&text, &options).map_err(|problem| {
        let between = if problem.line > 0 { "" } else { " " };
        format!("{}:{between}{problem}", path.display())
    })
}

fn text(path: &Path) -> Result<String, String> {
    let cannot = |error: &std::io::Error| format!("cannot read {}: {}", path.display(), screen::reason(error));
    let found = std::fs::metadata(path).map_err(|error| cannot(&error))?;
    if found.is_dir() {
        return Err(format!("cannot read {}: it is a directory", path.display()));
    }
    if found.len() > import::LARGEST {
        return Err(format!("{}: it is larger than {} MiB", path.display(), import::LARGEST >> 20));
    }
    let bytes = std::fs::read(path).map_err(|error| cannot(&error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("{}:{line}: it is not text (UTF-8)", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_beginning_and_a_later_end() {
        let at = |seconds: u64| SimTime::from_nanos(seconds * 1_000_000_000);
        assert_eq!(span("60s..5m"), Ok(Span { from: at(60), to: at(300) }));
        for wrong in ["", "5s", "..", "5s..", "..5s", "5s..5s", "6s..5s", "1..2", "-1s..2s"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
