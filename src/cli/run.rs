//! `firedrill run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use serde_json::Value;

use super::batch::{self, Gate, News, Next};
use super::bug::{self, Bug};
use super::options::{self, Format, Seeds};
use super::plan::{Job, Plan, Planned, Remarks};
use super::progress::Progress;
use super::screen::{self, count, shell};
use super::{Status, interrupt, load};
use crate::output::{self, OutputError, TableStyle};
use crate::run::{Keep, Record};

/// Run scenarios, write results and plots, and print a table.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// Only these protocols of each scenario, by label [default: all that are built].
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    protocol: Vec<String>,
    /// Run with this seed [default: that of the scenario].
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run with each seed from A up to and without B.
    #[arg(long, value_name = "A..B", value_parser = options::seeds)]
    seeds: Option<Seeds>,
    /// Runs at a time [default: one a core]. Results are the same whatever it is.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Where results go: DIR/SCENARIO/PROTOCOL/seed-N.
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    /// Change a value of every scenario before it is checked; may be repeated.
    #[arg(long, value_name = "PATH=VALUE", value_parser = options::set)]
    set: Vec<(String, String)>,
    /// Print tables, or the content of summary.json.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// No table, progress or hints; warnings and errors remain.
    #[arg(long)]
    quiet: bool,
    /// Draw no plots.
    #[arg(long)]
    no_plots: bool,
    /// Write history.jsonl too: every operation of every client.
    #[arg(long)]
    history: bool,
    /// Write trace.jsonl too: every event of the run.
    #[arg(long)]
    trace: bool,
}

const EXAMPLES: &str = "\
Examples:
  firedrill run scenarios/majority-failure.json
  firedrill run scenarios/majority-failure.json --protocol optimistic --seed 7 --history
  firedrill run scenarios/majority-failure.json --seeds 0..200 --out sweep --no-plots
  firedrill run scenarios/majority-failure.json --set timeline.0.for=2m --format json";

/// The bugs that are told in full; the others are only counted.
const MOST_BUGS: usize = 5;

/// What came of the runs of a command.
#[derive(Debug, Default)]
struct Harvest {
    records: BTreeMap<Job, Record>,
    unwritten: Vec<(Job, OutputError)>,
    bugs: BTreeMap<Job, Bug>,
    interrupted: bool,
}

/// Checks everything, runs, writes and prints.
pub fn run(args: Args) -> Status {
    match prepare(&args) {
        Ok(plan) => carry_out(&args, plan),
        Err(status) => status,
    }
}

/// All that can be wrong before anything runs or is written.
fn prepare(args: &Args) -> Result<Plan, Status> {
    let loaded = load::load_all(&args.scenarios, &args.set).map_err(|wrong| load::refuse(&wrong))?;
    let mut remarks = Remarks::default();
    let seeds = args.seed.map(Seeds::one).or(args.seeds);
    let plan = Plan::new(loaded, &args.protocol, seeds, &mut remarks);
    remarks.warnings.iter().for_each(screen::warning);
    remarks.errors.iter().for_each(screen::error);
    if !remarks.errors.is_empty() {
        return Err(Status::Refused);
    }
    let mut places: Vec<PathBuf> = Vec::new();
    for planned in &plan.scenarios {
        let dir = args.out.join(&planned.scenario.name);
        places.extend(planned.protocols.iter().map(|protocol| dir.join(&protocol.label)));
    }
    let runs = (0..plan.runs()).filter_map(|run| plan.job(run)).map(|job| plan.directory(&args.out, job));
    for place in places.into_iter().chain(runs) {
        if let Err(error) = output::check_destination(&place) {
            screen::error(error);
            return Err(Status::NotWritten);
        }
    }
    Ok(plan)
}

fn carry_out(args: &Args, plan: Plan) -> Status {
    let plan = Arc::new(plan);
    let harvest = match reap(args, &plan) {
        Ok(harvest) => harvest,
        Err(error) => {
            screen::error(format_args!("cannot start the threads for the runs: {error}; try a lower --jobs"));
            return Status::NotWritten;
        }
    };
    let mut status = harvest.records.values().map(Status::of).max().unwrap_or(Status::Held);
    for (_, error) in &harvest.unwritten {
        screen::error(error);
        status = status.max(Status::NotWritten);
    }
    status = status.max(tell_bugs(args, &plan, &harvest.bugs));
    let finished = harvest.records.len() as u64;
    let interrupted = harvest.interrupted;
    status = status.max(report(args, &plan, harvest.records));
    if interrupted || interrupt::pressed() {
        let runs = count(plan.runs(), "run");
        screen::warning(format_args!("interrupted: {finished} of {runs} finished and kept"));
        status = status.max(Status::Interrupted);
    }
    status
}

/// Runs everything.
fn reap(args: &Args, plan: &Arc<Plan>) -> Result<Harvest, rayon::ThreadPoolBuildError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(cores, usize::from).min(plan.runs() as usize).max(1);
    let gate = Arc::new(Gate::default());
    let (tell, news) = mpsc::channel();
    let interrupted = tell.clone();
    bug::prepare();
    interrupt::watch(move || _ = interrupted.send(News::Interrupted));
    let progress = Progress::new(plan.runs(), args.quiet);
    let work = {
        let (plan, gate, out) = (plan.clone(), gate.clone(), args.out.clone());
        let keep = Keep { history: args.history, trace: args.trace };
        move |run| one_run(&plan, run, keep, &gate, &out)
    };
    let mut harvest = Harvest::default();
    let hear = |run, done: Result<Option<Result<Record, OutputError>>, Bug>| {
        progress.step();
        let Some(job) = plan.job(run) else { return Next::GoOn };
        match done {
            Ok(Some(Ok(record))) => _ = harvest.records.insert(job, record),
            Ok(Some(Err(error))) => {
                harvest.unwritten.push((job, error));
                return Next::Stop;
            }
            Ok(None) => {}
            Err(bug) => _ = harvest.bugs.insert(job, bug),
        }
        Next::GoOn
    };
    let interrupted = batch::spread(plan.runs(), jobs, work, (tell, news), hear)?;
    gate.close();
    progress.end();
    harvest.interrupted = interrupted;
    harvest.unwritten.sort_by_key(|(job, _)| *job);
    Ok(harvest)
}

/// One run, written; `None` if nothing is to be written any more. Only what summaries need stays in memory.
fn one_run(plan: &Plan, run: u64, keep: Keep, gate: &Gate, out: &Path) -> Option<Result<Record, OutputError>> {
    let job = plan.job(run)?;
    let (scenario, protocol) = (plan.scenario(job), plan.protocol(job));
    let result = match crate::run::run(scenario, protocol, job.seed, keep) {
        Ok(result) => result,
        Err(kind) => unreachable!("the plan holds only what is built, and not {}", kind.0),
    };
    gate.pass(|| output::write_run(out, &scenario.name, &result).map(|_| result.record)).map(|written| {
        written.map(|mut record| {
            record.scenario.as_written = Value::Null;
            record.scenario.resolved = Value::Null;
            record
        })
    })
}

/// Tells each bug with the command that meets it again.
fn tell_bugs(args: &Args, plan: &Plan, bugs: &BTreeMap<Job, Bug>) -> Status {
    for (&job, bug) in bugs.iter().take(MOST_BUGS) {
        let (scenario, protocol) = (&plan.scenario(job).name, &plan.protocol(job).label);
        screen::error(format_args!("a bug in firedrill stopped {scenario} with {protocol} and seed {}", job.seed));
        bug.tell(&again(args, plan, job));
    }
    if bugs.len() > MOST_BUGS {
        screen::error(format_args!("and {} more runs were stopped by bugs", bugs.len() - MOST_BUGS));
    }
    if bugs.is_empty() { Status::Held } else { Status::Bug }
}

/// The command that makes one run of this command again.
fn again(args: &Args, plan: &Plan, job: Job) -> String {
    let Planned { path, .. } = &plan.scenarios[job.scenario];
    let label = &plan.protocol(job).label;
    let mut command =
        format!("firedrill run {} --protocol {label} --seed {}", shell(&path.to_string_lossy()), job.seed);
    for (path, value) in &args.set {
        command.push_str(&format!(" --set {}", shell(&format!("{path}={value}"))));
    }
    command
}

/// Writes summaries and plots, and prints, scenario by scenario.
fn report(args: &Args, plan: &Plan, records: BTreeMap<Job, Record>) -> Status {
    let mut by_scenario: Vec<Vec<Record>> = vec![Vec::new(); plan.scenarios.len()];
    for (job, record) in records {
        by_scenario[job.scenario].push(record);
    }
    let mut status = Status::Held;
    let mut summaries = Vec::new();
    for (planned, records) in plan.scenarios.iter().zip(&by_scenario) {
        if records.is_empty() {
            continue;
        }
        let plots = write(args, &planned.scenario.name, records).unwrap_or_else(|error| {
            screen::error(error);
            status = status.max(Status::NotWritten);
            Vec::new()
        });
        match args.format {
            Format::Json => summaries.push(output::summary_json(records)),
            Format::Human if !args.quiet => {
                let text = table(args, records, &plots, status, !summaries.is_empty());
                summaries.push(Value::Null);
                status = status.max(screen::product(&text).err().unwrap_or(Status::Held));
            }
            Format::Human => {}
        }
        tell_broken(args, records);
    }
    if args.format == Format::Json {
        let value = match summaries.pop() {
            Some(only) if plan.scenarios.len() == 1 => only,
            last => summaries.into_iter().chain(last).collect(),
        };
        status = status.max(screen::json(&value).err().unwrap_or(Status::Held));
    }
    status
}

/// Writes the summary of a scenario, and draws unless the user does not want to wait.
fn write(args: &Args, name: &str, records: &[Record]) -> Result<Vec<PathBuf>, OutputError> {
    output::write_summary(&args.out, name, records)?;
    if args.no_plots || interrupt::pressed() { Ok(Vec::new()) } else { output::plot(&args.out.join(name)) }
}

fn table(args: &Args, records: &[Record], plots: &[PathBuf], status: Status, follows: bool) -> String {
    let style = TableStyle {
        width: screen::width(),
        unicode: screen::unicode(),
        colour: screen::colour_on_stdout(),
        out: (status < Status::NotWritten).then_some(&args.out),
        plots,
    };
    let gap = if follows { "\n" } else { "" };
    format!("{gap}{}", output::summary_table(records, style))
}

/// A line that says why the exit code is not 0, where the table does not.
fn tell_broken(args: &Args, records: &[Record]) {
    let broken: Vec<&Record> = records.iter().filter(|record| Status::of(record) == Status::Violated).collect();
    let Some(first) = broken.first() else { return };
    let dir = output::run_dir(&args.out, &first.scenario.name, &first.protocol, first.seed);
    let runs = count(records.len() as u64, "run");
    screen::error(format_args!(
        "{}: {} of {runs} broke an expectation or a promise; see {}",
        first.scenario.name,
        broken.len(),
        dir.join("result.json").display()
    ));
}
