//! Random disasters over a scenario's ground, in search of a run that breaks a promise.
//!
//! A search goes in rounds. The inputs of a round are drawn before any of them runs, and what they reached is taken
//! in afterwards, in order: so a search is a function of its scenario, seed and number of runs, whatever the number
//! of threads. Half of the inputs are new, *swarm style* (Groce et al., "Swarm Testing", ISSTA 2012): each draws which
//! kinds of faults it may use, how hard they strike, how users behave and what options the protocol has. The other half
//! vary inputs that reached a feature that none before them had (see [`crate::run`] on coverage).
//!
//! Every input is a scenario like any other: it is written as JSON and goes through the ordinary checks, so what is
//! found is a scenario file that `firedrill run` judges alike.
//!
//! | file | its one job |
//! |---|---|
//! | `ground` | what a scenario offers: names of sites, machines and services, times, load |
//! | `grammar` | faults at random, one production a kind |
//! | `swarm` | whole inputs at random: kinds, intensity, ending, load, options |
//! | `corpus` | inputs that reached something new, and variations of them |
//! | `finding` | what broke, the smallest input that shows it, and its scenario file |

mod corpus;
mod finding;
mod grammar;
mod ground;
mod swarm;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::rng::Stream;
use crate::run::{Keep, VerdictOutcome, run};
use crate::scenario::{self, Scenario};

use self::corpus::Corpus;
pub use self::finding::{Broken, Finding};
pub use self::grammar::Action;
pub use self::ground::Ground;
use self::swarm::Input;

/// Inputs of a round: all are drawn before the first one runs.
pub const ROUND: u64 = 64;

/// What one run of a search came to.
#[derive(Clone, Debug)]
pub struct Trial {
    pub features: Vec<u64>,
    /// Verdicts that are violated.
    pub broken: Vec<Broken>,
    /// Some check could not decide.
    pub undecided: bool,
    /// Events that were simulated.
    pub events: u64,
}

/// What became of an input.
#[derive(Clone, Debug)]
pub enum Ended {
    Judged(Trial),
    /// The scenario that it stands for is not valid, and why: the grammar does not suit the ground.
    Refused(String),
    /// The run met a broken invariant. Where, and what was said.
    Stopped {
        place: String,
        message: String,
    },
}

/// What the runs of one protocol came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub runs: u64,
    pub events: u64,
    pub undecided: u64,
    pub refused: u64,
    features: BTreeSet<u64>,
}

impl Tally {
    /// Distinct features that were reached.
    pub fn features(&self) -> usize {
        self.features.len()
    }
}

/// A search: what was reached so far, and what comes next.
#[derive(Debug)]
pub struct Search {
    ground: Arc<Ground>,
    seed: u64,
    drawn: u64,
    corpora: Vec<Corpus>,
    tallies: Vec<Tally>,
    findings: BTreeMap<(usize, String, String), Finding>,
    refusal: Option<String>,
}

impl Search {
    pub fn new(ground: Ground, seed: u64) -> Self {
        let protocols = ground.labels().len();
        Self {
            ground: Arc::new(ground),
            seed,
            drawn: 0,
            corpora: vec![Corpus::default(); protocols],
            tallies: vec![Tally::default(); protocols],
            findings: BTreeMap::new(),
            refusal: None,
        }
    }

    pub fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Runs drawn so far.
    pub fn runs(&self) -> u64 {
        self.drawn
    }

    /// Each protocol's label and what its runs came to.
    pub fn tallies(&self) -> impl Iterator<Item = (&str, &Tally)> {
        self.ground.labels().iter().map(String::as_str).zip(&self.tallies)
    }

    /// What was found: of each check of a protocol, and of each place of a panic, the smallest.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values()
    }

    /// Why the first input that was refused was; the grammar should give none.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Draws the next inputs: at most a round, and no more than `limit`. They are numbered on from [`Search::runs`].
    pub fn draw(&mut self, limit: u64) -> Vec<Input> {
        let count = ROUND.min(limit);
        let inputs = (self.drawn..self.drawn + count).map(|number| self.input(number)).collect();
        self.drawn += count;
        inputs
    }

    fn input(&self, number: u64) -> Input {
        let protocols = self.corpora.len() as u64;
        let protocol = (number % protocols) as usize;
        let mut stream = Stream::new(self.seed, "fuzz", &[number]);
        let varied = if stream.chance(0.5) { self.corpora[protocol].vary(&self.ground, &mut stream) } else { None };
        varied.unwrap_or_else(|| swarm::draw(&self.ground, protocol, &mut stream))
    }

    /// Takes in what became of the inputs of a round, in the order in which they were drawn. Returns whether there
    /// is a new finding, or a smaller one.
    pub fn take(&mut self, inputs: Vec<Input>, ends: Vec<Ended>) -> bool {
        let first = self.drawn - inputs.len() as u64;
        let mut better = false;
        for (number, (input, end)) in (first..).zip(inputs.into_iter().zip(ends)) {
            self.tallies[input.protocol].runs += 1;
            match end {
                Ended::Judged(trial) => better |= self.judged(number, input, trial),
                Ended::Refused(why) => {
                    self.tallies[input.protocol].refused += 1;
                    self.refusal.get_or_insert(why);
                }
                Ended::Stopped { place, message } => {
                    let broken = Broken { check: finding::PANIC.to_owned(), evidence: message };
                    better |= self.found(number, &input, broken, place);
                }
            }
        }
        better
    }

    fn judged(&mut self, number: u64, input: Input, trial: Trial) -> bool {
        let mut better = false;
        for broken in trial.broken {
            better |= self.found(number, &input, broken, String::new());
        }
        let tally = &mut self.tallies[input.protocol];
        tally.events += trial.events;
        tally.undecided += u64::from(trial.undecided);
        let before = tally.features.len();
        tally.features.extend(trial.features);
        if tally.features.len() > before {
            self.corpora[input.protocol].add(input);
        }
        better
    }

    /// Keeps the finding if there is none like it, or none as small.
    fn found(&mut self, number: u64, input: &Input, broken: Broken, place: String) -> bool {
        let key = (input.protocol, broken.check.clone(), place);
        let old = self.findings.get(&key);
        if old.is_some_and(|old| old.size() <= input.size()) {
            return false;
        }
        let (first, alike) = old.map_or((number, None), |old| (old.first, Some(old.name.clone())));
        let name = alike.unwrap_or_else(|| {
            let alike = self.findings.keys().filter(|(protocol, check, _)| (*protocol, check) == (key.0, &key.1));
            format!("{}-{}", finding::slug(&key.1), alike.count() + 1)
        });
        let finding = Finding::new(&self.ground, input, (self.seed, number, first), broken, name);
        self.findings.insert(key, finding);
        true
    }
}

/// Runs an input, and judges it. A broken invariant panics.
pub fn attempt(ground: &Ground, input: &Input) -> Ended {
    let scenario: Scenario = match scenario::from_value(&ground.scenario(input)) {
        Ok(scenario) => scenario,
        Err(wrong) => return Ended::Refused(wrong.to_string()),
    };
    let result = run(&scenario, &scenario.protocols[0], input.seed, Keep { coverage: true, ..Keep::default() });
    let of = |outcome| result.record.verdicts.iter().filter(move |verdict| verdict.outcome == outcome);
    let broken = of(VerdictOutcome::Violated)
        .map(|verdict| Broken { check: verdict.check.clone(), evidence: verdict.evidence.clone().unwrap_or_default() });
    Ended::Judged(Trial {
        broken: broken.collect(),
        undecided: of(VerdictOutcome::Unknown).next().is_some(),
        events: result.record.events,
        features: result.features,
    })
}
