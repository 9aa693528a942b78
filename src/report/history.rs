//! The table of a folder of deployment records, newest first. Pure: files are texts here.
//!
//! A record is a Markdown file with front matter, as `--report markdown=FOLDER` writes it, or one that a person wrote: then a
//! date in its name is enough. What the table says of a record follows from all of them together: a revision that was
//! verified with all of the traffic is active until a newer one is.

use std::collections::{HashMap, HashSet};

use super::markdown::inline;
use super::moment::{Moment, is_day, moment};
use crate::plan::front_matter;
use crate::text;

/// What a record says, for whoever goes by records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) file: String,
    pub(crate) revision: String,
    /// Whether it passed; nothing where the record does not say.
    pub(crate) passed: Option<bool>,
    /// In percent.
    pub(crate) share: Option<u32>,
    /// What the traffic was taken back from.
    pub(crate) rolled_back: Option<String>,
}

/// What the records among the files say, the newest first; and those that cannot be read.
pub(crate) fn told(entries: &[Entry]) -> (Vec<Told>, Vec<Unreadable>) {
    let (records, unreadable) = read(entries);
    let told = |record: Record| Told {
        file: record.file,
        revision: record.revision,
        passed: record.verdict.map(|verdict| verdict == Verdict::Pass),
        share: record.share,
        rolled_back: Some(record.rolled_back).filter(|name| !name.is_empty()),
    };
    (records.into_iter().map(told).collect(), unreadable)
}

/// The records among the files, the newest first; and those that cannot be read.
fn read(entries: &[Entry]) -> (Vec<Record>, Vec<Unreadable>) {
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    for entry in entries {
        match Record::read(entry) {
            Ok(record) => records.extend(record),
            Err(why) => unreadable.push(Unreadable { file: entry.file.clone(), why }),
        }
    }
    records.sort_by(|a, b| b.moment().cmp(&a.moment()).then_with(|| natural(&b.file).cmp(&natural(&a.file))));
    (records, unreadable)
}

/// The lines between which the table stands.
const BEGIN: &str = "<!-- canary-gate history: begin -->";
const END: &str = "<!-- canary-gate history: end -->";

const HEAD: &str = "| date | revision | image | description | status |\n|---|---|---|---|---|\n";

/// A file of the folder.
pub(crate) struct Entry {
    /// Its name.
    pub(crate) file: String,
    /// Its text, or at least its beginning; or why it cannot be read.
    pub(crate) text: Result<String, String>,
}

/// A record that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) file: String,
    pub(crate) why: String,
}

/// What a folder comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// The new text of the folder's README.md.
    pub(crate) readme: String,
    /// How many records the table has.
    pub(crate) records: usize,
    /// What was left out of it.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// The newest record of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Newest {
    /// Its file: it tells of a good end, or a person wrote it.
    Good(String),
    /// The same of another end, with what it tells.
    Bad(String, String),
    /// There is none: so many records were read, and these files could not be.
    Missing { records: usize, unreadable: Vec<String> },
}

/// The newest record of a release or of a revision, by what the records say of themselves; and one that is as new and says that the
/// traffic was taken back from it.
pub(crate) fn newest_record(entries: &[Entry], release: Option<&str>, revision: &str) -> Newest {
    let (records, unreadable) = read(entries);
    let names = |is: &dyn Fn(&str) -> bool| is(revision) || release.is_some_and(is);
    let is_about = |record: &&Record| {
        names(&|name| record.is(name)) || names(&|name| !name.is_empty() && record.rolled_back == name)
    };
    let Some(record) = records.iter().find(is_about) else {
        let unreadable = unreadable.into_iter().map(|Unreadable { file, .. }| file).collect();
        return Newest::Missing { records: records.len(), unreadable };
    };
    let bad = |why: &str| Newest::Bad(record.file.clone(), why.into());
    match record.verdict {
        _ if !names(&|name| record.is(name)) => bad("tells that the traffic was taken back from it"),
        Some(Verdict::Fail) => bad("tells of a failure"),
        Some(Verdict::Error) => bad("tells of no verdict"),
        Some(Verdict::Pass) | None => Newest::Good(record.file.clone()),
    }
}

/// A deployment.
#[derive(Default)]
struct Record {
    file: String,
    /// As RFC 3339 writes it, or a day alone.
    date: String,
    revision: String,
    release: String,
    image: String,
    description: String,
    verdict: Option<Verdict>,
    /// In percent.
    share: Option<u32>,
    /// As a person wrote it.
    status: String,
    /// The release or revision from which the traffic was taken back.
    rolled_back: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    Fail,
    Error,
}

impl History {
    /// Makes the table of a folder's files anew, in the README that is there, if one is.
    ///
    /// # Errors
    /// Why the README has no place for it.
    pub(crate) fn of(entries: &[Entry], readme: Option<&str>) -> Result<Self, String> {
        let (records, unreadable) = read(entries);
        let (mut before, old, after) = frame(readme)?;
        let mut rows: Vec<(Option<Moment>, String)> = records
            .iter()
            .zip(statuses(&records))
            .map(|(record, status)| (record.moment(), record.row(&status)))
            .collect();
        for line in old.lines() {
            match Line::of(line) {
                Line::ByHand => rows.push((date_of(line), format!("{line}\n"))),
                Line::Made => {}
                // The table has no place for it, and it is nobody's to lose.
                Line::Text => before.push_str(&format!("{line}\n")),
            }
        }
        // Of one date, what a person wrote stays behind the records.
        rows.sort_by_key(|(moment, _)| std::cmp::Reverse(*moment));
        let rows: String = rows.into_iter().map(|(_, row)| row).collect();
        let readme = format!("{before}{BEGIN}\n{HEAD}{rows}{END}\n{after}");
        Ok(Self { readme, records: records.len(), unreadable })
    }
}

/// What stands before the markers, between them, and after them.
fn frame(readme: Option<&str>) -> Result<(String, &str, &str), String> {
    let Some(readme) = readme else { return Ok(("# Deployments\n\n".into(), "", "")) };
    let lines: Vec<(usize, &str)> = readme
        .split_inclusive('\n')
        .scan(0, |at, line| {
            let began = *at;
            *at += line.len();
            Some((began, line))
        })
        .collect();
    let find = |marker: &str| -> Vec<(usize, usize)> {
        let own = lines.iter().filter(|(_, line)| line.trim() == marker);
        own.map(|(at, line)| (*at, at + line.len())).collect()
    };
    match (&*find(BEGIN), &*find(END)) {
        ([], []) => {
            let gap = if readme.is_empty() || readme.ends_with("\n\n") {
                ""
            } else if readme.ends_with('\n') {
                "\n"
            } else {
                "\n\n"
            };
            Ok((format!("{readme}{gap}"), "", ""))
        }
        ([(begin, begun)], [(end, ended)]) if begun <= end => {
            Ok((readme[..*begin].to_owned(), &readme[*begun..*end], &readme[*ended..]))
        }
        _ => Err(format!("its table wants one line {BEGIN:?} and one line {END:?} behind it, or neither")),
    }
}

/// A line between the markers.
enum Line {
    /// Made from a record, or a part of the table itself.
    Made,
    /// A row that a person wrote: it leads to no file of this folder.
    ByHand,
    /// No row.
    Text,
}

impl Line {
    fn of(line: &str) -> Self {
        let Some(first) = line.trim().strip_prefix('|').and_then(|rest| rest.split('|').next()) else {
            return if line.trim().is_empty() { Self::Made } else { Self::Text };
        };
        let first = first.trim();
        let is_rule = first.starts_with([':', '-']) && first.chars().all(|c| matches!(c, '-' | ':'));
        let is_head = first.eq_ignore_ascii_case("date") || is_rule;
        // As a row of a record leads to it: by its name alone.
        let target = first.strip_prefix('[').and_then(|link| link.split_once("]("));
        let target = target.and_then(|(_, target)| target.strip_suffix(".md)"));
        if is_head || target.is_some_and(|name| !name.contains(['/', ':'])) { Self::Made } else { Self::ByHand }
    }
}

/// The day of a row that a person wrote, which may be that of a link; without one it sorts behind all others.
fn date_of(line: &str) -> Option<Moment> {
    moment(line.trim().trim_start_matches('|').trim().trim_start_matches('['))
}

/// A name so that numbers in it sort as numbers: `rel-2` before `rel-10`.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut pieces: Vec<(u64, String)> = Vec::new();
    for c in name.trim_end_matches(".md").chars() {
        match (c.to_digit(10), pieces.last_mut()) {
            (Some(digit), Some((number, text))) if text.is_empty() => {
                *number = number.saturating_mul(10).saturating_add(u64::from(digit));
            }
            (Some(digit), _) => pieces.push((u64::from(digit), String::new())),
            (None, Some((_, text))) if !text.is_empty() => text.push(c),
            (None, _) => pieces.push((0, c.into())),
        }
    }
    pieces
}

impl Record {
    /// Reads a file; nothing where it is not a record: it has neither front matter nor a date in its name, or it is the report of an
    /// audit, which is of a deployment that has a record of its own.
    fn read(entry: &Entry) -> Result<Option<Self>, String> {
        let by_name = entry.file.get(..10).filter(|day| is_day(day));
        let mut record = Self { file: entry.file.clone(), ..Self::default() };
        let text = entry.text.as_ref().map_err(Clone::clone)?;
        let Some(matter) = matter(text)? else {
            let Some(day) = by_name else { return Ok(None) };
            day.clone_into(&mut record.date);
            record.description = heading(text).ok_or("it has neither front matter nor a heading")?;
            return Ok(Some(record));
        };
        for (key, value) in front_matter(matter).map_err(|why| format!("its front matter cannot be read: {why}"))? {
            let value = value.trim();
            match &*key {
                "date" => record.date = value.replacen(' ', "T", 1),
                "revision" => record.revision = value.into(),
                "release" => record.release = value.into(),
                "image" | "image_tag" => tag(value).clone_into(&mut record.image),
                "description" => record.description = value.into(),
                "status" => record.status = value.into(),
                "rolled_back" => record.rolled_back = value.into(),
                "verdict" => record.verdict = Some(verdict(value)?),
                "share" => record.share = Some(share(value)?),
                "purpose" if value == "audit" => return Ok(None),
                _ => {}
            }
        }
        if record.date.is_empty() {
            by_name.ok_or("its front matter has no date")?.clone_into(&mut record.date);
        }
        if record.moment().is_none() {
            return Err(format!("its date {:?} is not one such as 2026-01-31", text::cut(&record.date, 40)));
        }
        if record.description.is_empty() {
            record.description = heading(text).unwrap_or_default();
        }
        Ok(Some(record))
    }

    /// What its revision is known by.
    fn key(&self) -> &str {
        [&*self.revision, &self.release, &self.file].into_iter().find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// When it was; known of every record that was read.
    fn moment(&self) -> Option<Moment> {
        moment(&self.date)
    }

    fn is(&self, name: &str) -> bool {
        !name.is_empty() && (self.revision == name || self.release == name)
    }

    fn row(&self, status: &str) -> String {
        let day: String = self.date.chars().take(10).collect();
        let revision = if self.revision.is_empty() { &self.release } else { &self.revision };
        let cells = [revision, &self.image, &self.description, status].map(inline);
        format!("| [{day}]({}) | {} |\n", target(&self.file), cells.join(" | "))
    }
}

/// The front matter with the line of dashes in front of it; nothing where the text has none.
fn matter(text: &str) -> Result<Option<&str>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.split_inclusive('\n');
    if lines.next().is_none_or(|line| line.trim_end() != "---") {
        return Ok(None);
    }
    let mut end = text.find('\n').map_or(text.len(), |at| at + 1);
    for line in lines {
        if matches!(line.trim_end(), "---" | "...") {
            return Ok(Some(&text[..end]));
        }
        end += line.len();
    }
    Err("its front matter has no end: a line of --- is lacking".into())
}

fn heading(text: &str) -> Option<String> {
    let heading = text.lines().find_map(|line| line.strip_prefix("# "))?.trim();
    (!heading.is_empty()).then(|| heading.to_owned())
}

fn verdict(written: &str) -> Result<Verdict, String> {
    match &*written.to_ascii_lowercase() {
        "pass" => Ok(Verdict::Pass),
        "fail" => Ok(Verdict::Fail),
        "error" => Ok(Verdict::Error),
        _ => Err(format!("its verdict {:?} is none of pass, fail and error", text::cut(written, 40))),
    }
}

fn share(written: &str) -> Result<u32, String> {
    let number = written.trim_end_matches('%').trim_end().parse().ok().filter(|share| *share <= 100);
    number.ok_or_else(|| format!("its share {:?} is not a number of percent", text::cut(written, 40)))
}

/// The tag of an image; without one, what is left of its digest; the text itself where it is no image's name.
fn tag(image: &str) -> &str {
    const DIGITS: usize = 19;
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    match (last.split_once(':'), digest) {
        (Some((_, tag)), _) => tag,
        (None, Some(digest)) => digest.get(..DIGITS).unwrap_or(digest),
        (None, None) if name.contains('/') => "",
        (None, None) => image,
    }
}

/// A file's name as the target of a link.
fn target(file: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    file.bytes().map(one).collect()
}

/// What each record is now, as teams write it. The records are sorted, newest first.
fn statuses(records: &[Record]) -> Vec<String> {
    let back = rolled_back(records);
    let mut known = HashSet::new();
    let mut serving = Serving::default();
    let status = |(index, record): (usize, &Record)| {
        // Whatever is known of a revision, its newest record tells.
        let is_newest = known.insert(record.key().to_owned());
        let by_hand = record.status.to_ascii_lowercase();
        if !record.status.is_empty() && !by_hand.starts_with("active") {
            return record.status.clone();
        }
        if back.contains(&index) {
            return "rolled back".into();
        }
        match (record.verdict, record.share) {
            (Some(Verdict::Fail), _) => "failed".into(),
            (Some(Verdict::Error), _) => "failed (no verdict)".into(),
            _ if !is_newest => "archived".into(),
            (_, Some(share)) => serving.status(share),
            // Whoever writes a record by hand deployed.
            (None, None) => serving.status(active_share(&by_hand)),
            // Of an address alone it is not known whether it serves anybody.
            (Some(Verdict::Pass), None) if index == 0 => "active".into(),
            (Some(Verdict::Pass), None) => "archived".into(),
        }
    };
    records.iter().enumerate().map(status).collect()
}

/// What serves by the newer records.
#[derive(Default)]
struct Serving {
    /// Whether one has what the canary leaves.
    has_stable: bool,
    /// The share of the canary.
    canary: Option<u32>,
}

impl Serving {
    /// The status of the next older record, which had a share.
    fn status(&mut self, share: u32) -> String {
        if self.has_stable || (share < 100 && self.canary.is_some()) {
            return "archived".into();
        }
        if share == 100 {
            self.has_stable = true;
            return format!("active ({} %)", 100 - self.canary.unwrap_or(0));
        }
        self.canary = Some(share);
        format!("active ({share} %)")
    }
}

/// The share in a status such as `active (20 %)`.
fn active_share(status: &str) -> u32 {
    let digits: String = status.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|share| *share <= 100).unwrap_or(100)
}

/// The records of what the traffic was taken back from: a later record says so, or a revision from before it serves again.
fn rolled_back(records: &[Record]) -> HashSet<usize> {
    let mut back = HashSet::new();
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (index, record) in records.iter().enumerate().rev() {
        if !record.rolled_back.is_empty() {
            let older = records.iter().enumerate().skip(index + 1);
            back.extend(older.filter(|(_, other)| other.is(&record.rolled_back)).map(|(older, _)| older));
        }
        let before = last.insert(record.key(), index);
        let serves = record.share == Some(100) && record.verdict == Some(Verdict::Pass);
        if let Some(before) = before.filter(|_| serves) {
            back.extend((index + 1..before).filter(|between| records[*between].key() != record.key()));
        }
    }
    back
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str, text: &str) -> Entry {
        Entry { file: file.into(), text: Ok(text.into()) }
    }

    /// A record as the gate writes it.
    fn record(date: &str, revision: &str, verdict: &str, share: u32) -> Entry {
        let text = format!(
            "---\ndate: {date}\nverdict: {verdict}\ndescription: \"about {revision}\"\nshare: {share}\nrevision: \"{revision}\"\n\
             image: \"host:5000/app:1.{revision}@sha256:0123456789abcdef0123\"\n---\n\n# {revision}\n"
        );
        entry(&format!("{}-{revision}-{share}-{}.md", &date[..10], &date[11..13]), &text)
    }

    /// Each row's revision and status.
    fn rows(entries: &[Entry]) -> Vec<(String, String)> {
        let history = History::of(entries, None).unwrap();
        assert_eq!(history.unreadable, []);
        let rows = history.readme.lines().filter(|line| line.starts_with("| [") || line.starts_with("| 2"));
        rows.map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[2].replace('\\', ""), cells[5].to_owned())
        })
        .collect()
    }

    #[test]
    fn the_newest_record_of_a_deployment_tells() {
        let entries = [
            record("2026-11-20T10:00:00Z", "app-1", "pass", 20),
            record("2026-11-20T12:00:00Z", "app-1", "fail", 100),
            record("2026-11-19T10:00:00Z", "app-2", "fail", 20),
            record("2026-11-21T10:00:00Z", "app-2", "pass", 100),
            entry("2026-11-22-by-hand.md", "---\nrelease: rel-3\n---\n# by hand\n"),
            entry("broken.md", "---\ndate: x\n---\n"),
            entry("audit.md", "---\ndate: 2026-11-30\nverdict: fail\npurpose: audit\nrevision: app-2\n---\n# x\n"),
        ];
        let of = |release: Option<&str>, revision: &str| newest_record(&entries, release, revision);
        assert!(
            matches!(of(None, "app-1"), Newest::Bad(file, why) if file.ends_with("-100-12.md") && why.contains("failure"))
        );
        assert!(matches!(of(None, "app-2"), Newest::Good(file) if file.starts_with("2026-11-21")));
        assert!(matches!(of(Some("rel-3"), "app-3"), Newest::Good(file) if file.contains("by-hand")));
        let none = Newest::Missing { records: 5, unreadable: vec!["broken.md".into()] };
        assert_eq!((of(None, "app-3"), of(Some("rel-4"), "")), (none.clone(), none));
        let back = |day: &str| {
            entry(
                &format!("2026-12-{day}-back.md"),
                "---\nrolled_back: app-2\nrevision: app-1\nverdict: pass\n---\n# x\n",
            )
        };
        let after = [record("2026-12-01T10:00:00Z", "app-2", "pass", 100), back("02")];
        assert!(matches!(newest_record(&after, None, "app-2"), Newest::Bad(_, why) if why.contains("taken back")));
        assert!(matches!(newest_record(&after, None, "app-1"), Newest::Good(file) if file.contains("back")));
        let again = [record("2026-12-03T10:00:00Z", "app-2", "pass", 100), back("02")];
        assert!(matches!(newest_record(&again, None, "app-2"), Newest::Good(_)));
    }

    #[test]
    fn a_status_is_what_all_records_together_say() {
        /// Day, revision, verdict and share of each record, the oldest first, and the statuses, the newest first.
        type Case = (&'static [(&'static str, &'static str, &'static str, u32)], &'static [&'static str]);
        let cases: &[Case] = &[
            (&[], &[]),
            (&[("1", "a", "pass", 100)], &["active (100 %)"]),
            (&[("1", "a", "pass", 20), ("2", "a", "pass", 100)], &["active (100 %)", "archived"]),
            (&[("1", "a", "pass", 100), ("2", "b", "pass", 20)], &["active (20 %)", "active (80 %)"]),
            (
                &[("1", "a", "pass", 100), ("2", "b", "pass", 20), ("3", "b", "pass", 100)],
                &["active (100 %)", "archived", "archived"],
            ),
            (&[("1", "a", "pass", 100), ("2", "b", "fail", 20)], &["failed", "active (100 %)"]),
            (&[("1", "a", "pass", 100), ("2", "b", "error", 20)], &["failed (no verdict)", "active (100 %)"]),
            (
                &[("1", "a", "pass", 100), ("2", "b", "pass", 20), ("3", "b", "fail", 100)],
                &["failed", "archived", "active (100 %)"],
            ),
            (
                &[("1", "a", "pass", 100), ("2", "b", "fail", 20), ("3", "b", "pass", 20)],
                &["active (20 %)", "failed", "active (80 %)"],
            ),
            // The revision from before serves again.
            (
                &[("1", "a", "pass", 100), ("2", "b", "fail", 20), ("3", "a", "pass", 100)],
                &["active (100 %)", "rolled back", "archived"],
            ),
            (
                &[("1", "a", "pass", 100), ("2", "b", "pass", 100), ("3", "a", "pass", 100)],
                &["active (100 %)", "rolled back", "archived"],
            ),
        ];
        for (written, wanted) in cases {
            let entries: Vec<Entry> = written
                .iter()
                .map(|(day, revision, verdict, share)| {
                    record(&format!("2026-11-0{day}T10:00:00Z"), revision, verdict, *share)
                })
                .collect();
            let found: Vec<String> = rows(&entries).into_iter().map(|(_, status)| status).collect();
            assert_eq!(found, *wanted, "{written:?}");
        }
    }

    #[test]
    fn what_people_write_counts() {
        let entries = [
            entry("2026-01-01-first.md", "# The first one\n"),
            entry("2026-02-01-x.md", "---\nrevision: app-2\nstatus: Archived by hand\ntags: [a, b]\n---\n"),
            entry(
                "by-hand.md",
                "---\ndate: 2026-03-01 10:00\nrevision: app-3\nimage: 1.10\nstatus: active (100 %)\n---\n",
            ),
            entry(
                "2026-03-02-r.md",
                "---\nrolled_back: app-3\nrelease: rel-2\nshare: 100 %\ndescription: back to 2\n---\n",
            ),
            entry("CONTRIBUTING.md", "# How to write one\n"),
        ];
        let wanted =
            [("rel-2", "active (100 %)"), ("app-3", "rolled back"), ("app-2", "Archived by hand"), ("", "archived")];
        let found = rows(&entries);
        assert_eq!(found.iter().map(|(revision, status)| (&**revision, &**status)).collect::<Vec<_>>(), wanted);
        let readme = History::of(&entries, None).unwrap().readme;
        assert!(readme.contains("| [2026-03-01](by-hand.md) | app-3 | 1.10 |"), "{readme}");
        assert!(readme.contains("| [2026-01-01](2026-01-01-first.md) |  |  | The first one | archived |"), "{readme}");
    }

    #[test]
    fn one_at_most_is_active_with_everything() {
        let by_hand = |day: u32| {
            let text = format!("---\nrevision: app-{day}\nstatus: active (100 %)\n---\n");
            entry(&format!("2026-01-0{day}-x.md"), &text)
        };
        let entries: Vec<Entry> = (1..=4).map(by_hand).collect();
        assert_eq!(rows(&entries).iter().filter(|(_, status)| status == "active (100 %)").count(), 1);
    }

    #[test]
    fn the_table_is_rebuilt_byte_for_byte_and_the_rest_is_kept() {
        let readme = "# Ours\n\ntext | with | bars\n\n<!-- canary-gate history: begin -->\nold words\n| date | x |\n|:--|--|\n\
                      | 2025-12-24 | from before | the | gate | archived |\n| [2024-01-01](gone.md) | a | b | c | d |\n\
                      | [2025-06-01](../older/2025-06-01.md) | of another folder |\n2023-01-01 | no row | c\n\n\
                      <!-- canary-gate history: end -->\n\nThe end";
        let entries =
            [record("2026-11-02T10:00:00Z", "r2", "pass", 100), record("2024-11-01T10:00:00Z", "r1", "pass", 100)];
        let once = History::of(&entries, Some(readme)).unwrap().readme;
        let wanted = "# Ours\n\ntext | with | bars\n\nold words\n2023-01-01 | no row | c\n<!-- canary-gate history: begin -->\n\
            | date | revision | image | description | status |\n|---|---|---|---|---|\n\
            | [2026-11-02](2026-11-02-r2-100-10.md) | r2 | 1.r2 | about r2 | active (100 %) |\n\
            | 2025-12-24 | from before | the | gate | archived |\n\
            | [2025-06-01](../older/2025-06-01.md) | of another folder |\n\
            | [2024-11-01](2024-11-01-r1-100-10.md) | r1 | 1.r1 | about r1 | archived |\n\
            <!-- canary-gate history: end -->\n\nThe end";
        assert_eq!(once, wanted);
        assert_eq!(History::of(&entries, Some(&once)).unwrap().readme, once);
        for new in [None, Some(""), Some("# Ours"), Some("# Ours\n"), Some("# Ours\n\n")] {
            let once = History::of(&entries, new).unwrap().readme;
            assert_eq!(History::of(&entries, Some(&once)).unwrap().readme, once);
            assert!(once.starts_with("# ") || new == Some(""), "{once}");
        }
        for broken in [BEGIN.to_owned(), format!("{END}\n{BEGIN}\n"), format!("{BEGIN}\n{BEGIN}\n{END}\n")] {
            assert!(History::of(&entries, Some(&broken)).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_malformed_record_is_named_and_the_others_are_listed() {
        let good = record("2026-11-02T10:00:00Z", "r2", "pass", 100);
        for (name, text, piece) in [
            ("2026-01-01-a.md", "---\ndate: 2026-01-01\n", "has no end"),
            ("2026-01-01-a.md", "---\ndate: [\n---\n", "cannot be read"),
            ("2026-01-01-a.md", "---\njust words\n---\n", "not a mapping"),
            ("2026-01-01-a.md", "---\ndate: yesterday\n---\n", "its date \"yesterday\""),
            ("2026-01-01-a.md", "---\ndate: 2026-13-01\n---\n", "its date \"2026-13-01\""),
            ("2026-01-01-a.md", "---\ndate: 2026-02-30\n---\n", "its date \"2026-02-30\""),
            ("a.md", "---\nrevision: x\n---\n", "no date"),
            ("2026-01-01-a.md", "---\nshare: most\n---\n", "its share \"most\""),
            ("2026-01-01-a.md", "---\nshare: 101\n---\n", "its share \"101\""),
            ("2026-01-01-a.md", "---\nverdict: maybe\n---\n", "its verdict \"maybe\""),
            ("2026-01-01-a.md", "", "neither front matter nor a heading"),
        ] {
            let good = Entry { file: good.file.clone(), text: good.text.clone() };
            let history = History::of(&[entry(name, text), good], None).unwrap();
            assert_eq!((history.records, history.unreadable.len()), (1, 1), "{text}");
            let Unreadable { file, why } = &history.unreadable[0];
            assert!(file == name && why.contains(piece), "{text}: {why}");
        }
    }

    #[test]
    fn what_a_record_says_cannot_break_out_of_its_row() {
        let evil = "a | b\\n<!-- canary-gate history: end -->\\n[x](javascript:y) `c`";
        let text = format!("---\ndate: 2026-01-01\nrevision: \"{evil}\"\ndescription: \"{evil}\"\n---\n");
        let entries = [entry("2026-01-01-a (b).md", &text)];
        let once = History::of(&entries, None).unwrap().readme;
        assert_eq!(once.lines().count(), 7, "{once}");
        assert!(
            once.contains("](2026-01-01-a%20%28b%29.md)") && once.contains("\\[x\\](javascript:y) \\`c\\`"),
            "{once}"
        );
        assert_eq!(History::of(&entries, Some(&once)).unwrap().readme, once);
    }

    #[test]
    fn the_newest_is_known_by_its_moment_whatever_its_zone_is() {
        let dates = [
            "2026-01-01T05:00:00Z",
            "2026-01-01 06:00:00.25+02:00",
            "2025-12-31T22:30-01:00",
            "2026-01-01T04:00:00+05:00",
            "2025-12-31 (in the evening)",
        ];
        let entries =
            dates.map(|date| entry(&format!("{}.md", date.len()), &format!("---\ndate: {date}\n---\n# {date}\n")));
        let mut shuffled: Vec<Entry> = entries.into_iter().collect();
        shuffled.swap(0, 3);
        shuffled.swap(1, 4);
        let readme = History::of(&shuffled, None).unwrap().readme;
        let order: Vec<usize> =
            dates.iter().map(|date| readme.find(&format!(" {} |", inline(date))).unwrap()).collect();
        assert!(order.is_sorted(), "{readme}");
    }

    #[test]
    fn of_one_day_the_later_number_is_newer() {
        let files = ["2026-01-01-r-10.md", "2026-01-01-r.md", "2026-01-01-r-2.md"];
        let entries = files.map(|file| entry(file, &format!("# {file}\n")));
        let readme = History::of(&entries, None).unwrap().readme;
        let order: Vec<usize> =
            ["r-10.md)", "r-2.md)", "r.md)"].iter().map(|name| readme.find(name).unwrap()).collect();
        assert!(order.is_sorted(), "{readme}");
    }

    #[test]
    fn a_tag_is_found_in_an_image() {
        for (image, wanted) in [
            ("host:5000/a/app:1.4.2@sha256:0123456789abcdef", "1.4.2"),
            ("host:5000/a/app@sha256:0123456789abcdef", "sha256:0123456789ab"),
            ("host:5000/a/app", ""),
            ("app:1.4.2", "1.4.2"),
            ("1.4.2", "1.4.2"),
        ] {
            assert_eq!(tag(image), wanted);
        }
    }
}
