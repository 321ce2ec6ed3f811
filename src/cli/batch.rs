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
