//! A small reader of EDN (github.com/edn-format/edn): what histories are written in, and no more.

use super::Problem;

/// Collections inside one another, at most.
const DEEPEST: usize = 64;

/// A value of EDN.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Edn {
    Nil,
    /// Numbers, booleans, symbols and characters, as they are written.
    Word(String),
    Keyword(String),
    Text(String),
    /// A vector or a list.
    List(Vec<Edn>),
    Set(Vec<Edn>),
    Map(Map),
}

/// A map, and the line in which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Map {
    pub line: usize,
    entries: Vec<(Edn, Edn)>,
}

impl Map {
    /// The value of a keyword.
    pub(super) fn get(&self, key: &str) -> Option<&Edn> {
        self.entries.iter().find(|(k, _)| matches!(k, Edn::Keyword(k) if k == key)).map(|(_, value)| value)
    }
}

impl Edn {
    /// How it is written, in one way.
    pub(super) fn text(&self) -> String {
        let list = |items: &[Self]| items.iter().map(Self::text).collect::<Vec<_>>().join(" ");
        match self {
            Self::Nil => "nil".to_owned(),
            Self::Word(word) => word.clone(),
            Self::Keyword(word) => format!(":{word}"),
            Self::Text(text) => format!("{text:?}"),
            Self::List(items) => format!("[{}]", list(items)),
            Self::Set(items) => format!("#{{{}}}", list(items)),
            Self::Map(map) => {
                let entries: Vec<String> =
                    map.entries.iter().map(|(key, value)| format!("{} {}", key.text(), value.text())).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }
}

/// The maps of a file: one after the other, or in one vector or list.
pub(super) fn maps(text: &str) -> Result<Vec<Map>, Problem> {
    let mut reader = Reader { text, at: 0, line: 1 };
    let mut maps = Vec::new();
    while let Some(value) = reader.next(0)? {
        match value {
            Edn::Map(map) => maps.push(map),
            Edn::List(items) => {
                for item in items {
                    let Edn::Map(map) = item else {
                        return Err(Problem::new(
                            reader.line,
                            format!("{} is no operation: a map was expected", short(&item)),
                        ));
                    };
                    maps.push(map);
                }
            }
            other => {
                return Err(Problem::new(
                    reader.line,
                    format!("{} is no operation: a map was expected", short(&other)),
                ));
            }
        }
    }
    Ok(maps)
}

/// For messages.
pub(super) fn short(value: &Edn) -> String {
    let text = value.text();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => self.line += 1,
                b';' => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                    continue;
                }
                b',' | b' ' | b'\t' | b'\r' => {}
                _ => return,
            }
            self.at += 1;
        }
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, Problem> {
        Err(Problem::new(self.line, message))
    }

    /// The next value; none at the end of the text.
    fn next(&mut self, depth: usize) -> Result<Option<Edn>, Problem> {
        if depth > DEEPEST {
            return self.error(format!("nested deeper than {DEEPEST} levels"));
        }
        self.skip_space();
        let Some(byte) = self.peek() else { return Ok(None) };
        let line = self.line;
        match byte {
            b'{' => {
                self.at += 1;
                let items = self.until(b'}', line, depth)?;
                if items.len() % 2 == 1 {
                    return Err(Problem::new(line, "a map with a key that has no value"));
                }
                let mut items = items.into_iter();
                let pairs = std::iter::from_fn(|| Some((items.next()?, items.next()?)));
                Ok(Some(Edn::Map(Map { line, entries: pairs.collect() })))
            }
            b'[' | b'(' => {
                self.at += 1;
                let end = if byte == b'[' { b']' } else { b')' };
                Ok(Some(Edn::List(self.until(end, line, depth)?)))
            }
            b'#' => self.dispatch(depth),
            b'"' => self.string().map(Some),
            b'}' | b']' | b')' => self.error(format!("`{}` closes nothing", char::from(byte))),
            _ => self.word().map(Some),
        }
    }

    fn until(&mut self, end: u8, begun: usize, depth: usize) -> Result<Vec<Edn>, Problem> {
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if self.peek() == Some(end) {
                self.at += 1;
                return Ok(items);
            }
            match self.next(depth + 1)? {
                Some(item) => items.push(item),
                None => {
                    let message =
                        format!("it ends in the middle: what begins in line {begun} has no `{}`", char::from(end));
                    return self.error(message);
                }
            }
        }
    }

    /// `#{set}`, `#_ignored` and `#tag value`, of which the value counts.
    fn dispatch(&mut self, depth: usize) -> Result<Option<Edn>, Problem> {
        let line = self.line;
        self.at += 1;
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                Ok(Some(Edn::Set(self.until(b'}', line, depth)?)))
            }
            Some(b'_') => {
                self.at += 1;
                if self.next(depth + 1)?.is_none() {
                    return self.error("it ends in the middle, after `#_`");
                }
                // A long row of these is as deep as it is long.
                self.next(depth + 1)
            }
            _ => {
                self.word()?;
                match self.next(depth + 1)? {
                    Some(value) => Ok(Some(value)),
                    None => self.error("it ends in the middle, after a tag"),
                }
            }
        }
    }

    fn string(&mut self) -> Result<Edn, Problem> {
        let begun = self.line;
        self.at += 1;
        let mut text = String::new();
        let mut letters = self.text[self.at..].char_indices();
        while let Some((offset, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at += offset + 1;
                    return Ok(Edn::Text(text));
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, other @ ('"' | '\\'))) => text.push(other),
                    Some((_, other)) => return self.error(format!("`\\{other}` is no escape that is known here")),
                    None => break,
                },
                '\n' => {
                    self.line += 1;
                    text.push(letter);
                }
                _ => text.push(letter),
            }
        }
        self.error(format!("it ends in the middle of the string that begins in line {begun}"))
    }

    fn word(&mut self) -> Result<Edn, Problem> {
        let rest = &self.text[self.at..];
        let is_end = |letter: char| letter.is_whitespace() || "{}[](),\";".contains(letter);
        let end = rest.find(is_end).unwrap_or(rest.len());
        let word = &rest[..end];
        if word.is_empty() {
            return self.error("a value was expected");
        }
        self.at += end;
        Ok(match word.strip_prefix(':') {
            Some(keyword) => Edn::Keyword(keyword.to_owned()),
            None if word == "nil" => Edn::Nil,
            None => Edn::Word(word.to_owned()),
        })
    }
}
