//! What goes wrong with files: which one, what was being done, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A result file that could not be written, read or understood.
#[derive(Debug)]
pub enum OutputError {
    /// The operating system refused. `doing` completes "cannot ...", for example `write`.
    Write { path: PathBuf, doing: &'static str, source: io::Error },
    /// A file stands where a directory should be.
    NotADirectory { path: PathBuf },
    /// The operating system refused to read.
    Read { path: PathBuf, source: io::Error },
    /// The file was read, and it is not what it should be. The problem is a clause such as `it is not JSON`.
    Content { path: PathBuf, problem: String },
    /// Nothing to draw here.
    NoResults { path: PathBuf },
    /// A picture could not be drawn or encoded.
    Draw { path: PathBuf, problem: String },
}

impl OutputError {
    /// Whether the place of the results is at fault, rather than the content of a file that was read.
    pub fn is_about_writing(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::NotADirectory { .. } | Self::Draw { .. })
    }

    /// The file or directory it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Write { path, .. }
            | Self::NotADirectory { path }
            | Self::Read { path, .. }
            | Self::Content { path, .. }
            | Self::NoResults { path }
            | Self::Draw { path, .. } => path,
        }
    }

    /// An error of writing; a file in the way is told apart.
    pub(super) fn write(path: &Path, doing: &'static str, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotADirectory {
            return Self::NotADirectory { path: blocking_file(path) };
        }
        Self::Write { path: path.to_owned(), doing, source }
    }

    pub(super) fn content(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), problem: problem.into() }
    }
}

/// The first ancestor of `path` that exists and is not a directory; `path` itself if there is none.
fn blocking_file(path: &Path) -> PathBuf {
    let blocking = path.ancestors().find(|ancestor| ancestor.exists() && !ancestor.is_dir());
    blocking.unwrap_or(path).to_owned()
}

/// What a person can do about an error of the operating system.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or choose another place with --out"
        }
        io::ErrorKind::FileTooLarge => "raise the limit on file sizes, or choose another place with --out",
        io::ErrorKind::PermissionDenied => "make it writable, or choose another place with --out",
        io::ErrorKind::ReadOnlyFilesystem => "choose a place on a writable file system with --out",
        _ => "choose another place with --out if it stays so",
    }
}

/// The words of the operating system, without Rust's error number and starting in lower case.
fn cause(source: &io::Error) -> String {
    let text = source.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !letters.as_str().starts_with(|next: char| next.is_uppercase()) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text,
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, doing, source } => {
                write!(f, "cannot {doing} {}: {}; {}", path.display(), cause(source), advice(source))
            }
            Self::NotADirectory { path } => write!(
                f,
                "{} is not a directory, and results need one there; move it away, or choose another place with --out",
                path.display()
            ),
            Self::Read { path, source } => write!(f, "cannot read {}: {}", path.display(), cause(source)),
            Self::Content { path, problem } => write!(f, "{}: {problem}", path.display()),
            Self::NoResults { path } => write!(
                f,
                "{}: no results here; give the directory of `firedrill run --out`, or one scenario's directory in it",
                path.display()
            ),
            Self::Draw { path, problem } => write!(f, "cannot draw {}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Write { source, .. } | Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}
