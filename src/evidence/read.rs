//! Reads evidence, which may be anything that somebody calls so: bounded in bytes, lines and times. Pure but for the bytes
//! that it is given.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read};
use std::time::{Duration, SystemTime};

use flate2::bufread::GzDecoder;
use serde::Deserialize;

use super::{Line, SCHEMA, Written};
use crate::outcome::{Answered, Asked, Judged, Round, Summary, TrafficStep};

/// The most bytes that it may hold: more than twice the text that a gate records.
const MOST: u64 = 128 * 1024 * 1024;

/// The most lines: a scrape a second for two days.
const LINES: usize = 200_000;

/// The latest time that a report can show, in milliseconds: the end of the year 9999.
const LATEST: i64 = 253_402_300_799_000;

/// The longest a run or a check may have taken.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// The evidence of one run.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The version of the format.
    pub(crate) schema: u64,
    /// The version of the gate that wrote it.
    pub(crate) gate: String,
    /// The plan as it was written; nothing where the run ended before it was read.
    pub(crate) written: Option<Written>,
    /// What checks were judged by, by their numbers.
    pub(crate) tapes: BTreeMap<usize, Tape>,
    /// The shapes of the traffic's answers.
    pub(crate) shapes: Vec<serde_json::Value>,
    /// What the run came to.
    pub(crate) summary: Summary,
}

/// One line of what the traffic check recorded.
#[derive(Debug)]
pub(crate) enum TrafficLine {
    Step(TrafficStep),
    /// What came of a request, with the number of its answer's shape.
    Answer(Box<Answered>, Option<usize>),
}

/// What one check saw.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) rounds: Vec<Round>,
    /// What a Prometheus server answered.
    pub(crate) asked: Vec<Asked>,
    /// What the traffic brought.
    pub(crate) traffic: Vec<TrafficLine>,
    /// Nothing where the check did not come that far.
    pub(crate) judged: Option<Judged>,
    /// Why it cannot be judged again.
    pub(crate) unusable: Option<String>,
}

/// The first line of whatever version.
#[derive(Deserialize)]
struct First {
    evidence: Version,
}

#[derive(Deserialize)]
struct Version {
    schema: u64,
    #[serde(default)]
    gate: String,
}

impl Bundle {
    /// Reads evidence.
    ///
    /// # Errors
    /// Why it is none, or is not whole.
    pub(crate) fn read(bytes: impl Read) -> Result<Self, String> {
        Self::read_within(bytes, MOST)
    }

    fn read_within(bytes: impl Read, most: u64) -> Result<Self, String> {
        let mut bytes = BufReader::new(bytes);
        if !bytes.fill_buf().map_err(|error| error.to_string())?.starts_with(&[0x1f, 0x8b]) {
            return Err("it is not evidence of canary-gate: it is not gzip".into());
        }
        let mut reader = Reader { lines: BufReader::new(GzDecoder::new(&mut bytes).take(most)), count: 0, most };
        let bundle = reader.bundle()?;
        match bytes.fill_buf() {
            Ok([]) => Ok(bundle),
            Ok(_) => Err("something follows its end".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

struct Reader<R> {
    lines: BufReader<std::io::Take<R>>,
    count: usize,
    most: u64,
}

impl<R: Read> Reader<R> {
    /// The next line; nothing at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut line = Vec::new();
        let read = self.lines.read_until(b'\n', &mut line);
        if self.lines.get_ref().limit() == 0 {
            return Err(format!("it holds more than {} MiB", self.most / 1024 / 1024));
        }
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => "it is cut off: its end is missing".to_owned(),
            _ => format!("it is damaged: {error}"),
        })?;
        self.count += 1;
        if self.count > LINES {
            return Err(format!("it has more than {LINES} lines"));
        }
        Ok((!line.is_empty()).then_some(line))
    }

    fn bundle(&mut self) -> Result<Bundle, String> {
        let first = self.next()?.unwrap_or_default();
        let First { evidence } = serde_json::from_slice(&first)
            .map_err(|_| "it is not evidence of canary-gate: its first line does not say so".to_owned())?;
        if !(1..=u64::from(SCHEMA)).contains(&evidence.schema) {
            let (schema, gate) = (evidence.schema, evidence.gate.escape_debug().to_string());
            return Err(format!(
                "it has the format's version {schema}, and this gate reads up to version {SCHEMA}: use canary-gate {gate} or newer"
            ));
        }
        let (mut written, mut tapes, mut shapes) = (None, BTreeMap::<usize, Tape>::new(), Vec::new());
        while let Some(line) = self.next()? {
            let count = self.count;
            let line: Line =
                serde_json::from_slice(&line).map_err(|error| format!("line {count} cannot be read: {error}"))?;
            match line {
                Line::Evidence(_) => return Err(format!("line {count} begins it once more")),
                Line::Plan(plan) => {
                    if written.replace(*plan).is_some() {
                        return Err(format!("line {count} tells the plan once more"));
                    }
                }
                // For whoever wants to know how it went: no verdict is made of it again.
                Line::Exchange { .. } => {}
                Line::Scraped { check, round, masked } => {
                    let times = round.sides.iter().filter_map(|seen| Some(seen.scrape.as_ref()?.at));
                    times.chain([round.time]).try_for_each(|time| in_time(time, count))?;
                    let tape = tapes.entry(check).or_default();
                    if masked {
                        tape.unusable = Some("its metrics held a secret, which was masked".into());
                    }
                    tape.rounds.push(round);
                }
                Line::Asked { check, asked } => {
                    in_time(asked.time, count)?;
                    tapes.entry(check).or_default().asked.push(asked);
                }
                Line::Shape(shape) => shapes.push(shape),
                Line::Answered { check, answer, shape } => {
                    tapes.entry(check).or_default().traffic.push(TrafficLine::Answer(answer, shape));
                }
                Line::Traffic { check, step } => {
                    if let TrafficStep::Sampled { at } = step {
                        in_time(at, count)?;
                    }
                    tapes.entry(check).or_default().traffic.push(TrafficLine::Step(step));
                }
                Line::Judged { check, judged } => {
                    in_time(judged.time, count)?;
                    if tapes.entry(check).or_default().judged.replace(judged).is_some() {
                        return Err(format!("line {count} tells once more how a check was judged"));
                    }
                }
                Line::Lost { check, why } => tapes.entry(check).or_default().unusable = Some(why),
                Line::Outcome(summary) => {
                    if self.next()?.is_some() {
                        return Err(format!("line {count} ends it, and more follows"));
                    }
                    possible(&summary).ok_or_else(|| format!("line {count} tells of times that cannot be"))?;
                    return Ok(Bundle {
                        schema: evidence.schema,
                        gate: evidence.gate,
                        written,
                        tapes,
                        shapes,
                        summary: *summary,
                    });
                }
            }
        }
        Err("it is cut off: what the run came to is missing".into())
    }
}

fn in_time(time: i64, line: usize) -> Result<(), String> {
    if (0..=LATEST).contains(&time) { Ok(()) } else { Err(format!("line {line} tells of times that cannot be")) }
}

/// Whether a report can show the times of a summary.
fn possible(summary: &Summary) -> Option<()> {
    let since = summary.started_at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().filter(|time| *time <= LATEST)?;
    let checks = summary.checks.iter().flat_map(|check| [check.duration, check.limit]);
    checks.chain([summary.duration]).chain(summary.stood_still).all(|took| took <= LONGEST).then_some(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::evidence::bare;
    use crate::outcome::{Exit, Unfinished};

    fn summary() -> Summary {
        let unfinished = Unfinished { cause: "not finished".into(), exit: Exit::NoVerdict };
        Summary::unseen(SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567), unfinished)
    }

    fn zipped(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    const FIRST: &str = "{\"evidence\":{\"schema\":1,\"gate\":\"0.1.0\"}}\n";

    /// A bundle as it was written once: what is changed in the format must still read it.
    const OLD: &str = include_str!("../../tests/evidence/schema1.jsonl");

    #[test]
    fn what_was_written_is_read() {
        let bundle = Bundle::read(&*bare(&summary())).unwrap();
        assert_eq!((bundle.summary, bundle.written, bundle.tapes.len()), (summary(), None, 0));
    }

    #[test]
    fn a_bundle_of_long_ago_is_read() {
        let bundle = Bundle::read(&*zipped(OLD)).unwrap();
        assert!(bundle.written.unwrap().plan().is_ok());
        let tape = bundle.tapes.values().next().unwrap();
        assert!(tape.judged.is_some() && !tape.rounds.is_empty() && OLD.contains("{\"exchange\":"));
        assert!(!bundle.summary.checks.is_empty());
    }

    #[test]
    fn what_is_no_evidence_is_named() {
        let whole = bare(&summary());
        let mut twice = whole.clone();
        twice.extend_from_slice(&whole);
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0xff;
        let deep = format!("{FIRST}{}\n", "[".repeat(100_000));
        let scraped = |time: i64| {
            zipped(&format!(
                "{FIRST}{{\"scraped\":{{\"check\":0,\"round\":{{\"time\":{time},\"sides\":[]}},\"masked\":false}}}}\n"
            ))
        };
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (Vec::new(), "it is not gzip"),
            (b"{\"verdict\":\"pass\"}".to_vec(), "it is not gzip"),
            (zipped("{\"verdict\":\"pass\"}\n"), "its first line does not say so"),
            (zipped(""), "its first line does not say so"),
            (zipped(&FIRST.replace(":1", ":3")), "has the format's version 3, and this gate reads up to version 2"),
            (zipped(&FIRST.replace(":1", ":0")), "has the format's version 0"),
            (zipped(FIRST), "what the run came to is missing"),
            (zipped(&format!("{FIRST}{{\"verdict\":1}}\n")), "line 2 cannot be read: unknown variant"),
            (zipped(&format!("{FIRST}{FIRST}")), "line 2 begins it once more"),
            (zipped(&deep), "line 2 cannot be read: "),
            (zipped(&format!("{FIRST}{}\n", "[".repeat(100))), "line 2 cannot be read: "),
            (whole[..whole.len() / 2].to_vec(), "it is cut off"),
            (whole[..whole.len() - 4].to_vec(), "it is cut off"),
            (twice, "something follows its end"),
            // Damage shows as one thing or another.
            (flipped, ""),
            (
                zipped(&format!("{FIRST}{{\"plan\":{{\"meant\":{}", "[".repeat(100_000))),
                "line 2 cannot be read: recursion limit",
            ),
            (scraped(i64::MAX), "line 2 tells of times that cannot be"),
            (scraped(-1), "line 2 tells of times that cannot be"),
            (zipped(&"\n".repeat(300_000)), "its first line does not say so"),
            (
                zipped(&format!(
                    "{FIRST}{}",
                    "{\"lost\":{\"check\":18446744073709551615,\"why\":\"\"}}\n".repeat(210_000)
                )),
                "more than 200000 lines",
            ),
        ];
        for (index, (bytes, piece)) in cases.iter().enumerate() {
            let error = Bundle::read(&**bytes).unwrap_err();
            assert!(error.contains(piece), "{index}: {error}");
        }
        let late = serde_json::json!({"secs_since_epoch": 1_u64 << 60, "nanos_since_epoch": 0});
        let mut outcome = serde_json::to_value(summary()).unwrap();
        outcome["started_at"] = late;
        let error = Bundle::read(&*zipped(&format!("{FIRST}{{\"outcome\":{outcome}}}\n"))).unwrap_err();
        assert!(error.contains("times that cannot be"), "{error}");
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = zipped(&format!("{FIRST}{}", " ".repeat(4 << 20)));
        assert_eq!(Bundle::read_within(&*bomb, 1 << 20).unwrap_err(), "it holds more than 1 MiB");
    }
}
