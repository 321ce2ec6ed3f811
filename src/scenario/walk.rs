//! The check of structure: a tree of JSON against the table of fields.
//!
//! Everything wrong is reported, and the walk goes on; defaults are filled in where nothing stands.

use super::diagnostics::{Problem, Problems, nearest, quote, quote_all};
use super::fields::{Default, Field, Record, Shape};
use super::item::{Fields, Form, Item};
use super::json::{self, Json, Member, Node, Origin};
use super::quantity;

/// Checks a tree against a shape.
pub fn walk(node: &Node, shape: &'static Shape, path: &str, problems: &mut Problems) -> Item {
    Walker { problems }.item(node, shape, path)
}

/// Checks a whole scenario.
pub fn scenario(node: &Node, problems: &mut Problems) -> Item {
    static WHOLE: Shape = Shape::Object(&super::fields::SCENARIO);
    walk(node, &WHOLE, "", problems)
}

struct Walker<'a> {
    problems: &'a mut Problems,
}

impl Walker<'_> {
    fn wrong(&mut self, node: &Node, path: &str, message: String) -> &mut Problem {
        self.problems.add(node.origin, path, message)
    }

    fn item(&mut self, node: &Node, shape: &'static Shape, path: &str) -> Item {
        let form = match (shape, &node.value) {
            (Shape::Either(shapes), _) => return self.either(node, shape, shapes, path),
            (Shape::Flag, Json::Bool(flag)) => Form::Flag(*flag),
            (Shape::Whole { from, to }, Json::Number(text)) => self.whole(node, shape, path, text, *from, *to),
            (Shape::Wide { from, to }, Json::Number(text)) => self.wide(node, shape, path, text, *from, *to),
            (Shape::Wide { from, to }, Json::String(text)) => self.wide(node, shape, path, text, *from, *to),
            (Shape::Bytes { from, to }, Json::Number(text)) => self.whole(node, shape, path, text, *from, *to),
            (Shape::Number { .. }, Json::Number(text)) => self.number(node, shape, path, text),
            (Shape::Text | Shape::Known(_), Json::String(text)) => Form::Text(text.clone()),
            (Shape::Name(_), Json::String(text)) => self.name(node, path, text),
            (Shape::OneOf(words), Json::String(text)) => self.one_of(node, path, text, words),
            (_, Json::String(text)) if is_quantity(shape) => self.quantity(node, shape, path, text),
            (Shape::List { of, from, to }, Json::Array(items)) => self.list(node, shape, path, items, (of, *from, *to)),
            (Shape::Object(record), Json::Object(members)) => self.record(node, record, members, path, None),
            (Shape::Tagged { tag, variants }, Json::Object(members)) => {
                self.tagged(node, members, path, tag, variants, None)
            }
            (Shape::Labelled { tag, variants }, Json::Object(members)) => {
                self.labelled(node, members, path, tag, variants)
            }
            _ => self.wrong_type(node, shape, path),
        };
        Item { origin: node.origin, path: path.to_owned(), form }
    }

    fn wrong_type(&mut self, node: &Node, shape: &Shape, path: &str) -> Form {
        let message = format!("expected {}, found {}", describe(shape), found(&node.value));
        let problem = self.wrong(node, path, message).expected(describe(shape));
        if let (Json::Number(number), true) = (&node.value, is_quantity(shape)) {
            problem.help(format!("a quantity is a text with a unit: \"{number}{}\"", example_unit(shape)));
        } else if let (Json::String(text), Shape::Number { .. } | Shape::Whole { .. } | Shape::Flag) =
            (&node.value, shape)
            && json::parse(text).is_ok()
        {
            problem.help(format!("write it without quotes: {text}"));
        }
        Form::Bad
    }

    fn either(&mut self, node: &Node, shape: &Shape, shapes: &'static [Shape], path: &str) -> Item {
        match shapes.iter().find(|shape| accepts(shape, &node.value)) {
            Some(fitting) => self.item(node, fitting, path),
            None => {
                let form = self.wrong_type(node, shape, path);
                Item { origin: node.origin, path: path.to_owned(), form }
            }
        }
    }

    fn out_of_range(&mut self, node: &Node, shape: &Shape, path: &str, text: &str) -> Form {
        let message = format!("{} is out of range", quote(text));
        self.wrong(node, path, message).expected(describe(shape));
        Form::Bad
    }

    fn whole(&mut self, node: &Node, shape: &Shape, path: &str, text: &str, from: u64, to: u64) -> Form {
        match whole_number(text) {
            Ok(whole) if (from..=to).contains(&whole) => Form::Whole(whole),
            Ok(_) | Err(NotWhole::OutOfRange) => self.out_of_range(node, shape, path, text),
            Err(NotWhole::Other) => self.not_whole(node, shape, path, text),
        }
    }

    fn not_whole(&mut self, node: &Node, shape: &Shape, path: &str, text: &str) -> Form {
        let message = format!("{} is not a whole number", quote(text));
        self.wrong(node, path, message).expected(describe(shape));
        Form::Bad
    }

    fn wide(&mut self, node: &Node, shape: &Shape, path: &str, text: &str, from: u64, to: u64) -> Form {
        match self.whole(node, shape, path, text, from, to) {
            Form::Whole(whole) => Form::Wide(whole),
            other => other,
        }
    }

    fn number(&mut self, node: &Node, shape: &Shape, path: &str, text: &str) -> Form {
        let Shape::Number { from, to, open } = *shape else { return Form::Bad };
        match text.parse::<f64>() {
            // Adding 0 turns -0 into 0.
            Ok(number) if number <= to && (number > from || (number == from && !open)) => Form::Number(number + 0.0),
            _ => self.out_of_range(node, shape, path, text),
        }
    }

    fn name(&mut self, node: &Node, path: &str, text: &str) -> Form {
        if text == "all" {
            self.wrong(node, path, "`all` is not a name: results use it for the whole".into());
            return Form::Bad;
        }
        if !is_name(text) {
            self.wrong(node, path, format!("{} is not a name", quote(text)))
                .expected("1 to 64 of a-z 0-9 . _ -, beginning with a letter or a digit");
            return Form::Bad;
        }
        Form::Text(text.to_owned())
    }

    fn one_of(&mut self, node: &Node, path: &str, text: &str, words: &[(&str, &str)]) -> Form {
        let names = words.iter().map(|(word, _)| *word);
        if names.clone().any(|name| name == text) {
            return Form::Text(text.to_owned());
        }
        let problem = self
            .wrong(node, path, format!("{} is not known here", quote(text)))
            .expected(quote_all(names.clone(), "or"));
        if let Some(name) = nearest(text, names) {
            problem.help(format!("did you mean {}?", quote(name)));
        }
        Form::Bad
    }

    fn quantity(&mut self, node: &Node, shape: &Shape, path: &str, text: &str) -> Form {
        let read = match shape {
            Shape::Time { zero } => quantity::time(text).and_then(|time| {
                if time.is_zero() && !zero { Err("it must be above 0".into()) } else { Ok(Form::Time(time)) }
            }),
            Shape::Jump => quantity::jump(text).map(Form::Jump),
            Shape::Rate => quantity::rate(text).map(|per_second| Form::Rate { text: text.to_owned(), per_second }),
            Shape::Bandwidth => quantity::bandwidth(text).and_then(|bits| match bits {
                0 => Err("it must be above 0".into()),
                _ => Ok(Form::Bits(bits)),
            }),
            Shape::Bytes { from, to } => quantity::size(text).and_then(|bytes| {
                if (from..=to).contains(&&bytes) { Ok(Form::Whole(bytes)) } else { Err("it is out of range".into()) }
            }),
            _ => Err(String::new()),
        };
        read.unwrap_or_else(|why| {
            let message = format!("{} is no {}: {why}", quote(text), noun(shape));
            self.wrong(node, path, message).expected(describe(shape));
            Form::Bad
        })
    }

    fn list(
        &mut self,
        node: &Node,
        shape: &Shape,
        path: &str,
        items: &[Node],
        (of, from, to): (&'static Shape, usize, usize),
    ) -> Form {
        if !(from..=to).contains(&items.len()) {
            let count = match items.len() {
                0 => "the list is empty".to_owned(),
                1 => "the list has 1 element".to_owned(),
                many => format!("the list has {many} elements"),
            };
            self.wrong(node, path, count).expected(describe(shape));
            if items.len() > to {
                return Form::Bad;
            }
        }
        Form::List(items.iter().enumerate().map(|(i, item)| self.item(item, of, &format!("{path}.{i}"))).collect())
    }

    /// Reads an object. `kind`: the tag field and its value, which were read already.
    fn record(
        &mut self,
        node: &Node,
        record: &'static Record,
        members: &[Member],
        path: &str,
        kind: Option<(&str, Item)>,
    ) -> Form {
        let tag = kind.as_ref().map(|(tag, _)| *tag);
        for member in members {
            if Some(member.key.as_str()) != tag && !record.fields().any(|field| field.name == member.key) {
                self.unknown_field(member, record, path, tag);
            }
        }
        let mut fields: Vec<_> = kind.into_iter().map(|(tag, item)| (tag.to_owned(), item)).collect();
        for field in record.fields() {
            let inner = join(path, field.name);
            let written = members.iter().find(|member| member.key == field.name);
            let item = match written {
                Some(member) => Some(self.item(&member.value, &field.shape, &inner)),
                None => self.default(node, field, &inner, record),
            };
            fields.extend(item.map(|item| (field.name.to_owned(), item)));
        }
        self.choice(node, record, members, path);
        Form::Record(Fields { kind: record.name, record: Some(record), fields })
    }

    fn unknown_field(&mut self, member: &Member, record: &'static Record, path: &str, tag: Option<&str>) {
        let known = record.fields().map(|field| field.name).chain(tag);
        let message = format!("unknown field {} in {}", quote(&member.key), article(record.name));
        let problem = self.problems.add(member.key_origin, &join(path, &member.key), message);
        problem.expected(quote_all(known.clone(), "or"));
        if let Some(name) = nearest(&member.key, known) {
            problem.help(format!("did you mean {}?", quote(name)));
        }
    }

    fn default(&mut self, node: &Node, field: &'static Field, path: &str, record: &Record) -> Option<Item> {
        match field.default {
            Default::Required => {
                let message = format!("{} has no {}", the(record.name), quote(field.name));
                let help = format!("{}: {}", quote(field.name), field.says);
                self.problems.add(opening(node.origin), path, message).expected(describe(&field.shape)).help(help);
                Some(Item { origin: node.origin, path: path.to_owned(), form: Form::Bad })
            }
            Default::Absent(_) | Default::Derived(_) => None,
            Default::Json(text) => self.filled(text, Origin::Default, field, path),
            Default::Implied(text) => self.filled(text, Origin::Implied, field, path),
        }
    }

    fn filled(&mut self, text: &str, origin: Origin, field: &'static Field, path: &str) -> Option<Item> {
        let mut default = json::parse(text).ok()?.root;
        default.set_origin(origin);
        Some(self.item(&default, &field.shape, path))
    }

    fn choice(&mut self, node: &Node, record: &Record, members: &[Member], path: &str) {
        let Some(choice) = &record.choice else { return };
        let mut given = members.iter().filter(|member| choice.of.contains(&member.key.as_str()));
        let first = given.next();
        let wanted = format!("exactly one of {}", quote_all(choice.of.iter().copied(), "or"));
        if let (Some(first), Some(second)) = (first, given.next()) {
            let message = format!("{} and {} exclude each other", quote(&first.key), quote(&second.key));
            self.problems.add(second.key_origin, &join(path, &second.key), message).expected(wanted);
        } else if first.is_none() && choice.required {
            let message = format!("{} needs one of {}", the(record.name), quote_all(choice.of.iter().copied(), "or"));
            self.problems.add(opening(node.origin), path, message).expected(wanted);
        }
    }

    fn tagged(
        &mut self,
        node: &Node,
        members: &[Member],
        path: &str,
        tag: &'static str,
        variants: &[&'static Record],
        default: Option<&str>,
    ) -> Form {
        let names = variants.iter().map(|record| record.name);
        let inner = join(path, tag);
        let written = members.iter().find(|member| member.key == tag);
        let (origin, text) = match (written, default) {
            (Some(Member { value: Node { origin, value: Json::String(text) }, .. }), _) => (*origin, text.as_str()),
            (Some(member), _) => {
                let message = format!("expected a text, found {}", found(&member.value.value));
                self.problems.add(member.value.origin, &inner, message).expected(quote_all(names, "or"));
                return Form::Bad;
            }
            (None, Some(label)) => (Origin::Default, label),
            (None, None) => {
                let message = format!("there is no {}", quote(tag));
                self.problems.add(opening(node.origin), &inner, message).expected(quote_all(names, "or"));
                return Form::Bad;
            }
        };
        let Some(record) = variants.iter().find(|record| record.name == text) else {
            let place = if written.is_some() { origin } else { opening(node.origin) };
            let message = match written {
                Some(_) => format!("{} is not known here", quote(text)),
                None => format!("{} is not a kind, and there is no {}", quote(text), quote(tag)),
            };
            let problem = self.problems.add(place, &inner, message).expected(quote_all(names.clone(), "or"));
            if let Some(name) = nearest(text, names) {
                problem.help(format!("did you mean {}?", quote(name)));
            }
            return Form::Bad;
        };
        let kind = Item { origin, path: inner, form: Form::Text(text.to_owned()) };
        self.record(node, record, members, path, Some((tag, kind)))
    }

    fn labelled(
        &mut self,
        node: &Node,
        members: &[Member],
        path: &str,
        tag: &'static str,
        variants: &[&'static Record],
    ) -> Form {
        if members.is_empty() {
            self.wrong(node, path, "there is none".into()).expected("at least one label");
        }
        let mut fields = Vec::new();
        for member in members {
            let inner = join(path, &member.key);
            let label = Node { origin: member.key_origin, value: Json::Null };
            if matches!(self.name(&label, &inner, &member.key), Form::Bad) {
                continue;
            }
            let form = match &member.value.value {
                Json::Object(options) => self.tagged(&member.value, options, &inner, tag, variants, Some(&member.key)),
                other => {
                    let message = format!("expected an object, found {}", found(other));
                    self.wrong(&member.value, &inner, message).expected("an object of options, perhaps empty: {}");
                    Form::Bad
                }
            };
            fields.push((member.key.clone(), Item { origin: member.value.origin, path: inner, form }));
        }
        Form::Record(Fields { kind: "", record: None, fields })
    }
}

/// The first character of a value, to point at an object that lacks something.
fn opening(origin: Origin) -> Origin {
    match origin {
        Origin::Text { start, .. } => Origin::Text { start, end: start + 1 },
        other => other,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn the(name: &str) -> String {
    format!("the {}", name.replace('-', " "))
}

fn article(name: &str) -> String {
    let words = name.replace('-', " ");
    let vowel = words.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {words}", if vowel { "an" } else { "a" })
}

/// Names match `[a-z0-9][a-z0-9._-]{0,63}`.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 64
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

enum NotWhole {
    OutOfRange,
    Other,
}

/// Reads `12`, and `12.0` or `1.2e1`, which are the same number in JSON.
fn whole_number(text: &str) -> Result<u64, NotWhole> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return text.parse().map_err(|_| NotWhole::OutOfRange);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && libm::trunc(number) != number => Err(NotWhole::Other),
        Ok(number) if (0.0..9_007_199_254_740_992.0).contains(&number) => Ok(number as u64),
        Ok(number) if number.is_finite() => Err(NotWhole::OutOfRange),
        _ => Err(NotWhole::Other),
    }
}

fn is_quantity(shape: &Shape) -> bool {
    matches!(shape, Shape::Time { .. } | Shape::Jump | Shape::Rate | Shape::Bandwidth | Shape::Bytes { .. })
}

fn example_unit(shape: &Shape) -> &'static str {
    match shape {
        Shape::Rate => "/s",
        Shape::Bandwidth => "Gbps",
        Shape::Bytes { .. } => "B",
        _ => "s",
    }
}

fn noun(shape: &Shape) -> &'static str {
    match shape {
        Shape::Rate => "rate",
        Shape::Bandwidth => "bandwidth",
        Shape::Bytes { .. } => "size",
        _ => "duration",
    }
}

/// Whether a kind of JSON value can be of a shape at all.
fn accepts(shape: &Shape, value: &Json) -> bool {
    match shape {
        Shape::Flag => matches!(value, Json::Bool(_)),
        Shape::Whole { .. } | Shape::Number { .. } => matches!(value, Json::Number(_)),
        Shape::Wide { .. } | Shape::Bytes { .. } => matches!(value, Json::Number(_) | Json::String(_)),
        Shape::List { .. } => matches!(value, Json::Array(_)),
        Shape::Object(_) | Shape::Tagged { .. } | Shape::Labelled { .. } => matches!(value, Json::Object(_)),
        Shape::Either(shapes) => shapes.iter().any(|shape| accepts(shape, value)),
        _ => matches!(value, Json::String(_)),
    }
}

fn found(value: &Json) -> String {
    match value {
        Json::Null => "null".into(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => format!("the number {}", quote(number)),
        Json::String(text) => format!("the text {}", quote(text)),
        Json::Array(_) => "a list".into(),
        Json::Object(_) => "an object".into(),
    }
}

/// What a shape is, for `expected`.
pub fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Flag => "true or false".into(),
        Shape::Whole { from, to } | Shape::Wide { from, to } => format!("a whole number from {from} to {to}"),
        Shape::Bytes { from, to } => format!("a whole number of bytes, or a size such as `224B`, from {from} to {to}"),
        Shape::Number { from, to, open } => {
            let to = if *to >= 1e300 { String::new() } else { format!(" up to {to}") };
            match (from, open) {
                (from, _) if *from <= -1e300 => "a number".into(),
                (from, true) => format!("a number above {from}{to}"),
                (from, false) => format!("a number from {from}{to}"),
            }
        }
        Shape::Text => "a text".into(),
        Shape::Name(of) => format!("a name for {}", article(of)),
        Shape::Known(of) => format!("the name of {}", article(of)),
        Shape::Time { .. } => "a duration such as `250ms` or `10m`".into(),
        Shape::Jump => "a duration such as `-2s` or `250ms`".into(),
        Shape::Rate => "a rate such as `50/s`".into(),
        Shape::Bandwidth => "a bandwidth such as `3.6Gbps`".into(),
        Shape::OneOf(words) => quote_all(words.iter().map(|(word, _)| *word), "or"),
        Shape::List { of: Shape::Known(of), from, to } => counted(*from, *to, &format!("names of {of}s")),
        Shape::List { from, to, .. } => counted(*from, *to, "elements"),
        Shape::Object(record) => format!("an object ({})", record.name.replace('-', " ")),
        Shape::Tagged { tag, variants } => {
            format!("an object with {}: {}", quote(tag), quote_all(variants.iter().map(|record| record.name), "or"))
        }
        Shape::Labelled { .. } => "an object of labels".into(),
        Shape::Either(shapes) => shapes.iter().map(describe).collect::<Vec<_>>().join(", or "),
    }
}

fn counted(from: usize, to: usize, what: &str) -> String {
    match (from, to) {
        (0, super::fields::ANY) => format!("a list of {what}"),
        (1, super::fields::ANY) => format!("a list of {what}, not empty"),
        (from, to) if from == to => format!("a list of {from} {what}"),
        (from, to) => format!("a list of {from} to {to} {what}"),
    }
}
