//! The JSON Schema of scenarios, made from the table of fields, for editors.
//!
//! It says everything about structure that the loader says; whether names exist, and whether values
//! contradict each other, only the loader says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::catalogue;
use super::fields::{ANY, Default, Field, Grade, Record, SCENARIO, Shape};
use super::quantity;
use crate::world::regions;

/// JSON Schema 2020-12 of a scenario.
pub fn schema() -> Value {
    let mut maker = Maker { definitions: BTreeMap::new() };
    let root = maker.object(&SCENARIO, None);
    let mut out = Map::new();
    out.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    out.insert("title".into(), "firedrill scenario, format 1".into());
    if let Value::Object(fields) = root {
        out.extend(fields);
    }
    out.insert("$defs".into(), Value::Object(maker.definitions.into_iter().collect()));
    Value::Object(out)
}

struct Maker {
    /// By name; each is made once.
    definitions: BTreeMap<String, Value>,
}

impl Maker {
    fn define(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.definitions.contains_key(name) {
            // Holds the place, so that a definition that contains itself ends.
            self.definitions.insert(name.to_owned(), Value::Null);
            let made = make(self);
            self.definitions.insert(name.to_owned(), made);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }

    fn shape(&mut self, shape: &'static Shape) -> Value {
        match shape {
            Shape::Flag => json!({"type": "boolean"}),
            Shape::Whole { from, to } => json!({"type": "integer", "minimum": from, "maximum": to}),
            Shape::Wide { from, .. } => json!({"anyOf": [
                {"type": "integer", "minimum": from}, {"type": "string", "pattern": "^[0-9]{1,20}$"}
            ]}),
            Shape::Number { from, to, open } => number(*from, *to, *open),
            Shape::Bytes { from, to } => json!({"anyOf": [
                {"type": "integer", "minimum": from, "maximum": to}, units(quantity::SIZE, "")
            ]}),
            Shape::Known("region") => {
                json!({"type": "string", "enum": regions::all().iter().map(|region| region.id).collect::<Vec<_>>()})
            }
            Shape::Known("metric") => json!({"type": "string", "enum": catalogue::metric_names()}),
            Shape::Text | Shape::Known(_) => json!({"type": "string"}),
            Shape::Name(_) => self.define("name", |_| name()),
            Shape::Time { .. } => self.define("time", |_| units(quantity::TIME, "")),
            Shape::Jump => self.define("jump", |_| units(quantity::TIME, "-?")),
            Shape::Rate => self.define("rate", |_| units(quantity::RATE, "")),
            Shape::Bandwidth => self.define("bandwidth", |_| units(quantity::BANDWIDTH, "")),
            Shape::OneOf(words) => {
                let meanings = words.iter().map(|(word, says)| json!({"const": word, "description": says}));
                json!({"oneOf": meanings.collect::<Vec<_>>()})
            }
            Shape::List { of, from, to } => {
                let mut list = json!({"type": "array", "items": self.shape(of)});
                if *from > 0 {
                    list["minItems"] = (*from).into();
                }
                if *to != ANY {
                    list["maxItems"] = (*to).into();
                }
                list
            }
            Shape::Object(record) => self.define(record.name, |maker| maker.object(record, None)),
            Shape::Tagged { tag, variants } => self.tagged(tag, variants),
            Shape::Labelled { tag, variants } => self.labelled(tag, variants),
            Shape::Either(shapes) => {
                json!({"anyOf": shapes.iter().map(|shape| self.shape(shape)).collect::<Vec<_>>()})
            }
        }
    }

    /// `tag`: a field that names the record, beside its own.
    fn object(&mut self, record: &'static Record, tag: Option<&str>) -> Value {
        let mut properties = Map::new();
        if let Some(tag) = tag {
            properties.insert(tag.to_owned(), json!({"const": record.name, "description": record.says}));
        }
        for field in record.fields() {
            properties.insert(field.name.to_owned(), self.field(field));
        }
        let required: Vec<_> = record
            .fields()
            .filter(|field| matches!(field.default, Default::Required))
            .map(|field| field.name)
            .collect();
        let mut out = json!({
            "type": "object", "description": record.says, "properties": properties, "additionalProperties": false,
        });
        if !required.is_empty() {
            out["required"] = required.into();
        }
        if let Some(choice) = record.choice.as_ref().filter(|choice| choice.required) {
            out["oneOf"] = choice.of.iter().map(|name| json!({"required": [name]})).collect();
        }
        out
    }

    fn field(&mut self, field: &'static Field) -> Value {
        let mut out = self.shape(&field.shape);
        let mut says = field.says.to_owned();
        match field.default {
            Default::Required => {}
            Default::Absent(meaning) => says.push_str(&format!(" If left out: {meaning}.")),
            Default::Derived(from) => says.push_str(&format!(" Default: {from}.")),
            Default::Json(text) | Default::Implied(text) => {
                out["default"] = serde_json::from_str(text).unwrap_or(Value::Null);
                if field.grade != Grade::None {
                    says.push_str(&format!(" Default: grade {}, {}.", field.grade.name(), field.source));
                }
            }
        }
        out["description"] = says.into();
        out
    }

    fn variant(&mut self, tag: &str, record: &'static Record) -> Value {
        self.define(&format!("{tag}-{}", record.name), |maker| maker.object(record, Some(tag)))
    }

    fn tagged(&mut self, tag: &str, variants: &[&'static Record]) -> Value {
        let names: Vec<_> = variants.iter().map(|record| record.name).collect();
        let cases: Vec<_> = variants
            .iter()
            .map(|record| {
                let when = json!({"properties": {tag: {"const": record.name}}});
                json!({"if": when, "then": self.variant(tag, record)})
            })
            .collect();
        json!({"type": "object", "required": [tag], "properties": {tag: {"enum": names}}, "allOf": cases})
    }

    fn labelled(&mut self, tag: &str, variants: &[&'static Record]) -> Value {
        let union = self.define("labelled", |maker| maker.tagged(tag, variants));
        let by_label: Map<_, _> = variants
            .iter()
            .map(|record| {
                let either = [self.variant(tag, record), union.clone()];
                (record.name.to_owned(), json!({"anyOf": either, "description": record.says}))
            })
            .collect();
        let names = self.define("name", |_| name());
        json!({
            "type": "object", "minProperties": 1, "propertyNames": names,
            "properties": by_label, "additionalProperties": union,
        })
    }
}

fn name() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$", "not": {"const": "all"}})
}

fn number(from: f64, to: f64, open: bool) -> Value {
    let mut out = json!({"type": "number"});
    if from > -1e300 {
        out[if open { "exclusiveMinimum" } else { "minimum" }] = from.into();
    }
    if to < 1e300 {
        out["maximum"] = to.into();
    }
    out
}

fn units(units: &[(&str, u64)], sign: &str) -> Value {
    let names: Vec<_> = units.iter().map(|(unit, _)| *unit).collect();
    json!({"type": "string", "pattern": format!("^{sign}[0-9]+(\\.[0-9]+)?({})$", names.join("|"))})
}
