//! A scenario's own table of round trips: `from,to,round_trip`.

use super::diagnostics::{Problems, quote};
use super::item::{Fields, Form, Item};
use super::json::Origin;
use super::quantity;

/// Reads a table into rows as `latency.rows` has them. Only rows between data centers of the scenario are
/// kept; a table may know more places than a scenario. Problems point at `item`, the file's name, and say
/// the line.
pub fn rows(text: &str, item: &Item, sites: &[&str], problems: &mut Problems) -> Vec<Item> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let file = item.as_text().unwrap_or_default();
    let columns = |line: &str| line.split(',').map(|cell| cell.trim().trim_matches('"').to_owned()).collect::<Vec<_>>();
    let header = lines.next().map(|(_, line)| columns(line.trim_start_matches('\u{feff}')));
    if header.as_deref().is_none_or(|header| header != ["from", "to", "round_trip"]) {
        problems
            .add(item.origin, &item.path, format!("{} has another header", quote(file)))
            .expected("the header `from,to,round_trip`");
        return Vec::new();
    }
    let mut out = Vec::new();
    for (at, line) in lines {
        let mut wrong = |message: String| {
            let message = format!("line {} of {}: {message}", at + 1, quote(file));
            problems.add(item.origin, &item.path, message).expected("rows such as `tokyo,sendai,8ms`");
        };
        let cells = columns(line);
        let [from, to, round_trip] = &cells[..] else {
            wrong(format!("{} columns", cells.len()));
            continue;
        };
        let time = match quantity::time(round_trip) {
            Ok(time) if !time.is_zero() => time,
            Ok(_) => {
                wrong("a round trip must be above 0".into());
                continue;
            }
            Err(why) => {
                wrong(format!("{} is no duration: {why}", quote(round_trip)));
                continue;
            }
        };
        if sites.contains(&from.as_str()) && sites.contains(&to.as_str()) {
            out.push(row(item, out.len(), from, to, time));
        }
    }
    out
}

fn row(item: &Item, index: usize, from: &str, to: &str, time: crate::time::Duration) -> Item {
    let path = format!("{}.{index}", item.path);
    let cell = |name: &str, form| (name.to_owned(), Item { origin: item.origin, path: format!("{path}.{name}"), form });
    let fields = vec![
        cell("from", Form::Text(from.to_owned())),
        cell("to", Form::Text(to.to_owned())),
        cell("round_trip", Form::Time(time)),
    ];
    Item { origin: Origin::Default, path, form: Form::Record(Fields { kind: "latency-row", record: None, fields }) }
}
