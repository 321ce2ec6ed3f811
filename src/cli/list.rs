//! `firedrill list`.

use clap::ValueEnum;
use serde_json::{Map, Value};

use super::options::Format;
use super::{Status, screen};
use crate::scenario::catalogue::{self, Table};

/// List what scenarios may name, what is measured, and every default with its source.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    topic: Topic,
    /// Print a table, or a JSON array with an object a row.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const EXAMPLES: &str = "\
Grades of sources: A read or computed from primary text or data, B from a secondary page, M commonly
stated and not checked, J judgement, - a choice of this format.

On a terminal wide cells are broken; elsewhere a row is a line.

Examples:
  firedrill list faults
  firedrill list defaults | grep protocols.optimistic
  firedrill list regions --format json";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// Regions with a place and measured latencies, for data centers.
    Regions,
    /// Kinds of protocols, and their options.
    Protocols,
    /// Deliberate defects of protocols, for --break.
    Defects,
    /// What a timeline can do.
    Faults,
    /// What is measured, for tables, result files and expectations.
    Metrics,
    /// Every field that has a default, the default, and where it comes from.
    Defaults,
}

impl Topic {
    fn table(self) -> Table {
        match self {
            Self::Regions => catalogue::regions_table(),
            Self::Protocols => catalogue::protocols_table(),
            Self::Defects => catalogue::defects_table(),
            Self::Faults => catalogue::faults(),
            Self::Metrics => catalogue::metrics(),
            Self::Defaults => catalogue::defaults(),
        }
    }
}

/// Prints the table of a topic.
pub fn list(args: &Args) -> Status {
    let table = args.topic.table();
    let printed = match args.format {
        Format::Json => screen::json(&objects(&table)),
        Format::Human => screen::product(&aligned(&table, screen::terminal_width())),
    };
    printed.err().unwrap_or(Status::Held)
}

fn objects(table: &Table) -> Value {
    let row = |row: &Vec<String>| -> Value {
        let cells = table.columns.iter().zip(row);
        cells.map(|(column, cell)| ((*column).to_owned(), Value::from(cell.as_str()))).collect::<Map<_, _>>().into()
    };
    table.rows.iter().map(row).collect()
}

/// Columns side by side, two spaces apart. Cells are broken into lines if they would not fit into `room`.
fn aligned(table: &Table, room: Option<usize>) -> String {
    let head: Vec<String> = table.columns.iter().map(|&column| column.to_owned()).collect();
    let rows: Vec<&Vec<String>> = std::iter::once(&head).chain(&table.rows).collect();
    let natural = |column: usize| rows.iter().map(|row| letters(&row[column])).max().unwrap_or(0);
    let widths = fit((0..head.len()).map(natural).collect(), room);
    let mut text = String::new();
    for row in rows {
        let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, &width)| broken(cell, width)).collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut whole = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                let part = cell.get(line).map_or("", String::as_str);
                whole.push_str(part);
                whole.push_str(&" ".repeat(width.saturating_sub(letters(part)) + GAP));
            }
            text.push_str(whole.trim_end());
            text.push('\n');
        }
    }
    text
}

/// Spaces between columns.
const GAP: usize = 2;
/// No column is made narrower than this.
const NARROWEST: usize = 14;

fn letters(text: &str) -> usize {
    text.chars().count()
}

/// Narrows the widest columns, a column at a time, until all fit; as they are if there is no room for that.
fn fit(natural: Vec<usize>, room: Option<usize>) -> Vec<usize> {
    let mut widths = natural.clone();
    let Some(room) = room else { return natural };
    let gaps = GAP * natural.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => return natural,
        }
    }
    widths
}

/// Breaks a cell at spaces; a word that is too long is cut.
fn broken(cell: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in cell.split_whitespace() {
        let mut rest = word;
        while !rest.is_empty() {
            let line = lines.last_mut().expect("there is a line");
            let gap = usize::from(!line.is_empty());
            if letters(line) + gap + letters(rest) <= width {
                line.push_str(&" ".repeat(gap));
                line.push_str(rest);
                break;
            }
            if line.is_empty() {
                let end = rest.char_indices().nth(width.max(1)).map_or(rest.len(), |(end, _)| end);
                line.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            if !rest.is_empty() {
                lines.push(String::new());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![vec!["é".to_owned(), "12".to_owned()], vec!["abc".to_owned(), String::new()]];
        let table = Table { columns: &["x", "unit"], rows };
        assert_eq!(aligned(&table, None), "x    unit\né    12\nabc\n");
        assert_eq!(objects(&table)[1], serde_json::json!({"x": "abc", "unit": ""}));
    }

    #[test]
    fn wide_cells_are_broken_where_they_would_not_fit() {
        let rows = vec![vec!["name".to_owned(), "several words that go on and on".to_owned()]];
        let table = Table { columns: &["x", "meaning"], rows };
        assert_eq!(aligned(&table, Some(24)), "x     meaning\nname  several words that\n      go on and on\n");
        assert_eq!(aligned(&table, Some(10)), aligned(&table, None), "there is no room for it");
        assert_eq!(broken("ab cdefgh", 3), ["ab", "cde", "fgh"]);
        assert_eq!(broken("", 3), [""]);
    }

    #[test]
    fn every_topic_of_the_catalogue_has_a_name_here() {
        let names =
            Topic::value_variants().iter().filter_map(|topic| Some(topic.to_possible_value()?.get_name().to_owned()));
        assert_eq!(names.collect::<Vec<_>>(), catalogue::TOPICS);
    }
}
