//! What is known of the checks while they run: folded from what is heard, with the time since the start passed in. Pure.

use std::time::Duration;

use promeval::number::format_value;

use crate::outcome::{CheckId, Event, Status, ThresholdVerdict, TrafficNow, ValueNow};
use crate::text::{self, Redactor};

/// How many scrapes of a window are told of, where there are more: those that round off another part of it.
const SCRAPES: u64 = 12;

/// How many columns a bar has.
const BAR: u32 = 12;

/// The longest cause in a word or two, in characters.
const BRIEF: usize = 60;

/// The most different causes of a check that are told apart: a canary may name another one each time.
const CAUSES: usize = 8;

/// What stands for all further ones.
const OTHERS: &str = "other causes";

/// What stands between the parts of a row.
const SEPARATOR: &str = " · ";

/// Every check of a run, and the canary's address. Its texts are redacted and escaped.
pub(super) struct Board {
    redactor: Redactor,
    pub(super) address: Option<String>,
    pub(super) rows: Vec<Row>,
}

/// One check.
pub(super) struct Row {
    name: String,
    state: State,
}

enum State {
    Waiting,
    Running(Box<Running>),
    Ended { status: Status, took: Duration, detail: String },
}

struct Running {
    since: Duration,
    limit: Duration,
    /// The newest attempt that is going to be repeated.
    retry: Option<Retry>,
    /// Why attempts were repeated, and how often, in the order of their first time.
    causes: Vec<(String, u32)>,
    window: Option<Window>,
    /// How far the traffic of the gate's own is.
    measured: Option<TrafficNow>,
    /// Requests, and how many of them failed, when it was told of last.
    told_traffic: (usize, usize),
    /// What was told of thresholds, each once.
    told: Vec<(String, ThresholdVerdict)>,
}

struct Retry {
    attempt: u32,
    of: Option<u32>,
    brief: String,
    next_at: Duration,
}

struct Window {
    scrape: u32,
    of: u32,
    /// The worst first.
    values: Vec<ValueNow>,
}

/// What is new by an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It has not been told before.
    All,
    /// It repeats what was told before.
    Nothing,
    /// A scrape; with what thresholds say that is worth a word.
    Values(Vec<String>),
    /// A check ended; with the causes that were repeated on the way.
    Ended(String),
}

impl Board {
    /// `names` are those of the checks, in the plan's order.
    pub(super) fn new(names: &[String], redactor: &Redactor) -> Self {
        let mut board = Self { redactor: redactor.clone(), address: None, rows: Vec::new() };
        board.rows = names.iter().map(|name| Row { name: board.clean(name), state: State::Waiting }).collect();
        board
    }

    fn clean(&self, text: &str) -> String {
        text::escaped(&text::one_line(&self.redactor.clean(text))).into_owned()
    }

    /// Values as they are shown, the worst first.
    fn values(&self, values: &[ValueNow]) -> Vec<ValueNow> {
        let mut values = values.to_vec();
        for value in &mut values {
            value.name = self.clean(&value.name);
            value.wanted = value.wanted.as_ref().map(|wanted| self.clean(wanted));
        }
        values.sort_by_key(|value| rank(value.verdict));
        values
    }

    /// Takes in what happened at a time since the start.
    pub(super) fn hear(&mut self, event: &Event, at: Duration) -> News {
        match event {
            Event::Located { address, .. } => {
                self.address = Some(self.clean(address));
                News::All
            }
            Event::Started { check, limit } => {
                self.set(*check, State::Running(Box::new(Running::new(at, *limit))));
                News::Nothing
            }
            Event::Retrying { check, attempt, of, brief, next_in, .. } => {
                let brief = text::cut(&self.clean(brief), BRIEF).into_owned();
                let Some(running) = self.running(*check) else { return News::All };
                let is_new = running.count(&brief);
                let next_at = at + *next_in;
                running.retry = Some(Retry { attempt: *attempt, of: *of, brief, next_at });
                if is_new { News::All } else { News::Nothing }
            }
            Event::Sampled { check, scrape, of, values } => {
                let values = self.values(values);
                let Some(running) = self.running(*check) else { return News::Nothing };
                running.retry = None;
                let mut news = running.changed(&values);
                let part = |scrape: u32| u64::from(scrape) * SCRAPES / u64::from((*of).max(1));
                let is_told = part(*scrape) > part(scrape.saturating_sub(1));
                if is_told {
                    news = values.iter().map(told).collect();
                }
                running.window = Some(Window { scrape: *scrape, of: *of, values });
                if is_told || !news.is_empty() { News::Values(news) } else { News::Nothing }
            }
            Event::Measured { check, traffic } => {
                let TrafficNow { requests, failed, .. } = *traffic;
                let values = self.values(&traffic.values);
                let Some(running) = self.running(*check) else { return News::Nothing };
                running.measured = Some(TrafficNow { values, ..traffic.clone() });
                // What has doubled is news, and so is the first failure.
                let (before, failed_before) = running.told_traffic;
                let is_told = requests >= (2 * before).max(1) || (failed > 0 && failed_before == 0);
                if is_told {
                    running.told_traffic = (requests, failed);
                }
                if is_told { News::All } else { News::Nothing }
            }
            Event::Scraped { .. }
            | Event::Judged { .. }
            | Event::Asked { .. }
            | Event::Answered { .. }
            | Event::Traffic { .. } => News::Nothing,
            Event::Ended { check, status, detail, .. } => {
                let (took, repeated) = self.running(*check).map_or((Duration::ZERO, String::new()), |running| {
                    (at.saturating_sub(running.since), running.repeated())
                });
                let detail = self.clean(detail);
                self.set(*check, State::Ended { status: *status, took, detail });
                News::Ended(repeated)
            }
            Event::Skipped { check, why } => {
                let detail = self.clean(why);
                self.set(*check, State::Ended { status: Status::Skipped, took: Duration::ZERO, detail });
                News::Nothing
            }
            Event::Overturned { check, status: now, why } => {
                let why = self.clean(why);
                if let Some(Row { state: State::Ended { status, detail, .. }, .. }) = self.rows.get_mut(check.index()) {
                    (*status, *detail) = (*now, why);
                }
                News::All
            }
        }
    }

    fn set(&mut self, check: CheckId, state: State) {
        if let Some(row) = self.rows.get_mut(check.index()) {
            row.state = state;
        }
    }

    fn running(&mut self, check: CheckId) -> Option<&mut Running> {
        match self.rows.get_mut(check.index()) {
            Some(Row { state: State::Running(running), .. }) => Some(running),
            _ => None,
        }
    }

    /// One line a check for a terminal of so many columns.
    pub(super) fn lines(&self, now: Duration, columns: usize) -> Vec<String> {
        let names = self.rows.iter().map(|row| text::columns(&row.name)).max().unwrap_or(0);
        let line = |row: &Row| {
            let blanks = " ".repeat(names - text::columns(&row.name) + 2);
            let name = format!("{}{blanks}", row.name);
            let parts = row.state.parts(now);
            let rest = columns.saturating_sub(text::columns(&name));
            text::cut_to(&format!("{name}{}", fitting(&parts, rest)), columns)
        };
        let address = self.address.iter().map(|address| text::cut_to(address, columns));
        address.chain(self.rows.iter().map(line)).collect()
    }

    /// What the run waits for, in one line; nothing where no check runs.
    pub(super) fn waits_for(&self, now: Duration) -> Option<String> {
        let waits = self.rows.iter().filter_map(|row| match &row.state {
            State::Running(running) => Some(format!("{} ({})", row.name, running.parts(now, false).join("; "))),
            State::Waiting | State::Ended { .. } => None,
        });
        let waits: Vec<String> = waits.collect();
        // A line is read as a whole: of many checks side by side the first few will do.
        (!waits.is_empty()).then(|| format!("waiting for {}", text::joined(waits, 5, ", ")))
    }
}

impl State {
    fn parts(&self, now: Duration) -> Vec<String> {
        match self {
            Self::Waiting => vec!["waits".into()],
            Self::Running(running) => running.parts(now, true),
            Self::Ended { status: Status::Skipped, detail, .. } => vec![Status::Skipped.word().into(), detail.clone()],
            Self::Ended { status, took, detail } => {
                let mut parts = vec![status.word().to_owned(), self::took(*took)];
                if *status != Status::Pass {
                    parts.push(detail.clone());
                }
                parts
            }
        }
    }
}

impl Running {
    fn new(since: Duration, limit: Duration) -> Self {
        Self {
            since,
            limit,
            retry: None,
            causes: Vec::new(),
            window: None,
            measured: None,
            told_traffic: (0, 0),
            told: Vec::new(),
        }
    }

    /// Counts a cause; true where it is the first time.
    fn count(&mut self, brief: &str) -> bool {
        if let Some((_, times)) = self.causes.iter_mut().find(|(known, _)| known == brief) {
            *times += 1;
            return false;
        }
        let is_new = self.causes.len() < CAUSES;
        let name = if is_new { brief } else { OTHERS };
        match self.causes.last_mut() {
            Some((last, times)) if last == OTHERS => *times += 1,
            _ => self.causes.push((name.to_owned(), 1)),
        }
        is_new
    }

    /// What was told once and happened several times: `503, 18 times`.
    fn repeated(&self) -> String {
        let several = self.causes.iter().filter(|(_, times)| *times > 1);
        let several = several.map(|(cause, times)| format!("{cause}, {times} times"));
        several.collect::<Vec<_>>().join("; ")
    }

    /// The thresholds that say what they have not said before. That there is no data is no news before there was some.
    fn changed(&mut self, values: &[ValueNow]) -> Vec<String> {
        let mut news = Vec::new();
        for now in values {
            let before = self.told.iter().any(|(name, _)| *name == now.name);
            let is_known = self.told.iter().any(|(name, verdict)| *name == now.name && *verdict == now.verdict);
            if is_known || now.verdict == ThresholdVerdict::NoData && !before {
                continue;
            }
            self.told.push((now.name.clone(), now.verdict));
            if before || now.verdict == ThresholdVerdict::Fail {
                news.push(told(now));
            }
        }
        news
    }

    /// With a bar and a countdown, or for a line that stays as it is.
    fn parts(&self, now: Duration, is_live: bool) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(Window { scrape, of, .. }) = &self.window {
            parts.push(if is_live {
                format!("{} {scrape}/{of}", bar(*scrape, *of))
            } else {
                format!("scrape {scrape} of {of}")
            });
        }
        if let Some(TrafficNow { requests, failed, pairs, done, of, .. }) = &self.measured {
            let count = pairs.map_or_else(|| text::counted(*requests, "request"), |pairs| text::counted(pairs, "pair"));
            let part = |time: &Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
            let is_drawn = is_live && !of.is_zero();
            parts.push(if is_drawn { format!("{} {count}", bar(part(done), part(of))) } else { count });
            parts.push(format!("{failed} failed"));
        }
        let retry = self.retry.as_ref();
        if let Some(Retry { attempt, of, next_at, .. }) = retry.filter(|_| self.window.is_none()) {
            // The next one has begun.
            let attempt = if now >= *next_at { attempt.saturating_add(1) } else { *attempt };
            parts.push(match (of, is_live) {
                (Some(of), true) => format!("{attempt}/{of}"),
                (Some(of), false) => format!("attempt {attempt} of {of}"),
                (None, _) => format!("attempt {attempt}"),
            });
        }
        let spent = now.saturating_sub(self.since).min(self.limit);
        parts.push(format!("{} of {}", clock(spent.as_secs()), clock(self.limit.as_secs())));
        if let Some(Retry { brief, next_at, .. }) = retry {
            let repeated = self.repeated();
            parts.push(if is_live || repeated.is_empty() { brief.clone() } else { repeated });
            let left = next_at.saturating_sub(now);
            if is_live && !left.is_zero() {
                parts
                    .push(format!("next in {}", clock(left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX))));
            }
        }
        let values = self.window.iter().flat_map(|window| &window.values);
        let measured = self.measured.iter().flat_map(|traffic| &traffic.values);
        parts.extend(values.chain(measured).map(told));
        parts
    }
}

/// What is bad comes first.
fn rank(verdict: ThresholdVerdict) -> u8 {
    match verdict {
        ThresholdVerdict::Fail => 0,
        ThresholdVerdict::NoData => 1,
        ThresholdVerdict::Pass => 2,
    }
}

/// What a threshold says by now: `failures 0 <= 2`.
fn told(ValueNow { name, verdict, value, said, wanted }: &ValueNow) -> String {
    let value = said.clone().or_else(|| value.map(short));
    match (verdict, value, wanted) {
        (_, Some(value), None) => format!("{name} {value}"),
        (ThresholdVerdict::NoData, ..) => format!("{name}: no data yet"),
        // The name is the expression: it says what is wanted.
        (ThresholdVerdict::Pass, Some(value), Some(wanted)) if name.ends_with(&**wanted) => {
            format!("{name}: {value}")
        }
        (ThresholdVerdict::Pass, Some(value), Some(wanted)) if !wanted.ends_with(" it") => {
            format!("{name} {value} {wanted}")
        }
        (ThresholdVerdict::Pass | ThresholdVerdict::Fail, Some(value), Some(wanted)) => {
            format!("{name} {value}, want {wanted}")
        }
        (ThresholdVerdict::Pass, ..) => format!("{name} holds"),
        (ThresholdVerdict::Fail, ..) => format!("{name} fails"),
    }
}

/// Four significant digits of a number.
fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !(1e-4..1e15).contains(&size) {
        return format_value(value);
    }
    let digits = (0..4).find(|digits| size < 10_f64.powi(*digits)).unwrap_or(4);
    let before = if size < 1.0 { [0.1, 0.01, 0.001].iter().filter(|step| size < **step).count() } else { 0 };
    let decimals = usize::try_from(4 - digits).unwrap_or(0) + before;
    let text = format!("{value:.decimals$}");
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// Whole seconds as a clock tells them: `14 s`, `2 m`, `1 m 5 s`.
fn clock(seconds: u64) -> String {
    let two = |large: u64, unit: &str, small: u64, less: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {less}"),
    };
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        _ => two(seconds / 3600, "h", seconds % 3600 / 60, "m"),
    }
}

/// As the summary tells it.
fn took(took: Duration) -> String {
    match took.as_millis() {
        milliseconds @ ..1000 => format!("{milliseconds} ms"),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

fn bar(done: u32, of: u32) -> String {
    let filled = u64::from(done) * u64::from(BAR) / u64::from(of.max(1));
    (0..u64::from(BAR)).map(|index| if index < filled { '█' } else { '░' }).collect()
}

/// As many parts as there is room for, and what fits of the one after them.
fn fitting(parts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let before = line.len();
        if before > 0 {
            line.push_str(SEPARATOR);
        }
        line.push_str(part);
        if text::columns(&line) > columns {
            return whole_words(&line, text::cut_to(&line, columns));
        }
    }
    line
}

/// A line that was cut, without the rest of a word that was cut: of `34 s`, a `34` alone says something else.
fn whole_words(line: &str, cut: String) -> String {
    /// A word that is longer says more in part than not at all.
    const LONG: usize = 16;
    let kept = cut.trim_end_matches('…');
    let is_whole = line
        .strip_prefix(kept)
        .is_none_or(|rest| rest.starts_with(' ') && !kept.ends_with(|last: char| last.is_ascii_digit()));
    match kept.rfind(' ') {
        Some(end) if !is_whole && kept.len() - end <= LONG => format!("{}…", kept[..end].trim_end_matches([' ', '·'])),
        _ => cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn board(names: &[&str]) -> (Board, Vec<CheckId>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        (Board::new(&names, &Redactor::default()), CheckId::all(names.len()).collect())
    }

    fn retrying(check: CheckId, attempt: u32, brief: &str) -> Event {
        let cause = format!("GET /api/health: {brief}");
        Event::Retrying { check, attempt, of: Some(6), cause, brief: brief.into(), next_in: 8 * SECOND }
    }

    fn value(name: &str, verdict: ThresholdVerdict, value: f64) -> ValueNow {
        ValueNow { name: name.into(), verdict, value: Some(value), said: None, wanted: Some("<= 2".into()) }
    }

    #[test]
    fn a_row_tells_how_far_a_check_is() {
        let (mut board, ids) = board(&["health", "metrics"]);
        board.hear(&Event::Started { check: ids[0], limit: 120 * SECOND }, Duration::ZERO);
        assert_eq!(board.lines(SECOND, 80), ["health   1 s of 2 m", "metrics  waits"]);
        board.hear(&retrying(ids[0], 4, "503"), 12 * SECOND);
        assert_eq!(board.lines(14 * SECOND, 80)[0], "health   4/6 · 14 s of 2 m · 503 · next in 6 s");
        assert_eq!(board.lines(21 * SECOND, 80)[0], "health   5/6 · 21 s of 2 m · 503");
        assert_eq!(board.lines(14 * SECOND, 40)[0], "health   4/6 · 14 s of 2 m · 503 · next…");
        board.hear(&Event::Started { check: ids[1], limit: 90 * SECOND }, 21 * SECOND);
        let values =
            vec![value("hits", ThresholdVerdict::Pass, 0.123_456), value("failures", ThresholdVerdict::Fail, 3.0)];
        let sampled = |scrape| Event::Sampled { check: ids[1], scrape, of: 80, values: values.clone() };
        assert_eq!(board.hear(&sampled(39), 30 * SECOND), News::Values(vec!["failures 3, want <= 2".into()]));
        let all = ["failures 3, want <= 2", "hits 0.1235 <= 2"].map(str::to_owned).to_vec();
        assert_eq!(board.hear(&sampled(40), 31 * SECOND), News::Values(all));
        let wanted = "metrics  ██████░░░░░░ 40/80 · 10 s of 1 m 30 s · failures 3, want <= 2 · hits 0.1235 <= 2";
        assert_eq!(board.lines(31 * SECOND, 200)[1], wanted);
        assert_eq!(board.hear(&sampled(41), 33 * SECOND), News::Nothing);
        let ended = Event::Ended {
            check: ids[0],
            status: Status::Fail,
            attempts: 6,
            detail: "GET /: 503\u{1b}".into(),
            observations: Vec::new(),
        };
        board.hear(&ended, 34 * SECOND);
        assert_eq!(board.lines(40 * SECOND, 80)[0], "health   fail · 34.0 s · GET /: 503\\u{1b}");
    }

    #[test]
    fn what_repeats_is_counted_and_not_told() {
        let (mut board, ids) = board(&["health"]);
        board.hear(&Event::Started { check: ids[0], limit: 120 * SECOND }, Duration::ZERO);
        let briefs = ["503", "503", "refused", "503"];
        let news: Vec<News> =
            (1..).zip(briefs).map(|(attempt, brief)| board.hear(&retrying(ids[0], attempt, brief), SECOND)).collect();
        assert_eq!(news, [News::All, News::Nothing, News::All, News::Nothing]);
        let waits = "waiting for health (attempt 4 of 6; 2 s of 2 m; 503, 3 times)";
        assert_eq!(board.waits_for(2 * SECOND).as_deref(), Some(waits));
        for attempt in 5..100 {
            board.hear(&retrying(ids[0], attempt, &format!("cause {attempt}")), SECOND);
        }
        let ended = Event::Ended {
            check: ids[0],
            status: Status::Pass,
            attempts: 100,
            detail: String::new(),
            observations: Vec::new(),
        };
        assert_eq!(board.hear(&ended, SECOND), News::Ended("503, 3 times; other causes, 89 times".into()));
        assert_eq!(board.waits_for(SECOND), None);
    }

    #[test]
    fn traffic_tells_how_much_was_measured() {
        let (mut board, ids) = board(&["traffic"]);
        board.hear(&Event::Started { check: ids[0], limit: 120 * SECOND }, Duration::ZERO);
        let mut measured = |requests, failed| {
            let traffic = TrafficNow { requests, failed, ..TrafficNow::default() };
            let news = board.hear(&Event::Measured { check: ids[0], traffic }, 30 * SECOND);
            (news, board.lines(31 * SECOND, 80).remove(0))
        };
        let row = "traffic  220 requests · 0 failed · 31 s of 2 m".to_owned();
        assert_eq!(measured(220, 0), (News::All, row));
        assert_eq!(measured(400, 0).0, News::Nothing);
        assert_eq!(measured(410, 1).0, News::All);
        assert_eq!(measured(800, 2).0, News::Nothing);
        assert_eq!(measured(900, 3).0, News::All);
    }

    #[test]
    fn traffic_has_a_bar_its_pairs_and_its_values() {
        let (mut board, ids) = board(&["traffic"]);
        board.hear(&Event::Started { check: ids[0], limit: 240 * SECOND }, Duration::ZERO);
        let said = |name: &str, verdict, said: &str, wanted: Option<&str>| ValueNow {
            name: name.into(),
            verdict,
            value: None,
            said: Some(said.into()),
            wanted: wanted.map(str::to_owned),
        };
        let values = vec![
            said("latency beside stable", ThresholdVerdict::Pass, "+1.2 ms", None),
            said("errors", ThresholdVerdict::Fail, "12 of 550", Some("<= 1 %")),
        ];
        let (done, of) = (30 * SECOND, 120 * SECOND);
        let traffic = TrafficNow { requests: 1100, failed: 12, pairs: Some(550), done, of, values };
        board.hear(&Event::Measured { check: ids[0], traffic }, 30 * SECOND);
        assert_eq!(
            board.lines(31 * SECOND, 200),
            [
                "traffic  ███░░░░░░░░░ 550 pairs · 12 failed · 31 s of 4 m · errors 12 of 550, want <= 1 % · latency beside stable +1.2 ms"
            ]
        );
        assert_eq!(board.lines(31 * SECOND, 60), ["traffic  ███░░░░░░░░░ 550 pairs · 12 failed · 31 s of 4 m…"]);
    }

    #[test]
    fn no_word_is_cut_but_a_long_one() {
        let parts = ["11 s of 34 s".to_owned(), "errors 0 of 283".to_owned()];
        for (columns, wanted) in
            [(26, "11 s of 34 s · errors…"), (16, "11 s of 34 s…"), (11, "11 s of…"), (10, "11 s of…")]
        {
            assert_eq!(fitting(&parts, columns), wanted, "{columns}");
        }
        assert_eq!(fitting(&["https://canary---shop.run.app".to_owned()], 12), "https://can…");
    }

    #[test]
    fn what_is_wanted_is_told_once() {
        assert_eq!(told(&value("failures", ThresholdVerdict::Pass, 1.0)), "failures 1 <= 2");
        assert_eq!(told(&value("sum(f) <= 2", ThresholdVerdict::Pass, 1.0)), "sum(f) <= 2: 1");
        assert_eq!(told(&value("failures", ThresholdVerdict::Fail, 3.0)), "failures 3, want <= 2");
        assert_eq!(told(&value("failures", ThresholdVerdict::NoData, 3.0)), "failures: no data yet");
    }

    #[test]
    fn numbers_have_four_digits_and_clocks_two_units() {
        for (value, wanted) in [
            (0.0, "0"),
            (2.0, "2"),
            (0.123_456, "0.1235"),
            (0.001_234_56, "0.001235"),
            (99.999_9, "100"),
            (-12.345, "-12.35"),
            (1234.6, "1235"),
            (123_456.7, "123457"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(short(value), wanted);
        }
        for (seconds, wanted) in
            [(0, "0 s"), (59, "59 s"), (60, "1 m"), (65, "1 m 5 s"), (3600, "1 h"), (4000, "1 h 6 m")]
        {
            assert_eq!(clock(seconds), wanted);
        }
    }
}
