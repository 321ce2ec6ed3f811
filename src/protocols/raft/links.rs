//! Messages of the crate and of the adapter, over connections that break and come back.
//!
//! A snapshot is in flight until its receiver says that it arrived, or the connection breaks: the crate is told
//! either way, since it sends that follower nothing else meanwhile.

use std::rc::Rc;

use raft::SnapshotStatus;
use raft::eraftpb::{self, MessageType};

use super::membership::Identity;
use super::replica::{Replica, has};
use super::{Cx, Message};
use crate::id::NodeId;
use crate::machine::{Effect, Note, WriteId};
use crate::protocols::store::Store;

impl Replica {
    pub(super) fn message(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Raft { message, image } => self.raft_message(from, *message, image, cx),
            Message::Arrived { from: identity, index } => {
                if identity.node() == from && self.shipped.get(&identity) == Some(&index) {
                    self.shipped.remove(&identity);
                    self.call(|node| node.report_snapshot(identity.0, SnapshotStatus::Finish));
                }
            }
            Message::Join { identity } => self.joins(from, identity, cx),
            Message::Removed { identity, index } => self.removed(identity, index, cx),
            Message::Reconfigure { set } => self.reconfigure(set, cx),
        }
    }

    fn raft_message(&mut self, from: NodeId, message: eraftpb::Message, image: Option<Rc<Store>>, cx: &mut Cx<'_>) {
        let sender = Identity(message.from);
        if message.to != self.identity.0 || sender.node() != from {
            if !self.is_member() && !self.config.group.members.contains(&from) {
                // Those who were there when this node was taken in may be gone, and the others do not know that
                // it was lost since.
                cx.send(from, Message::Join { identity: self.identity });
            }
            return cx.note(Note::Refused("a message for another identity"));
        }
        let kind = message.get_msg_type();
        if self.installs() && kind == MessageType::MsgTimeoutNow {
            return;
        }
        if let (MessageType::MsgSnapshot, Some(store)) = (kind, image) {
            let metadata = message.get_snapshot().get_metadata();
            self.incoming = Some((metadata.index, metadata.term, store));
            cx.send(from, Message::Arrived { from: self.identity, index: metadata.index });
        }
        // The last word of a node is who it is.
        if self.asking.get(&from).is_some_and(|&asks| asks != sender) {
            self.asking.remove(&from);
        }
        if !has(&self.conf, sender) && self.settled_conf().is_some() {
            self.tell_removed(sender, cx);
        }
        // What is not for the crate to act on, such as an answer of a peer that was removed, is its to refuse.
        _ = self.call(|node| node.step(message));
    }

    pub(super) fn link_up(&mut self, peer: NodeId) {
        self.broken.remove(&peer);
    }

    pub(super) fn link_down(&mut self, peer: NodeId) {
        self.broken.insert(peer);
        let Some(node) = &self.node else { return };
        let mut lost: Vec<Identity> = node.raft.prs().iter().map(|(&id, _)| Identity(id)).collect();
        lost.retain(|one| one.node() == peer && *one != self.identity);
        lost.sort_unstable();
        for one in lost {
            self.call(|node| node.report_unreachable(one.0));
            if self.shipped.remove(&one).is_some() {
                self.call(|node| node.report_snapshot(one.0, SnapshotStatus::Failure));
            }
        }
    }

    pub(super) fn send(&mut self, messages: Vec<eraftpb::Message>, after: Option<WriteId>, cx: &mut Cx<'_>) {
        for message in messages {
            let to = Identity(message.to);
            let image = match (message.get_msg_type(), &self.node) {
                (MessageType::MsgSnapshot, Some(node)) => {
                    let image = node.store().image();
                    debug_assert_eq!(image.index, message.get_snapshot().get_metadata().index);
                    self.shipped.insert(to, image.index);
                    Some(image.store.clone())
                }
                _ => None,
            };
            let message = Message::Raft { message: Box::new(message), image };
            cx.effects.push(Effect::Send { to: to.node(), message, after });
        }
    }

    /// Snapshots that were handed to a connection known to be broken did not leave.
    pub(super) fn report_unsent(&mut self) {
        let unsent: Vec<Identity> =
            self.shipped.keys().copied().filter(|to| self.broken.contains(&to.node())).collect();
        for to in unsent {
            self.shipped.remove(&to);
            self.call(|node| node.report_snapshot(to.0, SnapshotStatus::Failure));
        }
    }
}
