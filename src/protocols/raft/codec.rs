//! Commands as bytes of entries, and what messages and records weigh.
//!
//! Values are sizes and digests here, not bytes: an entry's data is a fixed encoding of 37 bytes, and the
//! value's bytes are added wherever something is weighed.

use raft::eraftpb::{Entry, EntryType, MessageType};

use super::{Message, Record};
use crate::id::ClientId;
use crate::op::{Op, Value};
use crate::protocols::store::Command;

const LENGTH: usize = 4 + 4 + 4 + 1 + 4 + 8 + 4 + 8;
/// Term, index, kind and length of an entry.
const ENTRY_HEADER: u64 = 24;
/// Of the transport, and the numbers that each message of the crate carries.
const MESSAGE_HEADER: u64 = 72;

/// The data of an entry.
pub fn encode(command: &Command) -> Vec<u8> {
    let (kind, expect) = match command.op {
        Op::Read { .. } => (0, 0),
        Op::Post { .. } => (1, 0),
        Op::Put { .. } => (2, 0),
        Op::Append { .. } => (3, 0),
        Op::CompareAndSwap { expect, .. } => (4, expect),
    };
    let value = command.op.value().unwrap_or(Value { digest: 0, bytes: 0 });
    let mut data = Vec::with_capacity(LENGTH);
    for word in [command.client.0, command.number, command.floor] {
        data.extend(word.to_le_bytes());
    }
    data.push(kind);
    data.extend(command.op.key().to_le_bytes());
    data.extend(value.digest.to_le_bytes());
    data.extend(value.bytes.to_le_bytes());
    data.extend(expect.to_le_bytes());
    debug_assert_eq!(data.len(), LENGTH);
    data
}

/// The command of an entry, if it carries one: not those that a new leader or a membership change appends.
pub fn command(entry: &Entry) -> Option<Command> {
    if entry.get_entry_type() != EntryType::EntryNormal {
        return None;
    }
    let data: &[u8; LENGTH] = entry.data.as_ref().try_into().ok()?;
    let word = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"));
    let wide = |at: usize| u64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes"));
    let (key, value) = (word(13), Value { digest: wide(17), bytes: word(25) });
    let op = match data[12] {
        0 => Op::Read { key },
        1 => Op::Post { key, value },
        2 => Op::Put { key, value },
        3 => Op::Append { key, value },
        4 => Op::CompareAndSwap { key, expect: wide(29), value },
        _ => return None,
    };
    Some(Command { client: ClientId(word(0)), number: word(4), floor: word(8), op })
}

/// What an entry weighs on the wire and on the disk.
pub fn entry_bytes(entry: &Entry) -> u64 {
    let data = entry.data.len() as u64;
    ENTRY_HEADER + command(entry).map_or(data, |command| u64::from(command.bytes()))
}

fn entries_bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(entry_bytes).sum()
}

pub(super) fn wire_bytes(message: &Message) -> u32 {
    let body = match message {
        Message::Raft { message, image } => {
            let state = image.as_ref().map_or(0, |store| store.bytes());
            entries_bytes(&message.entries) + message.context.len() as u64 + state
        }
        Message::Arrived { .. } | Message::Join { .. } | Message::Removed { .. } => 16,
        Message::Reconfigure { set } => 4 * set.len() as u64,
    };
    u32::try_from(MESSAGE_HEADER + body).unwrap_or(u32::MAX)
}

pub(super) fn record_bytes(record: &Record) -> u32 {
    let body = match record {
        Record::Installed(_) | Record::Joining(_) => 8,
        Record::Append { entries, .. } => 24 + entries_bytes(entries),
        Record::Snapshot { image, entries, .. } => 64 + image.store.bytes() + entries_bytes(entries),
    };
    u32::try_from(16 + body).unwrap_or(u32::MAX)
}

/// The paper's names, where it has one.
pub(super) fn message_name(message: &Message) -> &'static str {
    match message {
        Message::Raft { message, .. } => match message.get_msg_type() {
            MessageType::MsgAppend => "AppendEntries",
            MessageType::MsgAppendResponse => "AppendEntriesResponse",
            MessageType::MsgHeartbeat => "Heartbeat",
            MessageType::MsgHeartbeatResponse => "HeartbeatResponse",
            MessageType::MsgRequestVote => "RequestVote",
            MessageType::MsgRequestVoteResponse => "RequestVoteResponse",
            MessageType::MsgRequestPreVote => "RequestPreVote",
            MessageType::MsgRequestPreVoteResponse => "RequestPreVoteResponse",
            MessageType::MsgSnapshot => "InstallSnapshot",
            MessageType::MsgTimeoutNow => "TimeoutNow",
            _ => "Other",
        },
        Message::Arrived { .. } => "Arrived",
        Message::Join { .. } => "Join",
        Message::Removed { .. } => "Removed",
        Message::Reconfigure { .. } => "Reconfigure",
    }
}
