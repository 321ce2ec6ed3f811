//! What one client session remembers.

use std::collections::VecDeque;

use crate::interval::IntervalSet;
use crate::op::{Answer, Op, Tip};
use crate::time::SimTime;

/// Rows of the table of digests that a session knows: a key's row is its remainder.
const KNOWN_ROWS: usize = 256;

/// A client session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// How many writes and reads it has asked so far; each is numbered from 1.
    writes: u32,
    reads: u32,
    /// (number, slot) of its writes without a final answer, ascending by number.
    open: Vec<(u32, u32)>,
    /// No server has confirmed the session yet, or one has lost it.
    unconfirmed: bool,
    token: Option<Tip>,
    /// (key, digest): the last that it knows of a key. Empty for a load that never compares and swaps.
    known: Vec<(u32, u64)>,
    /// Writes that it was told are revoked.
    revoked: IntervalSet,
    /// Its last writes, up to the newest, so that a revocation can say what was revoked.
    past: VecDeque<Past>,
}

/// What a finished write needs to be told again; the rest follows from its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) invoked: SimTime,
    /// Of a compare-and-swap.
    pub(super) expect: u64,
}

impl Session {
    pub(super) fn new(remembers_digests: bool) -> Self {
        let known = if remembers_digests { vec![(u32::MAX, 0); KNOWN_ROWS] } else { Vec::new() };
        Self { unconfirmed: true, known, ..Self::default() }
    }

    /// The number of the session's next read.
    pub(super) fn number_read(&mut self) -> u32 {
        self.reads += 1;
        self.reads
    }

    /// The number of the session's next write, which is open from now on.
    pub(super) fn number_write(&mut self, slot: u32) -> u32 {
        self.writes += 1;
        self.open.push((self.writes, slot));
        self.writes
    }

    /// Keeps what a write will need if it is revoked; of the writes of a session, the last `limit` are kept.
    pub(super) fn remember(&mut self, past: Past, limit: usize) {
        if self.past.len() >= limit {
            self.past.pop_front();
        }
        self.past.push_back(past);
    }

    /// What a write needs to be told again. For one that is forgotten, the instant is that of the oldest
    /// remembered write, so an upper bound. None: the session never made it.
    pub(super) fn past(&self, number: u32) -> Option<Past> {
        if number == 0 || number > self.writes {
            return None;
        }
        let age = (self.writes - number) as usize;
        match self.past.len().checked_sub(age + 1) {
            Some(index) => self.past.get(index).copied(),
            None => self.past.front().map(|oldest| Past { expect: 0, ..*oldest }),
        }
    }

    /// Forgets an open write, for it has its final answer.
    pub(super) fn close(&mut self, number: u32) {
        self.open.retain(|&(open, _)| open != number);
    }

    /// The slot of a write that is still open.
    pub(super) fn slot_of(&self, number: u32) -> Option<u32> {
        self.open.iter().find(|&&(open, _)| open == number).map(|&(_, slot)| slot)
    }

    /// Slots of all open writes.
    pub(super) fn open_slots(&self) -> Vec<u32> {
        self.open.iter().map(|&(_, slot)| slot).collect()
    }

    /// Every write below this number has its final answer.
    pub(super) fn floor(&self) -> u32 {
        self.open.first().map_or(self.writes + 1, |&(number, _)| number)
    }

    /// Whether requests must say that they open the session.
    pub(super) fn fresh(&self) -> bool {
        self.unconfirmed
    }

    /// A server no longer knows the session.
    pub(super) fn lost(&mut self) {
        self.unconfirmed = true;
    }

    pub(super) fn token(&self) -> Option<Tip> {
        self.token
    }

    /// Gives up the token that a server did not cover, unless another answer has replaced it meanwhile.
    pub(super) fn drop_token(&mut self, carried: Option<Tip>) {
        if self.token == carried {
            self.token = None;
        }
    }

    /// Learns from a final answer.
    ///
    /// Of several requests under way the answers may come in any order, so the longest token stays: on
    /// one chain it covers the shorter ones. If the answers came from two branches, the session has
    /// indeed seen both, and the next server that lacks the longer one will say `regressed`, once.
    pub(super) fn done(&mut self, op: Op, answer: Answer, token: Tip) {
        if self.token.is_none_or(|old| old.length <= token.length) {
            self.token = Some(token);
        }
        if !op.is_read() {
            self.unconfirmed = false;
        }
        if self.known.is_empty() {
            return;
        }
        match answer {
            Answer::Read { digest, .. } => self.know(op.key(), digest),
            Answer::Done => self.know(op.key(), op.apply(self.known(op.key()), 0).0),
            Answer::Swapped(true) => self.know(op.key(), op.value().map_or(0, |value| value.digest)),
            Answer::Swapped(false) => {}
        }
    }

    /// The last digest that the session knows of a key: one it read, or what its own write made of the
    /// one it knew. 0, which means absent, if it knows none.
    pub(super) fn known(&self, key: u32) -> u64 {
        match self.known.get(key as usize % KNOWN_ROWS) {
            Some(&(of, digest)) if of == key => digest,
            _ => 0,
        }
    }

    fn know(&mut self, key: u32, digest: u64) {
        self.known[key as usize % KNOWN_ROWS] = (key, digest);
    }

    /// Notes that the client was told of a revocation; false if it knew.
    pub(super) fn revoke(&mut self, number: u32) -> bool {
        self.revoked.insert(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Value;

    const TOKEN: Tip = Tip { length: 5, hash: 1 };

    #[test]
    fn the_floor_is_the_lowest_open_write() {
        let mut session = Session::new(false);
        assert_eq!(session.floor(), 1);
        assert_eq!([session.number_write(4), session.number_write(5), session.number_write(6)], [1, 2, 3]);
        assert_eq!(session.floor(), 1);
        session.close(2);
        assert_eq!(session.floor(), 1);
        session.close(1);
        assert_eq!(session.floor(), 3);
        assert_eq!((session.slot_of(3), session.slot_of(2)), (Some(6), None));
        session.close(3);
        assert_eq!((session.floor(), session.number_read()), (4, 1));
    }

    #[test]
    fn the_longest_token_stays_until_it_is_dropped() {
        let tip = |length| Tip { length, hash: length };
        let mut session = Session::new(false);
        let read = |session: &mut Session, length| {
            session.done(Op::Read { key: 0 }, Answer::Read { digest: 0, bytes: 0 }, tip(length));
            session.token()
        };
        assert_eq!(read(&mut session, 5), Some(tip(5)));
        assert_eq!(read(&mut session, 3), Some(tip(5)), "an answer that overtook another");
        session.drop_token(Some(tip(4)));
        assert_eq!(session.token(), Some(tip(5)), "the refused one was replaced meanwhile");
        session.drop_token(Some(tip(5)));
        assert_eq!(read(&mut session, 3), Some(tip(3)));
    }

    #[test]
    fn a_session_knows_what_it_read_and_what_its_writes_made_of_that() {
        let mut session = Session::new(true);
        let value = Value { digest: 9, bytes: 1 };
        assert_eq!(session.known(3), 0);
        session.done(Op::Read { key: 3 }, Answer::Read { digest: 7, bytes: 0 }, TOKEN);
        assert_eq!((session.known(3), session.known(3 + 256)), (7, 0));
        let append = Op::Append { key: 3, value };
        session.done(append, Answer::Done, TOKEN);
        assert_eq!(session.known(3), append.apply(7, 0).0);
        let swap = Op::CompareAndSwap { key: 3, expect: 1, value };
        session.done(swap, Answer::Swapped(false), TOKEN);
        assert_eq!(session.known(3), append.apply(7, 0).0);
        session.done(swap, Answer::Swapped(true), TOKEN);
        assert_eq!(session.known(3), 9);
    }

    #[test]
    fn a_session_is_confirmed_by_a_write() {
        let mut session = Session::new(false);
        session.done(Op::Read { key: 3 }, Answer::Read { digest: 7, bytes: 0 }, TOKEN);
        assert!(session.fresh());
        session.done(Op::Put { key: 3, value: Value { digest: 9, bytes: 1 } }, Answer::Done, TOKEN);
        assert!(!session.fresh());
        session.lost();
        assert!(session.fresh());
    }

    #[test]
    fn the_past_is_bounded_and_honest() {
        let mut session = Session::new(false);
        for number in 1..=10 {
            assert_eq!(session.number_write(0), number);
            session.remember(Past { invoked: SimTime::from_nanos(u64::from(number)), expect: 5 }, 4);
        }
        let past = |number| session.past(number).map(|past| (past.invoked.as_nanos(), past.expect));
        assert_eq!([past(10), past(7)], [Some((10, 5)), Some((7, 5))]);
        assert_eq!(past(6), Some((7, 0)), "forgotten: no later than the oldest that is remembered");
        assert_eq!([past(0), past(11)], [None, None]);
    }
}
