//! Writes that a bad link cut off, kept aside until a log accounts for them.
//!
//! What can be read of the cut part is no history any more, so it is never executed. But its clients may have
//! been told that their writes were done. Whatever no log of the group knows is journaled as revoked, once all
//! of the replica set is in a confirmed view: before that a member could still bring the write itself.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::entry::{Data, Entry, Journaled, Merge, Why};
use super::message::{Message, ViewId};
use super::state::Fate;
use super::{Cx, Replica};
use crate::machine::{Note, Revocation, Union};
use crate::op::WriteKey;

/// Writes in one message, and in one entry.
const BATCH: usize = 1_000;
/// Ticks between two offers to the primary.
const OFFER_TICKS: u64 = 4;

/// Writes kept aside.
pub type Aside = BTreeMap<WriteKey, Journaled>;

impl Replica {
    /// Keeps aside what can be read of the log after a position, where its links end.
    pub(super) fn quarantine(&mut self, after: u64) {
        let chain = self.log.chain();
        let entries = chain.after(after);
        // Of the first one a wrong link, or a wrong name, leaves the content readable.
        let before = chain.hash_at(after).unwrap_or_default();
        let first = entries.first().filter(|first| {
            let hash = Entry::new(before, first.data.clone()).hash;
            hash == first.hash || entries.get(1).is_some_and(|next| next.prev == hash)
        });
        let sound = entries.iter().skip(1).filter(|entry| entry.is_sound());
        let readable: Vec<Rc<Entry>> = first.into_iter().chain(sound).cloned().collect();
        for entry in readable {
            match &entry.data {
                Data::Op(executed) => self.keep_aside(executed.key(), Some(executed.op), executed.hlc),
                Data::Merge(merge) => {
                    for one in merge.reapplied.iter().map(|one| one.executed) {
                        self.keep_aside(one.key(), Some(one.op), one.hlc);
                    }
                    for one in merge.journal.iter().filter(|one| one.why != Why::Changed) {
                        self.keep_aside(one.write, one.op, one.hlc);
                    }
                }
                Data::View(_) | Data::Confirm { .. } | Data::Reconfigure(_) => {}
            }
        }
    }

    fn keep_aside(&mut self, write: WriteKey, op: Option<crate::op::Op>, hlc: u64) {
        self.aside.insert(write, Journaled { write, op, hlc, why: Why::Cut });
    }

    /// Every few P: forgets what the log accounts for, and offers the rest.
    pub(super) fn offer_quarantine(&mut self, cx: &mut Cx<'_>) {
        if self.aside.is_empty() || !self.ticks.is_multiple_of(OFFER_TICKS) {
            return;
        }
        let state = self.log.state();
        self.aside.retain(|&write, _| state.fate(write) == Fate::New);
        let writes: Rc<[Journaled]> = self.aside.values().take(BATCH).copied().collect();
        let Some(view) = self.view.as_ref().filter(|_| !writes.is_empty()) else { return };
        if view.coordinator == self.me() {
            self.journal_quarantined(&writes, cx);
        } else {
            cx.send(view.coordinator, Message::Quarantined { view: view.id(), writes });
        }
    }

    /// A member has writes that a bad link cut off its log.
    pub(super) fn quarantined(&mut self, view: ViewId, writes: &[Journaled], cx: &mut Cx<'_>) {
        if self.view_id() == Some(view) {
            self.journal_quarantined(writes, cx);
        }
    }

    fn journal_quarantined(&mut self, writes: &[Journaled], cx: &mut Cx<'_>) {
        let members = |node| self.view.as_ref().is_some_and(|view| view.has(node));
        let whole = self.log.state().replica_set.iter().all(|&node| members(node));
        if !self.is_serving() || !self.service.confirmed || !whole {
            return;
        }
        let unknown = writes.iter().filter(|one| self.log.state().fate(one.write) == Fate::New);
        let journal: Vec<Journaled> = unknown.take(BATCH).map(|one| Journaled { why: Why::Cut, ..*one }).collect();
        if journal.is_empty() {
            return;
        }
        let why = Why::Cut.in_words();
        let revoked = journal.iter().map(|one| Revocation { write: one.write, branch: None, why }).collect();
        cx.note(Note::Merged {
            branches: 0,
            reapplied: 0,
            revoked: journal.len(),
            duplicates: 0,
            union: Box::new(Union { revoked, ..Union::default() }),
        });
        self.service.tell_later(journal.iter().map(|one| one.write));
        self.append(Data::Merge(Box::new(Merge { journal, ..Merge::default() })), cx);
        self.advance(cx);
    }

    /// What a record of the whole log keeps beside it.
    pub(super) fn aside_record(&self) -> Rc<[Journaled]> {
        self.aside.values().copied().collect()
    }
}
