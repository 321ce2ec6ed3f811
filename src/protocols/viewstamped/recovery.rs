//! Section 4.3, recovery, for a replica whose disk was lost: it learns from the others what it may have
//! promised before it takes part in anything.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::log::{Entry, Epochs};
use super::message::{Message, View, Whole};
use super::{Cx, Replica, Standing};
use crate::id::NodeId;
use crate::machine::Note;

#[derive(Debug)]
struct Response {
    view: View,
    epochs: Epochs,
    whole: Option<Rc<Whole>>,
}

/// The recovery protocol, as the recovering replica sees it.
#[derive(Debug, Default)]
pub struct Responses {
    /// Answers to an earlier start of this replica do not count.
    nonce: u64,
    by: BTreeMap<NodeId, Response>,
}

impl Replica {
    pub(super) fn recover(&mut self, cx: &mut Cx<'_>) {
        self.responses.nonce = cx.rng.bits();
        cx.note(Note::Recovering);
        self.ask_for_recovery(cx);
    }

    pub(super) fn ask_for_recovery(&self, cx: &mut Cx<'_>) {
        // It does not know the configuration: everyone who may be in it.
        for node in self.config.group.others() {
            cx.send(node, Message::Recovery { nonce: self.responses.nonce });
        }
    }

    /// Only a replica whose status is normal answers, and only with what it would still know after a crash.
    pub(super) fn recovery(&self, from: NodeId, nonce: u64, cx: &mut Cx<'_>) {
        if self.standing != Standing::Normal {
            return;
        }
        let whole = || Rc::new(Whole { log: self.log.part(0, &self.checkpoint), commit: self.commit() });
        let (view, epochs) = (self.view, self.epochs.clone());
        let whole = self.leads().then(whole);
        self.send_durably(from, Message::RecoveryResponse { nonce, view, epochs, whole }, cx);
    }

    pub(super) fn recovery_response(
        &mut self,
        from: NodeId,
        nonce: u64,
        view: View,
        epochs: Epochs,
        whole: Option<Rc<Whole>>,
        cx: &mut Cx<'_>,
    ) {
        if nonce != self.responses.nonce {
            return;
        }
        let known = self.responses.by.get(&from);
        if known.is_none_or(|known| known.view < view || whole.is_some()) {
            self.responses.by.insert(from, Response { view, epochs, whole });
        }
        self.end_recovery(cx);
    }

    /// With f + 1 answers, the primary's of the latest view among them.
    fn end_recovery(&mut self, cx: &mut Cx<'_>) {
        let by = &self.responses.by;
        let Some(latest) = by.values().max_by_key(|response| response.view) else { return };
        let (view, epochs) = (latest.view, latest.epochs.clone());
        let current = &epochs.current;
        let me = self.me();
        let answered = current.others(me).filter(|node| by.contains_key(node)).count();
        if answered < current.f() + 1 {
            return;
        }
        let primary = by.get(&current.primary(view)).filter(|response| response.view == view);
        let Some(whole) = primary.and_then(|response| response.whole.clone()) else { return };
        // If a reconfiguration is under way, this replica may have taken part in the epoch to come, and the
        // f + 1 of that epoch know it: wait until it is decided.
        let ends = |entry: &Entry| matches!(entry, Entry::Reconfiguration(next) if next.epoch > view.epoch);
        if whole.log.entries.last().is_some_and(ends) {
            return;
        }
        self.view = view;
        if self.adopt(view, &whole.log, whole.commit, Some(epochs), cx) {
            self.responses = Responses::default();
            // The first record on the new disk replaces what is not there: it marks the disk as the service's.
            self.write_image(cx);
            cx.note(Note::Recovered);
        }
    }
}
