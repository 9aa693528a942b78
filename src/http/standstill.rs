//! How long the gate itself stood still: it got no CPU, or it was stopped. What took long meanwhile says nothing of a server: that
//! time is given back to whatever has a deadline, up to the end of the run. A gate that is busy does not stand still: a server that
//! floods it would gain time for itself.

use std::cell::Cell;
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
#[derive(Clone, Copy)]
struct Looked {
    /// What earlier looks found.
    lost: Duration,
    /// When the next look is due, and the CPU time that the thread had had at the last one; nothing where nobody looks.
    due: Option<(Instant, Duration)>,
    /// When the run ends: nothing is given back beyond it.
    run_ends: Option<Instant>,
}

impl Looked {
    fn lost_by(self, now: Instant) -> Duration {
        let Some((due, had)) = self.due else { return self.lost };
        let late = now.saturating_duration_since(due);
        if late <= TOLERATED {
            return self.lost;
        }
        self.lost + late.saturating_sub(ENOUGH * cpu_time().saturating_sub(had))
    }
}

/// How long this thread has been run by a CPU.
fn cpu_time() -> Duration {
    // The kernel gives no negative time.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

thread_local! {
    static LOOKED: Cell<Looked> = const { Cell::new(Looked { lost: Duration::ZERO, due: None, run_ends: None }) };
}

/// Nobody looks any more when this is dropped.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        LOOKED.set(Looked { lost: lost(), due: None, run_ends: None });
    }
}

/// Looks whether the gate runs, for as long as it is polled, which is to be beside the run that ends then.
pub(crate) async fn watch_standstills(run_ends: Instant) -> Infallible {
    let _ends = Ends;
    loop {
        let due = Instant::now() + TICK;
        LOOKED.set(Looked { lost: lost(), due: Some((due, cpu_time())), run_ends: Some(run_ends) });
        sleep_until(due).await;
    }
}

/// How long the gate has stood still so far, in all that it has done.
fn lost() -> Duration {
    LOOKED.get().lost_by(Instant::now())
}

/// The same; nothing where it is not worth a word.
pub(crate) fn stood_still() -> Option<Duration> {
    Some(lost()).filter(|lost| *lost >= WORTH_SAYING)
}

/// What the time of something that has begun is measured from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standstill {
    before: Duration,
}

impl Standstill {
    pub(crate) fn begin() -> Self {
        Self { before: lost() }
    }

    /// How long the gate has stood still since then.
    pub(crate) fn lost(self) -> Duration {
        lost().saturating_sub(self.before)
    }

    /// A deadline, later by the time that was lost since then.
    pub(crate) fn fair(self, deadline: Instant) -> Instant {
        let later = deadline + self.lost();
        LOOKED.get().run_ends.map_or(later, |ends| later.min(ends.max(deadline)))
    }

    /// Waits for something until a deadline, and longer by what is lost meanwhile: what came while the gate stood still was in
    /// time, and has only not been looked at. Nothing where it did not come.
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

    /// The same in words, behind what took long; nothing where it is not worth a word.
    pub(crate) fn said(self) -> String {
        let lost = self.lost();
        if lost < WORTH_SAYING {
            return String::new();
        }
        format!(" (the gate itself stood still for another {}, which does not count)", crate::text::duration(lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn beside(run_ends: Duration, test: impl Future<Output = ()>) {
        let run_ends = Instant::now() + run_ends;
        tokio::select! {
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
    async fn what_is_lost_is_given_back_up_to_the_end_of_the_run() {
        let second = Duration::from_secs(1);
        beside(second * 3, async {
            sleep_until(Instant::now() + TICK * 2).await;
            let (mark, deadline) = (Standstill::begin(), Instant::now() + second);
            assert!(mark.fair(deadline) < deadline + second / 2);
            std::thread::sleep(second);
            // Before anybody could look, and after.
            for _ in 0..2 {
                let lost = mark.lost();
                assert!(lost + TICK * 2 >= second, "{lost:?}");
                assert!(mark.fair(deadline) >= deadline + second - TICK * 2);
                assert!(mark.said().contains("stood still for another"), "{}", mark.said());
                sleep_until(Instant::now() + TICK * 3).await;
            }
            let at_end = Instant::now() + second * 3 / 2;
            assert!(mark.fair(at_end) < at_end + second * 3 / 4, "beyond the end of the run");
        })
        .await;
        // Nothing is lost where nobody looks.
        let mark = Standstill::begin();
        std::thread::sleep(TICK * 3);
        assert_eq!((mark.lost(), mark.said()), (Duration::ZERO, String::new()));
    }
}
