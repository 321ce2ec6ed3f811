//! What agents say to each other. Loads are in thousandths of a machine's capacity.

use std::rc::Rc;

use crate::id::{DcId, NodeId, ServiceId};
use crate::time::Duration;

/// How a machine is, by its own agent; to all agents of its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Drawn at every start of the agent.
    pub incarnation: u64,
    /// Smoothed load of its processor.
    pub load: u32,
    /// What it has promised to take on, and does not carry yet.
    pub promised: u32,
    pub plan: Plan,
    /// It was refused its sleep lately: others may try.
    pub refused: bool,
    /// Ascending by service.
    pub seats: Vec<Seat>,
}

/// What a machine is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    Stay,
    /// Its replicas are asked to move away, so that it can sleep.
    Empty,
    /// It goes to sleep now.
    Sleep,
}

/// A replica on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub service: ServiceId,
    pub part: Part,
    /// Epoch of the view that it holds.
    pub epoch: u64,
    /// Load that its requests put on the machine.
    pub load: u32,
    /// Bytes that a copy would move.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Accepts writes as primary.
    Primary,
    /// A member of the replica set, as far as it knows.
    Member,
    /// Not, or not yet, a member.
    Outside,
}

/// What the steward of a site tells the other sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub site: DcId,
    pub steward: NodeId,
    /// Its machines, ascending.
    pub nodes: Vec<(NodeId, Life)>,
    /// By site: the word of a witness, by what it was told by that site alone.
    pub hears: Vec<SiteLife>,
}

/// What is known of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteLife {
    Heard,
    /// Its last machine said good night.
    Asleep,
    Silent(Duration),
}

/// What is known of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    Awake(Rc<Advert>),
    Asleep,
    /// Woken a while ago, and not heard from yet.
    Waking,
    /// Says nothing, since so long.
    Silent(Duration),
}

/// A summary on its way through its receiver's site.
#[derive(Clone, Debug)]
pub struct Row {
    pub summary: Rc<Summary>,
    /// Since the steward of this site received it.
    pub age: Duration,
}

/// How urgent a need is. The greater goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// It would save power.
    Saving,
    /// It would spread load, or mend a constraint.
    Balance,
    Repair,
    Disaster,
    LoneSurvivor,
}

/// Names a search by a manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Search {
    pub manager: NodeId,
    pub number: u64,
}

/// A service looks for a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub search: Search,
    pub service: ServiceId,
    pub urgency: Urgency,
    /// Replicas that it has now.
    pub degree: usize,
    /// Machines that are out of the question.
    pub except: Vec<NodeId>,
    /// For a machine that holds a replica already: it is to become primary.
    pub takes_lead: bool,
    /// Client operations a second that the newcomer is to carry.
    pub rate: u64,
    /// Bytes to be moved.
    pub bytes: u64,
}

impl Need {
    /// Of two claims to one place the greater wins: the more urgent, of the service with fewer replicas, then
    /// of the first service.
    pub fn claim(&self) -> Claim {
        Claim {
            urgency: self.urgency,
            missing: std::cmp::Reverse(self.degree),
            service: std::cmp::Reverse(self.service),
        }
    }
}

/// The strength of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    urgency: Urgency,
    missing: std::cmp::Reverse<usize>,
    service: std::cmp::Reverse<ServiceId>,
}

/// A message between agents.
#[derive(Clone, Debug)]
pub enum Message {
    Advert(Rc<Advert>),
    Summary(Rc<Summary>),
    /// What the steward of a site has heard from others, to the site.
    Roll(Rc<[Row]>),
    /// To the steward of a site, which passes it on to the machine that suits it best.
    Need {
        need: Rc<Need>,
        is_passed_on: bool,
    },
    /// A place for a while: at what power, and at what load afterwards.
    Offer {
        search: Search,
        service: ServiceId,
        milliwatts: u64,
        load: u32,
    },
    /// The place is taken: the replica is to be started, and taken in by these.
    Accept {
        search: Search,
        service: ServiceId,
        replicas: Rc<[NodeId]>,
    },
    /// The offer is not needed, or the promise is taken back.
    Decline {
        search: Search,
        service: ServiceId,
    },
    /// An empty replica runs, and waits to be taken in.
    Join {
        search: Search,
        service: ServiceId,
    },
    /// The replica is no longer a member: it is to be stopped. Tells where the service is.
    Return {
        service: ServiceId,
        epoch: u64,
        replicas: Rc<[NodeId]>,
    },
    /// A machine that would like to sleep asks a manager to move a replica away.
    Recall {
        service: ServiceId,
    },
    /// From the manager to each replica's machine: the replica is wanted for another while.
    Renew {
        service: ServiceId,
        epoch: u64,
        replicas: Rc<[NodeId]>,
    },
    /// A machine would like to sleep.
    SleepIntent,
    /// It may not, because of this.
    Veto {
        node: NodeId,
        why: &'static str,
    },
}

impl Message {
    /// Bytes on the wire: headers of 32, and 4 to 24 for each thing named.
    pub fn bytes(&self) -> u32 {
        32 + match self {
            Self::Advert(advert) => advert.bytes(),
            Self::Summary(summary) => summary.bytes(),
            Self::Roll(rows) => rows.iter().map(|row| row.summary.bytes()).sum(),
            Self::Need { need, .. } => 56 + 4 * need.except.len() as u32,
            Self::Offer { .. } => 32,
            Self::Accept { replicas, .. } => 20 + 4 * replicas.len() as u32,
            Self::Return { replicas, .. } | Self::Renew { replicas, .. } => 12 + 4 * replicas.len() as u32,
            Self::Decline { .. } | Self::Join { .. } => 20,
            Self::Recall { .. } | Self::SleepIntent | Self::Veto { .. } => 8,
        }
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Advert(_) => "Advert",
            Self::Summary(_) => "Summary",
            Self::Roll(_) => "Roll",
            Self::Need { .. } => "Need",
            Self::Offer { .. } => "Offer",
            Self::Accept { .. } => "Accept",
            Self::Decline { .. } => "Decline",
            Self::Join { .. } => "Join",
            Self::Return { .. } => "Return",
            Self::Recall { .. } => "Recall",
            Self::Renew { .. } => "Renew",
            Self::SleepIntent => "SleepIntent",
            Self::Veto { .. } => "Veto",
        }
    }
}

impl Advert {
    fn bytes(&self) -> u32 {
        24 + 24 * self.seats.len() as u32
    }

    pub fn seat(&self, service: ServiceId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.service == service)
    }
}

impl Summary {
    fn bytes(&self) -> u32 {
        let node = |(_, life): &(NodeId, Life)| if let Life::Awake(advert) = life { advert.bytes() } else { 8 };
        12 + self.hears.len().div_ceil(4) as u32 + self.nodes.iter().map(node).sum::<u32>()
    }
}
