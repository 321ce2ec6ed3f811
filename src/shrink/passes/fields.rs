//! Members and elements that the failure does not need.

use serde_json::Value;

use super::edit;
use super::{Subject, without_parts};

/// Without each part of the protocol's options.
pub fn options(subject: &Subject) -> Vec<Value> {
    let options = format!("/protocols/{}/", subject.label());
    without_members(&subject.value, |pointer| pointer.starts_with(&options))
}

/// Without each part of all members of all objects.
pub fn fewer(subject: &Subject) -> Vec<Value> {
    without_members(&subject.value, |_| true)
}

/// What must stay, or belongs to another pass.
const KEPT: [&str; 6] = ["/format", "/name", "/seed", "/break", "/kind", "/do"];

fn without_members(value: &Value, chosen: impl Fn(&str) -> bool) -> Vec<Value> {
    let members: Vec<String> = edit::places(value)
        .into_iter()
        .map(|(pointer, _)| pointer)
        .filter(|pointer| !is_element(pointer) && chosen(pointer) && !KEPT.iter().any(|kept| pointer.ends_with(kept)))
        .collect();
    let parts = edit::chunks(members.len());
    let without = |part: &std::ops::Range<usize>| {
        let mut copy = value.clone();
        members[part.clone()].iter().for_each(|pointer| edit::remove(&mut copy, pointer));
        copy
    };
    parts.iter().map(without).collect()
}

/// Whether it is an element of a list, not a member of an object.
fn is_element(pointer: &str) -> bool {
    pointer.rsplit('/').next().is_some_and(|last| last.parse::<usize>().is_ok())
}

/// Without each part of each list but the timeline.
pub fn lists(subject: &Subject) -> Vec<Value> {
    let places = edit::places(&subject.value);
    let lists = places.iter().filter(|(pointer, value)| value.is_array() && pointer != "/timeline");
    lists.flat_map(|(pointer, _)| without_parts(&subject.value, pointer)).collect()
}
