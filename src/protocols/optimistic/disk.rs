//! The node's own storage: what is durable, and whether it keeps up.
//!
//! A node whose storage does not complete a write within T_suspect is *impaired*. It is held down like a
//! member that fails: it follows and redirects, and is left out of views. It is fit again after its hold-down
//! and only once a write has ended in time, for which it writes an empty record if there is nothing else to
//! write. Without that proof each attempt to take it in would stop the others again.

use std::collections::VecDeque;

use super::hold::Hold;
use super::{Cx, Record, Replica};
use crate::machine::{Effect, Note, WriteId};
use crate::time::{Duration, LocalTime};

/// The node's own storage, as the replica sees it.
#[derive(Debug, Default)]
pub struct Disk {
    next: u64,
    /// Writes under way: when each was asked for, and how long the log is once it is durable.
    pub pending: VecDeque<(WriteId, LocalTime, u64)>,
    /// Position up to which the log is durable.
    pub durable: u64,
    /// Of this node itself, after writes that took too long.
    pub hold: Hold,
    /// No write has ended in time since the last failure.
    pub unproven: bool,
}

impl Disk {
    pub fn at(durable: u64) -> Self {
        Self { durable, ..Self::default() }
    }

    /// This process did not run for a while, and what the storage did meanwhile is not known: the time does
    /// not count.
    pub fn shift(&mut self, now: LocalTime, missed: Duration) {
        for (_, since, _) in &mut self.pending {
            *since = now.min(*since + missed);
        }
    }
}

impl Replica {
    /// Starts a write and remembers it.
    pub(super) fn write(&mut self, record: Record, cx: &mut Cx<'_>) -> WriteId {
        self.disk.next += 1;
        let id = WriteId(self.disk.next);
        self.disk.pending.push_back((id, cx.now, self.log.length()));
        cx.effects.push(if matches!(record, Record::Snapshot { .. }) {
            Effect::Checkpoint { id, record }
        } else {
            Effect::Write { id, record }
        });
        id
    }

    pub(super) fn written(&mut self, id: WriteId, cx: &mut Cx<'_>) {
        let patience = self.options().suspect_after;
        let length = self.log.length();
        let disk = &mut self.disk;
        while let Some(&(first, since, end)) = disk.pending.front() {
            if first > id {
                break;
            }
            disk.pending.pop_front();
            disk.durable = disk.durable.max(end.min(length));
            disk.unproven &= disk.hold.is_on(cx.now) || cx.now.since(since) > patience;
        }
        if self.installing.as_ref().is_some_and(|installing| installing.write <= id) {
            self.adopt(cx);
        }
        self.advance(cx);
    }

    /// Whether a write has been under way for longer than T_suspect.
    pub(super) fn is_stuck(&self, now: LocalTime) -> bool {
        self.disk.pending.front().is_some_and(|&(_, since, _)| now.since(since) > self.options().suspect_after)
    }

    /// Whether the own storage failed and has not shown yet that it is well.
    pub(super) fn is_impaired(&self, now: LocalTime) -> bool {
        self.is_stuck(now) || self.disk.hold.is_on(now) || self.disk.unproven
    }

    /// Every P: counts a write that takes too long as a failure, once for each hold-down.
    pub(super) fn watch_storage(&mut self, cx: &mut Cx<'_>) {
        let (patience, longest) = (self.options().suspect_after, self.options().hold_down_max);
        let stuck = self.is_stuck(cx.now);
        self.disk.hold.forget_if_due(cx.now);
        if self.disk.hold.is_on(cx.now) {
            return;
        }
        if stuck {
            self.disk.hold.fail(cx.now, patience, longest);
            self.disk.unproven = true;
            cx.note(Note::HeldDown { node: self.me(), failures: self.disk.hold.failures });
        } else if self.disk.unproven && self.disk.pending.is_empty() {
            self.write(Record::Append(Vec::new()), cx);
        }
    }
}
