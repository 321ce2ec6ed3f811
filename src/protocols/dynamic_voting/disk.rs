//! What a disk holds, how a start reads it, and how logs are handed over.

use std::collections::VecDeque;
use std::rc::Rc;

use super::{Config, Cx, Log, Record, Replica, Standing, View, Vote};
use crate::machine::Note;
use crate::op::Tip;
use crate::protocols::store::{Store, Update};

/// The content of a log.
pub struct Disk {
    pub since: Option<u64>,
    pub installed: Rc<View>,
    pub attempts: Vec<Rc<View>>,
    pub promised: u64,
    pub committed: Store,
    pub tail: VecDeque<Update>,
}

impl Disk {
    pub fn read(config: &Config, records: &[Record]) -> Self {
        let mut disk = Self {
            since: None,
            installed: config.first_view(),
            attempts: Vec::new(),
            promised: 0,
            committed: Store::default(),
            tail: VecDeque::new(),
        };
        records.iter().for_each(|record| disk.apply(record));
        disk
    }

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Prepared => (self.since, self.promised) = (Some(0), self.installed.number),
            Record::Promised(number) => self.promised = *number,
            Record::Attempted { view, log } => {
                self.since = self.since.or(Some(view.number));
                self.promised = self.promised.max(view.number);
                self.attempts.push(view.clone());
                if let Some(log) = log {
                    if let Some(image) = &log.image {
                        (self.committed, self.tail) = ((**image).clone(), VecDeque::new());
                    }
                    self.replace(log.base, &log.updates);
                }
            }
            Record::Installed { number } => {
                if let Some(at) = self.attempts.iter().position(|view| view.number == *number) {
                    self.installed = self.attempts[at].clone();
                    self.attempts.drain(..=at);
                }
                if self.attempts.is_empty() {
                    // Everybody had recorded the attempt, and its log with it.
                    self.tail.drain(..).for_each(|update| self.committed.record(&update));
                }
            }
            Record::Updates { base, updates } => self.replace(*base, updates),
            Record::Image { store, updates, standing, promised } => {
                (self.since, self.promised) = (standing.since, *promised);
                (self.installed, self.attempts) = (standing.installed.clone(), standing.attempts.clone());
                (self.committed, self.tail) = ((**store).clone(), updates.iter().copied().collect());
            }
        }
    }

    fn replace(&mut self, base: u64, updates: &[Update]) {
        let start = self.committed.tip().length;
        let known = start.saturating_sub(base) as usize;
        self.tail.truncate(base.saturating_sub(start) as usize);
        self.tail.extend(updates.iter().skip(known));
    }
}

impl Replica {
    /// The log, for who has `committed` entries of it.
    pub(super) fn log_after(&self, committed: u64) -> Log {
        let length = self.committed.tip().length;
        let tail = self.tail.iter().copied();
        let lacks = length.saturating_sub(committed);
        match self.recent.len().checked_sub(lacks as usize) {
            Some(from) => {
                let updates = self.recent.iter().skip(from).copied().chain(tail).collect();
                Log { image: None, base: length - lacks, updates }
            }
            None => Log { image: Some(Rc::new(self.committed.image())), base: length, updates: tail.collect() },
        }
    }

    /// Takes over another's log. False: it does not connect.
    pub(super) fn take_over(&mut self, log: &Log, cx: &mut Cx<'_>) -> bool {
        let start = self.committed.tip().length;
        let before: Vec<Tip> = self.committed.ends_after(&self.tail).collect();
        if let Some(image) = log.image.as_ref().filter(|image| image.tip().length > start) {
            self.committed = (**image).clone();
            self.recent.clear();
        }
        let Some(known) = self.committed.tip().length.checked_sub(log.base) else {
            cx.note(Note::Refused("a log that begins after the end of this one"));
            return false;
        };
        self.tail = log.updates.iter().skip(known as usize).copied().collect();
        // Until this log is written, what was written of the one before counts as far as both are the same, and no
        // further. So far it does count: a primary may hear only now that it is held here, and acknowledge it.
        let is_common = |end: &Tip| before.get((end.length - start - 1) as usize) == Some(end);
        let common = self.committed.ends_after(&self.tail).take_while(is_common).last();
        let kept = common.unwrap_or(self.committed.tip()).length;
        self.durable = self.durable.min(kept);
        for (_, vote) in &mut self.votes {
            if let Vote::Length(length) = vote {
                *length = kept.min(*length);
            }
        }
        true
    }

    /// Applies what is committed.
    pub(super) fn apply_to(&mut self, length: u64) {
        while self.committed.tip().length < length
            && let Some(update) = self.tail.pop_front()
        {
            self.committed.record(&update);
            self.since_image += 1;
            self.recent.push_back(update);
            if self.recent.len() as u64 > self.config.options.snapshot_entries {
                self.recent.pop_front();
            }
        }
    }

    pub(super) fn take_image(&mut self, cx: &mut Cx<'_>) {
        if self.since_image >= self.config.options.snapshot_entries {
            self.since_image = 0;
            let standing: Standing = self.standing();
            let updates = self.tail.iter().copied().collect();
            let store = Rc::new(self.committed.image());
            let record = Record::Image { store, updates, standing, promised: self.promised };
            self.write(record, Vote::Length(self.length()), cx);
            cx.note(Note::Compacted { floor: self.committed.tip().length });
        }
    }
}
