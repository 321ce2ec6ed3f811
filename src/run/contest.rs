//! How each protocol is put on the machines of a scenario, and what it promises.

use std::rc::Rc;

use super::Probe;
use crate::id::NodeId;
use crate::machine::Machine;
use crate::protocols::{
    Group, dynamic_voting, lazy_consensus, omnipaxos, optimistic, raft, static_primary, viewstamped,
};
use crate::time::Duration;
use crate::workload::Service;
use crate::world::topology::Topology;

/// Gives the configuration of each replica of a service.
pub type Configure<'a, M> = Box<dyn Fn(&Service, &Topology) -> Vec<<M as Machine>::Config> + 'a>;

/// Gives the configuration of one replica among machines that come and go: its group's members, which may not count
/// it in yet; and all machines that may ever hold a replica, those of the first placement first.
pub type Recruit<M> = Rc<dyn Fn(Group, &[NodeId], &Topology) -> <M as Machine>::Config>;

/// A protocol about to meet a scenario.
pub struct Contest<'a, M: Machine> {
    /// The configuration of each replica of a service, in order of placement.
    pub configs: Configure<'a, M>,
    /// `None`: it cannot change its members.
    pub recruit: Option<Recruit<M>>,
    pub promises: Promises,
}

impl<'a, M: Machine> Contest<'a, M> {
    /// Each replica is configured from its group alone.
    pub fn new(config: impl Fn(Group) -> M::Config + 'a, promises: Promises) -> Self {
        let configs = move |service: &Service, topology: &Topology| {
            groups(service, topology).into_iter().map(&config).collect::<Vec<_>>()
        };
        Self { configs: Box::new(configs), recruit: None, promises }
    }

    /// As [`Contest::new`]; a newcomer's group are the members it is told of and itself.
    fn movable(config: impl Fn(Group) -> M::Config + Clone + 'static, promises: Promises) -> Self {
        let recruit = config.clone();
        let recruit = move |mut group: Group, _: &[NodeId], _: &Topology| {
            if !group.members.contains(&group.me) {
                group.members.push(group.me);
            }
            recruit(group)
        };
        Self { recruit: Some(Rc::new(recruit)), ..Self::new(config, promises) }
    }
}

/// What a run is judged by. A promise that the faults of a run excuse is not broken by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    /// An acknowledged write is durable on every member of the view.
    pub on_every_member: bool,
    /// An acknowledged write is durable somewhere.
    pub durable_before_ack: bool,
    /// No read misses a write that was acknowledged before the read began.
    pub fresh_reads: bool,
    /// Histories are linearizable as long as the confirmed views form one chain, and no state or disk is lost.
    pub linearizable_in_one_chain: bool,
    pub survives: Survives,
    /// Where sides may serve without each other: how soon the dead are noticed, and how long a member that failed
    /// may be left out.
    pub membership: Option<Membership>,
}

/// Timing of views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    pub heartbeat: Duration,
    pub suspect_after: Duration,
    pub hold_down_max: Duration,
}

/// The lost disks that no acknowledged write may be lost to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    NoLostDisk,
    /// Those of less than half of a service's replicas, over the whole run.
    Minority,
}

impl Promises {
    /// Of a protocol whose writes are durable on a majority, and whose reads are linearizable.
    pub const MAJORITY: Self = Self {
        on_every_member: false,
        durable_before_ack: true,
        fresh_reads: true,
        linearizable_in_one_chain: false,
        survives: Survives::Minority,
        membership: None,
    };
}

/// The group of each replica of a service, in order of placement.
pub fn groups(service: &Service, topology: &Topology) -> Vec<Group> {
    let round_trip_max = round_trip_max(&service.replicas, topology);
    let group = |&me: &NodeId| Group { me, members: service.replicas.clone(), round_trip_max };
    service.replicas.iter().map(group).collect()
}

pub(super) fn round_trip_max(nodes: &[NodeId], topology: &Topology) -> Duration {
    let pairs = nodes.iter().flat_map(|&a| nodes.iter().map(move |&b| (a, b))).filter(|(a, b)| a != b);
    let trip = |(a, b)| topology.between_nodes(a, b).one_way + topology.between_nodes(b, a).one_way;
    pairs.map(trip).max().unwrap_or(Duration::ZERO)
}

pub fn optimistic<'a>(options: &'a optimistic::Options, probe: &'a Probe) -> Contest<'a, optimistic::Replica> {
    let (own_options, own_probe) = (options.clone(), probe.clone());
    let recruit = move |group: Group, nodes: &[NodeId], topology: &Topology| {
        Rc::new(optimistic_config(&own_options, group, nodes, topology, &own_probe))
    };
    Contest {
        configs: Box::new(move |service, topology| {
            let configs = groups(service, topology).into_iter();
            let config = |group| Rc::new(optimistic_config(options, group, &service.replicas, topology, probe));
            configs.map(config).collect()
        }),
        recruit: Some(Rc::new(recruit)),
        promises: Promises {
            on_every_member: options.ack == optimistic::Ack::All,
            durable_before_ack: options.ack != optimistic::Ack::None,
            // Only while the confirmed views form one chain: it is measured.
            fresh_reads: false,
            linearizable_in_one_chain: options.ack == optimistic::Ack::All
                && options.reads == optimistic::ReadLevel::Latest,
            survives: Survives::NoLostDisk,
            membership: Some(Membership {
                heartbeat: options.heartbeat,
                suspect_after: options.suspect_after,
                hold_down_max: options.hold_down_max,
            }),
        },
    }
}

/// One member that never acknowledges is a nuisance; if all were like that, no view would ever be confirmed.
fn has_defect(mutation: optimistic::Mutation, me: NodeId, members: &[NodeId]) -> bool {
    mutation != optimistic::Mutation::DropReplicateAcks || members.last() == Some(&me)
}

/// `directory`: all machines that may ever hold a replica, most preferred first.
fn optimistic_config(
    options: &optimistic::Options,
    group: Group,
    directory: &[NodeId],
    topology: &Topology,
    probe: &Probe,
) -> optimistic::Config {
    let Group { me, members: replica_set, round_trip_max } = group;
    let count = directory.len() as u32;
    let directory = (0..count)
        .zip(directory)
        .map(|(place, &node)| optimistic::Peer { node, data_center: topology.site_of(node), priority: count - place })
        .collect();
    let mutation = options.mutation.filter(|&mutation| has_defect(mutation, me, &replica_set));
    optimistic::Config {
        options: optimistic::Options { mutation, ..options.clone() },
        me,
        directory,
        replica_set: probe.replica_set.clone().unwrap_or(replica_set),
        round_trip_max,
    }
}

pub fn static_primary(options: &static_primary::Options) -> Contest<'_, static_primary::Replica> {
    let promises = Promises { on_every_member: true, ..Promises::MAJORITY };
    Contest::new(|group| Rc::new(static_primary::Config { options: options.clone(), group }), promises)
}

pub fn raft(options: &raft::Options) -> Contest<'_, raft::Replica> {
    let (promises, options) = (raft_promises(options), options.clone());
    Contest::movable(move |group| Rc::new(raft::Config { options: options.clone(), group }), promises)
}

/// A lease is as good as the clocks; the protocol is none if a disk may forget.
fn raft_promises(options: &raft::Options) -> Promises {
    let keeps_disks = options.after_disk_loss == raft::AfterDiskLoss::StayOut;
    Promises {
        fresh_reads: keeps_disks && options.reads == raft::Reads::ReadIndex,
        survives: if keeps_disks { Survives::Minority } else { Survives::NoLostDisk },
        ..Promises::MAJORITY
    }
}

pub fn omnipaxos(options: &omnipaxos::Options) -> Contest<'_, omnipaxos::Replica> {
    let survives = match options.after_disk_loss {
        raft::AfterDiskLoss::StayOut => Survives::Minority,
        // An empty member takes part in majorities under an identity that had promised and accepted.
        raft::AfterDiskLoss::RejoinEmpty => Survives::NoLostDisk,
    };
    let fresh_reads = options.reads == omnipaxos::Reads::Log;
    let promises = Promises { survives, fresh_reads, ..Promises::MAJORITY };
    let options = options.clone();
    Contest::movable(move |group| Rc::new(omnipaxos::Config { options: options.clone(), group }), promises)
}

pub fn viewstamped(options: &viewstamped::Options) -> Contest<'_, viewstamped::Replica> {
    let options = options.clone();
    let config = move |group| Rc::new(viewstamped::Config { options: options.clone(), group });
    Contest::movable(config, Promises::MAJORITY)
}

pub fn lazy_consensus(options: &lazy_consensus::Options) -> Contest<'_, lazy_consensus::Replica> {
    let config = move |group| Rc::new(lazy_consensus::Config { options: options.clone(), group });
    Contest::new(config, Promises::MAJORITY)
}

/// A view may have shrunk to one replica, so no lost disk
/// is survived for certain.
pub fn dynamic_voting(options: &dynamic_voting::Options) -> Contest<'_, dynamic_voting::Replica> {
    let promises = Promises { on_every_member: true, survives: Survives::NoLostDisk, ..Promises::MAJORITY };
    let config = move |group| Rc::new(dynamic_voting::Config { options: options.clone(), group });
    Contest::new(config, promises)
}
