//! Names, lists and times as a story says them.

use crate::id::{NodeId, ServiceId};
use crate::run::tape::RequestName;
use crate::scenario::Scenario;
use crate::time::{Duration, SimTime};

/// `93.2 s`; below ten milliseconds from a whole tenth nothing is lost that a person would miss.
pub fn time(at: SimTime) -> String {
    format!("{:.1} s", at.as_secs_f64())
}

/// `4.1 s`, or `87 ms` if it is short.
pub fn length(of: Duration) -> String {
    if of < Duration::from_millis(950) {
        format!("{:.0} ms", of.as_millis_f64())
    } else {
        format!("{:.1} s", of.as_secs_f64())
    }
}

/// `1 write`, `2,408 writes`.
pub fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `once`, `twice`, `5 times`.
pub fn times(number: usize) -> String {
    match number {
        1 => "once".into(),
        2 => "twice".into(),
        _ => format!("{number} times"),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => "nobody".into(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// The verb's form for this many subjects.
pub const fn verb<'a>(number: usize, one: &'a str, many: &'a str) -> &'a str {
    if number == 1 { one } else { many }
}

/// `c12/w34` of a write, `c12/r34` of a read.
pub fn request(name: RequestName) -> String {
    format!("c{}/{}{}", name.client.0, if name.read { 'r' } else { 'w' }, name.number)
}

/// The names of a scenario.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    pub scenario: &'a Scenario,
}

impl<'a> Words<'a> {
    pub fn node(self, node: NodeId) -> &'a str {
        self.scenario.topology.nodes.get(node.index()).map_or("a machine that does not exist", |node| &node.name)
    }

    /// In the order given, each once.
    pub fn nodes(self, nodes: &[NodeId]) -> String {
        list(&nodes.iter().map(|&node| self.node(node)).collect::<Vec<_>>())
    }

    /// As [`Words::nodes`], but the replicas of a service together are `all five`.
    pub fn members(self, service: ServiceId, nodes: &[NodeId]) -> String {
        let replicas = &self.scenario.services[service.index()].replicas;
        if nodes.len() > 2 && replicas.len() == nodes.len() && replicas.iter().all(|node| nodes.contains(node)) {
            return format!("all {}", number(nodes.len()));
        }
        self.nodes(nodes)
    }
}

/// Small numbers as words.
pub fn number(number: usize) -> String {
    const WORDS: [&str; 13] =
        ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    WORDS.get(number).map_or_else(|| number.to_string(), |&word| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_numbers_and_lists_read_well() {
        assert_eq!(time(SimTime::from_nanos(93_249_000_000)), "93.2 s");
        assert_eq!(length(Duration::from_millis(87)), "87 ms");
        assert_eq!(length(Duration::from_millis(4_120)), "4.1 s");
        assert_eq!((count(1, "write"), count(2_408, "write")), ("1 write".into(), "2,408 writes".into()));
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(list(&["a"; 0]), "nobody");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!((times(1), times(2), times(3)), ("once".into(), "twice".into(), "3 times".into()));
        assert_eq!((number(3), number(30)), ("three".into(), "30".into()));
    }
}
