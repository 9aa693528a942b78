//! The checklist after a deploy: each row is good, bad, or was not seen. It reads, and changes nothing unless it is told to delete
//! old revisions.

mod ask;
mod exposed;
mod logs;
mod probes;
mod revisions;
mod row;
mod subject;
mod template;
mod traffic;
mod values;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::time::Instant;

use crate::check::MakeClient;
use crate::google::deploy::Deploy;
use crate::google::{AccessTokens, Api};
use crate::http::Credentials;
use crate::outcome::{CheckId, DeploymentFacts, Observer};
use crate::plan::{AuditRow, Plan};
use row::{Rows, Seen};
use subject::Subject;

/// Finds what the records of deployments say of a release, where it is named, or of a revision.
pub(crate) type ReadRecords<'a> = dyn Fn(Option<&str>, &str) -> Recorded + 'a;

/// What is audited, by whom, and for how long.
pub(crate) struct Audit<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) names: Names,
    pub(crate) apis: Apis,
    /// Makes the client of the service's address.
    pub(crate) client: MakeClient,
    pub(crate) access: Rc<dyn Credentials>,
    /// What the records of deployments say of a release or a revision; nothing where no folder is named.
    pub(crate) records: Option<&'a ReadRecords<'a>>,
    /// Whether to wait for what cannot be seen yet.
    pub(crate) wait: bool,
    /// How long an API that has trouble is asked again.
    pub(crate) patience: Duration,
    pub(crate) deadline: Instant,
    pub(crate) delete: Delete,
    /// What is known so far.
    pub(crate) known: RefCell<Known>,
}

/// The names, each valid in the APIs' paths.
pub(crate) struct Names {
    pub(crate) project: String,
    pub(crate) region: String,
    pub(crate) service: String,
    /// The revision, where somebody names it.
    pub(crate) revision: Option<String>,
    pub(crate) pipeline: Option<PipelineNames>,
}

/// A pipeline that owns the service.
pub(crate) struct PipelineNames {
    /// In full.
    pub(crate) name: String,
    pub(crate) target: String,
    /// The full names of the release and of the rollout, where somebody names them.
    pub(crate) release: Option<String>,
    pub(crate) rollout: Option<String>,
}

/// The APIs that are asked.
pub(crate) struct Apis {
    pub(crate) deploy: Deploy,
    pub(crate) run: Api,
    pub(crate) logging: Api,
    pub(crate) monitoring: Api,
    pub(crate) tokens: Rc<AccessTokens>,
}

/// What is done about revisions that are more than may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delete {
    /// They are counted.
    No,
    /// It is shown which would be deleted.
    Show,
    /// They are deleted.
    Yes,
}

/// What the records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// The file of the newest record, and that it tells of a good end.
    Good(String),
    /// The same of a bad end, with what it tells.
    Bad(String, String),
    /// There is none; with how many records were read, and the files that could not be.
    Missing(usize, Vec<String>),
}

/// What is known of what is audited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) url: Option<String>,
    pub(crate) facts: DeploymentFacts,
}

impl Audit<'_> {
    /// Fills all rows; `ids` are those of [`crate::plan::Audit::rows`], in their order. What was found stands with the observer
    /// also if this future is dropped before its end.
    pub(crate) async fn run(&self, ids: &[CheckId], observer: &dyn Observer) {
        let subject = Box::pin(Subject::gather(self)).await;
        self.known.replace(subject.known(self));
        let checklist = &self.plan.audit;
        let rows = Rows::new(checklist, ids, observer, self.deadline);
        let errors = self.errors(&subject, checklist).boxed_local().shared();
        let requests = self.requests(&subject, checklist).boxed_local().shared();
        let (subject, rows) = (&subject, &rows);
        let now = |row: &'static str, seen: Seen| -> (&'static str, LocalBoxFuture<'_, Seen>) {
            (row, std::future::ready(seen).boxed_local())
        };
        let id_of = |row: &AuditRow| rows.id(row);
        let work: Vec<(&'static str, LocalBoxFuture<'_, Seen>)> = vec![
            now("traffic", traffic::traffic(subject)),
            now("pin", traffic::pin(self, subject)),
            now("tags", traffic::tags(self, subject)),
            ("services", self.services().boxed_local()),
            ("revisions", self.revisions(subject).boxed_local()),
            now("startup-probe", probes::startup_probe(subject)),
            ("health", self.health(subject, id_of(&checklist.health), observer).boxed_local()),
            ("metrics", self.exposed(subject, id_of(&checklist.metrics), observer).boxed_local()),
            ("logs", self.logs(subject, errors.clone()).boxed_local()),
            ("new-errors", self.new_errors(subject, errors).boxed_local()),
            ("errors", self.error_ratio(subject, requests.clone()).boxed_local()),
            ("latency", self.latency(subject, requests.clone()).boxed_local()),
            ("memory", self.memory(subject, requests).boxed_local()),
            ("cold-start", self.cold_start(subject).boxed_local()),
            ("record", async { self.record(subject) }.boxed_local()),
        ];
        join_all(work.into_iter().map(|(name, work)| rows.fill(name, work))).await;
    }

    /// Waits until a time, where that is asked for and possible.
    ///
    /// # Errors
    /// Why it is not waited for.
    async fn until(&self, at: SystemTime, what: &str) -> Result<(), String> {
        loop {
            let Ok(left) = at.duration_since(SystemTime::now()) else { return Ok(()) };
            let time = humantime::format_rfc3339_seconds(at);
            if !self.wait {
                return Err(format!("{what} cannot be asked for before {time}: run it again then, or with --wait"));
            }
            let have = self.deadline.saturating_duration_since(Instant::now());
            if left >= have {
                let (left, have) = (crate::text::duration(left), crate::text::duration(have));
                return Err(format!(
                    "{what} cannot be asked for before {time}, in {left}, and --timeout leaves {have}"
                ));
            }
            tokio::time::sleep(left).await;
        }
    }

    /// A record of the deployment is there.
    fn record(&self, subject: &Subject) -> Seen {
        let Some(records) = self.records else { return Seen::not_asked("no folder of records is named (--records)") };
        let revision = match &subject.revision {
            Ok(revision) => revision,
            Err(why) => return Seen::none(why.to_string()),
        };
        let release = subject.release();
        let what = release.map_or_else(|| revision.clone(), |release| format!("{release} ({revision})"));
        match records(release, revision) {
            Recorded::Good(file) => Seen::good(format!("{file} is the newest record of {what}")),
            Recorded::Bad(file, why) => Seen::bad(format!("{file}, the newest record of {what}, {why}")),
            Recorded::Missing(records, unreadable) if unreadable.is_empty() => {
                Seen::bad(format!("none of {} is of {what}", crate::text::counted(records, "record")))
            }
            Recorded::Missing(records, unreadable) => Seen::none(format!(
                "none of {} is of {what}, and there are files that cannot be read: {}",
                crate::text::counted(records, "record"),
                crate::text::joined(&unreadable, 3, ", ")
            )),
        }
    }
}
