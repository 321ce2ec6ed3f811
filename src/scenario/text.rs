//! A scenario written out for people.

use serde_json::{Map, Value};

/// Columns that a line may take.
const WIDTH: usize = 118;

/// The text of a scenario file: fields in the order of the format's documentation, and on one line whatever fits
/// there. `resolved` is the same scenario with every default filled in; it tells the order.
pub fn text(written: &Value, resolved: &Value) -> String {
    let mut out = String::new();
    write(&ordered(written, resolved), 0, &mut out);
    out.push('\n');
    out
}

/// The value with the fields of each object in the order of `model`. In a timeline the instant comes first and the
/// length last, so that a column of entries reads as a story.
fn ordered(value: &Value, model: &Value) -> Value {
    match (value, model) {
        (Value::Object(fields), Value::Object(model)) => {
            let rank = |key: &str| match key {
                "at" if model.contains_key("do") => 0,
                "for" => usize::MAX,
                _ => model.keys().position(|known| known == key).map_or(usize::MAX, |at| at + 1),
            };
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| rank(key));
            let inner = |(key, value): (&String, &Value)| {
                (key.clone(), model.get(key).map_or_else(|| value.clone(), |model| ordered(value, model)))
            };
            Value::Object(sorted.into_iter().map(inner).collect::<Map<_, _>>())
        }
        (Value::Array(items), Value::Array(model)) if items.len() == model.len() => {
            items.iter().zip(model).map(|(item, model)| ordered(item, model)).collect()
        }
        _ => value.clone(),
    }
}

fn write<'a>(value: &'a Value, indent: usize, out: &mut String) {
    let column = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
    let flat = flat(value);
    // The comma behind it takes a column too.
    if indent > 0 && !holds_rows(value) && column + flat.chars().count() < WIDTH {
        out.push_str(&flat);
        return;
    }
    let (open, close, lines): (_, _, Vec<(String, &'a Value)>) = match value {
        Value::Object(fields) if !fields.is_empty() => {
            let line = |(key, value): (&String, &'a Value)| (format!("{}: ", quote(key)), value);
            ('{', '}', fields.iter().map(line).collect())
        }
        Value::Array(items) if !items.is_empty() => {
            ('[', ']', items.iter().map(|item| (String::new(), item)).collect())
        }
        _ => return out.push_str(&flat),
    };
    out.push(open);
    for (at, (key, value)) in lines.into_iter().enumerate() {
        out.push_str(if at > 0 { ",\n" } else { "\n" });
        out.push_str(&" ".repeat(indent + 2));
        out.push_str(&key);
        write(value, indent + 2, out);
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push(close);
}

/// A list of objects is a table: a row a line.
fn holds_rows(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| item.is_object() || holds_rows(item)),
        Value::Object(fields) => fields.values().any(holds_rows),
        _ => false,
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{}: {}", quote(key), flat(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

fn quote(key: &str) -> String {
    Value::from(key).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scenario_reads_as_a_table() {
        let written = json!({
            "name": "n", "timeline": [{"for": "5s", "nodes": ["a/0"], "do": "crash", "at": "1s"}], "format": 1,
            "protocols": {"raft": {}},
        });
        let resolved = json!({
            "format": 1, "name": "n", "seed": 1, "protocols": {"raft": {"kind": "raft"}},
            "timeline": [{"do": "crash", "at": "1s", "for": "5s", "nodes": ["a/0"], "disk": "kept"}],
        });
        let wanted = r#"{
  "format": 1,
  "name": "n",
  "protocols": {"raft": {}},
  "timeline": [
    {"at": "1s", "do": "crash", "nodes": ["a/0"], "for": "5s"}
  ]
}
"#;
        assert_eq!(text(&written, &resolved), wanted);
    }

    #[test]
    fn long_lines_are_broken_and_nothing_is_lost() {
        let names: Vec<String> = (0..40).map(|node| format!("somewhere/{node}")).collect();
        let value = json!({"one": {"names": names, "empty": [], "none": {}}, "text": "x".repeat(200)});
        let text = text(&value, &value);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert!(text.lines().all(|line| line.len() <= 118 || line.contains("xxx")), "{text}");
    }
}
