//! `firedrill fuzz`.

mod report;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use super::batch::{self, Next};
use super::bug::{self, Bug};
use super::load;
use super::options::{self, Format};
use super::plan::{self, Remarks};
use super::progress::Watch;
use super::screen::{self, and_list};
use super::{Status, defect, interrupt};
use crate::fuzz::{Action, Ended, Ground, Search, attempt};
use crate::output::{self, OutputError};
use crate::scenario;
use crate::scenario::diagnostics::nearest;
use crate::time::Duration;

/// Search for a disaster that breaks a promise, over a scenario's sites, services and protocols.
///
/// Each run meets random faults; runs that reach a state that none before them reached are varied further. Whatever
/// breaks a promise is saved as a scenario file that shows it. The scenario's own timeline, failures and expectations
/// are left out.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A scenario file.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Only these protocols, by label, in turn [default: all].
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    protocol: Vec<String>,
    /// Give each of these protocols that can have it this deliberate defect; see `firedrill list defects`.
    #[arg(long = "break", value_name = "NAME")]
    defect: Option<String>,
    /// Stop after so many runs [default: 1000, without --for and --until-found].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Stop after so long, for example 10m, once the round under way is over.
    #[arg(long = "for", value_name = "DURATION", value_parser = scenario::parse_duration)]
    lasts: Option<Duration>,
    /// Stop once every protocol has a finding.
    #[arg(long)]
    until_found: bool,
    /// Only these kinds of faults, by their names in timelines [default: all but corrupt].
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = action)]
    faults: Vec<Action>,
    /// Runs at a time [default: one a core]. What is found is the same whatever it is.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Of all that is drawn.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where findings go: DIR/fuzz/SCENARIO/PROTOCOL/CHECK-N.json.
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    /// Change a value of the scenario before it is checked; may be repeated.
    #[arg(long, value_name = "PATH=VALUE", value_parser = options::set)]
    set: Vec<(String, String)>,
    /// Print a table and findings, or a JSON object.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// No table or progress; warnings and errors remain.
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Exit codes: 0 nothing was found; 1 a promise was broken; 2 a mistake in the command or in the scenario; 4 a
finding could not be written; 130 interrupted, findings kept.

Examples:
  firedrill fuzz scenarios/fuzz/innocent.json --for 10m
  firedrill fuzz scenarios/fuzz/innocent.json --protocol raft --break skip-read-index --until-found
  firedrill fuzz scenarios/fuzz/innocent.json --faults crash,pause --runs 20000 --seed 7";

/// Runs without another bound.
const RUNS: u64 = 1_000;

/// Reads the name of a kind of faults.
fn action(name: &str) -> Result<Action, String> {
    let names = Action::ALL.map(Action::name);
    let guess = nearest(name, names).map_or(String::new(), |guess| format!("did you mean `{guess}`? "));
    let found = Action::ALL.into_iter().find(|action| action.name() == name);
    found.ok_or_else(|| format!("no fault of this name; {guess}there are {}", and_list(&names)))
}

/// Checks everything, searches, and tells what was found.
pub fn fuzz(args: &Args) -> Status {
    match prepare(args).and_then(|search| carry_out(args, search)) {
        Ok(status) | Err(status) => status,
    }
}

fn prepare(args: &Args) -> Result<Search, Status> {
    let loaded = load::load(&args.scenario, &args.set).map_err(|wrong| load::refuse(&[wrong]))?;
    let mut remarks = Remarks::default();
    plan::choose(&loaded.scenario, &args.protocol, &mut remarks);
    let refuse = |why: &String| {
        screen::error(why);
        Status::Refused
    };
    if let Some(why) = remarks.errors.first() {
        return Err(refuse(why));
    }
    let mut loaded = vec![loaded];
    if let Some(name) = &args.defect {
        loaded = defect::give(loaded, &args.set, &args.protocol, name)?;
    }
    let actions = if args.faults.is_empty() { Action::usual() } else { args.faults.clone() };
    let ground = Ground::new(&loaded[0].scenario, &args.protocol, &actions).map_err(|why| refuse(&why))?;
    output::check_destination(&output::findings_dir(&args.out, ground.name())).map_err(|error| unwritten(&error))?;
    Ok(Search::new(ground, args.seed))
}

fn unwritten(error: &OutputError) -> Status {
    screen::error(error);
    Status::NotWritten
}

/// When to stop, beside when enough was found.
struct Bounds {
    runs: u64,
    lasts: Option<Duration>,
    started: Instant,
}

impl Bounds {
    #[expect(clippy::disallowed_methods, reason = "when a search stops changes no run of it")]
    fn new(args: &Args) -> Self {
        let endless = args.lasts.is_some() || args.until_found;
        let runs = args.runs.unwrap_or(if endless { u64::MAX } else { RUNS });
        Self { runs, lasts: args.lasts, started: Instant::now() }
    }

    fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// Wall-clock time until the bound that comes first, as far as it can be told.
    fn left(&self, runs: u64) -> Option<std::time::Duration> {
        let elapsed = self.elapsed();
        let by_time = self.lasts.map(|lasts| std::time::Duration::from_nanos(lasts.as_nanos()).saturating_sub(elapsed));
        let by_runs = (self.runs < u64::MAX && runs > 0)
            .then(|| elapsed.mul_f64(self.runs.saturating_sub(runs) as f64 / runs as f64));
        by_time.into_iter().chain(by_runs).min()
    }

    fn reached(&self, runs: u64) -> bool {
        runs >= self.runs || self.lasts.is_some_and(|lasts| self.elapsed().as_nanos() >= u128::from(lasts.as_nanos()))
    }
}

fn carry_out(args: &Args, mut search: Search) -> Result<Status, Status> {
    bug::prepare();
    interrupt::watch(|| {});
    let watch = Watch::new(args.quiet);
    let bounds = Bounds::new(args);
    let dir = output::findings_dir(&args.out, search.ground().name());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(cores, usize::from);
    let enough = |search: &_| args.until_found && all_found(search);
    while !bounds.reached(search.runs()) && !interrupt::pressed() && !enough(&search) {
        let better = round(&mut search, &bounds, jobs, &watch)?;
        if better {
            write(&search, &dir)?;
        }
    }
    watch.end();
    let seconds = bounds.elapsed().as_secs_f64();
    let printed = match args.format {
        Format::Json => screen::json(&report::json(&search, &dir, seconds)),
        Format::Human if args.quiet => Ok(()),
        Format::Human => screen::product(&report::human(&search, &dir, seconds)),
    };
    let mut status = printed.err().unwrap_or(Status::Held).max(refusals(&search));
    if search.findings().next().is_some() {
        status = status.max(Status::Violated);
    }
    if interrupt::pressed() {
        screen::error(format_args!("interrupted after {} runs; findings are kept", search.runs()));
        status = status.max(Status::Interrupted);
    }
    Ok(status)
}

/// Draws, runs and takes in one round.
fn round(search: &mut Search, bounds: &Bounds, jobs: usize, watch: &Watch) -> Result<bool, Status> {
    let before = search.runs();
    let inputs = Arc::new(search.draw(bounds.runs - before));
    let count = inputs.len() as u64;
    let work = {
        let (ground, inputs) = (search.ground().clone(), inputs.clone());
        move |index: u64| attempt(&ground, &inputs[index as usize])
    };
    let (features, findings) = report::reached(search);
    let mut ends: Vec<(u64, Ended)> = Vec::new();
    let hear = |index, done: Result<Ended, Bug>| {
        ends.push((index, done.unwrap_or_else(stopped)));
        let runs = before + ends.len() as u64;
        watch.tell(report::progress(runs, bounds.elapsed(), features, findings, bounds.left(runs)));
        Next::GoOn
    };
    batch::spread(count, jobs.min(inputs.len()), work, mpsc::channel(), hear).map_err(|error| {
        screen::error(format_args!("cannot start the threads for the runs: {error}; try a lower --jobs"));
        Status::NotWritten
    })?;
    ends.sort_by_key(|(index, _)| *index);
    let inputs = Arc::try_unwrap(inputs).unwrap_or_else(|shared| shared.to_vec());
    Ok(search.take(inputs, ends.into_iter().map(|(_, end)| end).collect()))
}

fn stopped(bug: Bug) -> Ended {
    Ended::Stopped { place: bug.place.unwrap_or_default(), message: bug.message }
}

fn all_found(search: &Search) -> bool {
    search.tallies().all(|(label, _)| search.findings().any(|finding| finding.protocol == label))
}

fn write(search: &Search, dir: &Path) -> Result<(), Status> {
    for finding in search.findings() {
        output::write_finding(dir, &finding.protocol, &finding.name, &finding.scenario)
            .map_err(|error| unwritten(&error))?;
    }
    Ok(())
}

/// Disasters that are no valid scenarios are a shortcoming of the search; if there is nothing else, it is no search.
fn refusals(search: &Search) -> Status {
    let refused: u64 = search.tallies().map(|(_, tally)| tally.refused).sum();
    let Some(why) = search.refusal() else { return Status::Held };
    let told = format!("{refused} of {} runs were no valid scenarios, the first because:\n{why}", search.runs());
    if refused == search.runs() {
        screen::error(told);
        return Status::Refused;
    }
    screen::warning(told);
    Status::Held
}
