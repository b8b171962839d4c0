//! Many independent jobs on a few threads, their results in order.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Does `work(0)` to `work(count - 1)` on `threads` threads and hands each result to `done`, in order, as soon as it and
/// all before it are there. `done` says whether to go on; if not, what is under way is awaited and nothing more begun.
pub fn in_order<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
    mut done: impl FnMut(usize, T) -> bool,
) {
    let next = AtomicUsize::new(0);
    // A bound on what may wait for an earlier result, so that a slow one does not pile up the others in memory.
    let (send, receive) = mpsc::sync_channel(threads * 4);
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            let (send, next, work) = (send.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count || send.send((index, work(index))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        let mut expected = 0;
        for (index, result) in receive {
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(&expected) {
                if !done(expected, result) {
                    next.store(count, Ordering::Relaxed);
                }
                expected += 1;
            }
        }
    });
}

/// The number of jobs at a time: as asked for, else one a core.
pub fn threads(asked: Option<u64>) -> usize {
    match asked {
        Some(jobs) => usize::try_from(jobs).unwrap_or(1),
        None => std::thread::available_parallelism().map_or(1, NonZero::get),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let mut seen = Vec::new();
        in_order(
            50,
            4,
            |index| index * 2,
            |index, result| {
                seen.push((index, result));
                true
            },
        );
        assert_eq!(seen, (0..50).map(|index| (index, index * 2)).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        in_order(0, 4, |_| (), |_, ()| panic!("there is no result"));
    }
}
