//! Which runs a command asks for.

use std::path::{Path, PathBuf};

use super::load::Loaded;
use super::options::Seeds;
use super::screen::{and_list, count};
use crate::output;
use crate::scenario::{Protocol, Scenario};

/// More runs than this are a slip of the hand.
const MOST_RUNS: u64 = 1_000_000;

/// All runs of a command.
#[derive(Clone, Debug)]
pub struct Plan {
    pub scenarios: Vec<Planned>,
}

/// The runs of one scenario: each protocol with each seed.
#[derive(Clone, Debug)]
pub struct Planned {
    pub path: PathBuf,
    pub scenario: Scenario,
    pub protocols: Vec<Protocol>,
    pub seeds: Seeds,
}

/// One run. The order is that of all output: as given, as the scenario lists them, by seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Job {
    pub scenario: usize,
    pub protocol: usize,
    pub seed: u64,
}

/// What the user must know besides the plan, or instead of it.
#[derive(Debug, Default)]
pub struct Remarks {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
}

impl Planned {
    fn runs(&self) -> u64 {
        self.seeds.count.saturating_mul(self.protocols.len() as u64)
    }
}

impl Plan {
    /// Chooses protocols and seeds. Empty `labels` stand for every protocol, and no `seeds` for the
    /// scenario's own.
    pub fn new(loaded: Vec<Loaded>, labels: &[String], seeds: Option<Seeds>, remarks: &mut Remarks) -> Self {
        same_names(&loaded, remarks);
        let mut scenarios = Vec::new();
        for Loaded { path, scenario } in loaded {
            let protocols = choose(&scenario, labels, remarks);
            if !protocols.is_empty() {
                unasked_expectations(&scenario, &protocols, remarks);
                let seeds = seeds.unwrap_or(Seeds::one(scenario.seed));
                scenarios.push(Planned { path, scenario, protocols, seeds });
            }
        }
        let plan = Self { scenarios };
        if plan.runs() > MOST_RUNS {
            let runs = plan.runs();
            remarks.errors.push(format!("{runs} runs are too many for one command, which makes at most {MOST_RUNS}"));
        }
        if !remarks.errors.is_empty() {
            remarks.warnings.clear();
        } else if plan.runs() == 0 {
            remarks.errors.push("nothing remains to run".into());
        }
        plan
    }

    /// How many runs there are.
    pub fn runs(&self) -> u64 {
        self.scenarios.iter().map(Planned::runs).fold(0, u64::saturating_add)
    }

    /// The run at a place in the order in which they start. All protocols meet a seed before the next, so that an
    /// interrupted command has pairs to compare.
    pub fn job(&self, mut index: u64) -> Option<Job> {
        for (scenario, planned) in self.scenarios.iter().enumerate() {
            if index < planned.runs() {
                let protocols = planned.protocols.len() as u64;
                let seed = planned.seeds.first + index / protocols;
                return Some(Job { scenario, protocol: (index % protocols) as usize, seed });
            }
            index -= planned.runs();
        }
        None
    }

    /// Where a run's results go.
    pub fn directory(&self, out: &Path, job: Job) -> PathBuf {
        output::run_dir(out, &self.scenario(job).name, &self.protocol(job).label, job.seed)
    }

    pub fn scenario(&self, job: Job) -> &Scenario {
        &self.scenarios[job.scenario].scenario
    }

    pub fn protocol(&self, job: Job) -> &Protocol {
        &self.scenarios[job.scenario].protocols[job.protocol]
    }
}

fn same_names(loaded: &[Loaded], remarks: &mut Remarks) {
    for (index, one) in loaded.iter().enumerate() {
        let name = &one.scenario.name;
        if let Some(first) = loaded[..index].iter().find(|other| other.scenario.name == *name) {
            let (path, first) = (one.path.display(), first.path.display());
            remarks.errors.push(format!(
                "{first} and {path} have the same name, `{name}`, and results are kept by name; run them apart with another --out, or rename one"
            ));
        }
    }
}

/// The protocols of these labels, all if there are none.
pub fn choose(scenario: &Scenario, labels: &[String], remarks: &mut Remarks) -> Vec<Protocol> {
    let name = &scenario.name;
    let known: Vec<&str> = scenario.protocols.iter().map(|protocol| protocol.label.as_str()).collect();
    for label in labels.iter().filter(|label| !known.contains(&label.as_str())) {
        remarks.errors.push(format!("{name} has no protocol `{label}`; it has {}", and_list(&known)));
    }
    let asked = |protocol: &&Protocol| labels.is_empty() || labels.contains(&protocol.label);
    scenario.protocols.iter().filter(asked).cloned().collect()
}

/// Expectations about protocols that do not run are skipped, and said so.
fn unasked_expectations(scenario: &Scenario, protocols: &[Protocol], remarks: &mut Remarks) {
    let runs = |label: &str| protocols.iter().any(|protocol| protocol.label == label);
    let mut absent: Vec<&str> =
        scenario.expectations.iter().filter_map(|one| one.protocol.as_deref()).filter(|label| !runs(label)).collect();
    let skipped = absent.len() as u64;
    absent.sort_unstable();
    absent.dedup();
    if skipped > 0 {
        let verb = if skipped == 1 { "is" } else { "are" };
        remarks.warnings.push(format!(
            "{}: {} about {} {verb} skipped, as it does not run",
            scenario.name,
            count(skipped, "expectation"),
            and_list(&absent)
        ));
    }
}
