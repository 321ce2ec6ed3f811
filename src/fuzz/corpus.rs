//! Inputs that reached something new, and variations of them.

use super::grammar;
use super::ground::Ground;
use super::swarm::{self, Input};
use crate::rng::Stream;

/// The last so many are varied as often as all the others together: what is new leads on.
const RECENT: usize = 16;
/// Changes of one variation, at most.
const CHANGES: u64 = 4;

/// The inputs of one protocol that reached something new, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Corpus(Vec<Input>);

impl Corpus {
    pub fn add(&mut self, input: Input) {
        self.0.push(input);
    }

    fn pick(&self, stream: &mut Stream) -> Option<&Input> {
        let among = if stream.chance(0.5) { RECENT.min(self.0.len()) } else { self.0.len() };
        let back = if among > 0 { stream.below(among as u64) as usize } else { return None };
        self.0.get(self.0.len() - 1 - back)
    }

    /// An input like one of these. `None` if there is none yet.
    pub fn vary(&self, ground: &Ground, stream: &mut Stream) -> Option<Input> {
        let mut input = self.pick(stream)?.clone();
        for _ in 0..=stream.below(CHANGES) {
            self.change(&mut input, ground, stream)?;
        }
        input.tidy(ground);
        Some(input)
    }

    fn change(&self, input: &mut Input, ground: &Ground, stream: &mut Stream) -> Option<()> {
        let count = input.timeline.len() as u64;
        let some = |stream: &mut Stream| stream.below(count.max(1)) as usize;
        match stream.below(9) {
            0 if count > 1 => _ = input.timeline.remove(some(stream)),
            1 | 2 if count > 0 => {
                let entry = &mut input.timeline[some(stream)];
                // Near by: the order of two events is what counts more often than when they are.
                let step = 10 + stream.below(3_000);
                entry.at_ms = if stream.chance(0.5) { entry.at_ms + step } else { entry.at_ms.saturating_sub(step) };
            }
            3 if count > 0 => {
                let entry = &mut input.timeline[some(stream)];
                entry.for_ms = entry.for_ms.map(|lasts| (lasts * (1 + stream.below(8)) / 4).max(10));
            }
            4 if count > 0 => {
                let entry = &mut input.timeline[some(stream)];
                *entry = grammar::again(entry, ground, stream);
            }
            5 => grammar::add(ground, &ground.actions, swarm::Intensity::draw(stream), input, stream),
            6 => self.splice(input, stream)?,
            7 => input.options = swarm::options(ground, input.protocol, stream),
            8 => input.load = swarm::load(stream),
            _ => input.seed = 1 + stream.below(1_000_000),
        }
        Some(())
    }

    /// What another input does in the second part of its run, in place of what this one does.
    fn splice(&self, input: &mut Input, stream: &mut Stream) -> Option<()> {
        let other = self.pick(stream)?;
        let times: Vec<u64> = input.timeline.iter().chain(&other.timeline).map(|entry| entry.at_ms).collect();
        if times.is_empty() {
            return Some(());
        }
        let at = times[stream.below(times.len() as u64) as usize];
        input.timeline.retain(|entry| entry.at_ms < at);
        input.timeline.extend(other.timeline.iter().filter(|entry| entry.at_ms >= at).cloned());
        input.quiet = other.quiet;
        Some(())
    }
}
