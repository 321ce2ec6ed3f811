//! What the crate has for its user: onto the disk, into the network, into the state.

use std::rc::Rc;

use raft::RawNode;
use raft::eraftpb::{ConfChangeV2, Entry, EntryType};

use super::membership::voters_of;
use super::replica::{Persisting, Replica};
use super::storage::{self, Image};
use super::{Cx, Record, codec};
use crate::machine::{Effect, Note, WriteId};

impl Replica {
    pub(super) fn last_write(&self) -> Option<WriteId> {
        self.persisting.back().map(|one| one.write)
    }

    pub(super) fn write(&mut self, record: Record, ready: Option<(u64, Option<u64>)>, cx: &mut Cx<'_>) {
        self.next_write += 1;
        let write = WriteId(self.next_write);
        let (ready, installs) = ready.map_or((None, None), |(number, installs)| (Some(number), installs));
        self.persisting.push_back(Persisting { write, ready, installs });
        cx.effects.push(match record {
            Record::Installed(_) | Record::Append { .. } => Effect::Write { id: write, record },
            Record::Joining(_) | Record::Snapshot { .. } => Effect::Checkpoint { id: write, record },
        });
    }

    pub(super) fn written(&mut self, id: WriteId) {
        let (mut ready, mut installed) = (None, None);
        while let Some(one) = self.persisting.front().copied().filter(|one| one.write <= id) {
            self.persisting.pop_front();
            ready = one.ready.or(ready);
            installed = one.installs.or(installed);
        }
        if let Some(number) = ready {
            self.call(|node| node.on_persist_ready(number));
        }
        if let Some(index) = installed {
            self.call(|node| node.advance_apply_to(index));
        }
    }

    /// Everything up to here as one record, which replaces all others.
    fn snapshot_record(&self) -> Option<Record> {
        let log = self.node.as_ref()?.store();
        Some(Record::Snapshot {
            identity: self.identity,
            hard_state: log.hard_state().clone(),
            image: log.image().clone(),
            entries: log.after(log.image().index).to_vec(),
        })
    }

    /// Enough was applied: a snapshot replaces the log (paper, section 7).
    fn take_snapshot(&mut self, cx: &mut Cx<'_>) {
        if self.since_snapshot < self.config.options.snapshot_entries || self.installs() {
            return;
        }
        self.since_snapshot = 0;
        let (index, conf, image) = (self.applied, self.conf.clone(), self.store.image());
        self.call(|node| node.mut_store().compact(index, conf, image));
        if let Some(record) = self.snapshot_record() {
            cx.note(Note::Snapshot { length: self.store.tip().length });
            self.write(record, None, cx);
        }
    }

    /// Handles everything that is ready, and what follows from it.
    pub(super) fn pump(&mut self, cx: &mut Cx<'_>) {
        self.handle_everything(cx);
        // Reads that waited for the first commit of a term are asked for only now.
        self.answer_reads(cx);
        self.handle_everything(cx);
        self.note_leadership(cx);
        self.leave_if_removed(cx);
        self.take_snapshot(cx);
        if self.node.is_none() && !std::mem::replace(&mut self.stopped, true) {
            cx.note(Note::SteppedDown { why: "the crate panicked: it stands still until it starts again" });
        }
    }

    fn handle_everything(&mut self, cx: &mut Cx<'_>) {
        while self.node.as_ref().is_some_and(RawNode::has_ready) {
            self.handle_ready(cx);
            self.report_unsent();
        }
    }

    /// One `Ready`, in the order that the crate's documentation gives.
    fn handle_ready(&mut self, cx: &mut Cx<'_>) {
        let Some(mut ready) = self.call(RawNode::ready) else { return };
        self.send(ready.take_messages(), None, cx);
        let installs = self.install(&ready, cx);
        let entries = ready.take_entries();
        if let Some(node) = &mut self.node {
            let log = node.mut_store();
            log.append(&entries);
            if let Some(hard_state) = ready.hs() {
                log.set_hard_state(hard_state.clone());
            }
        }
        let number = ready.number();
        if ready.must_sync() {
            self.persist(number, installs, entries, cx);
        } else if let Some(last) = self.persisting.back() {
            // Not to be known as persisted before what came before it.
            let write = last.write;
            self.persisting.push_back(Persisting { write, ready: Some(number), installs: None });
        }
        self.send(ready.take_persisted_messages(), self.last_write(), cx);
        for read in ready.take_read_states() {
            self.confirmed(&read.request_ctx, read.index);
        }
        let committed = ready.take_committed_entries();
        self.call(|node| node.advance_append_async(ready));
        if self.persisting.is_empty() {
            self.call(|node| node.on_persist_ready(number));
        }
        self.apply(&committed, cx);
    }

    fn persist(&mut self, number: u64, installs: Option<u64>, entries: Vec<Entry>, cx: &mut Cx<'_>) {
        let Some(node) = &self.node else { return };
        let record = match installs {
            Some(_) => self.snapshot_record(),
            None => Some(Record::Append { hard_state: node.store().hard_state().clone(), entries }),
        };
        if let Some(record) = record {
            self.write(record, Some((number, installs)), cx);
        }
    }

    /// Takes over the state of the leader's snapshot. Gives its index.
    fn install(&mut self, ready: &raft::Ready, cx: &mut Cx<'_>) -> Option<u64> {
        if ready.snapshot().is_empty() {
            return None;
        }
        let metadata = ready.snapshot().get_metadata();
        let (index, term, store) = self.incoming.take().expect("a snapshot comes with its state");
        assert_eq!((index, term), (metadata.index, metadata.term), "the state is of another snapshot");
        let image = Rc::new(Image { index, term, conf: metadata.get_conf_state().clone(), store });
        self.adopt(&image);
        if let Some(node) = &mut self.node {
            node.mut_store().install(image);
        }
        cx.note(Note::Snapshot { length: self.store.tip().length });
        Some(index)
    }

    /// Applies committed entries.
    fn apply(&mut self, entries: &[Entry], cx: &mut Cx<'_>) {
        let Some(last) = entries.last() else { return };
        for entry in entries {
            let answer = storage::apply(&mut self.store, entry);
            self.applied = entry.index;
            self.since_snapshot += 1;
            match codec::command(entry) {
                Some(command) => self.applied(&command, answer, cx),
                None if entry.get_entry_type() == EntryType::EntryNormal => {}
                None => self.apply_change(entry, cx),
            }
        }
        let index = last.index;
        self.call(|node| node.advance_apply_to(index));
    }

    fn apply_change(&mut self, entry: &Entry, cx: &mut Cx<'_>) {
        let mut change = ConfChangeV2::default();
        if protobuf::Message::merge_from_bytes(&mut change, &entry.data).is_err() {
            return cx.note(Note::Refused("a membership change that cannot be read"));
        }
        let Some(Ok(conf)) = self.call(|node| node.apply_conf_change(&change)) else {
            return cx.note(Note::Refused("a membership change that does not fit"));
        };
        let before = voters_of(&self.conf);
        self.set_conf(conf, entry.index);
        // A newcomer takes no snapshot whose configuration lacks it, so the next one is due at once.
        self.since_snapshot = self.since_snapshot.max(self.config.options.snapshot_entries);
        if before != voters_of(&self.conf) {
            cx.note(Note::ReplicaSet(self.voters().to_vec()));
        }
    }

    /// Notes who leads now, and lets go of what only a leader can finish.
    fn note_leadership(&mut self, cx: &mut Cx<'_>) {
        let leads_in = self.leads().then(|| self.term());
        if leads_in != self.leads_in {
            if self.leads_in.is_some() {
                self.give_up_requests(cx);
                self.shipped.clear();
            }
            self.leads_in = leads_in;
            if let Some(term) = leads_in {
                cx.note(Note::Elected { term });
            }
        }
        let leader = self.leader();
        if leader != self.followed {
            self.followed = leader;
            if let Some(leader) = leader.filter(|_| leads_in.is_none()) {
                cx.note(Note::Follows(leader));
            }
        }
        self.pass_on(cx);
    }
}
