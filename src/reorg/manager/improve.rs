//! What is not urgent: surplus, constraints, load, distance to users, and machines that would like to sleep.

use super::super::agent::Cx;
use super::super::message::Urgency;
use super::{Manager, Outlook, held};
use crate::id::{DcId, NodeId};

/// The primary moves nearer to its users only if their mean round trip falls by this share and this much.
const NEARER_BY: f64 = 0.2;
const NEARER_MS: f64 = 5.0;

impl Manager {
    /// Lets go of the replica that is missed least.
    pub(super) fn shed(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let place = |node: NodeId| out.set().iter().position(|&one| one == node);
        let cost =
            |&node: &NodeId| (out.violations(&out.set_without(node)), node == out.me(), std::cmp::Reverse(place(node)));
        if let Some(victim) = out.set().iter().copied().min_by_key(cost) {
            self.let_go("shed", vec![victim], out, cx);
        }
    }

    /// What is not urgent: constraints, load, distance, and machines that would like to sleep.
    pub(super) fn improve(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let policy = out.policy();
        if (policy.repair && self.mend_constraints(out, cx)) || (policy.balance && self.relieve(out, cx)) {
            return;
        }
        if policy.balance {
            self.count_readers(out);
            if self.approach(out, cx) {
                return;
            }
        }
        if policy.save {
            self.answer_recall(out, cx);
        }
    }

    /// Replaces the replica whose removal makes most room for fewer violations.
    pub(super) fn mend_constraints(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) -> bool {
        let now = out.violations(out.set());
        if now == 0 {
            return false;
        }
        let after = |&victim: &NodeId| {
            let base = out.set_without(victim);
            let sites = self.sites_for(&base, out);
            sites.first().map_or(u32::MAX, |&(violations, ..)| violations)
        };
        let victims = out.set().iter().copied();
        let Some(victim) = victims.min_by_key(|node| (after(node), *node == out.me())) else { return false };
        if after(&victim) >= now {
            return false;
        }
        let base = out.set_without(victim);
        let rate = if victim == out.me() { out.rate() } else { 0.0 };
        self.find("mend the constraints", Urgency::Balance, Some(victim), &base, rate, out, cx);
        true
    }

    /// This machine is hot: another member leads, or else another machine takes this replica's place.
    pub(super) fn relieve(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) -> bool {
        if !out.is_hot {
            return false;
        }
        let others = out.set_without(out.me());
        if !std::mem::take(&mut self.members_have_no_room) {
            self.find_leader("move the primary off a hot machine", others, out, cx);
        } else {
            let (urgency, rate) = (Urgency::Balance, out.rate());
            self.find("migrate off a hot machine", urgency, Some(out.me()), &others, rate, out, cx);
        }
        true
    }

    /// Adds a replica for reads when those there are hot, and gives it up when fewer would do.
    pub(super) fn count_readers(&mut self, out: &Outlook<'_>) {
        let service = out.sight.map.service(self.service);
        if !service.reads_anywhere {
            return;
        }
        let shares = out.sight.seats(out.now).filter(|(_, seat)| seat.service == self.service);
        let total = shares.map(|(_, seat)| f64::from(seat.load) / 1_000.0).sum::<f64>() + out.own_share();
        let (count, policy, now) = (out.set().len() as f64, out.policy(), out.now);
        let crowded = total / count > policy.high && self.extra < service.degree;
        let sparse = self.extra > 0 && total / (count - 1.0) < policy.high / 2.0;
        if held(&mut self.crowded_since, crowded, policy.high_for, now) {
            self.extra += 1;
            self.crowded_since = None;
        }
        if held(&mut self.sparse_since, sparse, policy.low_for, now) {
            self.extra -= 1;
            self.sparse_since = None;
        }
    }

    /// Moves the primary to the member that is nearest to the users, if that is much nearer, for long.
    pub(super) fn approach(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) -> bool {
        let map = &out.sight.map;
        let total: f64 = self.demand.values().sum();
        let distance = |node: NodeId| {
            let site = map.site_of(node);
            let trip = |place: DcId| (map.one_way(place, site) + map.one_way(site, place)).as_millis_f64();
            self.demand.iter().map(|(&place, rate)| rate * trip(place)).sum::<f64>() / total.max(f64::MIN_POSITIVE)
        };
        let here = distance(out.me());
        // Far enough below what would count as hot that it does not come back.
        let room = (out.policy().low + out.policy().high) / 2.0;
        let has_room = |node: &NodeId| out.load(*node).is_some_and(|load| load + out.own_share() <= room);
        let members = out.set().iter().copied().filter(|&node| node != out.me()).filter(has_room);
        let best = members.map(|node| (distance(node), node)).min_by(|a, b| a.0.total_cmp(&b.0));
        let nearer = best.filter(|&(there, _)| here - there > NEARER_MS && there < here * (1.0 - NEARER_BY));
        if held(&mut self.farther_since, nearer.is_some() && total > 0.0, out.policy().low_for, out.now)
            && let Some((_, node)) = nearer
        {
            self.farther_since = None;
            self.find_leader("move the primary towards its users", vec![node], out, cx);
            return true;
        }
        false
    }

    /// Finds another place for a replica whose machine would like to sleep.
    pub(super) fn answer_recall(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let Some(&node) = self.recalls.iter().find(|node| out.set().contains(node)) else {
            self.recalls.clear();
            return;
        };
        self.recalls.clear();
        let base = out.set_without(node);
        let rate = if node == out.me() { out.rate() } else { 0.0 };
        self.find("consolidate", Urgency::Saving, Some(node), &base, rate, out, cx);
    }
}
