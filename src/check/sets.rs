//! Which posts a read of a thread saw, told from the sum that it answered.
//!
//! Unlike the judge of linearizability, which knows what a read must have seen, this takes nothing for
//! granted: it tries sets that are near to one that is plausible (all that was acknowledged before the read,
//! or what an earlier read saw), with some posts more and some fewer. Sums are of 64 bits, so a set of which
//! the sum fits is the one; a set that is not found stays unknown.

use std::collections::BTreeMap;

use super::linearizability::thread::{Found, few, run, subset};
use crate::time::SimTime;

/// So many sets that were found and that no later one contains, the last of each branch, are tried as a
/// beginning, and so many of the last ones.
const BRANCHES: usize = 6;
const LAST: usize = 3;
/// Among more posts than this, few that are missing or added are not looked for.
const SEARCHABLE: usize = 500;

/// So many posts that are newer than a set are tried in every combination, and so many places before its
/// newest member count as newer.
const NEWER: usize = 28;
const SLACK: usize = 4;
/// Of at most this many posts every set is tried.
const FEW: usize = 40;

/// A post of the thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post {
    pub invoked: SimTime,
    pub returned: SimTime,
    /// What it adds to the sum.
    pub term: u64,
}

/// A read of the thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub invoked: SimTime,
    pub returned: SimTime,
    pub sum: u64,
}

/// A set of posts by index, and those of them that were in it twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub posts: Vec<u32>,
    pub twice: Vec<u32>,
}

/// What a sum tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Set(Seen),
    /// No set of these posts has this sum.
    Impossible,
    Unknown,
}

/// What each read saw, as far as it was found. `posts` in the order of invocation.
pub(super) fn identify(posts: &[Post], reads: &[Read], budget: &mut u64) -> Vec<Told> {
    let mut order: Vec<usize> = (0..reads.len()).collect();
    order.sort_by_key(|&index| reads[index].returned);
    let mut known: BTreeMap<u64, Told> = BTreeMap::from([(0, Told::Set(Seen::default()))]);
    let (mut branches, mut last): (Vec<Vec<bool>>, Vec<Vec<bool>>) = (Vec::new(), Vec::new());
    for index in order {
        let read = &reads[index];
        if known.contains_key(&read.sum) {
            continue;
        }
        let unions = unions(&branches);
        let anchors: Vec<&Vec<bool>> = branches.iter().chain(&last).chain(&unions).collect();
        let found = match search(posts, read, &anchors, budget) {
            Some(seen) => Told::Set(seen),
            None => any_at_all(posts, read, budget),
        };
        if let Told::Set(seen) = &found {
            let mut members = vec![false; posts.len()];
            for &post in &seen.posts {
                members[post as usize] = true;
            }
            branches.retain(|branch| branch.iter().zip(&members).any(|(old, new)| *old && !*new));
            branches.insert(0, members.clone());
            branches.truncate(BRANCHES);
            last.insert(0, members);
            last.truncate(LAST);
        }
        known.insert(read.sum, found);
    }
    reads.iter().map(|read| known.get(&read.sum).cloned().unwrap_or(Told::Unknown)).collect()
}

/// What a merge of branches would hold: of the two last ones, and of all.
fn unions(branches: &[Vec<bool>]) -> Vec<Vec<bool>> {
    let union = |branches: &[Vec<bool>]| {
        let (first, rest) = branches.split_first()?;
        let mut union = first.clone();
        for branch in rest {
            union.iter_mut().zip(branch).for_each(|(mine, theirs)| *mine |= *theirs);
        }
        Some(union)
    };
    match branches.len() {
        0 | 1 => Vec::new(),
        2 => union(branches).into_iter().collect(),
        _ => union(&branches[..2]).into_iter().chain(union(branches)).collect(),
    }
}

/// A set near to a plausible one, and what may be added to it or taken from it.
struct Near {
    members: Vec<bool>,
    more: Vec<u32>,
    missing: u64,
}

fn search(posts: &[Post], read: &Read, anchors: &[&Vec<bool>], budget: &mut u64) -> Option<Seen> {
    let begun = posts.partition_point(|post| post.invoked <= read.returned);
    let expected: Vec<bool> = posts.iter().map(|post| post.returned < read.invoked).collect();
    let near = |members: &Vec<bool>| {
        let sum =
            (0..posts.len()).filter(|&post| members[post]).fold(0u64, |sum, post| sum.wrapping_add(posts[post].term));
        let more = (0..begun as u32).filter(|&post| !members[post as usize]).collect();
        Near { members: members.clone(), more, missing: read.sum.wrapping_sub(sum) }
    };
    let nears: Vec<Near> = std::iter::once(&expected).chain(anchors.iter().copied()).map(near).collect();
    *budget = budget.saturating_sub((posts.len() * nears.len()) as u64 / 8 + 1);
    let tried = nears.iter().find_map(|near| exactly_or_a_run(posts, near));
    let tried = tried.or_else(|| nears.iter().find_map(|near| a_few(posts, near, budget)));
    let tried = tried.or_else(|| nears.iter().skip(1).find_map(|near| any_newer(posts, near, budget)));
    let tried = tried.or_else(|| nears.first().and_then(|near| any_of(posts, near, &near.more, budget)));
    tried.or_else(|| nears.iter().find_map(|near| some_twice(posts, near, budget)))
}

fn exactly_or_a_run(posts: &[Post], near: &Near) -> Option<Seen> {
    if near.missing == 0 {
        return Some(changed(near, &[]));
    }
    let terms: Vec<u64> = near.more.iter().map(|&post| posts[post as usize].term).collect();
    let found = run(&terms, near.missing)?;
    Some(changed(near, &found.into_iter().map(|index| near.more[index]).collect::<Vec<_>>()))
}

/// At most four posts more or fewer.
fn a_few(posts: &[Post], near: &Near, budget: &mut u64) -> Option<Seen> {
    let members = (0..posts.len() as u32).filter(|&post| near.members[post as usize]);
    let places: Vec<u32> = near.more.iter().copied().chain(members).collect();
    if places.len() > SEARCHABLE || *budget == 0 {
        return None;
    }
    let signed = |&post: &u32| {
        let term = posts[post as usize].term;
        if near.members[post as usize] { term.wrapping_neg() } else { term }
    };
    let terms: Vec<u64> = places.iter().map(signed).collect();
    let found = few(&terms, near.missing, budget)?;
    Some(changed(near, &found.into_iter().map(|index| places[index]).collect::<Vec<_>>()))
}

/// Any of the posts that began at about the time of the newest member and after it.
fn any_newer(posts: &[Post], near: &Near, budget: &mut u64) -> Option<Seen> {
    let newest = near.members.iter().rposition(|&member| member).unwrap_or(0);
    let newer = near.more.iter().copied().filter(|&post| post as usize + SLACK >= newest);
    any_of(posts, near, &newer.take(NEWER).collect::<Vec<_>>(), budget)
}

fn any_of(posts: &[Post], near: &Near, more: &[u32], budget: &mut u64) -> Option<Seen> {
    let terms: Vec<u64> = more.iter().map(|&post| posts[post as usize].term).collect();
    match subset(&terms, near.missing, budget) {
        Found::Subset(found) => Some(changed(near, &found.into_iter().map(|index| more[index]).collect::<Vec<_>>())),
        Found::Impossible | Found::GaveUp => None,
    }
}

/// Any posts, whenever they began; of few posts it is certain if there are none.
fn any_at_all(posts: &[Post], read: &Read, budget: &mut u64) -> Told {
    let terms: Vec<u64> = posts.iter().map(|post| post.term).collect();
    if terms.len() > FEW {
        return Told::Unknown;
    }
    match subset(&terms, read.sum, budget) {
        Found::Subset(found) => {
            let mut posts: Vec<u32> = found.into_iter().map(|index| index as u32).collect();
            posts.sort_unstable();
            Told::Set(Seen { posts, twice: Vec::new() })
        }
        Found::Impossible => Told::Impossible,
        Found::GaveUp => Told::Unknown,
    }
}

/// One or two members that were counted twice.
fn some_twice(posts: &[Post], near: &Near, budget: &mut u64) -> Option<Seen> {
    let members: Vec<u32> = (0..posts.len() as u32).filter(|&post| near.members[post as usize]).collect();
    if members.len() > SEARCHABLE || *budget == 0 {
        return None;
    }
    let terms: Vec<u64> = members.iter().map(|&post| posts[post as usize].term).collect();
    let found = few(&terms, near.missing, budget).filter(|found| found.len() <= 2)?;
    let twice = found.into_iter().map(|index| members[index]).collect();
    Some(Seen { twice, ..changed(near, &[]) })
}

/// The set with these posts put in or taken out.
fn changed(near: &Near, posts: &[u32]) -> Seen {
    let mut members = near.members.clone();
    for &post in posts {
        members[post as usize] = !members[post as usize];
    }
    let posts = (0..members.len() as u32).filter(|&post| members[post as usize]).collect();
    Seen { posts, twice: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;
    use crate::rng::Stream;

    fn at(second: u64) -> SimTime {
        SimTime::from_nanos(second * 1_000_000_000)
    }

    #[test]
    fn sets_are_found_though_posts_are_missing_or_counted_twice() {
        let term = |index: u64| hash::of([index]);
        let post = |index: u64| Post { invoked: at(2 * index), returned: at(2 * index + 1), term: term(index) };
        let posts: Vec<Post> = (0..100).map(post).collect();
        let sum = |set: &[u64]| set.iter().fold(0u64, |sum, &index| sum.wrapping_add(term(index)));
        let read = |at_: u64, set: &[u64]| Read { invoked: at(at_), returned: at(at_ + 1), sum: sum(set) };
        let all: Vec<u64> = (0..100).collect();
        let without: Vec<u64> = all.iter().copied().filter(|index| ![3, 50, 51, 99].contains(index)).collect();
        let branch: Vec<u64> = (0..40).collect();
        let longer: Vec<u64> = (0..40).chain([60, 70, 80]).collect();
        let reads = [
            read(300, &all),
            read(301, &without),
            read(302, &branch),
            read(303, &longer),
            read(304, &[&all[..], &[7]].concat()),
            read(305, &[&all[..], &[1_000]].concat()),
        ];
        let found = identify(&posts, &reads, &mut 10_000_000);
        let seen = |told: &Told| if let Told::Set(seen) = told { Some(seen.clone()) } else { None };
        let as_numbers = |told: &Told| Some(seen(told)?.posts.into_iter().map(u64::from).collect::<Vec<_>>());
        assert_eq!(as_numbers(&found[0]), Some(all.clone()));
        assert_eq!(as_numbers(&found[1]), Some(without));
        assert_eq!(as_numbers(&found[2]), None, "sixty are missing and nothing near was seen");
        assert_eq!(as_numbers(&found[4]), Some(all));
        assert_eq!(seen(&found[4]).map(|seen| seen.twice), Some(vec![7]));
        assert_eq!(found[5], Told::Unknown, "a post that nobody made");
    }

    #[test]
    fn two_branches_are_followed_from_read_to_read() {
        let mut stream = Stream::new(1, "branches", &[]);
        let posts: Vec<Post> =
            (0..200).map(|index| Post { invoked: at(index), returned: at(index), term: hash::of([index]) }).collect();
        let (mut sums, mut sets) = ([0u64; 2], [Vec::new(), Vec::new()]);
        let (mut reads, mut expected) = (Vec::new(), Vec::new());
        for index in 0..200u32 {
            let side = stream.below(2) as usize;
            sums[side] = sums[side].wrapping_add(posts[index as usize].term);
            sets[side].push(index);
            let now = at(u64::from(index) + 1);
            let side = stream.below(2) as usize;
            reads.push(Read { invoked: now, returned: now, sum: sums[side] });
            expected.push(sets[side].clone());
        }
        // They merge.
        let sum = sums[0].wrapping_add(sums[1]);
        reads.push(Read { invoked: at(300), returned: at(300), sum });
        expected.push((0..200).collect());
        let found = identify(&posts, &reads, &mut 100_000_000);
        let right = |(told, set): &(&Told, &Vec<u32>)| matches!(told, Told::Set(seen) if seen.posts == **set);
        assert_eq!(found.iter().zip(&expected).filter(right).count(), 201);
        let few = identify(&posts[..9], &[reads[20], reads[5]], &mut 100_000_000);
        assert_eq!(few[0], Told::Impossible);
    }
}
