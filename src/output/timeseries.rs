//! `timeseries.csv`: a row a second and service, in order of time and then of the scenario's services.
//!
//! The columns, all about the requests that **started** in the second unless they say otherwise; an empty
//! cell means that it does not apply or was not measured, never zero:
//!
//! | column | meaning |
//! |---|---|
//! | `second` | whole seconds since the start of the run |
//! | `service` | id of the service |
//! | `requests` | requests that started |
//! | `ok` | of these, those with a final answer before their deadline, `degraded` included |
//! | `failed` | the others, `unknown` included |
//! | `unknown` | of the failed, those whose deadline passed and which may have been executed |
//! | `degraded` | of the ok, those acknowledged by fewer replicas than the service is configured for |
//! | `availability` | `ok` / `requests`, to 6 decimals; empty without requests |
//! | `latency_p50_ms` | median time to the final answer, of those that are ok |
//! | `latency_p99_ms` | its 99th percentile |
//! | `primaries` | replicas that accept writes as primary at the end of the second |
//! | `view_members` | members of the largest serving view at the end of the second; 0 if none serves |
//! | `nodes_up` | nodes of the service whose process runs at the end of the second |
//! | `nodes_awake` | nodes that hold a replica of the service and are awake at the end of the second |
//! | `power_w` | mean power in the second that the service accounts for, in watts: its share of processor time |

use std::io::{self, Write};
use std::path::Path;

use super::{OutputError, Written, record};
use crate::metrics::Second;

/// The first line of the file.
pub const HEADER: &str = "second,service,requests,ok,failed,unknown,degraded,availability,latency_p50_ms,\
latency_p99_ms,primaries,view_members,nodes_up,nodes_awake,power_w";

/// The rows of each service, by service in scenario order.
pub type Series = Vec<(String, Vec<Second>)>;

/// Writes the header and a row for each second and service.
///
/// # Errors
/// Those of `file`.
pub fn write_csv(series: &Series, file: &mut dyn Write) -> io::Result<()> {
    writeln!(file, "{HEADER}")?;
    let rows = series.iter().map(|(_, seconds)| seconds.len()).max().unwrap_or(0);
    for row in 0..rows {
        for (service, seconds) in series {
            if let Some(second) = seconds.get(row) {
                write_row(service, second, file)?;
            }
        }
    }
    Ok(())
}

fn write_row(service: &str, row: &Second, file: &mut dyn Write) -> io::Result<()> {
    let Second { second, requests, ok, failed, unknown, degraded, .. } = row;
    write!(file, "{second},{service},{requests},{ok},{failed},{unknown},{degraded},")?;
    if *requests > 0 {
        write!(file, "{:.6}", f64::from(*ok) / f64::from(*requests))?;
    }
    let Second { primaries, view_members, nodes_up, .. } = row;
    let (p50, p99) = (cell(row.latency_p50_ms), cell(row.latency_p99_ms));
    let (awake, watts) = (cell(row.nodes_awake), cell(row.watts));
    writeln!(file, ",{p50},{p99},{primaries},{view_members},{nodes_up},{awake},{watts}")
}

/// A number, in the shortest form that reads back as the same; nothing for none.
pub(super) fn cell<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Reads the `timeseries.csv` of a result back from its directory.
///
/// # Errors
/// The file cannot be read, is not the one of which the result has the digest, or a line (which is named) is not
/// what [`HEADER`] says.
pub fn read_series(written: &Written, dir: &Path) -> Result<Series, OutputError> {
    let name = record::BESIDE[0];
    let text = written.read_beside(dir, name)?;
    parse(&text).map_err(|problem| OutputError::content(&dir.join(name), problem))
}

/// Reads the content of a `timeseries.csv`.
///
/// # Errors
/// A line (which is named) is not what [`HEADER`] says, or the last one is not whole.
pub fn parse(text: &str) -> Result<Series, String> {
    let mut series = Series::new();
    for (index, line) in rows(text, HEADER)?.enumerate() {
        let (service, second) = parse_row(line).map_err(|problem| format!("line {}: {problem}", index + 2))?;
        match series.iter_mut().find(|(name, _)| name == service) {
            Some((_, seconds)) => seconds.push(second),
            None => series.push((service.to_owned(), vec![second])),
        }
    }
    Ok(series)
}

/// The lines below the header of a whole CSV file.
pub(super) fn rows<'a>(text: &'a str, header: &str) -> Result<impl Iterator<Item = &'a str> + use<'a>, String> {
    let mut lines = text.split_terminator('\n');
    if lines.next() != Some(header) {
        return Err(format!("line 1: the header `{header}` was expected"));
    }
    if !text.ends_with('\n') {
        return Err(format!("line {}: it ends in the middle: the file is not whole", lines.count() + 1));
    }
    Ok(lines)
}

/// The cells of a line, each with its column.
pub(super) fn cells<'a>(
    line: &'a str,
    header: &'a str,
) -> Result<impl Iterator<Item = (&'a str, &'a str)> + use<'a>, String> {
    let (found, expected) = (line.split(',').count(), header.split(',').count());
    if found != expected {
        return Err(format!("{found} cells, and {expected} were expected"));
    }
    Ok(line.split(',').zip(header.split(',')))
}

fn parse_row(line: &str) -> Result<(&str, Second), String> {
    let mut cells = cells(line, HEADER)?;
    let mut next = || cells.next().ok_or_else(String::new);
    let second = number(next()?)?;
    let service = next()?.0;
    let row = Second {
        second,
        requests: number(next()?)?,
        ok: number(next()?)?,
        failed: number(next()?)?,
        unknown: number(next()?)?,
        degraded: {
            let degraded = number(next()?)?;
            optional::<f64>(next()?)?; // `availability` follows from the others
            degraded
        },
        latency_p50_ms: optional(next()?)?,
        latency_p99_ms: optional(next()?)?,
        primaries: number(next()?)?,
        view_members: number(next()?)?,
        nodes_up: number(next()?)?,
        nodes_awake: optional(next()?)?,
        watts: optional(next()?)?,
    };
    Ok((service, row))
}

pub(super) fn number<T: std::str::FromStr>((cell, column): (&str, &str)) -> Result<T, String> {
    cell.parse().map_err(|_| format!("`{column}`: `{cell}` is not a number that fits"))
}

pub(super) fn optional<T: std::str::FromStr>(cell: (&str, &str)) -> Result<Option<T>, String> {
    if cell.0.is_empty() { Ok(None) } else { number(cell).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        let quiet = Second { second: 1, view_members: 3, nodes_up: 3, ..Second::default() };
        let busy = Second {
            second: 0,
            requests: 3,
            ok: 2,
            failed: 1,
            unknown: 1,
            degraded: 1,
            latency_p50_ms: Some(0.1 + 0.2),
            latency_p99_ms: Some(1e-7),
            primaries: 2,
            view_members: 5,
            nodes_up: 4,
            nodes_awake: Some(5),
            watts: Some(812.5),
        };
        vec![("board".into(), vec![busy.clone(), quiet.clone()]), ("accounts".into(), vec![busy, quiet])]
    }

    fn csv() -> String {
        let mut bytes = Vec::new();
        write_csv(&series(), &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn rows_are_as_documented() {
        let text = csv();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], HEADER);
        assert_eq!(lines[1], "0,board,3,2,1,1,1,0.666667,0.30000000000000004,0.0000001,2,5,4,5,812.5");
        assert_eq!(lines[4], "1,accounts,0,0,0,0,0,,,,0,3,3,,");
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn what_was_written_is_read_back() {
        assert_eq!(parse(&csv()).unwrap(), series());
        assert_eq!(parse(&format!("{HEADER}\n")).unwrap(), Series::new());
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_line() {
        let text = csv();
        for (damaged, reason) in [
            (text.replacen("second", "time", 1), "line 1: the header"),
            (text[..text.len() - 8].to_owned(), "the file is not whole"),
            (text.replacen("\n1,board,0", "\n1,board,-1", 1), "line 4: `requests`: `-1` is not a number"),
            (text.replacen("\n1,board,0", "\n1,board", 1), "line 4: 14 cells, and 15 were expected"),
            (text.replacen(",812.5\n", ",812.5,7\n", 1), "line 2: 16 cells"),
        ] {
            let problem = parse(&damaged).unwrap_err();
            assert!(problem.contains(reason), "{problem}");
        }
    }
}
