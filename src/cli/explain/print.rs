//! A story on paper: times in a column, causes below what they explain, lines that fit the terminal.

use crate::story::{Chapter, Failed, Instant, Kind, Life, Line, ServiceStory, Story, grouped, request_name};
use crate::time::{Duration, SimTime};

/// Columns of a time.
const TIME: usize = 9;
/// A chapter that ends with so long a silence says so.
const QUIET: Duration = Duration::from_secs(20);
const NARROWEST: usize = 40;

/// How wide, and whether in colour.
pub struct Page {
    width: usize,
    colour: bool,
}

impl Page {
    pub fn new(width: usize, colour: bool) -> Self {
        Self { width: width.max(NARROWEST), colour }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn strong(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Breaks a text at words: the first line begins with `lead`, the others with as many spaces.
    fn wrap(&self, lead: &str, indent: usize, text: &str, code: Option<&str>) -> String {
        let room = self.width.saturating_sub(indent).max(20);
        let mut lines: Vec<String> = vec![String::new()];
        for word in text.split_whitespace() {
            let line = lines.last_mut().expect("there is always a line");
            if line.is_empty() {
                line.push_str(word);
            } else if line.chars().count() + 1 + word.chars().count() <= room {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
        let paint = |line: &String| code.map_or_else(|| line.clone(), |code| self.paint(code, line));
        let lines: Vec<String> = lines.iter().map(paint).collect();
        format!("{lead}{}\n", lines.join(&format!("\n{}", " ".repeat(indent))))
    }

    fn line(&self, line: &Line) -> String {
        let code = match line.kind {
            Kind::FaultBegins | Kind::FaultEnds => Some("1"),
            Kind::Outage => Some("31"),
            Kind::Converged => Some("32"),
            Kind::Branches | Kind::Merge => Some("33"),
            _ => None,
        };
        let lead = format!("{:>TIME$}  ", seconds(line.at));
        let mut text = self.wrap(&lead, TIME + 2, &line.text, code);
        for because in &line.because {
            text.push_str(&self.wrap(&format!("{}- ", " ".repeat(TIME + 4)), TIME + 6, because, Some("2")));
        }
        text
    }

    fn head(&self, text: &str) -> String {
        format!("{}\n", self.strong(text))
    }

    pub fn story(&self, story: &Story) -> String {
        let mut text = self.head(&format!("{}, {}, seed {}", story.scenario, story.protocol, story.seed));
        for service in &story.services {
            text.push('\n');
            text.push_str(&self.service(service));
        }
        text
    }

    fn service(&self, service: &ServiceStory) -> String {
        let mut text = self.head(&format!("{}: replicas at {}", service.service, service.replicas.join(", ")));
        for chapter in &service.chapters {
            text.push_str(&self.chapter(chapter));
        }
        text.push_str(&format!("\n{}", self.head("What remains")));
        for remains in &service.remains {
            text.push_str(&self.wrap("  ", 2, remains, None));
        }
        text
    }

    fn chapter(&self, chapter: &Chapter) -> String {
        let mut text = String::from("\n");
        chapter.heads.iter().chain(&chapter.lines).for_each(|line| text.push_str(&self.line(line)));
        let last = chapter.lines.iter().map(|line| line.until.min(chapter.to)).max().unwrap_or(chapter.from);
        let mut close = Vec::new();
        if chapter.to.since(last) >= QUIET {
            close.push(format!("nothing of note until {}", seconds(chapter.to)));
        }
        if chapter.requests > 0 {
            let share = chapter.answered as f64 / chapter.requests as f64 * 100.0;
            close.push(format!("{share:.1} % of {} requests answered", grouped(chapter.requests)));
        }
        if !close.is_empty() {
            text.push_str(&self.wrap(&" ".repeat(TIME + 2), TIME + 2, &format!("… {}", close.join("; ")), Some("2")));
        }
        text
    }

    pub fn instant(&self, instant: &Instant) -> String {
        let mut text = self.head(&format!("At {}", seconds(instant.at)));
        match instant.faults.as_slice() {
            [] => text.push_str("  no fault is on\n"),
            faults => faults.iter().for_each(|fault| text.push_str(&self.wrap("  ", 2, fault, None))),
        }
        for service in &instant.services {
            text.push_str(&format!("\n{}", self.head(&format!("{}: {}", service.service, service.who_serves()))));
            let widest = service.replicas.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
            for (name, state) in &service.replicas {
                text.push_str(&self.wrap(&format!("  {name:<widest$}  "), widest + 4, state, None));
            }
            if !service.cut_off.is_empty() {
                let places = format!("clients at {} reach nobody who serves", service.cut_off.join(", "));
                text.push_str(&self.wrap("  ", 2, &places, None));
            }
            for one in &service.under_way {
                text.push_str(&self.wrap("  ", 4, &format!("under way: {one}"), None));
            }
            text.push_str(&format!("\n{}", self.head("What led to it, nearest first")));
            service.causes.iter().for_each(|line| text.push_str(&self.line(line)));
        }
        text
    }

    pub fn life(&self, life: &Life) -> String {
        let mut text = self.head(&format!("{} of {}", life.request, life.service));
        life.lines.iter().for_each(|line| text.push_str(&self.line(line)));
        text.push_str(&self.wrap(&format!("{:>TIME$}  ", "end"), TIME + 2, &life.end, Some("1")));
        text
    }

    pub fn failed(&self, failed: &[Failed]) -> String {
        if failed.is_empty() {
            return "No request failed, and no write was revoked, stranded or lost.\n".into();
        }
        let mut text = String::new();
        for one in failed {
            text.push_str(&self.head(&format!("{}: {}", grouped(one.number), one.what)));
            for (name, at) in &one.first {
                text.push_str(&format!("{:>TIME$}  {}\n", seconds(*at), request_name(*name)));
            }
            let more = one.number - one.first.len() as u64;
            if more > 0 {
                text.push_str(&format!("{}\n", self.dim(&format!("{:>TIME$}  and {} more", "", grouped(more)))));
            }
        }
        text
    }
}

fn seconds(at: SimTime) -> String {
    format!("{:.1} s", at.as_secs_f64())
}
