//! `firedrill shrink`.

mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::batch::{self, Next};
use super::bug;
use super::options::Format;
use super::progress::Watch;
use super::screen::{self, and_list, shell};
use super::{Status, defect, interrupt, load};
use crate::output;
use crate::run::{Keep, Record};
use crate::scenario::{self, Protocol, Scenario};
use crate::shrink::{Answers, Bounds, Failure, Progress, Search, Subject, Trial, shows};

/// Find the smallest scenario that still shows the same failure.
///
/// The failure is a violated verdict, an expectation that does not hold, or a panic. What does not matter is taken
/// away, and what remains is made plainer and rounder, as long as the failure shows. The result does not depend on
/// --jobs. If it is stopped at any moment, the same command goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A scenario that `firedrill run` ends with exit code 1 or 101.
    #[arg(value_name = "FINDING")]
    finding: PathBuf,
    /// Where the smaller scenario goes [default: FINDING-shrunk.json, beside it].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What must still show: the name of a verdict, a metric that is expected, or panic [default: the first that
    /// fails].
    #[arg(long, value_name = "NAME")]
    check: Option<String>,
    /// The protocol that fails, by label [default: the first that does].
    #[arg(long, value_name = "LABEL")]
    protocol: Option<String>,
    /// Give the protocol this deliberate defect first; see `firedrill list defects`.
    #[arg(long = "break", value_name = "NAME")]
    defect: Option<String>,
    /// Runs at a time [default: one a core]. The result is the same whatever it is.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Stop after so many runs with the smallest scenario so far; a later command with more goes on.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    runs: u64,
    /// Fields of the scenario that stay as they are, for example topology.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    keep: Vec<String>,
    /// Try what changes much with the seeds from 1 to this too.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=1000))]
    seeds: u64,
    /// Print sentences, or a JSON object.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// No summary, progress or hints; warnings and errors remain.
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  firedrill shrink finding.json
  firedrill shrink finding.json --out smallest.json --check I4
  firedrill shrink scenarios/mine.json --protocol raft --seeds 50 --keep topology

docs/shrinking.md tells what is smaller than what.";

/// Trials that are asked for at once, for each job.
const AHEAD: usize = 16;

/// The progress file is written no oftener than this.
const SAVE_EVERY: Duration = Duration::from_millis(250);

/// What is to be shrunk, and to where.
struct Task {
    finding: Subject,
    failure: Failure,
    /// Of the finding's own run; none if it panicked.
    record: Option<Record>,
    out: PathBuf,
    progress: PathBuf,
    bounds: Bounds,
    answers: Answers,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing smaller was found.
    Smallest,
    /// `--runs` was reached.
    OutOfRuns,
    Interrupted,
}

/// Checks everything, searches, writes and tells.
pub fn shrink(args: &Args) -> Status {
    bug::prepare();
    interrupt::watch(|| {});
    prepare(args).and_then(|task| carry_out(args, task)).unwrap_or_else(|status| status)
}

fn refuse(why: impl std::fmt::Display) -> Status {
    screen::error(why);
    Status::Refused
}

fn not_written(error: output::OutputError) -> Status {
    screen::error(error);
    Status::NotWritten
}

/// All that can be wrong before the search begins.
fn prepare(args: &Args) -> Result<Task, Status> {
    let mut loaded = load::load(&args.finding, &[]).map_err(|wrong| load::refuse(&[wrong]))?;
    if let Some(name) = &args.defect {
        loaded = defect::give(vec![loaded], &[], args.protocol.as_slice(), name)?.remove(0);
    }
    let out = args.out.clone().unwrap_or_else(|| beside(&args.finding, "-shrunk.json"));
    if same_file(&out, &args.finding) {
        return Err(refuse(format!("--out {} is the finding itself; choose another place", out.display())));
    }
    output::check_destination(out.parent().unwrap_or(Path::new(""))).map_err(not_written)?;
    let (finding, failure, record) = failing(args, &loaded.scenario)?;
    if let Some(field) = args.keep.iter().find(|field| finding.value.get(field).is_none()) {
        return Err(refuse(format!("--keep {field}: the finding has no such field")));
    }
    let bounds = Bounds { seeds: args.seeds, keep: args.keep.clone() };
    let progress = out.with_file_name(format!("{}.progress", out.file_name().unwrap_or_default().to_string_lossy()));
    let expected = Progress::new(&finding, &failure, &bounds, Answers::new());
    let kept = output::read_text(&progress).map_err(refuse)?;
    let answers = kept.map(|text| expected.resume(&text)).transpose().map_err(|why| {
        let progress = progress.display();
        refuse(format!("{progress}: {why}; remove it to begin anew, or choose another --out"))
    })?;
    Ok(Task { finding, failure, record, out, progress, bounds, answers: answers.unwrap_or_default() })
}

/// The path with another ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!("{}{ending}", path.file_stem().unwrap_or_default().to_string_lossy()))
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Finds the protocol that fails, and what fails.
fn failing(args: &Args, scenario: &Scenario) -> Result<(Subject, Failure, Option<Record>), Status> {
    let labels: Vec<&str> = scenario.protocols.iter().map(|Protocol { label, .. }| label.as_str()).collect();
    if let Some(label) = args.protocol.as_deref().filter(|label| !labels.contains(label)) {
        return Err(refuse(format!("{} has no protocol `{label}`; it has {}", scenario.name, and_list(&labels))));
    }
    let asked = |label: &&&str| args.protocol.as_deref().is_none_or(|asked| asked == **label);
    let mut others: Vec<String> = Vec::new();
    for label in labels.iter().filter(asked) {
        let finding = Subject::of(scenario, label, scenario.seed).map_err(|wrong| load::refuse(&[wrong]))?;
        let (failures, record) = run(&finding.scenario);
        let wanted = |failure: &&Failure| args.check.as_deref().is_none_or(|check| failure.name() == check);
        if let Some(failure) = failures.iter().find(wanted) {
            return match shows(&finding, failure, failures_of) {
                true => Ok((finding, failure.clone(), record)),
                false => Err(refuse(format!(
                    "{label} fails without its defect `{}` too, so the defect is not what this finding shows; take `break` out of it",
                    finding.defect().unwrap_or_default()
                ))),
            };
        }
        others.extend(failures.iter().map(|failure| failure.name().to_owned()));
    }
    let path = args.finding.display();
    Err(refuse(match &args.check {
        Some(check) if !others.is_empty() => {
            format!("{path}: nothing to shrink: `{check}` does not fail, but {} does", and_list(&others))
        }
        _ => format!("{path}: nothing to shrink: every verdict and every expectation holds"),
    }))
}

/// Runs the only protocol of a scenario under its own seed.
fn run(scenario: &Scenario) -> (Vec<Failure>, Option<Record>) {
    let once = || crate::run::run(scenario, &scenario.protocols[0], scenario.seed, Keep::default());
    match bug::caught(once) {
        Ok(result) => (Failure::of(&result.record), Some(result.record)),
        Err(bug) => (vec![Failure::Panic { place: bug.place.unwrap_or_default() }], None),
    }
}

fn failures_of(scenario: &Scenario) -> Vec<Failure> {
    run(scenario).0
}

fn carry_out(args: &Args, mut task: Task) -> Result<Status, Status> {
    let mut search = Search::new(task.finding.clone(), &task.bounds, std::mem::take(&mut task.answers));
    let end = search_on(args, &task, &mut search)?;
    let save = || output::write_text(&task.progress, &progress(&task, &search).text()).map_err(not_written);
    if end == End::Interrupted {
        save()?;
        screen::error(format_args!(
            "interrupted after {} runs, at {}; the same command goes on",
            search.answers().len(),
            search.size()
        ));
        return Err(Status::Interrupted);
    }
    let smallest = told(&task, search.smallest());
    let text = scenario::text(&smallest.value, &smallest.scenario.resolved);
    let (failures, record) = run(&smallest.scenario);
    assert!(failures.contains(&task.failure), "a name and a description change nothing of a run");
    output::write_text(&task.out, &text).map_err(not_written)?;
    match end {
        End::Smallest => output::remove(&task.progress).map_err(not_written)?,
        _ => save()?,
    }
    let report = report::Report {
        failure: &task.failure,
        before: report::Measures::of(&task.finding.scenario, task.record.as_ref()),
        after: report::Measures::of(&smallest.scenario, record.as_ref()),
        out: &task.out,
        runs: search.answers().len() as u64,
        end,
    };
    let printed = match args.format {
        Format::Json => screen::json(&report.json()),
        Format::Human if args.quiet => Ok(()),
        Format::Human => screen::product(&report.human(screen::unicode())),
    };
    printed.map(|()| Status::Held)
}

fn progress(task: &Task, search: &Search) -> Progress {
    Progress::new(&task.finding, &task.failure, &task.bounds, search.answers().clone())
}

/// Asks and answers until the search ends or is stopped.
fn search_on(args: &Args, task: &Task, search: &mut Search) -> Result<End, Status> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(cores, usize::from);
    let watch = Watch::new(args.quiet);
    #[allow(clippy::disallowed_methods, reason = "how often the progress file is written changes no result")]
    let now = Instant::now;
    let mut saved: Option<Instant> = None;
    loop {
        let runs = search.answers().len() as u64;
        watch.tell(format!("{runs} runs, {}; trying {}", search.size(), search.doing()));
        let left = args.runs.saturating_sub(runs).min((AHEAD * jobs) as u64);
        let trials = search.trials(left.max(1) as usize).to_vec();
        // What earlier answers decide costs no run, and is done even when none is left.
        let end = match () {
            () if trials.is_empty() => End::Smallest,
            () if left == 0 => End::OutOfRuns,
            () if interrupt::pressed() => End::Interrupted,
            () => {
                let showed = answer(trials, &task.failure, jobs)?;
                search.hear(&showed);
                if saved.is_none_or(|saved| saved.elapsed() >= SAVE_EVERY) {
                    let text = progress(task, search).text();
                    output::write_text(&task.progress, &text).map_err(not_written)?;
                    saved = Some(now());
                }
                continue;
            }
        };
        watch.end();
        return Ok(end);
    }
}

/// Runs trials on all cores, and tells which showed the failure, up to the first that did. Those behind it may have
/// run too; they are forgotten, as one job would not have run them. An interrupt leaves some at the end untold.
fn answer(trials: Vec<Trial>, failure: &Failure, jobs: usize) -> Result<Vec<bool>, Status> {
    let mut heard: Vec<Option<bool>> = vec![None; trials.len()];
    let (count, trials, failure) = (trials.len() as u64, Arc::new(trials), failure.clone());
    let work = move |at: u64| shows(&trials[at as usize].subject, &failure, failures_of);
    let hear = |at: u64, showed: Result<bool, bug::Bug>| {
        let showed = showed.unwrap_or(false);
        heard[at as usize] = Some(showed);
        if showed || interrupt::pressed() { Next::Stop } else { Next::GoOn }
    };
    batch::spread(count, jobs.min(count as usize), work, mpsc::channel(), hear).map_err(|error| {
        screen::error(format_args!("cannot start the threads for the runs: {error}; try a lower --jobs"));
        Status::NotWritten
    })?;
    let mut showed: Vec<bool> = heard.into_iter().map_while(|answer| answer).collect();
    if let Some(first) = showed.iter().position(|&showed| showed) {
        showed.truncate(first + 1);
    }
    Ok(showed)
}

/// The smallest scenario with a name, a sentence on what it shows, and the way to the schema.
fn told(task: &Task, smallest: &Subject) -> Subject {
    let (_, record) = run(&smallest.scenario);
    let defect = smallest.defect().map_or_else(String::new, |defect| format!(" with the defect `{defect}`"));
    let description = format!("{}{defect}: {}", smallest.label(), report::sentence(&task.failure, record.as_ref()));
    let schema = schema(&task.out);
    smallest.told(schema.as_deref(), &description).unwrap_or_else(|_| smallest.clone())
}

/// Where the schema stands, seen from a file: beside it or in the nearest directory above.
fn schema(out: &Path) -> Option<String> {
    const NAME: &str = "scenario.schema.json";
    let dir = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = dir.canonicalize().ok()?;
    let up = dir.ancestors().position(|above| above.join(NAME).is_file())?;
    Some("../".repeat(up) + NAME)
}

/// The command that runs a scenario.
fn replay(out: &Path) -> String {
    format!("firedrill run {}", shell(&out.to_string_lossy()))
}
