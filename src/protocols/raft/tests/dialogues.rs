//! Raft's dialogues.

use raft::eraftpb::{self, Entry, EntryType};

use super::{AfterDiskLoss, Options, configs, options};
use crate::protocols::raft::membership::Identity;
use crate::protocols::raft::{Message, Replica, codec};
use crate::protocols::theatre::play;

fn entry(entry: &Entry) -> String {
    match (codec::command(entry), entry.get_entry_type()) {
        (Some(command), _) => format!("c{}.{}", command.client.0, command.number),
        (None, EntryType::EntryNormal) => "nothing".into(),
        (None, _) => "change".into(),
    }
}

fn raft(message: &eraftpb::Message) -> String {
    use raft::eraftpb::MessageType::{
        MsgAppend, MsgAppendResponse, MsgHeartbeat, MsgHeartbeatResponse, MsgRequestPreVote, MsgRequestVote,
        MsgSnapshot,
    };
    let term = message.term;
    let read = if message.context.is_empty() { "" } else { ", for a read" };
    match message.get_msg_type() {
        MsgAppend => {
            let entries: Vec<String> = message.entries.iter().map(entry).collect();
            let (index, after, commit) = (message.index, message.log_term, message.commit);
            format!("term {term}, after {index} of term {after}: [{}], commit {commit}", entries.join(" "))
        }
        MsgAppendResponse if message.reject => {
            format!("term {term}, not {}, but {}", message.index, message.reject_hint)
        }
        MsgAppendResponse => format!("term {term}, up to {}", message.index),
        MsgHeartbeat => format!("term {term}, commit {}{read}", message.commit),
        MsgHeartbeatResponse => format!("term {term}{read}"),
        MsgRequestVote | MsgRequestPreVote => {
            format!("term {term}, log to {} of term {}", message.index, message.log_term)
        }
        MsgSnapshot => {
            let metadata = message.get_snapshot().get_metadata();
            format!("term {term}, of {} of term {}", metadata.index, metadata.term)
        }
        _ if message.reject => format!("term {term}, no"),
        _ => format!("term {term}"),
    }
}

/// First identities are short; of the others it matters that they are others.
fn name(identity: Identity) -> String {
    let kind = if identity == Identity::first(identity.node()) { "first" } else { "another" };
    format!("{kind} identity of n{}", identity.node().0)
}

fn describe(message: &Message) -> String {
    match message {
        Message::Raft { message, .. } => raft(message),
        Message::Arrived { index, .. } => format!("snapshot of {index}"),
        Message::Join { identity } => name(*identity),
        Message::Removed { identity, index } => format!("{}, by {index}", name(*identity)),
        Message::Reconfigure { set } => format!("{:?}", set.iter().map(|node| node.0).collect::<Vec<_>>()),
    }
}

fn transcript(name: &str, count: u32, options: &Options) {
    play::<Replica>(&format!("src/protocols/raft/transcripts/{name}.txt"), configs(count, options), describe);
}

#[test]
fn a_write_is_committed_by_a_majority_and_a_read_asks_one() {
    transcript("a-write-and-a-read", 3, &options());
}

#[test]
fn a_crashed_leader_is_replaced_and_what_it_did_not_commit_is_dropped() {
    transcript("a-leader-crashes", 3, &options());
}

#[test]
fn a_leader_cut_off_answers_nothing_and_returns_to_the_fold() {
    transcript("a-minority-is-cut-off", 5, &options());
}

#[test]
fn a_node_that_returns_does_not_disturb_the_leader() {
    transcript("a-node-returns", 3, &options());
}

#[test]
fn a_node_that_returns_without_pre_vote_deposes_the_leader() {
    transcript("a-node-returns-without-pre-vote", 3, &Options { pre_vote: false, ..options() });
}

#[test]
fn a_follower_that_lags_gets_a_snapshot() {
    transcript("a-snapshot-for-a-laggard", 3, &Options { snapshot_entries: 3, ..options() });
}

#[test]
fn all_crash_and_what_was_acknowledged_is_there_again() {
    transcript("all-crash", 3, &options());
}

#[test]
fn a_lost_disk_stays_out_until_it_is_added_under_a_new_identity() {
    transcript("a-disk-is-lost", 3, &Options { snapshot_entries: 3, ..options() });
}

#[test]
fn an_empty_disk_under_its_old_identity_stops_its_node() {
    let after_disk_loss = AfterDiskLoss::RejoinEmpty;
    transcript("an-empty-disk-rejoins", 3, &Options { after_disk_loss, ..options() });
}

#[test]
fn a_leader_that_is_to_go_hands_over_first() {
    transcript("a-leader-is-removed", 5, &Options { snapshot_entries: 3, ..options() });
}
