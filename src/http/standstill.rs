//! When the gate itself stood still: it got no CPU, or it was stopped. A deadline that passed meanwhile says nothing of a server: what had
//! been left of the time is given once more, up to the end of the run. A gate that is awake when the time is up gives nothing back, so
//! that no server gains by an earlier standstill; and one that is busy does not stand still: a server that floods it would gain by that.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep_until, timeout_at};

/// How often the gate looks whether it runs.
const TICK: Duration = Duration::from_millis(20);

/// A look that comes later by no more is no standstill.
const TOLERATED: Duration = Duration::from_millis(20);

/// Less is what any process meets.
const WORTH_SAYING: Duration = Duration::from_millis(500);

/// With one part of so many of a CPU, the gate has enough of it: what takes longer then is what it is busy with.
const ENOUGH: u32 = 5;

/// What is known of the runtime of this thread.
struct Looked {
    /// The standstills that earlier looks found, each from and until, in their order.
    found: Vec<(Instant, Instant)>,
    /// When the next look is due, and the CPU time that the thread had had at the last one; nothing where nobody looks.
    due: Option<(Instant, Duration)>,
    /// When the run ends: nothing is given beyond it.
    run_ends: Option<Instant>,
}

impl Looked {
    /// The standstill that goes on, or was not looked at yet.
    fn newest(&self, now: Instant) -> Option<(Instant, Instant)> {
        let (due, had) = self.due?;
        let late = now.saturating_duration_since(due);
        if late <= TOLERATED {
            return None;
        }
        let lost = late.saturating_sub(ENOUGH * cpu_time().saturating_sub(had));
        Some((now.checked_sub(lost)?, now)).filter(|_| lost > TOLERATED)
    }

    /// Every standstill so far.
    fn all(&self, now: Instant) -> impl Iterator<Item = (Instant, Instant)> {
        self.found.iter().copied().chain(self.newest(now))
    }

    fn look(&mut self, now: Instant) {
        self.found.extend(self.newest(now));
        self.due = None;
    }
}

/// How long this thread has been run by a CPU.
fn cpu_time() -> Duration {
    // The kernel gives no negative time.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

thread_local! {
    static LOOKED: RefCell<Looked> = const { RefCell::new(Looked { found: Vec::new(), due: None, run_ends: None }) };
}

/// Nobody looks any more when this is dropped.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        LOOKED.with_borrow_mut(|looked| {
            looked.look(Instant::now());
            looked.run_ends = None;
        });
    }
}

/// Looks whether the gate runs, for as long as it is polled, which is to be beside the run that ends then.
pub(crate) async fn watch_standstills(run_ends: Instant) -> Infallible {
    let _ends = Ends;
    loop {
        let now = Instant::now();
        let due = now + TICK;
        LOOKED.with_borrow_mut(|looked| {
            looked.look(now);
            (looked.due, looked.run_ends) = (Some((due, cpu_time())), Some(run_ends));
        });
        sleep_until(due).await;
    }
}

/// What a thing that has begun knows of standstills since then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standstill {
    /// How many there had been.
    before: usize,
    began: Instant,
}

impl Standstill {
    pub(crate) fn begin() -> Self {
        Self { before: LOOKED.with_borrow(|looked| looked.found.len()), began: Instant::now() }
    }

    /// Those since then, each as far as it lies behind the beginning.
    fn since<T>(self, told: impl FnOnce(&mut dyn Iterator<Item = (Instant, Instant)>) -> T) -> T {
        LOOKED.with_borrow(|looked| {
            let later = looked.all(Instant::now()).skip(self.before);
            told(&mut later.map(|(from, until)| (from.max(self.began), until)).filter(|(from, until)| from < until))
        })
    }

    /// How long the gate has stood still since then.
    pub(crate) fn lost(self) -> Duration {
        self.since(|standstills| standstills.map(|(from, until)| until.duration_since(from)).sum())
    }

    /// A deadline: where it passed in a standstill, what was left of the time when that began follows when it ended.
    pub(crate) fn fair(self, deadline: Instant) -> Instant {
        let later = self.since(|standstills| {
            standstills.fold(deadline, |end, (from, until)| {
                let passed = from <= end && end <= until;
                if passed { until + end.duration_since(from) } else { end }
            })
        });
        let run_ends = LOOKED.with_borrow(|looked| looked.run_ends);
        run_ends.map_or(later, |ends| later.min(ends.max(deadline)))
    }

    /// Waits for something until a deadline, which is later where it passes in a standstill: what came meanwhile was in time, and
    /// has only not been looked at. Nothing where it did not come.
    pub(crate) async fn wait<T>(self, deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            let end = self.fair(deadline);
            if let Ok(done) = timeout_at(end, future.as_mut()).await {
                return Some(done);
            }
            if self.fair(deadline) <= end {
                return None;
            }
        }
    }

    /// How long the gate has stood still since then, where that is worth a word.
    pub(crate) fn told(self) -> Option<String> {
        let lost = self.lost();
        (lost >= WORTH_SAYING).then(|| format!("the gate itself stood still for {}", crate::text::duration(lost)))
    }
}

/// How long the gate has stood still in all that it has done; nothing where it is not worth a word.
pub(crate) fn stood_still() -> Option<Duration> {
    let all =
        LOOKED.with_borrow(|looked| looked.all(Instant::now()).map(|(from, until)| until.duration_since(from)).sum());
    Some(all).filter(|lost| *lost >= WORTH_SAYING)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn beside(run_ends: Duration, test: impl Future<Output = ()>) {
        let run_ends = Instant::now() + run_ends;
        tokio::select! {
            biased;
            never = watch_standstills(run_ends) => match never {},
            () = test => {}
        }
    }

    #[tokio::test]
    async fn what_the_gate_is_busy_with_is_no_standstill() {
        beside(Duration::from_mins(1), async {
            sleep_until(Instant::now() + TICK * 2).await;
            let (mark, had, began) = (Standstill::begin(), cpu_time(), Instant::now());
            while cpu_time() < had + TICK * 20 {}
            // What another program got of the CPU meanwhile was lost.
            let (lost, used) = (mark.lost(), cpu_time().saturating_sub(had));
            let others = began.elapsed().saturating_sub(used);
            assert!(lost <= others, "{lost:?}, others had {others:?}");
        })
        .await;
    }

    #[tokio::test]
    async fn a_deadline_that_passed_in_a_standstill_follows_it() {
        let second = Duration::from_secs(1);
        beside(second * 4, async {
            let mark = Standstill::begin();
            let (passed, ahead, run_ends) = (mark.began + second / 2, mark.began + second * 3, mark.began + second * 4);
            assert_eq!((mark.fair(passed), mark.told()), (passed, None));
            std::thread::sleep(second);
            // Before anybody could look, and after.
            for _ in 0..2 {
                let lost = mark.lost();
                assert!(lost + TICK * 2 >= second, "{lost:?}");
                // Half a second was left.
                let (from, to) = (mark.began + second * 5 / 4, mark.began + second * 5 / 2);
                assert!((from..to).contains(&mark.fair(passed)), "{:?}", mark.fair(passed) - mark.began);
                // Whoever is awake at the end has seen all there was, and what begins afterwards has lost nothing.
                assert_eq!(mark.fair(ahead), ahead);
                assert!(Standstill::begin().lost() < second / 2);
                assert!(mark.told().unwrap().contains("stood still for"));
                sleep_until(Instant::now() + TICK * 3).await;
            }
            std::thread::sleep(second * 2);
            assert!(mark.fair(ahead) <= run_ends, "beyond the end of the run");
        })
        .await;
        // Nothing is lost where nobody looks.
        let mark = Standstill::begin();
        std::thread::sleep(TICK * 3);
        assert_eq!((mark.lost(), mark.told()), (Duration::ZERO, None));
    }
}
