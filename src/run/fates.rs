//! What became of acknowledged writes.

use crate::id::NodeId;
use crate::machine::{Inventory, Machine, Status, Views};
use crate::metrics::Metrics;
use crate::metrics::recorder::{Fates, Recorder};
use crate::op::WriteKey;
use crate::world::Replicas;

use super::tape::Fate;

/// Judges acknowledged writes by (client, number), once, after the drain; tells of those whose story does not end
/// with their application.
pub fn fates<M: Machine>(
    replicas: &Replicas<'_, M>,
    recorder: &Recorder,
    mut tell: impl FnMut(WriteKey, Fate),
) -> Fates {
    let (mut serving, mut elsewhere) = (Inventory::default(), Vec::new());
    for &node in replicas.nodes() {
        let machine = replicas.machine(node);
        let serves = !replicas.paused(node) && machine.is_some_and(M::serving) && can_serve(replicas, node);
        let mut own = Inventory::default();
        if let Some(machine) = machine {
            add(if serves { &mut serving } else { &mut own }, &machine.inventory());
        }
        if let Some(config) = replicas.config(node) {
            add(&mut own, &M::inventory_of(config, replicas.records(node)));
        }
        elsewhere.push((node, own));
    }
    let mut fates = Fates { duplicated: serving.duplicated, ..Fates::default() };
    for write in recorder.acked.iter() {
        let reapplied = serving.reapplied.contains(write);
        fates.reapplied += u64::from(reapplied);
        if serving.applied.contains(write) {
            fates.applied += 1;
            if reapplied {
                tell(write, Fate::Reapplied);
            }
            continue;
        }
        let told = recorder.told.contains(write);
        let holds = |own: &Inventory| own.applied.contains(write) || own.journaled.contains(write);
        if serving.journaled.contains(write) {
            fates.revoked += 1;
            fates.told += u64::from(told);
            tell(write, Fate::Revoked { told });
        } else if elsewhere.iter().any(|(_, own)| holds(own)) {
            fates.stranded += 1;
            let on = elsewhere.iter().filter(|(_, own)| holds(own)).map(|&(node, _)| node).collect();
            tell(write, Fate::Stranded(on));
        } else {
            fates.lost += 1;
            tell(write, Fate::Lost);
        }
    }
    fates
}

/// Where views succeed each other, a leader without enough replicas around it serves nobody, whatever it believes.
fn can_serve<M: Machine>(replicas: &Replicas<'_, M>, leader: NodeId) -> bool {
    if M::VIEWS == Views::Coexist {
        return true;
    }
    let around = replicas.nodes().iter().filter(|&&node| node == leader || replicas.connected(leader, node));
    let statuses: Vec<Status> = around.filter_map(|&node| Some(replicas.machine(node)?.status())).collect();
    let taking_part: Vec<&Status> = statuses.iter().filter(|status| !status.replica_set.is_empty()).collect();
    M::can_serve(&taking_part)
}

fn add(into: &mut Inventory, other: &Inventory) {
    into.applied.add_all(&other.applied);
    into.journaled.add_all(&other.journaled);
    into.reapplied.add_all(&other.reapplied);
    into.duplicated = into.duplicated.max(other.duplicated);
}

/// Puts the fates of writes where results tell them.
pub fn set_fates(metrics: &mut Metrics, fates: &Fates) {
    metrics.writes_applied = Some(fates.applied);
    metrics.writes_revoked = Some(fates.revoked);
    metrics.writes_stranded = Some(fates.stranded);
    metrics.writes_lost = Some(fates.lost);
    metrics.writes_reapplied = Some(fates.reapplied);
    metrics.writes_duplicated = Some(fates.duplicated);
    metrics.writes_revoked_told = Some(fates.told);
}
