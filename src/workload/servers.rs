//! The table of servers that the clients of a place share, as a client library does.

use crate::id::NodeId;
use crate::time::{Duration, SimTime};

/// How long a server is avoided after its first silence.
const AVOID_FIRST: Duration = Duration::from_secs(5);
/// The longest that a server is avoided, after several silences in a row.
const AVOID_MOST: Duration = Duration::from_secs(30);

/// What a place knows of one server of a service.
#[derive(Clone, Debug)]
struct Server {
    node: NodeId,
    round_trip: Duration,
    silence: Option<Silence>,
}

#[derive(Clone, Copy, Debug)]
struct Silence {
    noticed: SimTime,
    lasts: Duration,
}

/// The servers of one service as one place knows them. A server's index never changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    /// In order of placement, then those that others named.
    servers: Vec<Server>,
    /// Indices by round trip, equals by index.
    nearest: Vec<u16>,
    /// The last that answered as primary.
    primary: Option<u16>,
}

/// What one request has learnt since it last backed off.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    tried: Vec<u16>,
    /// Somebody that answered knows no primary: worth asking again soon.
    electing: bool,
    /// A silent server that somebody named as primary.
    named: Option<u16>,
}

impl Round {
    pub(super) fn clear(&mut self) {
        self.tried.clear();
        self.electing = false;
        self.named = None;
    }
    pub(super) fn try_server(&mut self, server: u16) {
        self.tried.push(server);
    }
    /// A server answered that it knows no primary.
    pub(super) fn nobody_leads(&mut self) {
        self.electing = true;
    }
}

impl Servers {
    /// Adds a server, unless it is there, and gives its index.
    pub(super) fn add(&mut self, node: NodeId, round_trip: Duration) -> u16 {
        if let Some(known) = self.index(node) {
            return known;
        }
        let index = u16::try_from(self.servers.len()).expect("a service has fewer than 65,536 replicas");
        let place = self.nearest.partition_point(|&other| self.servers[usize::from(other)].round_trip <= round_trip);
        self.nearest.insert(place, index);
        self.servers.push(Server { node, round_trip, silence: None });
        index
    }

    pub(super) fn index(&self, node: NodeId) -> Option<u16> {
        self.servers.iter().position(|server| server.node == node).map(|index| index as u16)
    }

    pub(super) fn node(&self, server: u16) -> NodeId {
        self.servers[usize::from(server)].node
    }

    pub(super) fn round_trip(&self, server: u16) -> Duration {
        self.servers[usize::from(server)].round_trip
    }

    fn avoided(&self, server: u16, now: SimTime) -> bool {
        self.servers[usize::from(server)].silence.is_some_and(|silence| now < silence.noticed + silence.lasts)
    }

    /// An attempt sent at `sent` found no answer. What was sent before the silence was noticed is part
    /// of the same silence; what was sent later and found none either doubles it.
    pub(super) fn silent(&mut self, server: u16, sent: SimTime, now: SimTime) {
        let silence = &mut self.servers[usize::from(server)].silence;
        *silence = Some(match *silence {
            None => Silence { noticed: now, lasts: AVOID_FIRST },
            Some(same) if sent < same.noticed => same,
            Some(before) => Silence { noticed: now, lasts: before.lasts.saturating_mul(2).min(AVOID_MOST) },
        });
    }

    /// An answer of any kind.
    pub(super) fn heard(&mut self, server: u16) {
        self.servers[usize::from(server)].silence = None;
    }

    /// A write was done there, so it is the primary.
    pub(super) fn wrote(&mut self, server: u16) {
        self.primary = Some(server);
    }

    /// A read was answered there. Perhaps any replica answers reads, so this replaces a primary only if
    /// that one was tried in vain.
    pub(super) fn read(&mut self, server: u16, round: &Round, now: SimTime) {
        if self.primary.is_none_or(|primary| round.tried.contains(&primary) || self.avoided(primary, now)) {
            self.primary = Some(server);
        }
    }

    /// A server named another as primary. It is asked next, unless it is avoided or was tried before.
    pub(super) fn follow(&self, hint: u16, round: &mut Round, now: SimTime) -> Option<u16> {
        if self.avoided(hint, now) {
            round.named = Some(hint);
            return None;
        }
        (!round.tried.contains(&hint)).then_some(hint)
    }

    /// Whom to ask next; none: every server was asked in this round, and it is time to back off.
    ///
    /// The primary, then the nearest. A silent server comes last: if another names it as primary, or if
    /// none is left. It is not asked while some other server is only waiting for a primary: asking that
    /// one again is quicker than waiting for the dead.
    pub(super) fn next(&self, round: &Round, now: SimTime) -> Option<u16> {
        let ranked = || self.primary.into_iter().chain(self.nearest.iter().copied());
        let untried = |server: &u16| !round.tried.contains(server);
        ranked()
            .find(|&server| untried(&server) && !self.avoided(server, now))
            .or_else(|| round.named.filter(untried))
            .or_else(|| if round.electing { None } else { ranked().find(untried) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + Duration::from_secs(seconds)
    }

    /// Servers 0, 1 and 2 at 30, 10 and 10 ms.
    fn servers() -> Servers {
        let mut servers = Servers::default();
        for (node, round_trip) in [(7, 30), (8, 10), (9, 10)] {
            servers.add(NodeId(node), Duration::from_millis(round_trip));
        }
        servers
    }

    /// The servers in the order in which one request asks them.
    fn order(servers: &Servers, now: SimTime) -> Vec<u16> {
        let mut round = Round::default();
        std::iter::from_fn(|| {
            let server = servers.next(&round, now)?;
            round.try_server(server);
            Some(server)
        })
        .collect()
    }

    #[test]
    fn the_nearest_first_and_the_primary_before_them() {
        let mut servers = servers();
        assert_eq!(order(&servers, at(0)), [1, 2, 0]);
        servers.wrote(0);
        assert_eq!(order(&servers, at(0)), [0, 1, 2]);
        assert_eq!(servers.add(NodeId(5), Duration::from_millis(1)), 3);
        assert_eq!(order(&servers, at(0)), [0, 3, 1, 2]);
        assert_eq!(servers.add(NodeId(5), Duration::ZERO), 3, "known already");
    }

    #[test]
    fn silence_is_avoided_for_5_10_20_30_30_seconds() {
        let mut servers = servers();
        let mut now = at(1);
        for seconds in [5, 10, 20, 30, 30] {
            servers.silent(1, now, now);
            servers.silent(1, now - Duration::from_millis(1), now + Duration::from_millis(1));
            let end = now + Duration::from_secs(seconds);
            assert_eq!(order(&servers, end - Duration::from_nanos(1)), [2, 0, 1], "silent for {seconds} s");
            assert_eq!(order(&servers, end), [1, 2, 0]);
            now = end;
        }
        servers.heard(1);
        servers.silent(1, now, now);
        assert_eq!(order(&servers, now + Duration::from_secs(5)), [1, 2, 0], "an answer forgives");
    }

    #[test]
    fn the_silent_are_not_asked_while_another_waits_for_a_primary() {
        let mut servers = servers();
        servers.silent(1, at(0), at(0));
        let mut round = Round::default();
        round.try_server(2);
        round.try_server(0);
        assert_eq!(servers.next(&round, at(0)), Some(1), "none is left");
        round.nobody_leads();
        assert_eq!(servers.next(&round, at(0)), None);
        assert_eq!(servers.follow(1, &mut round, at(0)), None, "not yet, it was silent");
        assert_eq!(servers.next(&round, at(0)), Some(1), "but now somebody named it");
    }

    #[test]
    fn a_read_replaces_a_primary_only_if_that_one_was_tried_in_vain() {
        let mut servers = servers();
        let mut round = Round::default();
        servers.read(1, &round, at(0));
        assert_eq!(servers.primary, Some(1));
        servers.wrote(0);
        servers.read(1, &round, at(0));
        assert_eq!(servers.primary, Some(0));
        round.try_server(0);
        servers.read(1, &round, at(0));
        assert_eq!(servers.primary, Some(1));
        servers.silent(1, at(0), at(0));
        servers.read(2, &Round::default(), at(1));
        assert_eq!(servers.primary, Some(2));
    }
}
