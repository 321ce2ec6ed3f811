//! Files and directories that appear whole or not at all.
//!
//! A file is written under a hidden name beside its target, flushed to the disk, and renamed. A directory
//! is staged as a hidden sibling and swapped in, so a rerun leaves no file of an earlier run behind, and a
//! failure leaves the earlier result as it was. A killed process may leave a hidden `.NAME.partial` behind;
//! nothing reads it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::OutputError;

/// Writes the content of one file.
pub(super) type Content<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// How often a hidden name may be taken before giving up.
const ATTEMPTS: u32 = 1_000;

/// Checks that `dir` could be created and filled, without creating anything. Of a run, it is the directory
/// of its protocol that is filled, with one directory a seed.
///
/// # Errors
/// A file where a directory should be, a dangling link, or no permission to write.
pub fn check_destination(dir: &Path) -> Result<(), OutputError> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    for ancestor in dir.ancestors() {
        let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        match fs::metadata(ancestor) {
            Ok(found) if !found.is_dir() => return Err(OutputError::NotADirectory { path: ancestor.to_owned() }),
            Ok(_) => return check_writable(ancestor),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(ancestor).is_ok() {
                    return Err(OutputError::NotADirectory { path: ancestor.to_owned() });
                }
            }
            // An ancestor that is a file: it will be met, and named, further up.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(OutputError::write(ancestor, "use", error)),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn check_writable(dir: &Path) -> Result<(), OutputError> {
    use rustix::fs::Access;
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| OutputError::write(dir, "write into", error.into()))
}

#[cfg(not(unix))]
fn check_writable(dir: &Path) -> Result<(), OutputError> {
    let found = fs::metadata(dir).map_err(|error| OutputError::write(dir, "use", error))?;
    if found.permissions().readonly() {
        return Err(OutputError::write(dir, "write into", io::ErrorKind::PermissionDenied.into()));
    }
    Ok(())
}

/// Creates a directory and those above it.
pub(super) fn create_dir(dir: &Path) -> Result<(), OutputError> {
    fs::create_dir_all(dir).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => OutputError::NotADirectory { path: dir.to_owned() },
        _ => OutputError::write(dir, "create the directory", error),
    })
}

/// Writes a file whole or not at all. Its directory must exist.
pub(super) fn write_file(path: &Path, content: Content<'_>) -> Result<(), OutputError> {
    let failed = |doing| move |error| OutputError::write(path, doing, error);
    if path.is_dir() {
        return Err(failed("replace the directory")(io::ErrorKind::IsADirectory.into()));
    }
    let (temporary, file) = beside(path, |name| File::create_new(name)).map_err(failed("write"))?;
    let written = fill(file, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed("write"))?;
    sync_parent(path);
    Ok(())
}

/// Writes bytes as [`write_file`] does.
pub(super) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    write_file(path, &|file| file.write_all(bytes))
}

/// Replaces a directory by one that holds exactly these files. The directory above it must exist.
///
/// # Errors
/// What stood at `path` before is untouched if writing fails.
pub(super) fn replace_dir(path: &Path, files: &[(&str, Content<'_>)]) -> Result<(), OutputError> {
    if path.symlink_metadata().is_ok() && !path.is_dir() {
        return Err(OutputError::NotADirectory { path: path.to_owned() });
    }
    let (staged, ()) =
        beside(path, |name| fs::create_dir(name)).map_err(|error| OutputError::write(path, "create", error))?;
    let done = stage(&staged, path, files).and_then(|()| {
        swap(&staged, path).map_err(|error| OutputError::write(path, "replace", error))?;
        sync_parent(path);
        Ok(())
    });
    if done.is_err() {
        let _ = fs::remove_dir_all(&staged);
    }
    done
}

/// Fills the staged directory. Errors name the file as it would have been called.
fn stage(staged: &Path, target: &Path, files: &[(&str, Content<'_>)]) -> Result<(), OutputError> {
    for (name, content) in files {
        File::create_new(staged.join(name))
            .and_then(|file| fill(file, content))
            .map_err(|error| OutputError::write(&target.join(name), "write", error))?;
    }
    sync_dir(staged);
    Ok(())
}

/// Puts `staged` in the place of `path`, and removes what stood there.
fn swap(staged: &Path, path: &Path) -> io::Result<()> {
    match fs::rename(staged, path) {
        // Nothing, or an empty directory, stood there.
        Ok(()) => return Ok(()),
        Err(_) if path.is_dir() => {}
        Err(error) => return Err(error),
    }
    if exchange(staged, path) {
        // The old result now has the hidden name. It is out of the way even if it cannot be removed.
        let _ = fs::remove_dir_all(staged);
        return Ok(());
    }
    let (old, ()) = beside(path, |name| fs::create_dir(name))?;
    fs::rename(path, &old)?;
    if let Err(error) = fs::rename(staged, path) {
        fs::rename(&old, path)?;
        return Err(error);
    }
    let _ = fs::remove_dir_all(old);
    Ok(())
}

/// Exchanges two directories in one step, where the system can.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> Result<(), OutputError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(OutputError::write(path, "remove", error)),
        _ => Ok(()),
    }
}

/// Reads a file whole.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, OutputError> {
    fs::read(path).map_err(|source| OutputError::Read { path: path.to_owned(), source })
}

/// Reads a text file whole.
pub(super) fn read_text(path: &Path) -> Result<String, OutputError> {
    String::from_utf8(read(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        OutputError::content(path, format!("it is not text: byte {at} is not UTF-8"))
    })
}

/// Creates something under a hidden name beside `path` that nothing else has, in this process or another.
fn beside<T>(path: &Path, create: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy().into_owned();
    for attempt in 0..ATTEMPTS {
        let hidden = path.with_file_name(format!(".{name}.partial-{}-{attempt}", std::process::id()));
        match create(&hidden) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|made| (hidden, made)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Writes, flushes and syncs.
fn fill(file: File, content: Content<'_>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    content(&mut writer)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

/// Makes a rename durable. Some file systems cannot; the files are whole either way.
fn sync_dir(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}

fn sync_parent(path: &Path) {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &'static str) -> impl Fn(&mut dyn Write) -> io::Result<()> {
        move |file| file.write_all(content.as_bytes())
    }

    /// Writes something, then meets a full disk.
    fn full_disk(file: &mut dyn Write) -> io::Result<()> {
        file.write_all(b"half a")?;
        file.flush()?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_directory_keeps_nothing_of_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("seed-1");
        replace_dir(&run, &[("result.json", &text("old")), ("history.jsonl", &text("old"))]).unwrap();
        replace_dir(&run, &[("result.json", &text("new"))]).unwrap();
        assert_eq!(names(&run), ["result.json"]);
        assert_eq!(fs::read_to_string(run.join("result.json")).unwrap(), "new");
        assert_eq!(names(dir.path()), ["seed-1"], "no hidden directory is left");
    }

    #[test]
    fn a_failure_in_the_middle_leaves_the_old_directory_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("seed-1");
        replace_dir(&run, &[("a", &text("old")), ("b", &text("old"))]).unwrap();
        let error = replace_dir(&run, &[("a", &text("new")), ("b", &full_disk)]).unwrap_err();
        assert!(error.is_about_writing());
        let message = error.to_string();
        assert!(message.contains("seed-1/b: no storage space; free some space"), "{message}");
        assert_eq!(names(&run), ["a", "b"]);
        assert_eq!(fs::read_to_string(run.join("a")).unwrap(), "old");
        assert_eq!(names(dir.path()), ["seed-1"]);
    }

    #[test]
    fn a_file_that_fails_leaves_the_old_one_and_no_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.csv");
        write_bytes(&path, b"old").unwrap();
        write_file(&path, &full_disk).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["summary.csv"]);
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("results");
        fs::write(&file, "a file").unwrap();
        for target in [file.clone(), file.join("quake"), file.join("quake/raft/seed-1")] {
            let error = check_destination(&target).unwrap_err();
            assert!(matches!(&error, OutputError::NotADirectory { path } if *path == file), "{error}");
            let error = create_dir(&target).unwrap_err();
            assert!(matches!(&error, OutputError::NotADirectory { path } if *path == file), "{error}");
        }
        replace_dir(&file, &[("a", &text("a"))]).unwrap_err();
        assert_eq!(fs::read_to_string(&file).unwrap(), "a file");
    }

    #[test]
    fn checking_a_destination_creates_nothing() {
        let dir = tempfile::tempdir().unwrap();
        check_destination(&dir.path().join("a/b/c")).unwrap();
        check_destination(dir.path()).unwrap();
        check_destination(Path::new("")).unwrap();
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_place_that_cannot_be_written_is_refused_before_anything_runs() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
        // The superuser may write everywhere: the check must say what trying would have said.
        let writable = File::create(closed.join("probe")).is_ok();
        match check_destination(&closed.join("results/quake")) {
            Ok(()) => assert!(writable),
            Err(error) => {
                assert!(!writable);
                assert!(error.to_string().contains("closed: permission denied; make it writable"), "{error}");
            }
        }
        let error = check_destination(Path::new("/dev/full/results")).unwrap_err();
        assert!(matches!(&error, OutputError::NotADirectory { path } if path == Path::new("/dev/full")), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_reported_as_such() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error = fill(full, &text("content")).unwrap_err();
        let message = OutputError::write(Path::new("result.json"), "write", error).to_string();
        assert_eq!(
            message,
            "cannot write result.json: no space left on device; free some space, or choose another place with --out"
        );
    }
}
