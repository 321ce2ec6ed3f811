//! `firedrill run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use serde_json::Value;

use super::batch::{self, Gate, News, Next};
use super::bug::{self, Bug};
use super::options::{self, Format, Seeds};
use super::plan::{Job, Plan, Planned, Remarks};
use super::progress::Progress;
use super::screen::{self, count, shell};
use super::{Status, defect, interrupt, load};
use crate::output::{self, OutputError, TableStyle};
use crate::run::{Keep, Record};

/// Run scenarios, write results and plots, and print a table.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// Only these protocols of each scenario, by label [default: all].
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
    /// Give each of these protocols that can have it this deliberate defect; see `firedrill list defects`.
    #[arg(long = "break", value_name = "NAME")]
    defect: Option<String>,
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
  firedrill run scenarios/majority-failure.json --set timeline.0.for=2m --format json
  firedrill run scenarios/majority-failure.json --protocol raft --break ack-before-commit";

/// The bugs that are told in full; the others are only counted.
const MOST_BUGS: usize = 5;

/// What came of the runs of a command.
#[derive(Debug, Default)]
struct Harvest {
    records: BTreeMap<Job, Record>,
    unwritten: BTreeMap<Job, OutputError>,
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
    let mut loaded = load::load_all(&args.scenarios, &args.set).map_err(|wrong| load::refuse(&wrong))?;
    if let Some(name) = &args.defect {
        loaded = defect::give(loaded, &args.set, &args.protocol, name)?;
    }
    let mut remarks = Remarks::default();
    let seeds = args.seed.map(Seeds::one).or(args.seeds);
    let plan = Plan::new(loaded, &args.protocol, seeds, &mut remarks);
    remarks.warnings.iter().for_each(screen::warning);
    remarks.errors.iter().for_each(screen::error);
    if !remarks.errors.is_empty() {
        return Err(Status::Refused);
    }
    check_places(&plan, &args.out).map_err(|error| {
        screen::error(error);
        Status::NotWritten
    })?;
    Ok(plan)
}

/// Checks that every run could be written. Nothing can be in the way of a run whose protocol has no directory yet.
fn check_places(plan: &Plan, out: &Path) -> Result<(), OutputError> {
    for run in 0..plan.runs() {
        let Some(job) = plan.job(run) else { break };
        let dir = plan.directory(out, job);
        let fresh = dir.parent().is_some_and(|protocol| !protocol.exists());
        if !fresh || job.seed == plan.scenarios[job.scenario].seeds.first {
            output::check_destination(&dir)?;
        }
    }
    Ok(())
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
    for error in harvest.unwritten.values() {
        screen::error(error);
        status = status.max(Status::NotWritten);
    }
    status = status.max(tell_bugs(args, &plan, &harvest.bugs));
    let finished = harvest.records.len() as u64;
    let interrupted = harvest.interrupted;
    status = status.max(report(args, &plan, harvest.records));
    if interrupted || interrupt::pressed() {
        let runs = count(plan.runs(), "run");
        screen::error(format_args!("interrupted: {finished} of {runs} finished, and are kept"));
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
    let harvest = Arc::new(Mutex::new(Harvest::default()));
    let work = {
        let (plan, gate, harvest, out) = (plan.clone(), gate.clone(), harvest.clone(), args.out.clone());
        let keep = Keep { history: args.history, trace: args.trace, ..Keep::default() };
        move |run| one_run(&plan, run, keep, &gate, &harvest, &out)
    };
    let mut bugs = BTreeMap::new();
    let hear = |run, done: Result<Next, Bug>| {
        progress.step();
        done.unwrap_or_else(|bug| {
            bugs.extend(plan.job(run).map(|job| (job, bug)));
            Next::GoOn
        })
    };
    let interrupted = batch::spread(plan.runs(), jobs, work, (tell, news), hear)?;
    gate.close();
    progress.end();
    let harvest = std::mem::take(&mut *harvest.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Harvest { bugs, interrupted, ..harvest })
}

/// One run, written and harvested in one passage of the gate, so that summaries cover exactly what is written.
/// Only what they need stays in memory.
fn one_run(plan: &Plan, run: u64, keep: Keep, gate: &Gate, harvest: &Mutex<Harvest>, out: &Path) -> Next {
    let Some(job) = plan.job(run) else { return Next::Stop };
    let (scenario, protocol) = (plan.scenario(job), plan.protocol(job));
    let result = crate::run::run(scenario, protocol, job.seed, keep);
    let passage = gate.pass(|| {
        let written = output::write_run(out, &scenario.name, &result);
        let mut harvest = harvest.lock().unwrap_or_else(PoisonError::into_inner);
        match written {
            Ok(_) => {
                let mut record = result.record;
                record.scenario.as_written = Value::Null;
                record.scenario.resolved = Value::Null;
                harvest.records.insert(job, record);
                Next::GoOn
            }
            Err(error) => {
                harvest.unwritten.insert(job, error);
                Next::Stop
            }
        }
    });
    passage.unwrap_or(Next::Stop)
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
    if let Some(name) = &args.defect {
        command.push_str(&format!(" --break {}", shell(name)));
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
    let (mut summaries, mut tables) = (Vec::new(), 0);
    for (planned, records) in plan.scenarios.iter().zip(&by_scenario) {
        if records.is_empty() {
            continue;
        }
        let plots = write(args, &planned.scenario.name, records).map_err(|error| {
            screen::error(error);
            status = status.max(Status::NotWritten);
        });
        match args.format {
            Format::Json => summaries.push(output::summary_json(records)),
            Format::Human if !args.quiet => {
                let gap = if tables > 0 { "\n" } else { "" };
                let text = format!("{gap}{}", table(args, records, plots.as_deref().ok()));
                tables += 1;
                status = status.max(screen::product(&text).err().unwrap_or(Status::Held));
            }
            Format::Human => {}
        }
        tell_findings(args, records);
    }
    if args.format == Format::Json {
        let single = plan.scenarios.len() == 1;
        let value = if single { summaries.pop().unwrap_or_default() } else { summaries.into() };
        status = status.max(screen::json(&value).err().unwrap_or(Status::Held));
    }
    status
}

/// Writes the summary of a scenario, and draws unless the user does not want to wait.
fn write(args: &Args, name: &str, records: &[Record]) -> Result<Vec<PathBuf>, OutputError> {
    output::write_summary(&args.out, name, records)?;
    if args.no_plots || interrupt::pressed() { Ok(Vec::new()) } else { output::plot(&args.out.join(name)) }
}

/// The table, where the results are, and how to replay; nothing of that if `plots` is `None`: writing failed.
fn table(args: &Args, records: &[Record], plots: Option<&[PathBuf]>) -> String {
    let colour = screen::colour_on_stdout();
    let style = TableStyle {
        width: screen::width(),
        unicode: screen::unicode(),
        colour,
        out: plots.map(|_| args.out.as_path()),
        plots: plots.unwrap_or_default(),
    };
    let mut text = output::summary_table(records, style);
    if let (Some(_), Some(first)) = (plots, records.first()) {
        let title = if colour { "\u{1b}[1mresults\u{1b}[0m" } else { "results" };
        let dir = args.out.join(&first.scenario.name);
        text.push_str(&format!("{title} {}\n", dir.join("summary.{csv,json}").display()));
    }
    text
}

/// Says why the exit code is not 0, for those who do not read the table.
fn tell_findings(args: &Args, records: &[Record]) {
    let those = |status| records.iter().filter(move |record| Status::of(record) == status);
    let place = |record: &Record| {
        let dir = output::run_dir(&args.out, &record.scenario.name, &record.protocol, record.seed);
        dir.join("result.json").display().to_string()
    };
    let total = count(records.len() as u64, "run");
    if let Some(first) = those(Status::Violated).next() {
        let (name, broken) = (&first.scenario.name, those(Status::Violated).count());
        let place = place(first);
        screen::error(format_args!(
            "{name}: an expectation or a promise was broken in {broken} of {total}; see {place}"
        ));
    }
    if let Some(first) = those(Status::Undecided).next() {
        let (name, open) = (&first.scenario.name, those(Status::Undecided).count());
        let place = place(first);
        screen::warning(format_args!("{name}: a checker could not decide in {open} of {total}; see {place}"));
    }
}
