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
    standing: Standing,
    silence: Option<Silence>,
}

/// What a server is believed to be, in the order in which servers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It was placed, published, named or found as a replica.
    Replica,
    /// It was a replica, and the last publication does not name it.
    Former,
    /// A machine whose agent may know where the service is.
    Door,
}

#[derive(Clone, Copy, Debug)]
struct Silence {
    noticed: SimTime,
    lasts: Duration,
}

/// The servers of one service as one place knows them. A server's index never changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    /// In order of placement, then front doors, then those that others named.
    servers: Vec<Server>,
    /// Indices by standing, then by round trip, equals by index.
    ranked: Vec<u16>,
    /// The last that answered, or was published, as primary.
    primary: Option<u16>,
    /// The last publication.
    published: Vec<NodeId>,
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
    /// Adds a replica, unless it is there, and gives its index.
    pub(super) fn add(&mut self, node: NodeId, round_trip: Duration) -> u16 {
        self.enter(node, round_trip, Standing::Replica)
    }

    /// Adds a machine that is asked only when no replica answers, unless it is there.
    pub(super) fn add_door(&mut self, node: NodeId, round_trip: Duration) {
        self.enter(node, round_trip, Standing::Door);
    }

    fn enter(&mut self, node: NodeId, round_trip: Duration, standing: Standing) -> u16 {
        if let Some(known) = self.index(node) {
            return known;
        }
        let index = u16::try_from(self.servers.len()).expect("a service has fewer than 65,536 servers");
        self.servers.push(Server { node, round_trip, standing, silence: None });
        self.ranked.push(index);
        self.rank();
        index
    }

    fn rank(&mut self) {
        let Self { servers, ranked, .. } = self;
        ranked.sort_by_key(|&index| {
            let server = &servers[usize::from(index)];
            (server.standing, server.round_trip, index)
        });
    }

    fn promote(&mut self, server: u16) {
        if !self.is_replica(server) {
            self.servers[usize::from(server)].standing = Standing::Replica;
            self.rank();
        }
    }

    /// The site's agents tell where the service is, its primary first. Replicas that are not named any more are asked
    /// after those that are. The same again is no news: what clients found since then is newer.
    pub(super) fn published(&mut self, replicas: &[(NodeId, Duration)]) {
        if replicas.is_empty() || self.published.iter().eq(replicas.iter().map(|(node, _)| node)) {
            return;
        }
        self.published = replicas.iter().map(|&(node, _)| node).collect();
        for server in self.servers.iter_mut().filter(|server| server.standing == Standing::Replica) {
            server.standing = Standing::Former;
        }
        for &(node, round_trip) in replicas {
            let server = self.add(node, round_trip);
            self.servers[usize::from(server)].standing = Standing::Replica;
        }
        self.rank();
        self.primary = self.index(replicas[0].0);
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

    /// It is believed to hold the service, so what it says of a primary counts.
    pub(super) fn is_replica(&self, server: u16) -> bool {
        self.servers[usize::from(server)].standing == Standing::Replica
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
        self.promote(server);
        self.primary = Some(server);
    }

    /// A read was answered there. Perhaps any replica answers reads, so this replaces a primary only if
    /// that one was tried in vain.
    pub(super) fn read(&mut self, server: u16, round: &Round, now: SimTime) {
        self.promote(server);
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

    /// The primary, if it can be asked instead of a server that lags.
    pub(super) fn ahead_of(&self, server: u16, round: &Round, now: SimTime) -> Option<u16> {
        self.primary
            .filter(|primary| *primary != server && !round.tried.contains(primary) && !self.avoided(*primary, now))
    }

    /// Whom to ask next; none: every server was asked in this round, and it is time to back off.
    ///
    /// The primary, unless the nearest will do; then replicas, former replicas and front doors, each the nearest
    /// first. A silent server comes last: if another names it as primary, or if none is left. Neither it nor a front
    /// door is asked while some replica is only waiting for a primary: asking that one again is quicker than waiting
    /// for the dead.
    pub(super) fn next(&self, round: &Round, nearest: bool, now: SimTime) -> Option<u16> {
        let primary = self.primary.filter(|_| !nearest);
        let ranked = || primary.into_iter().chain(self.ranked.iter().copied());
        let untried = |server: &u16| !round.tried.contains(server);
        let closed = |server: u16| round.electing && self.servers[usize::from(server)].standing == Standing::Door;
        ranked()
            .find(|&server| untried(&server) && !closed(server) && !self.avoided(server, now))
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
            let server = servers.next(&round, false, now)?;
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
        assert_eq!(servers.next(&round, false, at(0)), Some(1), "none is left");
        round.nobody_leads();
        assert_eq!(servers.next(&round, false, at(0)), None);
        assert_eq!(servers.follow(1, &mut round, at(0)), None, "not yet, it was silent");
        assert_eq!(servers.next(&round, false, at(0)), Some(1), "but now somebody named it");
    }

    /// Nodes as (node, milliseconds there and back).
    fn publish(servers: &mut Servers, replicas: &[(u32, u64)]) {
        let replicas: Vec<_> =
            replicas.iter().map(|&(node, millis)| (NodeId(node), Duration::from_millis(millis))).collect();
        servers.published(&replicas);
    }

    #[test]
    fn a_publication_adds_newcomers_and_leaves_those_it_does_not_name_for_later() {
        let mut servers = servers();
        servers.wrote(1);
        publish(&mut servers, &[(9, 10), (6, 40), (7, 30)]);
        assert_eq!(order(&servers, at(0)), [2, 0, 3, 1], "the primary, the nearest, and at last who was left out");
        servers.wrote(0);
        publish(&mut servers, &[(9, 10), (6, 40), (7, 30)]);
        assert_eq!(order(&servers, at(0)), [0, 2, 3, 1], "the same again is no news");
        publish(&mut servers, &[(8, 10), (9, 10)]);
        assert_eq!(order(&servers, at(0)), [1, 2, 0, 3]);
        publish(&mut servers, &[]);
        assert_eq!(order(&servers, at(0)), [1, 2, 0, 3], "nothing was said");
        servers.read(3, &Round::default(), at(0));
        assert_eq!(order(&servers, at(0)), [1, 2, 3, 0], "who answers is a replica");
    }

    #[test]
    fn front_doors_are_asked_when_no_replica_answers() {
        let mut servers = servers();
        for (node, millis) in [(3, 5), (4, 1), (8, 0)] {
            servers.add_door(NodeId(node), Duration::from_millis(millis));
        }
        assert_eq!(order(&servers, at(0)), [1, 2, 0, 4, 3], "a replica is no door, however near");
        for server in 0..3 {
            servers.silent(server, at(0), at(0));
        }
        assert_eq!(order(&servers, at(0)), [4, 3, 1, 2, 0], "before replicas that were silent");
        let mut round = Round::default();
        round.try_server(4);
        assert_eq!(servers.next(&round, false, at(0)), Some(3));
        round.nobody_leads();
        assert_eq!(servers.next(&round, false, at(0)), None, "a replica that waits for a primary is asked again first");
        servers.wrote(3);
        assert_eq!(order(&servers, at(0))[0], 3, "a door that did it was a replica");
        assert!(servers.is_replica(3) && !servers.is_replica(4));
    }

    #[test]
    fn reads_of_the_nearest_pass_by_the_primary() {
        let mut servers = servers();
        servers.wrote(0);
        let mut round = Round::default();
        assert_eq!(servers.next(&round, true, at(0)), Some(1));
        assert_eq!(servers.ahead_of(1, &round, at(0)), Some(0), "it has what another may lack");
        assert_eq!(servers.ahead_of(0, &round, at(0)), None);
        round.try_server(0);
        assert_eq!(servers.ahead_of(1, &round, at(0)), None, "it was asked");
        servers.silent(0, at(0), at(0));
        assert_eq!(servers.ahead_of(1, &Round::default(), at(0)), None, "it is silent");
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
