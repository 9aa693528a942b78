//! Why a job failed: by Cloud Deploy's word, and by what the job said itself: its results, else the log of its build.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::event::Cause;
use crate::google::deploy::{Deploy, JobRun, Work};
use crate::google::{Api, short};
use crate::text;

/// The most lines of a log that are copied.
const LINES: usize = 12;
/// The most characters of one.
const LONG: usize = 400;
/// The most entries of a log that are looked at.
const ENTRIES: usize = 300;

/// Where a job's cause is looked for.
pub(super) struct Sources<'a> {
    pub(super) deploy: &'a Deploy,
    pub(super) storage: &'a Api,
    pub(super) logging: &'a Api,
    /// The project's id, whose logs are asked.
    pub(super) project: &'a str,
}

impl Sources<'_> {
    /// The cause of a run of a job. What cannot be read is told in its place.
    pub(super) async fn cause(&self, run: &str, deadline: Instant) -> Cause {
        if run.is_empty() {
            return Cause { source: "Cloud Deploy names no run of it".into(), ..Cause::default() };
        }
        let found: JobRun = match super::super::patiently(deadline, async || self.deploy.get(run, deadline).await).await
        {
            Ok(found) => found,
            Err(error) => return Cause { source: error.to_string(), ..Cause::default() },
        };
        let Some(work) = found.work() else {
            return Cause { source: format!("{} says nothing of it", short(run)), ..Cause::default() };
        };
        let mut cause = Cause {
            kind: work.failure_cause.clone(),
            message: work.failure_message.clone(),
            build: work.build.clone(),
            ..Cause::default()
        };
        (cause.told, cause.source) = self.told(work, deadline).await;
        cause
    }

    /// What the job said, and where that was read; or why nothing was.
    async fn told(&self, work: &Work, deadline: Instant) -> (Vec<String>, String) {
        if let Some(summary) = work.metadata.custom.values.get("summary") {
            return (lines(summary), "the job's results".into());
        }
        let mut failed = Vec::new();
        match self.results(&work.artifact_uri, deadline).await {
            Ok(Some(summary)) => return (lines(&summary), format!("the job's results in {}", work.artifact_uri)),
            Ok(None) => {}
            Err(why) => failed.push(why),
        }
        match self.log(&work.build, deadline).await {
            Ok(told) if !told.is_empty() => return (told, "the log of its build".into()),
            Ok(_) => failed.push("the log of its build holds nothing".into()),
            Err(why) => failed.push(why),
        }
        (Vec::new(), failed.join("; "))
    }

    /// The summary in the `results.json` of a folder.
    async fn results(&self, folder: &str, deadline: Instant) -> Result<Option<String>, String> {
        let Some((bucket, path)) = folder.strip_prefix("gs://").and_then(|rest| rest.split_once('/')) else {
            return Ok(None);
        };
        let encode =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let list = format!(
            "/storage/v1/b/{}/o?prefix={}",
            encode(bucket),
            encode(&format!("{}/", path.trim_end_matches('/')))
        );
        let items = super::super::patiently(deadline, async || self.storage.list(&list, "items", deadline).await).await;
        let items = items.map_err(|error| error.to_string())?;
        let names = items.iter().filter_map(|item| item["name"].as_str());
        let Some(name) = names.filter(|name| name.ends_with("/results.json")).min_by_key(|name| name.len()) else {
            return Ok(None);
        };
        let object = format!("/storage/v1/b/{}/o/{}?alt=media", encode(bucket), encode(name));
        let read: Result<Value, _> =
            super::super::patiently(deadline, async || self.storage.get(&object, deadline).await).await;
        let read = read.map_err(|error| error.to_string())?;
        Ok(read["metadata"]["summary"].as_str().map(str::to_owned))
    }

    /// The last lines of a build's log: those of the gate, where it wrote any.
    async fn log(&self, build: &str, deadline: Instant) -> Result<Vec<String>, String> {
        let id = short(build);
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err("Cloud Deploy names no build of it".into());
        }
        let body = json!({
            "resourceNames": [format!("projects/{}", self.project)],
            "filter": format!("resource.type=\"build\" AND resource.labels.build_id=\"{id}\""),
            "orderBy": "timestamp desc",
            "pageSize": ENTRIES,
        });
        let asked = async || self.logging.post::<Value>("/v2/entries:list", &body, deadline).await;
        let answer = super::super::patiently(deadline, asked).await.map_err(|error| error.to_string())?;
        let entries = answer["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(last_words(entries.iter().rev().filter_map(|entry| entry["textPayload"].as_str())))
    }
}

fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(LINES).map(|line| text::cut(line, LONG).into_owned()).collect()
}

/// The last lines of the container that verifies, else of whatever wrote last. Skaffold writes a container's name in brackets before
/// each of its lines.
fn last_words<'l>(log: impl Iterator<Item = &'l str>) -> Vec<String> {
    let all: Vec<&str> = log.flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_its = |line: &&&str| line.contains("[canary-gate]");
    let own: Vec<&str> = all.iter().filter(is_its).copied().collect();
    let chosen = if own.is_empty() { all } else { own };
    let from = chosen.len().saturating_sub(LINES);
    chosen[from..].iter().map(|line| text::cut(line, LONG).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_the_gates_own_last_lines_are_kept() {
        let log = [
            "Step #0: starting\nfetching",
            "[canary-gate] FAIL in 9s: metrics",
            "",
            "[canary-gate]  failures 3",
            "ERROR: build step 0 failed",
        ];
        assert_eq!(last_words(log.into_iter()), ["[canary-gate] FAIL in 9s: metrics", "[canary-gate]  failures 3"]);
        assert_eq!(last_words(["a\nb"].into_iter()), ["a", "b"]);
        let many: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        let kept = last_words(many.iter().map(|line| &**line));
        assert_eq!((kept.len(), &*kept[0], &*kept[LINES - 1]), (LINES, "28", "39"));
        assert_eq!(lines(&"x".repeat(1000))[0].chars().count(), LONG + 1);
    }
}
