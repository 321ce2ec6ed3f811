//! Short ways to write much: `copies` of a service, and loads on all services whose names are alike.
//!
//! Both are written out before names are resolved, so that the rest of the house, and a resolved scenario, know only
//! single services and loads.

use super::diagnostics::{Problems, nearest, quote};
use super::item::{Form, Item};

/// Services, and entries of `workload`, at most.
const MOST: usize = 10_000;
/// Letters of a name, at most.
const LONGEST: usize = 64;

/// Writes out copies of services, and loads on patterns of names.
pub fn write_out(root: &mut Item, problems: &mut Problems) {
    services(root, problems);
    loads(root, problems);
}

fn services(root: &mut Item, problems: &mut Problems) {
    let Some(Item { form: Form::List(items), .. }) = root.get_mut("services") else { return };
    let mut out = Vec::new();
    for mut item in std::mem::take(items) {
        let copies = item.whole("copies").map(|copies| copies as usize);
        let place = item.get("copies").map(|field| (field.origin, field.path.clone()));
        item.remove("copies");
        let (Some(copies), Some((origin, path))) = (copies, place) else {
            out.push(item);
            continue;
        };
        if out.len() + copies > MOST {
            problems.add(origin, &path, format!("more than {MOST} services in all"));
            continue;
        }
        let digits = (copies - 1).to_string().len();
        if let (Some(name), Some(id)) = (item.text("id"), item.get("id"))
            && name.len() + 1 + digits > LONGEST
        {
            let message = format!("{} is too long for {copies} copies", quote(name));
            problems.add(id.origin, &id.path, message).expected(format!("names of at most {LONGEST} letters"));
        }
        for copy in 0..copies {
            let mut one = item.clone();
            if let Some(Item { form: Form::Text(name), .. }) = one.get_mut("id") {
                *name = format!("{name}-{copy:0digits$}");
            }
            out.push(one);
        }
    }
    *items = out;
}

fn loads(root: &mut Item, problems: &mut Problems) {
    let services: Vec<String> =
        root.list("services").iter().filter_map(|item| item.text("id").map(str::to_owned)).collect();
    let whole = services.len() == root.list("services").len();
    let Some(Item { form: Form::List(items), .. }) = root.get_mut("workload") else { return };
    let mut out = Vec::new();
    for item in std::mem::take(items) {
        let Some(pattern) = item.text("service").filter(|name| name.contains('*')).map(str::to_owned) else {
            out.push(item);
            continue;
        };
        let alike: Vec<_> = services.iter().filter(|name| matches(&pattern, name)).collect();
        if let (true, Some(field)) = (alike.is_empty() && whole, item.get("service")) {
            let problem = problems.add(field.origin, &field.path, format!("no service is like {}", quote(&pattern)));
            let stem = pattern.split('*').next().unwrap_or_default();
            if let Some(near) = nearest(stem, services.iter().map(String::as_str)) {
                problem.help(format!("there is {}; `*` stands for any letters", quote(near)));
            }
        }
        if out.len() + alike.len() > MOST {
            problems.add(item.origin, &item.path, format!("loads on more than {MOST} services in all"));
            continue;
        }
        for name in alike {
            let mut one = item.clone();
            if let Some(Item { form: Form::Text(service), .. }) = one.get_mut("service") {
                service.clone_from(name);
            }
            out.push(one);
        }
    }
    *items = out;
}

/// Whether a name is like a pattern in which each `*` stands for any letters, or none.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_letters_or_none() {
        let alike = ["s-*", "*", "*-07", "s*7", "s-07*", "s**07", "*0*", "s*-*7"];
        assert!(alike.iter().all(|pattern| matches(pattern, "s-07")));
        let other = ["t-*", "s-", "*-7-*", "s-0*07", "s-07", "*8", "s*0*0*"];
        let wrong: Vec<_> = other.iter().filter(|pattern| matches(pattern, "s-07")).collect();
        assert_eq!(wrong, [&"s-07"], "without a star only the name itself");
    }
}
