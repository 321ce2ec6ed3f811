//! `--set path=value`: changes to the tree before it is checked.

use super::diagnostics::{Problems, quote};
use super::json::{self, Json, Member, Node, Origin};

/// Applies each change in order. What a path names is created if it is not there; whether it may be there is
/// for the check of structure to say.
pub fn apply(root: &mut Node, sets: &[(String, String)], problems: &mut Problems) {
    for (index, (path, value)) in sets.iter().enumerate() {
        let origin = Origin::Set(index);
        let mut node = match json::parse(value) {
            Ok(parsed) => {
                for (_, _, key) in parsed.repeated {
                    problems.add(origin, path, format!("the key {} is repeated", quote(&key)));
                }
                parsed.root
            }
            Err(_) => Node { origin, value: Json::String(value.clone()) },
        };
        node.set_origin(origin);
        let steps: Vec<&str> = path.split('.').collect();
        if steps.len() > json::DEEPEST {
            problems.add(origin, path, format!("the path is deeper than {} levels", json::DEEPEST));
        } else if let Err(why) = put(root, &steps, node, origin) {
            problems
                .add(origin, path, format!("there is no {}: {why}", quote(path)))
                .expected("a path such as `protocols.optimistic.ack` or `timeline.1.for`");
        }
    }
}

/// Puts a value at a path. Keys may hold points themselves: of the keys that are there, the longest fits.
fn put(node: &mut Node, steps: &[&str], value: Node, origin: Origin) -> Result<(), String> {
    let Some(first) = steps.first() else {
        *node = value;
        return Ok(());
    };
    match &mut node.value {
        Json::Array(items) => {
            let count = items.len();
            let item = first.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            match item {
                Some(item) => put(item, &steps[1..], value, origin),
                None if count == 0 => Err(format!("{} looks into an empty list", quote(first))),
                None => Err(format!("{} is not an index from 0 to {}", quote(first), count - 1)),
            }
        }
        Json::Object(members) => {
            let known = (1..=steps.len()).rev().find_map(|taken| {
                let key = steps[..taken].join(".");
                members.iter().position(|member| member.key == key).map(|at| (taken, at))
            });
            let (taken, at) = known.unwrap_or_else(|| {
                let value = Node { origin, value: Json::Object(Vec::new()) };
                members.push(Member { key: (*first).to_owned(), key_origin: origin, value });
                (1, members.len() - 1)
            });
            put(&mut members[at].value, &steps[taken..], value, origin)
        }
        _ => Err(format!("what is before {} is neither an object nor a list", quote(first))),
    }
}
