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
Grades of sources: A measured or specified by its owner, B published by others, C an assumption.

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
        Format::Human => screen::product(&aligned(&table)),
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

/// Columns side by side, two spaces apart.
fn aligned(table: &Table) -> String {
    let head: Vec<String> = table.columns.iter().map(|&column| column.to_owned()).collect();
    let rows: Vec<&Vec<String>> = std::iter::once(&head).chain(&table.rows).collect();
    let letters = |text: &str| text.chars().count();
    let width = |column: usize| rows.iter().map(|row| letters(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - letters(cell) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![vec!["é".to_owned(), "12".to_owned()], vec!["abc".to_owned(), String::new()]];
        let table = Table { columns: &["x", "unit"], rows };
        assert_eq!(aligned(&table), "x    unit\né    12\nabc\n");
        assert_eq!(objects(&table)[1], serde_json::json!({"x": "abc", "unit": ""}));
    }

    #[test]
    fn every_topic_of_the_catalogue_has_a_name_here() {
        let names =
            Topic::value_variants().iter().filter_map(|topic| Some(topic.to_possible_value()?.get_name().to_owned()));
        assert_eq!(names.collect::<Vec<_>>(), catalogue::TOPICS);
    }
}
