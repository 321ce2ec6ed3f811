//! A strict JSON parser that keeps where everything stands.
//!
//! It accepts RFC 8259 and nothing more: no comments, no trailing commas, no byte order mark. Repeated keys
//! are kept aside as problems, so that the rest of the file can still be judged.

use std::collections::BTreeSet;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Byte offsets in the text.
    Text { start: usize, end: usize },
    /// The n-th `--set`.
    Set(usize),
    /// Nobody wrote it.
    Default,
    /// Nobody wrote it, and a resolved scenario does not either.
    Implied,
}

impl Origin {
    /// A person wrote it.
    pub const fn is_written(self) -> bool {
        matches!(self, Self::Text { .. } | Self::Set(_))
    }
}

/// A JSON value and its origin.
#[derive(Clone, Debug)]
pub struct Node {
    pub origin: Origin,
    pub value: Json,
}

#[derive(Clone, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    /// As written; it fits a finite double.
    Number(Box<str>),
    String(String),
    Array(Vec<Node>),
    /// In the order of the text, without repeated keys.
    Object(Vec<Member>),
}

#[derive(Clone, Debug)]
pub struct Member {
    pub key: String,
    pub key_origin: Origin,
    pub value: Node,
}

/// Arrays and objects inside one another, at most.
pub const DEEPEST: usize = 64;

/// Why a text is not JSON, at which bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub start: usize,
    pub end: usize,
    pub message: String,
    pub help: Option<String>,
}

impl SyntaxError {
    fn new(start: usize, end: usize, message: impl Into<String>) -> Self {
        Self { start, end, message: message.into(), help: None }
    }
}

/// A parsed text and its repeated keys: (start, end, key).
pub struct Parsed {
    pub root: Node,
    pub repeated: Vec<(usize, usize, String)>,
}

/// Parses a whole text. Nesting is measured before anything recurses.
pub fn parse(text: &str) -> Result<Parsed, SyntaxError> {
    if text.starts_with('\u{feff}') {
        let mut error = SyntaxError::new(0, 3, "the file begins with a byte order mark");
        error.help = Some("save it as UTF-8 without a byte order mark".into());
        return Err(error);
    }
    refuse_deep_nesting(text.as_bytes())?;
    let mut parser = Parser { text, at: 0, repeated: Vec::new() };
    parser.skip_space();
    let root = parser.value()?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.unexpected("the end of the file"));
    }
    Ok(Parsed { root, repeated: parser.repeated })
}

fn refuse_deep_nesting(bytes: &[u8]) -> Result<(), SyntaxError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    let message = format!("nested deeper than {DEEPEST} levels");
                    return Err(SyntaxError::new(at, at + 1, message));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    repeated: Vec<(usize, usize, String)>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The length in bytes of the character at an offset on a character boundary; 0 at the end.
    fn width(&self, at: usize) -> usize {
        self.text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        let Some(found) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) else {
            let end = self.text.len();
            return SyntaxError::new(end, end, format!("the file ends where {expected} was expected"));
        };
        let mut error = SyntaxError::new(
            self.at,
            self.at + found.len_utf8(),
            format!("expected {expected}, found {}", super::diagnostics::quote(&found.to_string())),
        );
        error.help = match found {
            '/' | '#' => Some("JSON has no comments; use `description`".into()),
            '\'' => Some("JSON quotes with \"".into()),
            _ => None,
        };
        error
    }

    fn value(&mut self) -> Result<Node, SyntaxError> {
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'"') => Json::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.word()?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node { origin: Origin::Text { start, end: self.at }, value })
    }

    fn word(&mut self) -> Result<Json, SyntaxError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.')) {
            self.at += 1;
        }
        match &self.text[start..self.at] {
            "null" => Ok(Json::Null),
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            _ if self.at == self.text.len() => {
                Err(SyntaxError::new(self.at, self.at, "the file ends where a value was expected"))
            }
            other => {
                let message = format!("expected a value, found {}", super::diagnostics::quote(other));
                let mut error = SyntaxError::new(start, self.at, message);
                error.help = Some("text stands in double quotes".into());
                Err(error)
            }
        }
    }

    fn object(&mut self) -> Result<Json, SyntaxError> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        let mut keys = BTreeSet::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                let mut error = self.unexpected("a key in double quotes");
                if self.peek() == Some(b'}') {
                    error.help = Some("take away the comma after the last member".into());
                }
                return Err(error);
            }
            let key = self.string()?;
            let end = self.at;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.at += 1;
            self.skip_space();
            let value = self.value()?;
            if keys.insert(key.clone()) {
                members.push(Member { key, key_origin: Origin::Text { start, end }, value });
            } else {
                self.repeated.push((start, end, key));
            }
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
    }

    fn array(&mut self) -> Result<Json, SyntaxError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_space();
            if self.peek() == Some(b']') {
                let mut error = self.unexpected("a value");
                error.help = Some("take away the comma after the last element".into());
                return Err(error);
            }
            items.push(self.value()?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Json, SyntaxError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(SyntaxError::new(start, self.at + 1, "a number does not begin with 0"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if !text.parse::<f64>().is_ok_and(f64::is_finite) {
            let message = format!("the number {} does not fit", super::diagnostics::quote(text));
            return Err(SyntaxError::new(start, self.at, message));
        }
        Ok(Json::Number(text.into()))
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let opening = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let from = self.at;
            while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= 0x20) {
                self.at += 1;
            }
            out.push_str(&self.text[from..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => {
                    let message = "a line break, tab or other control character stands inside a text; write it as an \
                                   escape such as \\n, or close the text with \"";
                    return Err(SyntaxError::new(self.at, self.at + 1, message));
                }
                None => return Err(SyntaxError::new(opening, opening + 1, "this text is never closed with \"")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let start = self.at;
        self.at += 1;
        let simple = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => {
                let end = self.at + self.width(self.at);
                return Err(SyntaxError::new(start, end, "this is no escape of JSON"));
            }
        };
        self.at += 1;
        Ok(simple)
    }

    /// Reads `uXXXX` and, for a high surrogate, the low one that must follow.
    fn unicode(&mut self, start: usize) -> Result<char, SyntaxError> {
        let bad = |parser: &Self| SyntaxError::new(start, parser.at, "this is no character of Unicode");
        let high = self.hex4(start)?;
        let code = match high {
            0xd800..=0xdbff => {
                if !self.text[self.at..].starts_with("\\u") {
                    return Err(bad(self));
                }
                self.at += 1;
                let low = self.hex4(start)?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(bad(self));
                }
                0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => high,
        };
        char::from_u32(code).ok_or_else(|| bad(self))
    }

    /// Reads `u` and four hexadecimal digits.
    fn hex4(&mut self, start: usize) -> Result<u32, SyntaxError> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                let end = self.at + self.width(self.at);
                return Err(SyntaxError::new(start, end, "\\u needs four hexadecimal digits"));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

impl Node {
    /// As a plain JSON value. Whole numbers that fit 64 bits stay exact.
    pub fn to_value(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.value {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(text) => number_value(text),
            Json::String(text) => Value::String(text.clone()),
            Json::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Json::Object(members) => {
                Value::Object(members.iter().map(|member| (member.key.clone(), member.value.to_value())).collect())
            }
        }
    }

    /// Gives the whole tree one origin.
    pub fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
        match &mut self.value {
            Json::Array(items) => items.iter_mut().for_each(|item| item.set_origin(origin)),
            Json::Object(members) => {
                for member in members {
                    member.key_origin = origin;
                    member.value.set_origin(origin);
                }
            }
            _ => {}
        }
    }
}

fn number_value(text: &str) -> serde_json::Value {
    if let Ok(whole) = text.parse::<u64>() {
        return whole.into();
    }
    match text.parse::<i64>() {
        Ok(whole) if whole != 0 => whole.into(),
        _ => text.parse::<f64>().map_or(serde_json::Value::Null, Into::into),
    }
}
