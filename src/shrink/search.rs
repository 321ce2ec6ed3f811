//! From a finding to a fixed point: pass after pass, until no pass finds anything smaller.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::passes::{PASSES, Pass};
use super::{Size, Subject};

/// Which scenarios were run, and whether they showed the failure. The name of a scenario is the beginning of its
/// hash.
pub type Answers = BTreeMap<String, bool>;

/// What a search may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Seeds from 1 to this are tried besides that of the finding.
    pub seeds: u64,
    /// Top-level fields of the scenario that stay as they are.
    pub keep: Vec<String>,
}

/// Hexadecimal digits of a scenario's hash that tell it from others.
const NAMED_BY: usize = 32;

/// A scenario to be run.
#[derive(Clone, Debug)]
pub struct Trial {
    place: usize,
    pub subject: Subject,
}

impl Trial {
    fn name(&self) -> &str {
        &self.subject.scenario.hash[..NAMED_BY]
    }
}

/// A search for a smaller scenario. It asks with [`Search::trials`] and is told with [`Search::hear`].
#[derive(Debug)]
pub struct Search {
    smallest: Subject,
    size: Size,
    answers: Answers,
    /// Seeds that are tried besides that of the smallest.
    seeds: Vec<u64>,
    /// Top-level fields that stay as they are.
    keep: Vec<String>,
    pass: usize,
    /// Where in the pass's list of proposals the queue begins.
    from: usize,
    /// Proposals not yet looked at, each with its place in the queue as it was filled.
    queue: VecDeque<(usize, Value)>,
    /// Those that are asked, or about to be.
    asked: VecDeque<Trial>,
    /// Passes in a row that found nothing.
    barren: usize,
}

impl Search {
    /// A search from a scenario that shows the failure. `answers` are those of an earlier search from the same
    /// scenario, with the same bounds; empty for a new one.
    pub fn new(finding: Subject, bounds: &Bounds, answers: Answers) -> Self {
        let mut search = Self {
            size: Size::of(&finding),
            smallest: finding,
            answers,
            seeds: (1..=bounds.seeds).collect(),
            keep: bounds.keep.clone(),
            pass: 0,
            from: 0,
            queue: VecDeque::new(),
            asked: VecDeque::new(),
            barren: 0,
        };
        search.propose(0);
        search
    }

    pub fn smallest(&self) -> &Subject {
        &self.smallest
    }

    pub fn size(&self) -> &Size {
        &self.size
    }

    /// All answers so far, to be given to a later search.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// What is being tried, for people.
    pub fn doing(&self) -> &'static str {
        self.pass().says
    }

    /// Up to `most` scenarios to be run, in order; none at the fixed point. The answers to them, but for those behind
    /// the first that shows the failure, must be told before the next are asked.
    pub fn trials(&mut self, most: usize) -> &[Trial] {
        loop {
            while self.asked.len() < most {
                let Some((place, value)) = self.queue.pop_front() else { break };
                let trial = self.check(value).map(|subject| Trial { place, subject });
                self.asked.extend(trial.filter(|trial| self.asked.iter().all(|other| other.name() != trial.name())));
            }
            let Some(first) = self.asked.front() else {
                if !self.next_pass() {
                    return &[];
                }
                continue;
            };
            match self.answers.get(first.name()) {
                Some(true) => self.accept(),
                Some(false) => _ = self.asked.pop_front(),
                None => return self.unanswered(),
            }
        }
    }

    /// Those in front whose answers are not known.
    fn unanswered(&mut self) -> &[Trial] {
        let asked = self.asked.make_contiguous();
        let unknown = asked.iter().take_while(|trial| !self.answers.contains_key(trial.name())).count();
        &asked[..unknown]
    }

    /// The answers to the first of the trials, in order: whether each showed the failure. None follows one that did.
    pub fn hear(&mut self, showed: &[bool]) {
        for &showed in showed {
            let Some(trial) = self.asked.front() else { break };
            self.answers.insert(trial.name().to_owned(), showed);
            if showed {
                self.accept();
            } else {
                self.asked.pop_front();
            }
        }
    }

    fn pass(&self) -> &'static Pass {
        &PASSES[self.pass]
    }

    /// A proposal that is a valid and smaller scenario.
    fn check(&self, value: Value) -> Option<Subject> {
        let trial = Subject::new(value).ok()?;
        // The protocol may have been left out, or its defect, or the whole be the same in other words.
        let kept = trial.label() == self.smallest.label() && trial.defect() == self.smallest.defect();
        let kept = kept && self.keep.iter().all(|field| trial.value.get(field) == self.smallest.value.get(field));
        (kept && Size::of(&trial) < self.size).then_some(trial)
    }

    /// Goes on from a smaller scenario, with the proposals behind that which led to it.
    fn accept(&mut self) {
        let Some(trial) = self.asked.pop_front() else { return };
        self.size = Size::of(&trial.subject);
        self.smallest = trial.subject;
        self.barren = 0;
        self.propose(self.from + trial.place);
    }

    /// False at the fixed point.
    fn next_pass(&mut self) -> bool {
        self.barren += 1;
        if self.barren > PASSES.len() {
            return false;
        }
        self.pass = (self.pass + 1) % PASSES.len();
        self.propose(0);
        true
    }

    /// Fills the queue with the proposals of the pass, from the one with this index, and around.
    fn propose(&mut self, from: usize) {
        let pass = self.pass();
        let mut proposals = (pass.propose)(&self.smallest);
        self.from = from % proposals.len().max(1);
        proposals.rotate_left(self.from);
        let own = self.smallest.scenario.seed;
        let others = self.seeds.iter().filter(|&&seed| pass.reseed && seed != own);
        let reseeded: Vec<Value> =
            others.flat_map(|&seed| proposals.iter().map(move |value| Subject::seeded(value, seed))).collect();
        self.queue = proposals.into_iter().chain(reseeded).enumerate().collect();
        self.asked.clear();
    }
}
