//! Writes evidence while a run goes on: each line is redacted and compressed as it comes.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tokio::time::Instant;

use super::written::clean_json;
use super::{Header, Line, SCHEMA, Written};
use crate::http::Witness;
use crate::outcome::{
    Answered, Asked, CheckId, Event, Exchange, Judged, Observer, Round, ServerAnswer, Summary, TrafficStep,
};
use crate::text::Redactor;

/// The most text of scrapes that is kept of a run; it takes about a tenth of that in the file.
const TEXT: usize = 48 * 1024 * 1024;

/// The most requests whose facts are kept: a page may name thousands of assets.
const EXCHANGES: usize = 10_000;

/// The most answers of the traffic that are kept.
const ANSWERS: usize = 100_000;

/// Records what it hears.
pub(crate) struct Recorder {
    redactor: Redactor,
    began: Instant,
    tape: RefCell<Tape>,
}

struct Tape {
    lines: Lines,
    /// The whole evidence, once it has ended.
    ended: Option<Vec<u8>>,
    /// Bytes of scrapes so far.
    text: usize,
    exchanges: usize,
    answers: usize,
    /// The numbers of the shapes that were written, by their digests.
    shapes: HashMap<Vec<u8>, usize>,
    /// The checks of which not all was kept, and why.
    lost: BTreeMap<usize, String>,
}

/// Compressed lines. (Writing into memory cannot fail.)
struct Lines(GzEncoder<Vec<u8>>);

impl Lines {
    fn new() -> Self {
        let mut lines = Self(GzEncoder::new(Vec::new(), Compression::default()));
        lines.write(&Line::Evidence(Header { schema: SCHEMA, gate: env!("CARGO_PKG_VERSION").into() }));
        lines
    }

    fn write(&mut self, line: &Line) {
        if let Ok(mut json) = serde_json::to_vec(line) {
            json.push(b'\n');
            let _ = self.0.write_all(&json);
        }
    }

    /// The lines of evidence without what the run came to.
    fn without_the_last(bytes: &[u8]) -> Self {
        let mut text = Vec::new();
        // They were compressed here, and are whole.
        let _ = GzDecoder::new(bytes).read_to_end(&mut text);
        let kept = text.trim_ascii_end().iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut lines = Self(GzEncoder::new(Vec::new(), Compression::default()));
        let _ = lines.0.write_all(&text[..kept]);
        lines
    }

    fn end(mut self, summary: Summary) -> Vec<u8> {
        self.write(&Line::Outcome(Box::new(summary)));
        self.0.finish().unwrap_or_default()
    }
}

/// The evidence of a run that has no plan (yet). The summary is redacted.
pub(crate) fn bare(summary: &Summary) -> Vec<u8> {
    Lines::new().end(summary.clone())
}

impl Recorder {
    pub(crate) fn new(written: Written, redactor: &Redactor) -> Self {
        let mut lines = Lines::new();
        lines.write(&Line::Plan(Box::new(written.redacted(redactor))));
        let tape = Tape {
            lines,
            ended: None,
            text: 0,
            exchanges: 0,
            answers: 0,
            shapes: HashMap::new(),
            lost: BTreeMap::new(),
        };
        Self { redactor: redactor.clone(), began: Instant::now(), tape: RefCell::new(tape) }
    }

    /// The evidence, with what the run came to; the summary is redacted. Nothing is recorded after that.
    pub(crate) fn end(&self, summary: &Summary) -> Vec<u8> {
        let mut tape = self.tape.borrow_mut();
        let lines = match tape.ended.take() {
            None => std::mem::replace(&mut tape.lines, Lines::new()),
            // A second report of the same run, which may have come to something else since.
            Some(ended) => Lines::without_the_last(&ended),
        };
        let bytes = lines.end(summary.clone());
        tape.ended = Some(bytes.clone());
        bytes
    }

    /// Takes the secrets out of a text; true where there was one.
    fn clean(&self, text: &mut String) -> bool {
        let clean = self.redactor.clean(text);
        let masked = clean != *text;
        *text = clean;
        masked
    }

    fn scraped(&self, check: CheckId, mut round: Round) {
        let mut tape = self.tape.borrow_mut();
        if tape.lost.contains_key(&check.index()) {
            return;
        }
        let mut masked = false;
        for scrape in round.sides.iter_mut().filter_map(|seen| seen.scrape.as_mut()) {
            tape.text += scrape.text.len();
            masked |= self.clean(&mut scrape.text);
        }
        if tape.text > TEXT {
            let why = format!("the scrapes were over {} MiB, also without what nothing reads", TEXT / 1024 / 1024);
            tape.lost.insert(check.index(), why);
            return;
        }
        tape.lines.write(&Line::Scraped { check: check.index(), round, masked });
    }

    fn judged(&self, check: CheckId, mut judged: Judged) {
        let mut masked = false;
        for (name, value) in judged.labels.iter_mut().flat_map(|(_, labels)| labels) {
            masked |= self.clean(name);
            masked |= self.clean(value);
        }
        let mut tape = self.tape.borrow_mut();
        let check = check.index();
        let line = match tape.lost.get(&check) {
            Some(why) => Line::Lost { check, why: why.clone() },
            None if masked => Line::Lost { check, why: "its labels held a secret, which was masked".into() },
            None => Line::Judged { check, judged },
        };
        tape.lines.write(&line);
    }
}

impl Recorder {
    fn asked(&self, check: CheckId, mut asked: Asked) {
        let mut masked = self.clean(&mut asked.expr);
        let mut text = asked.expr.len();
        match &mut asked.answer {
            ServerAnswer::Vector(elements) => {
                for (labels, _) in elements {
                    for (name, value) in labels {
                        masked |= self.clean(name);
                        masked |= self.clean(value);
                        text += name.len() + value.len();
                    }
                }
            }
            ServerAnswer::NoValue(why) | ServerAnswer::Unseen(why) => masked |= self.clean(why),
            ServerAnswer::Scalar(_) => {}
        }
        let mut tape = self.tape.borrow_mut();
        tape.text += text;
        let check = check.index();
        if masked {
            tape.lose(check, "what its server answered held a secret, which was masked".into());
        } else if tape.text > TEXT {
            tape.lose(check, format!("what its server answered was over {} MiB", TEXT / 1024 / 1024));
        } else if !tape.lost.contains_key(&check) {
            tape.lines.write(&Line::Asked { check, asked });
        }
    }

    fn answered(&self, check: CheckId, mut answer: Box<Answered>, shape: Option<serde_json::Value>) {
        let mut masked = answer.failure.as_mut().is_some_and(|failure| self.clean(failure));
        let mut tape = self.tape.borrow_mut();
        let check = check.index();
        let shape = shape.map(|mut shape| {
            let json = shape.to_string();
            clean_json(&mut shape, &self.redactor);
            let clean = shape.to_string();
            masked |= clean != json;
            (ring::digest::digest(&ring::digest::SHA256, clean.as_bytes()).as_ref().to_vec(), shape, clean.len())
        });
        tape.answers += 1;
        if masked {
            tape.lose(check, "its answers held a secret, which was masked".into());
        } else if tape.answers > ANSWERS {
            tape.lose(check, format!("there were more than {ANSWERS} answers"));
        }
        if tape.lost.contains_key(&check) {
            return;
        }
        let shape = match shape {
            None => None,
            Some((digest, shape, bytes)) => {
                let next = tape.shapes.len();
                if let Some(known) = tape.shapes.get(&digest) {
                    Some(*known)
                } else {
                    tape.text += bytes;
                    if tape.text > TEXT {
                        let most = TEXT / 1024 / 1024;
                        return tape.lose(check, format!("what its answers are made of was over {most} MiB"));
                    }
                    tape.lines.write(&Line::Shape(shape));
                    tape.shapes.insert(digest, next);
                    Some(next)
                }
            }
        };
        tape.lines.write(&Line::Answered { check, answer, shape });
    }

    fn traffic(&self, check: CheckId, step: TrafficStep) {
        let mut tape = self.tape.borrow_mut();
        let check = check.index();
        let mut json = serde_json::to_value(&step).unwrap_or_default();
        let before = json.clone();
        clean_json(&mut json, &self.redactor);
        if json != before {
            tape.lose(check, "what it tells of its requests held a secret, which was masked".into());
        } else if !tape.lost.contains_key(&check) {
            tape.lines.write(&Line::Traffic { check, step });
        }
    }
}

impl Tape {
    /// Nothing more is kept of a check.
    fn lose(&mut self, check: usize, why: String) {
        if !self.lost.contains_key(&check) {
            self.lines.write(&Line::Lost { check, why: why.clone() });
            self.lost.insert(check, why);
        }
    }
}

impl Observer for Recorder {
    fn hear(&self, event: &Event) {
        match event {
            Event::Scraped { check, round } => self.scraped(*check, round.clone()),
            Event::Judged { check, judged } => self.judged(*check, judged.clone()),
            Event::Asked { check, asked } => self.asked(*check, asked.clone()),
            Event::Answered { check, answer, shape } => self.answered(*check, answer.clone(), shape.clone()),
            Event::Traffic { check, step } => self.traffic(*check, step.clone()),
            // What a check came to stands in the summary.
            _ => {}
        }
    }

    fn records(&self) -> bool {
        true
    }
}

impl Witness for Recorder {
    fn saw(&self, mut exchange: Exchange) {
        let mut tape = self.tape.borrow_mut();
        tape.exchanges += 1;
        if tape.exchanges > EXCHANGES {
            return;
        }
        self.clean(&mut exchange.url);
        exchange.failure.iter_mut().for_each(|failure| {
            self.clean(failure);
        });
        let at = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tape.lines.write(&Line::Exchange { at, exchange });
    }
}
