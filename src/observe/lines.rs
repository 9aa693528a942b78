//! A line on standard error for each thing that happens, for a log that nobody scrolls back in: what repeats is counted, and
//! a silence of half a minute says what it waits for.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::board::{Board, News};
use crate::outcome::{Event, Observer};
use crate::text::{self, Redactor};

/// The longest silence while something runs.
const SILENCE: Duration = Duration::from_secs(30);

/// Prints what it hears, redacted and escaped.
pub(crate) struct Lines {
    began: Instant,
    feed: RefCell<Feed>,
}

impl Lines {
    /// `names` are those of the checks, in the plan's order.
    pub(super) fn new(names: &[String], redactor: &Redactor) -> Self {
        Self { began: Instant::now(), feed: RefCell::new(Feed::new(names, redactor)) }
    }

    /// Breaks silences, for as long as it is polled.
    pub(super) async fn pulse(&self) -> std::convert::Infallible {
        loop {
            let next = self.began + self.feed.borrow().spoke + SILENCE;
            sleep_until(next).await;
            let line = self.feed.borrow_mut().pulse(self.began.elapsed());
            print(line);
        }
    }
}

impl Observer for Lines {
    fn hear(&self, event: &Event) {
        print(self.feed.borrow_mut().hear(event, self.began.elapsed()));
    }

    fn follows(&self) -> bool {
        true
    }
}

fn print(line: Option<String>) {
    if let Some(line) = line {
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// What is written, and when. Pure: the time since the start is passed in.
struct Feed {
    names: Vec<String>,
    redactor: Redactor,
    board: Board,
    /// When it spoke last.
    spoke: Duration,
}

impl Feed {
    fn new(names: &[String], redactor: &Redactor) -> Self {
        let board = Board::new(names, redactor);
        Self { names: names.to_vec(), redactor: redactor.clone(), board, spoke: Duration::ZERO }
    }

    fn hear(&mut self, event: &Event, at: Duration) -> Option<String> {
        let news = self.board.hear(event, at);
        let sentence = || super::sentence(event, &self.names, &self.redactor);
        let line = match news {
            News::Nothing => return None,
            News::All => sentence(),
            News::Values(values) if values.is_empty() => sentence(),
            News::Values(values) => format!("{}: {}", sentence(), text::joined(values, 5, "; ")),
            News::Ended(repeated) if repeated.is_empty() => sentence(),
            News::Ended(repeated) => format!("{}; before: {repeated}", sentence()),
        };
        Some(self.said(&line, at))
    }

    /// What it waits for, where nothing was said for long.
    fn pulse(&mut self, at: Duration) -> Option<String> {
        if at < self.spoke + SILENCE {
            return None;
        }
        // Between two checks there is nothing to wait for, and nothing to say.
        self.spoke = at;
        let line = self.board.waits_for(at)?;
        Some(self.said(&line, at))
    }

    fn said(&mut self, line: &str, at: Duration) -> String {
        self.spoke = at;
        format!("+{:.1}s {}", at.as_secs_f64(), text::escaped(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{CheckId, Status, ThresholdVerdict, ValueNow};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn feed(names: &[&str]) -> (Feed, Vec<CheckId>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        (Feed::new(&names, &Redactor::default()), CheckId::all(names.len()).collect())
    }

    fn ended(check: CheckId, status: Status, detail: &str) -> Event {
        Event::Ended { check, status, attempts: 1, detail: detail.into(), observations: Vec::new() }
    }

    #[test]
    fn a_healthy_ten_minutes_are_at_most_forty_lines() {
        let names = ["ready", "health", "readiness", "metrics", "smoke"];
        let (mut feed, ids) = feed(&names);
        let mut lines = Vec::new();
        let mut events: Vec<(u64, Event)> =
            vec![(0, Event::Located { address: "https://canary.example.com".into(), serving: None })];
        for (index, check) in ids.iter().enumerate() {
            events.push((1, Event::Started { check: *check, limit: seconds(600) }));
            if index != 3 {
                events.push((2, ended(*check, Status::Pass, "200")));
            }
        }
        // A scrape every five seconds, and now and then one that has to be repeated.
        for scrape in 1..=119 {
            let verdict = if scrape < 3 { ThresholdVerdict::NoData } else { ThresholdVerdict::Pass };
            let value = |name: &str| ValueNow {
                name: name.into(),
                verdict,
                value: Some(f64::from(scrape)),
                said: None,
                wanted: Some("<= 200".into()),
            };
            let values = vec![value("failures"), value("latency")];
            if scrape % 10 == 0 {
                let (cause, brief) = ("GET /api/metrics: 503, want 200".into(), "503".into());
                let next_in = Duration::from_millis(500);
                events.push((
                    u64::from(scrape) * 5,
                    Event::Retrying { check: ids[3], attempt: 1, of: None, cause, brief, next_in },
                ));
            }
            events.push((u64::from(scrape) * 5, Event::Sampled { check: ids[3], scrape, of: 119, values }));
        }
        events.push((600, ended(ids[3], Status::Pass, "2 thresholds hold")));
        events.sort_by_key(|(at, _)| *at);
        let mut events = events.into_iter().peekable();
        for now in 0..=600 {
            lines.extend(feed.pulse(seconds(now)));
            while let Some((_, event)) = events.next_if(|(at, _)| *at == now) {
                lines.extend(feed.hear(&event, seconds(now)));
            }
        }
        assert!(lines.len() <= 40, "{} lines:\n{}", lines.len(), lines.join("\n"));
        assert_eq!(lines[0], "+0.0s the canary is at https://canary.example.com");
        let heard: Vec<f64> = lines.iter().map(|line| line[1..].split('s').next().unwrap().parse().unwrap()).collect();
        assert!(heard.windows(2).all(|pair| pair[1] - pair[0] <= 30.0), "{lines:#?}");
        let wanted =
            "+80.0s waiting for metrics (scrape 15 of 119; 1 m 19 s of 10 m; failures 15 <= 200; latency 15 <= 200)";
        assert!(lines.iter().any(|line| line == wanted), "{lines:#?}");
        assert_eq!(lines.last().unwrap(), "+600.0s metrics: pass: 2 thresholds hold; before: 503, 11 times");
    }

    #[test]
    fn what_a_canary_says_neither_draws_nor_tells_secrets() {
        let redactor = Redactor::default();
        redactor.hide("s3cret");
        let mut feed = Feed::new(&["health".into()], &redactor);
        let check = CheckId::all(1).next().unwrap();
        feed.hear(&Event::Started { check, limit: seconds(60) }, Duration::ZERO);
        let (cause, brief) = ("said s3cret\u{1b}[2J".to_owned(), "s3cret\u{1b}[2J".to_owned());
        let retrying = |attempt| {
            let (cause, brief) = (cause.clone(), brief.clone());
            Event::Retrying { check, attempt, of: Some(3), cause, brief, next_in: seconds(40) }
        };
        let line = feed.hear(&retrying(1), seconds(1)).unwrap();
        assert_eq!(line, "+1.0s health: attempt 1 of 3: said ***\\u{1b}[2J; next in 40s");
        assert_eq!(feed.hear(&retrying(2), seconds(2)), None);
        assert_eq!(feed.pulse(seconds(30)), None);
        let line = feed.pulse(seconds(31)).unwrap();
        assert_eq!(line, "+31.0s waiting for health (attempt 2 of 3; 31 s of 1 m; ***\\u{1b}[2J, 2 times)");
        let line = feed.hear(&ended(check, Status::Pass, "200"), seconds(50)).unwrap();
        assert_eq!(line, "+50.0s health: pass: 200; before: ***\\u{1b}[2J, 2 times");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_is_broken_in_time_and_no_sooner() {
        let lines = Lines::new(&["health".to_owned()], &Redactor::default());
        let check = CheckId::all(1).next().unwrap();
        lines.hear(&Event::Started { check, limit: seconds(600) });
        let began = Instant::now();
        tokio::select! {
            never = lines.pulse() => match never {},
            () = tokio::time::sleep(seconds(95)) => {}
        }
        assert_eq!(lines.feed.borrow().spoke, seconds(90));
        assert_eq!(began.elapsed(), seconds(95));
    }
}
