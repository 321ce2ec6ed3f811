//! Views, what a replica knows of them, and the rule by which a group may form the next one.
//!
//! # The rule
//!
//! A group may form a view if it holds a *distinguished partition* of the last installed view: more than half of
//! its members, or half with the distinguished site, the first member by placement (Jajodia and Mutchler 1990: dynamic
//! voting with linearly ordered copies). Two such subsets of one view have a member in common.
//!
//! Which view was installed last? A replica may have recorded the attempt to install a view, and not know whether
//! all others recorded it as well: the view may have been installed, and served. Such attempts are *ambiguous*
//! (Yeger-Lotem, Keidar and Dolev 1997). So a group must hold a distinguished partition of the latest view that
//! any of it knows to be installed, **and of each later attempt that any of it recorded**. For if an attempt A
//! was installed, every member of A recorded it before; whoever forms a view later without knowing A to be
//! installed has a member in common with A's own quorum in the view before, and that member recorded A before it
//! promised itself to the later change: it could not record A after that. A replica keeps its attempts until it
//! takes part in a later installed view.
//!
//! A replica whose disk was lost knows nothing, and stands for nothing. It may be a member of a new view that the
//! others may form without it; from the attempt of that view on it counts for that view and later ones, and never
//! again for earlier ones: `since`.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::id::NodeId;

/// A set of replicas that hold the same history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Grows; two coordinators never use the same one.
    pub number: u64,
    pub primary: NodeId,
    /// In order of placement: the first is the distinguished site.
    pub members: Vec<NodeId>,
}

impl View {
    pub fn bytes(&self) -> u64 {
        16 + 4 * self.members.len() as u64
    }

    /// Whether these are a distinguished partition of this view.
    pub fn is_carried_by(&self, present: impl Fn(NodeId) -> bool) -> bool {
        let count = self.members.iter().filter(|&&node| present(node)).count();
        match (2 * count).cmp(&self.members.len()) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => self.members.first().is_some_and(|&first| present(first)),
            std::cmp::Ordering::Less => false,
        }
    }
}

/// Where a replica stands: all that the rule asks of it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// It counts for views of this number and later ones; `None`: its disk was lost.
    pub since: Option<u64>,
    /// The last view that it knows to be installed.
    pub installed: Rc<View>,
    /// Later views that it recorded, in order, and does not know to be installed.
    pub attempts: Vec<Rc<View>>,
    /// The end of its log, and of the committed part.
    pub length: u64,
    pub committed: u64,
}

impl Standing {
    pub fn bytes(&self) -> u64 {
        32 + self.installed.bytes() + self.attempts.iter().map(|view| view.bytes()).sum::<u64>()
    }

    /// The view on whose log it is: a log of a later view holds everything acknowledged in earlier ones.
    pub fn log_view(&self) -> u64 {
        match self.since {
            Some(_) => self.attempts.last().unwrap_or(&self.installed).number,
            None => 0,
        }
    }
}

/// The latest view that one of these knows to be installed.
pub fn latest<'a>(group: impl Iterator<Item = &'a Standing>) -> Option<&'a Rc<View>> {
    let known = group.filter(|standing| standing.since.is_some()).map(|standing| &standing.installed);
    known.max_by_key(|view| view.number)
}

/// Whether this group may form a view. `mind_attempts`: false is a deliberate defect.
pub fn may_form(group: &BTreeMap<NodeId, &Standing>, mind_attempts: bool) -> bool {
    let Some(latest) = latest(group.values().copied()) else { return false };
    let carried = |view: &View| {
        let counts = |standing: &&Standing| standing.since.is_some_and(|since| since <= view.number);
        view.is_carried_by(|node| group.get(&node).is_some_and(counts))
    };
    let mut attempts = group.values().flat_map(|standing| &standing.attempts);
    carried(latest) && (!mind_attempts || attempts.all(|view| view.number <= latest.number || carried(view)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(number: u64, members: &[u32]) -> Rc<View> {
        let members: Vec<NodeId> = members.iter().copied().map(NodeId).collect();
        Rc::new(View { number, primary: members[0], members })
    }

    fn standing(since: Option<u64>, installed: &Rc<View>, attempts: &[&Rc<View>]) -> Standing {
        let attempts = attempts.iter().map(|&view| view.clone()).collect();
        Standing { since, installed: installed.clone(), attempts, length: 0, committed: 0 }
    }

    fn may(group: &[(u32, &Standing)]) -> bool {
        may_form(&group.iter().map(|&(node, standing)| (NodeId(node), standing)).collect(), true)
    }

    #[test]
    fn a_shrinking_group_goes_on_to_the_last_one() {
        let (five, three, two) = (view(5, &[0, 1, 2, 3, 4]), view(6, &[0, 1, 2]), view(7, &[0, 1]));
        let knows = |view| standing(Some(0), view, &[]);
        let (in_five, in_three, in_two) = (knows(&five), knows(&three), knows(&two));
        assert!(may(&[(0, &in_five), (1, &in_five), (2, &in_five)]));
        assert!(!may(&[(0, &in_five), (1, &in_five)]), "too many at once");
        assert!(may(&[(0, &in_three), (1, &in_three)]));
        assert!(may(&[(0, &in_two)]), "half, with the distinguished site");
        assert!(!may(&[(1, &in_two)]), "half, without it");
        assert!(!may(&[(2, &in_three), (3, &in_five), (4, &in_five)]), "a majority of a view that is not the last");
    }

    #[test]
    fn an_attempt_counts_until_it_is_known_to_be_superseded() {
        let (five, three, later) = (view(5, &[0, 1, 2, 3, 4]), view(6, &[0, 1, 2]), view(7, &[2, 3, 4]));
        let (plain, ambiguous) = (standing(Some(0), &five, &[]), standing(Some(0), &five, &[&three]));
        assert!(!may(&[(2, &ambiguous), (3, &plain), (4, &plain)]), "0 and 1 may serve in it");
        assert!(may(&[(1, &ambiguous), (2, &ambiguous), (3, &plain), (4, &plain)]));
        let moved_on = standing(Some(0), &later, &[]);
        assert!(may(&[(2, &ambiguous), (3, &moved_on), (4, &moved_on)]), "a later one was installed");
    }

    #[test]
    fn who_lost_its_disk_counts_for_views_from_its_return_on() {
        let (three, next) = (view(5, &[0, 1, 2]), view(6, &[0, 1, 2]));
        let (plain, blank) = (standing(Some(0), &three, &[]), standing(None, &three, &[]));
        assert!(!may(&[(0, &plain), (1, &blank)]));
        assert!(may(&[(0, &plain), (2, &plain), (1, &blank)]));
        let back = standing(Some(6), &three, &[&next]);
        assert!(!may(&[(0, &plain), (1, &back)]), "not for the view that it forgot");
        let formed = standing(Some(6), &next, &[]);
        assert!(may(&[(0, &plain), (1, &formed)]));
        assert!(!may(&[(1, &blank)]));
    }
}
