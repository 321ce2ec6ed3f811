//! Aligned columns, marks and colours for a terminal.

/// What colour a text has, if colours are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warning,
    Bad,
}

/// Whether to use colours and letters outside ASCII.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    pub colour: bool,
    pub unicode: bool,
}

impl Paint {
    pub fn tone(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Plain => return text.to_owned(),
        };
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A value, and the range it comes from.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Empty: there is no value.
    pub main: String,
    pub range: String,
    pub tone: Tone,
}

impl Cell {
    pub fn new(main: String) -> Self {
        Self { main, range: String::new(), tone: Tone::Plain }
    }
    pub fn missing() -> Self {
        Self::new(String::new())
    }
    pub fn with(self, tone: Tone) -> Self {
        Self { tone: if self.main.is_empty() { Tone::Dim } else { tone }, ..self }
    }
    fn shown(&self, paint: Paint) -> &str {
        match (self.main.as_str(), paint.unicode) {
            ("", true) => "–",
            ("", false) => "-",
            (main, _) => main,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Row {
    pub label: String,
    /// Empty: the label is a remark.
    pub cells: Vec<Cell>,
}

const GAP: usize = 3;
const LONGEST_LABEL: usize = 44;

fn width_of(text: &str) -> usize {
    text.chars().count()
}

/// Rows against columns; columns that do not fit beside each other go below.
pub fn table(title: &str, heads: &[String], rows: &[Row], width: usize, paint: Paint) -> String {
    let labels: Vec<String> = rows
        .iter()
        .map(|row| shorten(&row.label, if row.cells.is_empty() { width } else { LONGEST_LABEL }, paint))
        .collect();
    let cells = rows.iter().zip(&labels).filter(|(row, _)| !row.cells.is_empty());
    let label_width = cells.map(|(_, label)| width_of(label)).chain([width_of(title)]).max().unwrap_or(0);
    let columns: Vec<Column> =
        heads.iter().enumerate().map(|(index, head)| Column::new(index, head, rows, paint)).collect();
    let mut text = String::new();
    let mut start = 0;
    while start < columns.len() {
        let mut end = start + 1;
        let mut used = label_width + GAP + columns[start].width();
        while end < columns.len() && used + GAP + columns[end].width() <= width {
            used += GAP + columns[end].width();
            end += 1;
        }
        if start > 0 {
            text.push('\n');
        }
        text.push_str(&block(title, label_width, &columns[start..end], rows, &labels, paint));
        start = end;
    }
    text
}

/// The widths of a protocol's column.
struct Column<'a> {
    index: usize,
    head: &'a str,
    main: usize,
    range: usize,
}

impl<'a> Column<'a> {
    fn new(index: usize, head: &'a str, rows: &[Row], paint: Paint) -> Self {
        let cells = || rows.iter().filter_map(|row| row.cells.get(index));
        let main = cells().map(|cell| width_of(cell.shown(paint))).max().unwrap_or(0);
        let range = cells().map(|cell| width_of(&cell.range)).max().unwrap_or(0);
        let head_width = width_of(head);
        let main = if range == 0 { main.max(head_width) } else { main.max(head_width.saturating_sub(range + 2)) };
        Self { index, head, main, range }
    }
    fn width(&self) -> usize {
        if self.range == 0 { self.main } else { self.main + 2 + self.range }
    }
}

fn block(
    title: &str,
    label_width: usize,
    columns: &[Column<'_>],
    rows: &[Row],
    labels: &[String],
    paint: Paint,
) -> String {
    let mut text = String::new();
    let mut line = paint.tone(&pad_right(title, label_width), Tone::Strong);
    for column in columns {
        line.push_str(&" ".repeat(GAP));
        line.push_str(&paint.tone(&pad_left(column.head, column.width()), Tone::Strong));
    }
    push_line(&mut text, &line);
    for (row, label) in rows.iter().zip(labels) {
        let mut line = pad_right(label, label_width);
        for column in columns {
            if let Some(cell) = row.cells.get(column.index) {
                line.push_str(&" ".repeat(GAP));
                line.push_str(&paint.tone(&pad_left(cell.shown(paint), column.main), cell.tone));
                if column.range > 0 {
                    line.push_str("  ");
                    line.push_str(&paint.tone(&pad_right(&cell.range, column.range), Tone::Dim));
                }
            }
        }
        push_line(&mut text, &line);
    }
    text
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

fn pad_right(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(width_of(text))))
}

fn pad_left(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(width_of(text))))
}

fn shorten(text: &str, longest: usize, paint: Paint) -> String {
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    if width_of(&text) <= longest {
        return text;
    }
    let dots = if paint.unicode { "…" } else { "..." };
    let kept: String = text.chars().take(longest - width_of(dots)).collect();
    kept + dots
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Good,
    Bad,
    Unknown,
    Note,
}

impl From<bool> for Mark {
    fn from(held: bool) -> Self {
        if held { Self::Good } else { Self::Bad }
    }
}

/// A marked line, broken at words.
pub fn bullet(mark: Mark, text: &str, width: usize, paint: Paint) -> String {
    let (sign, ascii, tone) = match mark {
        Mark::Good => ("✔", "ok", Tone::Good),
        Mark::Bad => ("✘", "FAILED", Tone::Bad),
        Mark::Unknown => ("?", "UNKNOWN", Tone::Warning),
        Mark::Note => ("·", "-", Tone::Dim),
    };
    let sign = if paint.unicode { sign } else { ascii };
    let indent = 3 + width_of(sign);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if indent + width_of(line) + 1 + width_of(word) <= width.max(60) {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    let body = lines.join(&format!("\n{}", " ".repeat(indent)));
    format!("  {} {body}\n", paint.tone(sign, tone))
}
