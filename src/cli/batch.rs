//! Runs spread over cores. This is the one place with threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, PoisonError, RwLock};

use super::bug::{self, Bug};

/// What the main thread hears.
#[derive(Debug)]
pub enum News<T> {
    /// The run with this number came to an end.
    Finished(u64, Result<T, Bug>),
    /// A worker has nothing left to do.
    Idle,
    /// The user wants to stop.
    Interrupted,
}

/// Lets runs write their results, until it is closed: then nothing is written any more.
#[derive(Debug, Default)]
pub struct Gate {
    closed: RwLock<bool>,
}

impl Gate {
    /// Does `write` unless the gate is closed; it does not close meanwhile.
    pub fn pass<T>(&self, write: impl FnOnce() -> T) -> Option<T> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        (!*closed).then(write)
    }

    /// Waits for those that are writing, and lets no one else.
    pub fn close(&self) {
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

/// Whether to begin further runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    GoOn,
    /// Those under way end; no other begins.
    Stop,
}

/// Calls `work` with each number below `runs`, on `jobs` threads, in order of their start, and `hear` on this
/// thread with each result, in order of their end. Returns whether it was interrupted: then runs may still be
/// under way, and are lost when the process ends.
///
/// # Errors
/// The threads cannot be started.
pub fn spread<T: Send + 'static>(
    runs: u64,
    jobs: usize,
    work: impl Fn(u64) -> T + Send + Sync + 'static,
    (tell, news): (Sender<News<T>>, Receiver<News<T>>),
    mut hear: impl FnMut(u64, Result<T, Bug>) -> Next,
) -> Result<bool, rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
    let next = Arc::new(AtomicU64::new(0));
    let stopped = Arc::new(AtomicBool::new(false));
    let work = Arc::new(work);
    for _ in 0..jobs {
        let (tell, next, stopped, work) = (tell.clone(), next.clone(), stopped.clone(), work.clone());
        pool.spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let run = next.fetch_add(1, Ordering::SeqCst);
                if run >= runs {
                    break;
                }
                let done = bug::caught(|| work(run));
                if tell.send(News::Finished(run, done)).is_err() {
                    break;
                }
            }
            let _ = tell.send(News::Idle);
        });
    }
    let mut busy = jobs;
    while busy > 0 {
        match news.recv() {
            Ok(News::Finished(run, done)) => {
                if hear(run, done) == Next::Stop {
                    stopped.store(true, Ordering::SeqCst);
                }
            }
            Ok(News::Idle) => busy -= 1,
            Ok(News::Interrupted) | Err(_) => {
                stopped.store(true, Ordering::SeqCst);
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, channel};
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_run_is_heard_once_whatever_the_number_of_threads() {
        for jobs in [1, 2, 7] {
            let mut heard = Vec::new();
            let hear = |run, done: Result<u64, Bug>| {
                heard.push((run, done.unwrap()));
                Next::GoOn
            };
            assert!(!spread(50, jobs, |run| run * run, channel(), hear).unwrap());
            heard.sort_unstable();
            assert_eq!(heard, (0..50).map(|run| (run, run * run)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_in_one_run_leaves_the_others_alone() {
        bug::prepare();
        let mut heard = Vec::new();
        let hear = |run, done| {
            heard.push((run, done));
            Next::GoOn
        };
        let work = |run: u64| if run == 1 { panic!("seed {run}, event 5: broken") } else { run };
        spread(3, 1, work, channel(), hear).unwrap();
        let (before, bug, after) = (&heard[0], heard[1].1.clone().unwrap_err(), &heard[2]);
        assert_eq!((before, after), (&(0, Ok(0)), &(2, Ok(2))));
        assert_eq!(bug.message, "seed 1, event 5: broken");
        assert!(bug.place.is_some_and(|place| place.contains("batch.rs")));
    }

    #[test]
    fn none_begins_after_a_stop() {
        let mut heard = 0;
        let hear = |_, _: Result<(), Bug>| {
            heard += 1;
            Next::Stop
        };
        let work = |_| std::thread::sleep(Duration::from_millis(1));
        assert!(!spread(1_000, 1, work, channel(), hear).unwrap());
        assert!(heard < 1_000, "{heard}");
    }

    #[test]
    fn an_interrupt_does_not_wait_for_runs_under_way() {
        let (tell, news) = channel();
        let (release, released) = mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        tell.send(News::Interrupted).unwrap();
        let work = move |_| _ = released.lock().unwrap().recv();
        assert!(spread(3, 1, work, (tell, news), |_, _| Next::GoOn).unwrap());
        drop(release);
    }

    #[test]
    fn nothing_passes_a_closed_gate() {
        let gate = Gate::default();
        assert_eq!(gate.pass(|| 1), Some(1));
        gate.close();
        assert_eq!(gate.pass(|| 1), None);
    }
}
