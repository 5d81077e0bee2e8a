//! Parallel work on many items, with a thread for each processor.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::thread::sched_getaffinity;

use crate::error::{Error, Result};

/// Most threads: more wait for one another in the file system.
const MOST: u32 = 8;
/// Fewest items for which a thread is started.
const FEW: usize = 8;

/// Calls `work` for each item. Each thread has a state of its own, created by `begin`; all states
/// are returned.
///
/// # Errors
/// The error of `work` for the earliest item that failed; after an error no new item is begun.
pub fn parallel_for_each<T, S, B, W>(items: &[T], begin: B, work: W) -> Result<Vec<S>>
where
    T: Sync,
    S: Send,
    B: Fn() -> S + Sync,
    W: Fn(&mut S, &T) -> Result<()> + Sync,
{
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let done: Mutex<Vec<S>> = Mutex::new(Vec::new());
    let run = || {
        let mut state = begin();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            if let Err(error) = work(&mut state, item) {
                next.store(items.len(), Ordering::Relaxed);
                let mut failed = held(&failed);
                if failed.as_ref().is_none_or(|(first, _)| at < *first) {
                    *failed = Some((at, error));
                }
            }
        }
        held(&done).push(state);
    };
    let threads = if items.len() < FEW { 1 } else { processors() };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // If no thread can be started, this one does all the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, run);
        }
        run();
    });
    match failed
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        Some((_, error)) => Err(error),
        None => Ok(done
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)),
    }
}

/// Content of a lock; a thread that panicked ends the whole run, so its state is not read.
fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Number of processors of this process. One system call; the count of the standard library reads
/// files as well.
fn processors() -> u32 {
    sched_getaffinity(None)
        .map_or(1, |set| set.count())
        .clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once() {
        let items: Vec<u64> = (0..1000).collect();
        let states = parallel_for_each(
            &items,
            || 0,
            |sum, item| {
                *sum += item;
                Ok(())
            },
        )
        .expect("no error");
        assert_eq!(states.iter().sum::<u64>(), 499_500);
    }

    #[test]
    fn the_first_error_ends_it() {
        let items: Vec<usize> = (0..1_000_000).collect();
        let begun = AtomicUsize::new(0);
        let outcome = parallel_for_each(
            &items,
            || (),
            |(), item| {
                begun.fetch_add(1, Ordering::Relaxed);
                if *item == 5 {
                    return Err(Error::failed("five"));
                }
                Ok(())
            },
        );
        let error = outcome.expect_err("an error");
        assert_eq!(error.findings[0].what, "five");
        assert!(begun.load(Ordering::Relaxed) < items.len());
    }
}
