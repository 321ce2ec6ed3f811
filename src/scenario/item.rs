//! A scenario whose structure was checked: quantities are numbers, defaults are filled in.

use serde_json::{Map, Value};

use super::fields::Record;
use super::json::Origin;
use super::quantity;
use crate::time::Duration;

/// A value, where it stands and how `--set` would name it.
#[derive(Clone, Debug)]
pub struct Item {
    pub origin: Origin,
    pub path: String,
    pub form: Form,
}

#[derive(Clone, Debug)]
pub enum Form {
    /// Something wrong stands here, and was reported.
    Bad,
    Flag(bool),
    Whole(u64),
    /// Resolved as its digits in a text where a double would not hold it.
    Wide(u64),
    Number(f64),
    Text(String),
    Time(Duration),
    Jump(i64),
    Rate {
        text: String,
        per_second: f64,
    },
    Bits(u64),
    List(Vec<Item>),
    Record(Fields),
}

/// The fields of an object, in the order of the table.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// The name of its record; it tells variants apart.
    pub kind: &'static str,
    pub record: Option<&'static Record>,
    pub fields: Vec<(String, Item)>,
}

/// Readers of fields give `None` for what is absent or was bad: neither is reported twice.
impl Item {
    pub fn get(&self, name: &str) -> Option<&Self> {
        match &self.form {
            Form::Record(record) => record.fields.iter().find(|(field, _)| field == name).map(|(_, item)| item),
            _ => None,
        }
    }
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match &mut self.form {
            Form::Record(record) => record.fields.iter_mut().find(|(field, _)| field == name).map(|(_, item)| item),
            _ => None,
        }
    }
    /// Takes a field out.
    pub fn remove(&mut self, name: &str) {
        if let Form::Record(record) = &mut self.form {
            record.fields.retain(|(field, _)| field != name);
        }
    }
    /// Puts a field in place of one that is there, or where the table has it.
    pub fn put(&mut self, name: &str, form: Form) {
        let path = format!("{}.{name}", self.path);
        let item = Self { origin: Origin::Default, path, form };
        if let Form::Record(record) = &mut self.form {
            match record.fields.iter_mut().find(|(field, _)| field == name) {
                Some((_, old)) => *old = item,
                None => {
                    let order = |field: &str| record.record?.fields().position(|known| known.name == field);
                    let mine = order(name);
                    let behind = record.fields.iter().position(|(field, _)| order(field) > mine);
                    record.fields.insert(behind.unwrap_or(record.fields.len()), (name.to_owned(), item));
                }
            }
        }
    }
    pub fn kind(&self) -> &'static str {
        match &self.form {
            Form::Record(record) => record.kind,
            _ => "",
        }
    }
    pub fn is_bad(&self) -> bool {
        matches!(self.form, Form::Bad)
    }
    /// The elements of a list; none of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.form {
            Form::List(items) => items,
            _ => &[],
        }
    }
    pub fn items_mut(&mut self) -> &mut [Self] {
        match &mut self.form {
            Form::List(items) => items,
            _ => &mut [],
        }
    }
    /// The elements of a list that is a field.
    pub fn list(&self, name: &str) -> &[Self] {
        self.get(name).map_or(&[], Self::items)
    }
    /// The fields of an object; none of anything else.
    pub fn fields(&self) -> &[(String, Self)] {
        match &self.form {
            Form::Record(record) => &record.fields,
            _ => &[],
        }
    }
    pub fn as_text(&self) -> Option<&str> {
        match &self.form {
            Form::Text(text) => Some(text),
            _ => None,
        }
    }
    pub fn as_time(&self) -> Option<Duration> {
        match self.form {
            Form::Time(time) => Some(time),
            _ => None,
        }
    }
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Self::as_text)
    }
    pub fn time(&self, name: &str) -> Option<Duration> {
        self.get(name).and_then(Self::as_time)
    }
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.form {
            Form::Flag(flag) => Some(flag),
            _ => None,
        }
    }
    pub fn whole(&self, name: &str) -> Option<u64> {
        match self.get(name)?.form {
            Form::Whole(whole) | Form::Wide(whole) | Form::Bits(whole) => Some(whole),
            _ => None,
        }
    }
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name)?.form {
            Form::Number(number) => Some(number),
            Form::Rate { per_second, .. } => Some(per_second),
            _ => None,
        }
    }
    pub fn jump(&self, name: &str) -> Option<i64> {
        match self.get(name)?.form {
            Form::Jump(nanos) => Some(nanos),
            _ => None,
        }
    }

    /// As JSON in canonical writing: each quantity in its largest exact unit.
    pub fn to_value(&self) -> Value {
        match &self.form {
            Form::Bad => Value::Null,
            Form::Flag(flag) => Value::Bool(*flag),
            Form::Whole(whole) => (*whole).into(),
            Form::Wide(whole) if *whole < 1 << 53 => (*whole).into(),
            Form::Wide(whole) => whole.to_string().into(),
            Form::Number(number) => number_value(*number),
            Form::Text(text) => text.clone().into(),
            Form::Time(time) => time.to_string().into(),
            Form::Jump(nanos) => quantity::show_jump(*nanos).into(),
            Form::Rate { text, .. } => text.clone().into(),
            Form::Bits(bits) => quantity::show_bandwidth(*bits).into(),
            Form::List(items) => items.iter().map(Self::to_value).collect(),
            Form::Record(record) => {
                let told = record.fields.iter().filter(|(_, item)| item.origin != Origin::Implied);
                Value::Object(told.map(|(name, item)| (name.clone(), item.to_value())).collect::<Map<_, _>>())
            }
        }
    }
}

/// A whole number without a fraction, so that 1 and 1.0 are written alike.
fn number_value(number: f64) -> Value {
    let whole = number as i64;
    if whole as f64 == number && whole.unsigned_abs() < 1 << 53 { whole.into() } else { number.into() }
}
