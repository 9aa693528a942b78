//! `canary-gate release`: lints, packs, uploads, makes a release and its rollout, and follows that.

use std::cell::RefCell;
use std::path::Path;
use std::time::SystemTime;

use super::coordinates::Coordinates;
use super::lint::{Checked, checked};
use super::process::whole_file;
use super::signals::Signals;
use super::told::Teller;
use super::watch::{apis, asked, follow, resume, stopped, tell_whose};
use super::{CommandError, Session};
use crate::cli::Release;
use crate::google::short;
use crate::lint::{self, is_name, path_fits};
use crate::operate::release::{Named, Plan, Releaser, SKAFFOLD, Source, Step, images, pack, release_id, rollout_id};
use crate::outcome::Exit;

/// The largest file of the sources.
const MAX_FILE: u64 = 1024 * 1024;
/// The longest name that Cloud Deploy takes.
const LONGEST: usize = 63;

pub(crate) fn run(session: &Session, args: &Release) -> Result<Exit, CommandError> {
    let runtime = session.runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let plan = plan(session, args)?;
    let asked = asked(&args.follow, &plan.service.project, Some(plan.service.full()))?;
    let (_, cloud) = session.cloud(&args.cloud)?;
    let access = cloud.access.clone();
    let apis = apis(cloud);
    let teller = Teller::new(session);
    let made = Made::default();
    let ended = runtime.block_on(async {
        let released = async {
            tell_whose(&teller, &access, asked.deadline).await;
            teller.say(&format!("release {} of {} to {}", plan.release, short(&plan.pipeline), plan.target));
            for image in &plan.images {
                teller.say(&format!("image {} is {}", image.image, image.tag));
            }
            let tell = |step: Step| {
                teller.say(&step.to_string());
                made.note(&step);
            };
            let trouble = |happened| teller.tell(&happened);
            let releaser = Releaser { apis: &apis, asked: &asked, plan: &plan, tell: &tell, trouble: &trouble };
            match releaser.make().await {
                Ok(rollout) => Box::pin(follow(session, &apis, &asked, &rollout, &teller)).await,
                Err(stop) => {
                    let error = stopped(&stop);
                    Err(CommandError { message: format!("{}; {}", error.message, made.stands()), ..error })
                }
            }
        };
        tokio::select! {
            ended = released => ended,
            signal = signals.next() => {
                Err(CommandError::no_verdict(format!("interrupted by {signal}; {}", made.stands())))
            }
        }
    });
    runtime.shutdown_background();
    ended
}

/// What stands by now, for whoever ends it early.
#[derive(Default)]
struct Made {
    uploaded: RefCell<Option<String>>,
    release: RefCell<Option<String>>,
    rollout: RefCell<Option<String>>,
}

impl Made {
    fn note(&self, step: &Step) {
        match step {
            Step::Uploaded { uri, .. } | Step::Kept(uri) => *self.uploaded.borrow_mut() = Some(uri.clone()),
            Step::ReleaseMade(name) | Step::ReleaseThere(name) => *self.release.borrow_mut() = Some(name.clone()),
            Step::RolloutMade(name) | Step::RolloutThere(name) => *self.rollout.borrow_mut() = Some(name.clone()),
            Step::Pinned(_) | Step::First | Step::BucketMade(_) => {}
        }
    }

    fn stands(&self) -> String {
        let again = "the same command with the same --name makes no second one";
        match (&*self.rollout.borrow(), &*self.release.borrow(), &*self.uploaded.borrow()) {
            (Some(rollout), ..) => format!("the rollout {} goes on: {}", short(rollout), resume(rollout)),
            (None, Some(release), _) => {
                format!("the release {} is made, and whether its rollout is was not seen: {again}", short(release))
            }
            (None, None, Some(uri)) => {
                format!("the sources are at {uri}, and whether the release was made was not seen: {again}")
            }
            (None, None, None) => "no release was made".into(),
        }
    }
}

/// Everything that can be wrong before a request is made, done and found good.
fn plan(session: &Session, args: &Release) -> Result<Plan, CommandError> {
    let coordinates = Coordinates::read(&args.cloud.coordinates)?;
    let service = coordinates.service_name()?;
    let (pipeline, target) = (coordinates.pipeline_name()?, coordinates.target()?);
    let release = args.name.clone().unwrap_or_else(|| release_id(SystemTime::now()));
    let longest = LONGEST.saturating_sub(rollout_id("", &target).len());
    if !is_name(&release, longest) {
        return Err(CommandError::usage(format!(
            "--name: {release:?} is not the name of a release: lower-case letters, digits and hyphens, a letter first, at most \
             {longest} characters (its rollout is called {})",
            rollout_id("NAME", &target)
        )));
    }
    let folder = &args.cloud.coordinates.dir;
    let checked = checked(session, folder)?;
    let named: Vec<Named> = lint::images(&checked.files)
        .into_iter()
        .map(|(image, at)| Named { image, place: format!("{}:{}", at.file, at.place.line) })
        .collect();
    let images = images(&args.image, &named).map_err(|mistakes| CommandError::usage(mistakes.join("\n")))?;
    let source = sources(folder, &checked)?;
    Ok(Plan { service, pipeline, target, release, images, source })
}

/// What Skaffold needs, and nothing else of the folder: its configuration and the manifests that it names.
fn sources(folder: &Path, checked: &Checked) -> Result<Source, CommandError> {
    let usage = CommandError::usage;
    let Some(skaffold) = checked.files.iter().find(|file| file.name == SKAFFOLD) else {
        return Err(usage(format!("there is no {SKAFFOLD} in {}", folder.display())));
    };
    let own = std::slice::from_ref(skaffold);
    if let Some(other) = lint::other_sources(own).first() {
        return Err(usage(format!(
            "{SKAFFOLD} takes sources by {other}, and which files that needs is not known here: make this release by \
             gcloud deploy releases create, and follow it by canary-gate watch"
        )));
    }
    let mut files = vec![(SKAFFOLD.to_owned(), skaffold.text.clone().into_bytes())];
    for pattern in lint::manifests(own) {
        if pattern.contains("://") || pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
            return Err(usage(format!("{SKAFFOLD}: the manifest {pattern} is not in the folder {}", folder.display())));
        }
        let mut fitting = checked.paths.iter().filter(|path| path_fits(&pattern, path)).peekable();
        if fitting.peek().is_none() {
            return Err(usage(format!("{SKAFFOLD}: there is no file {pattern} in {}", folder.display())));
        }
        for path in fitting {
            if files.iter().any(|(known, _)| known == path) {
                continue;
            }
            // What was linted is what is packed.
            let linted = checked.files.iter().find(|file| file.name == *path);
            let bytes = match linted {
                Some(file) => file.text.clone().into_bytes(),
                None => whole_file(&folder.join(path), MAX_FILE).map_err(usage)?,
            };
            files.push((path.clone(), bytes));
        }
    }
    pack(files).map_err(usage)
}
