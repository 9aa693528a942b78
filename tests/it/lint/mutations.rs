//! Random changes to the repository's own files, with a fixed seed: each is found, or is one of those that are listed with
//! the reason why it cannot be.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::{Files, lint, own};
use crate::gate::each;

const COUNT: usize = 200;
const SEED: u64 = 20_261_126;

/// What is not found, by the file, a piece of the line and a piece of what is done to it, and why.
const NOT_FOUND: &[(&str, &str, &str, &str)] = &[
    ("targets.yaml", "description:", "dropped", "it is for people"),
    ("targets.yaml", "executionTimeout:", "dropped", "the default, an hour, is also longer than what is inside"),
    ("iam.yaml", "canary-gate@", "becomes", "whether the service is private, and needs an invoker, no file says"),
    ("iam.yaml", "members:", "dropped", "whether people release and roll back by accounts of their own, no file says"),
    ("iam.yaml", "roles/monitoring.viewer", "changes places", "which rows of the audit are wanted, no file says"),
    ("verify.yaml", "timeout:", "dropped", "the default is also longer than what is inside"),
    ("verify.yaml", "_REVISION:", "changes places", "by hand either may be given or left empty"),
    ("clouddeploy.yaml", "priorRevisionTags:", "dropped", "the gate does without"),
    ("clouddeploy.yaml", "phases: [canary, stable]", "dropped", "all phases are repaired, the same ones"),
    ("skaffold.yaml", "name: emergence-app", "dropped", "it is for people"),
    ("manifests/service.yaml", "maxScale:", "dropped", "a service may do without"),
    ("manifests/service.yaml", "livenessProbe:", "dropped", "a service may do without"),
    ("manifests/service.yaml", "minScale:", "dropped", "a service may do without instances that wait"),
    ("manifests/service.yaml", "startup-cpu-boost:", "dropped", "a service may do without"),
    ("manifests/service.yaml", "periodSeconds:", "dropped", "the default fits too"),
    ("manifests/service.yaml", "timeoutSeconds:", "dropped", "the default fits too"),
    ("manifests/service.yaml", "Seconds:", "changes places", "other times of a probe that fit as well"),
];

/// Numbers that look random and are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most).unwrap()).unwrap()
    }
}

struct Mutation {
    file: String,
    /// The line concerned, as it was.
    line: String,
    what: String,
    files: Files,
}

/// Where a line's key begins and ends, behind dashes of lists.
fn key(line: &str) -> Option<(usize, usize)> {
    let content = line.trim_start_matches([' ', '-']);
    let from = line.len() - content.len();
    let to = from + content.find(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    (!content.starts_with('#') && to > from && line[from..to].chars().all(plain)).then_some((from, to))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The lines of a block: a line and those that are deeper below it.
fn block(lines: &[String], at: usize) -> usize {
    let depth = indent(&lines[at]);
    let inside = |line: &&String| line.trim().is_empty() || indent(line) > depth;
    1 + lines[at + 1..].iter().take_while(inside).count()
}

fn mutation(random: &mut Random) -> Mutation {
    let mut files = own();
    let names: Vec<String> = files.keys().filter(|name| *name != "pipeline.env").cloned().collect();
    loop {
        let file = names[random.below(names.len())].clone();
        let mut lines: Vec<String> = files[&file].lines().map(str::to_owned).collect();
        let keyed: Vec<usize> = (0..lines.len()).filter(|at| key(&lines[*at]).is_some()).collect();
        let at = keyed[random.below(keyed.len())];
        let line = lines[at].trim().to_owned();
        let (from, to) = key(&lines[at]).unwrap();
        let value = |line: &str| {
            let value = line[key(line).unwrap().1 + 1..].trim().to_owned();
            (!value.is_empty() && !value.starts_with(['{', '['])).then_some(value)
        };
        let what = match random.below(5) {
            0 => {
                // Two letters of a key change places, or one is lost.
                let name = lines[at][from..to].to_owned();
                let place = random.below(name.len().max(2) - 1);
                let mut letters: Vec<char> = name.chars().collect();
                if random.below(2) == 0 && place + 1 < letters.len() && letters[place] != letters[place + 1] {
                    letters.swap(place, place + 1);
                } else {
                    letters.remove(place);
                }
                let new: String = letters.into_iter().collect();
                lines[at].replace_range(from..to, &new);
                format!("the key {name} becomes {new}")
            }
            1 => {
                // A value changes places with that of another key.
                let other = keyed[random.below(keyed.len())];
                let (Some(own), Some(others)) = (value(&lines[at]), value(&lines[other])) else { continue };
                if own == others {
                    continue;
                }
                let other_to = key(&lines[other]).unwrap().1;
                lines[at] = format!("{}: {others}", &lines[at][..to]);
                lines[other] = format!("{}: {own}", &lines[other][..other_to]);
                format!("its value changes places with that of {:?}", lines[other].trim())
            }
            2 => {
                // A key goes with all that is below it.
                if lines[at].trim_start().starts_with('-') {
                    continue;
                }
                let count = block(&lines, at);
                lines.drain(at..at + count);
                "it is dropped with its block".to_owned()
            }
            3 => {
                // A key goes one level up or down.
                let up = indent(&lines[at]) >= 2 && random.below(2) == 0 && !lines[at].trim_start().starts_with('-');
                let count = block(&lines, at);
                for line in &mut lines[at..at + count] {
                    *line = if up { line[2.min(line.len())..].to_owned() } else { format!("  {line}") };
                }
                format!("it moves a level {}", if up { "up" } else { "down" })
            }
            _ => {
                let text = files[&file].clone();
                let documents: Vec<&str> = text.split("\n---\n").collect();
                let gone = random.below(documents.len());
                let kept: Vec<&str> =
                    documents.iter().enumerate().filter(|(index, _)| *index != gone).map(|(_, text)| *text).collect();
                lines = kept.join("\n---\n").lines().map(str::to_owned).collect();
                format!("document {gone} is dropped")
            }
        };
        files.insert(file.clone(), lines.join("\n") + "\n");
        return Mutation { file, line, what, files };
    }
}

/// What a pipeline's files say, without their places and comments.
fn meaning(files: &Files) -> Option<Vec<Vec<serde_json::Value>>> {
    let documents = |text: &String| text.split("\n---\n").map(|part| serde_saphyr::from_str(part).ok()).collect();
    files.iter().filter(|(name, _)| *name != "pipeline.env").map(|(_, text)| documents(text)).collect()
}

#[test]
fn random_changes_are_found_or_listed() {
    let mut random = Random(SEED);
    let before = meaning(&own());
    let mut mutations = Vec::new();
    while mutations.len() < COUNT {
        let mutation = mutation(&mut random);
        // What says the same is no change.
        if meaning(&mutation.files) != before || before.is_none() {
            mutations.push(mutation);
        }
    }
    let excused: Mutex<BTreeMap<&str, usize>> = Mutex::default();
    let found = Mutex::new(0);
    each(&mutations, |mutation| {
        let ran = lint(&mutation.files, &[]);
        let excuse = NOT_FOUND.iter().find(|(file, piece, what, _)| {
            mutation.file == *file && mutation.line.contains(piece) && mutation.what.contains(what)
        });
        match (ran.code, excuse) {
            (1 | 2, _) => *found.lock().unwrap() += 1,
            (0, Some((_, _, _, why))) => *excused.lock().unwrap().entry(why).or_default() += 1,
            _ => return Err(format!("{}: {:?}: {} ({})", mutation.file, mutation.line, mutation.what, ran.code)),
        }
        Ok(())
    });
    let found = found.into_inner().unwrap();
    println!("{found} of {COUNT} found; the others: {:?}", excused.into_inner().unwrap());
    assert!(found * 10 >= COUNT * 9, "only {found} of {COUNT} are found");
}
