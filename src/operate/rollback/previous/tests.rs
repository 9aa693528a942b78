//! What is chosen, of which rollouts, records and traffic.

use serde_json::json;

use super::*;

/// A rollout of the release `r-N`, whose newest comes first: its state, the revision that it deployed, and the one before it.
fn past(number: u32, fate: Fate, revision: &str, previous: &str) -> Past {
    let known = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    Past {
        id: format!("r-{number}-to-run-0001"),
        name: format!("projects/p/locations/l/deliveryPipelines/d/releases/r-{number}/rollouts/r-{number}-to-run-0001"),
        release: format!("r-{number}"),
        began: None,
        fate,
        deployed: true,
        revision: known(revision),
        previous: known(previous),
        rollback_of: None,
        rolled_back: false,
        repaired_by: None,
    }
}

fn good(number: u32, revision: &str, previous: &str) -> Past {
    past(number, Fate::Succeeded, revision, previous)
}

fn bad(number: u32, revision: &str, previous: &str) -> Past {
    past(number, Fate::Ended, revision, previous)
}

/// A rollback to a release, of another rollout.
fn back(of: u32, to: Past) -> Past {
    let id = to.id.replace("0001", "0002");
    Past { rollback_of: Some(format!("r-{of}-to-run-0001")), id, ..to }
}

fn undone(past: Past) -> Past {
    Past { rolled_back: true, ..past }
}

/// A record, and whether it passed with which share.
fn record(revision: &str, verdict: bool, share: u32, rolled_back: &str) -> Recorded {
    Recorded {
        file: format!("{revision}.md"),
        revision: revision.into(),
        verdict: Some(verdict),
        share: Some(share),
        rolled_back: (!rolled_back.is_empty()).then(|| rolled_back.to_owned()),
    }
}

/// A service: `app-2:20:canary app-1:80`, the newest made last.
fn service(traffic: &str, newest: &str) -> ServiceTraffic {
    let entry = |word: &str| {
        let mut parts = word.split(':');
        let (revision, percent) = (parts.next().unwrap(), parts.next().unwrap().parse::<u32>().unwrap());
        let (kind, revision) = match revision {
            "LATEST" => ("TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", ""),
            other => ("TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", other),
        };
        json!({"type": kind, "revision": revision, "percent": percent, "tag": parts.next().unwrap_or_default()})
    };
    let entries: Vec<_> = traffic.split(' ').map(entry).collect();
    let newest = format!("projects/p/locations/l/services/app/revisions/{newest}");
    let service = json!({"latestReadyRevision": newest, "latestCreatedRevision": newest, "traffic": entries,
        "trafficStatuses": entries});
    serde_json::from_value(service).unwrap()
}

fn chosen(traffic: &str, newest: &str, rollouts: &[Past], records: &[Recorded], to: &To) -> Result<Choice, Undecided> {
    Known { service: &service(traffic, newest), rollouts, records }.choose(to)
}

/// What the case is, the traffic, the rollouts, and the revision or why there is none.
type ByRollouts = (&'static str, &'static str, Vec<Past>, Result<&'static str, &'static str>);

/// What the case is, the traffic, the newest revision, the records, and the revision or why there is none.
type Without<'c> = (&'c str, &'c str, &'c str, &'c [Recorded], Result<&'c str, &'c str>);

#[expect(clippy::too_many_lines, reason = "one table")]
#[test]
fn rollouts_tell_what_was_stable_before() {
    use Fate::Unfinished;
    #[rustfmt::skip]
    let cases: &[ByRollouts] = &[
        (
            "a canary failed",
            "app-2:20:canary app-1:80",
            vec![bad(2, "app-2", "app-1"), good(1, "app-1", "app-0")],
            Ok("app-1"),
        ),
        ("without what it found", "app-2:20 app-1:80", vec![bad(2, "app-2", ""), good(1, "app-1", "")], Ok("app-1")),
        (
            "a success found bad later",
            "app-2:100",
            vec![good(2, "app-2", "app-1"), good(1, "app-1", "app-0")],
            Ok("app-1"),
        ),
        ("the same, without what it found", "app-2:100", vec![good(2, "app-2", ""), good(1, "app-1", "")], Ok("app-1")),
        (
            "one under way",
            "app-2:20 app-1:80",
            vec![past(2, Unfinished, "app-2", "app-1"), good(1, "app-1", "")],
            Ok("app-1"),
        ),
        (
            "rolled back already",
            "app-1:100",
            vec![back(2, good(1, "app-1", "app-2")), undone(bad(2, "app-2", "app-1")), good(1, "app-1", "app-0")],
            Ok("app-1"),
        ),
        (
            "and moved by hand since",
            "app-2:100",
            vec![back(2, good(1, "app-1", "app-2")), undone(bad(2, "app-2", "app-1")), good(1, "app-1", "app-0")],
            Err("somebody moved it by hand"),
        ),
        (
            "a rollback that failed is tried again",
            "app-2:100",
            vec![
                back(2, bad(1, "app-1", "app-2")),
                undone(good(2, "app-2", "app-1")),
                good(1, "app-1", "app-0"),
                good(0, "app-0", ""),
            ],
            Ok("app-1"),
        ),
        (
            "a rollback of what is not known",
            "app-2:100",
            vec![back(9, bad(1, "app-1", "app-2")), good(1, "app-1", "app-0")],
            Err("nothing says"),
        ),
        (
            "after a rollback, the next canary failed",
            "app-3:20 app-1:80",
            vec![
                bad(3, "app-3", "app-1"),
                back(2, good(1, "app-1", "app-2")),
                undone(good(2, "app-2", "app-1")),
                good(1, "app-1", "app-0"),
            ],
            Ok("app-1"),
        ),
        (
            "what was undone is no success",
            "app-3:20 app-1:80",
            vec![
                bad(3, "app-3", ""),
                back(2, good(1, "app-1", "app-2")),
                undone(good(2, "app-2", "app-1")),
                good(1, "app-1", "app-0"),
            ],
            Ok("app-1"),
        ),
        (
            "a failed canary that is ready",
            "app-3:20 app-1:80",
            vec![bad(3, "app-3", "app-1"), bad(2, "app-2", "app-1"), good(1, "app-1", "")],
            Ok("app-1"),
        ),
        (
            "what it found is a failed canary",
            "app-3:20 app-2:80",
            vec![bad(3, "app-3", "app-2"), bad(2, "app-2", "app-1"), good(1, "app-1", "")],
            Err("r-2-to-run-0001 failed or was rolled back"),
        ),
        (
            "what it found was deployed by hand",
            "app-3:20 app-h:80",
            vec![bad(3, "app-3", "app-h"), good(1, "app-1", "")],
            Ok("app-h"),
        ),
        (
            "deployed by hand since",
            "app-h:100",
            vec![good(2, "app-2", "app-1"), good(1, "app-1", "")],
            Err("somebody deployed it by hand"),
        ),
        (
            "moved further back by hand",
            "app-0:100",
            vec![good(2, "app-2", "app-1"), good(1, "app-1", "app-0"), good(0, "app-0", "")],
            Err("somebody moved it by hand"),
        ),
        ("moved back by hand", "app-1:100", vec![good(2, "app-2", "app-1"), good(1, "app-1", "app-0")], Ok("app-1")),
        (
            "no earlier success",
            "app-2:100",
            vec![good(2, "app-2", "")],
            Err("nothing says which revision was stable before"),
        ),
        ("none at all", "app-2:100", vec![bad(2, "app-2", ""), bad(1, "app-1", "")], Err("nothing says")),
        (
            "a success that does not say its revision",
            "app-2:100",
            vec![good(2, "app-2", ""), good(1, "", "")],
            Err("does not say which revision"),
        ),
        (
            "one that never deployed",
            "app-2:20 app-1:80",
            vec![
                Past { deployed: false, ..past(3, Unfinished, "", "") },
                bad(2, "app-2", "app-1"),
                good(1, "app-1", ""),
            ],
            Ok("app-1"),
        ),
        ("nothing reached the traffic", "app-1:100", vec![bad(2, "app-2", "app-1"), good(1, "app-1", "")], Ok("app-1")),
        ("nothing was made", "app-1:100", vec![bad(2, "", ""), good(1, "app-1", "")], Ok("app-1")),
        ("LATEST", "LATEST:100", vec![bad(2, "app-2", "app-1"), good(1, "app-1", "")], Ok("app-1")),
    ];
    for (name, traffic, rollouts, wanted) in cases {
        let found = chosen(traffic, "app-2", rollouts, &[], &To::Previous);
        match (found, wanted) {
            (Ok(choice), Ok(wanted)) => assert_eq!(choice.revision, *wanted, "{name}"),
            (Err(undecided), Err(piece)) => {
                let why = undecided.why.to_string();
                assert!(why.contains(piece), "{name}: {why}");
                assert!(!undecided.candidates.is_empty(), "{name}");
            }
            (found, wanted) => panic!("{name}: {found:?}, want {wanted:?}"),
        }
    }
}

#[test]
fn without_rollouts_records_and_the_traffic_tell() {
    let none: &[Recorded] = &[];
    let passed = |revision: &str| record(revision, true, 100, "");
    #[rustfmt::skip]
    let cases: &[Without<'_>] = &[
        ("the one other with traffic", "app-2:20 app-1:80", "app-2", none, Ok("app-1")),
        ("the tag of the canary is of the newest", "app-2:20:canary app-1:80", "app-2", none, Ok("app-1")),
        ("by the tag of the canary", "app-1:20:canary app-2:80", "app-3", none, Ok("app-2")),
        ("two say which is the newest", "app-1:20:canary app-2:80", "app-2", none, Err("two revisions")),
        ("nobody says which is the newest", "app-1:20 app-2:80", "app-3", none, Err("nothing says")),
        ("three with traffic", "app-3:20 app-1:40 app-2:40", "app-3", none, Err("nothing says")),
        ("a tag alone is no traffic", "app-2:100 app-1:0:stable", "app-2", none, Err("nothing says")),
        ("the tag prior", "app-2:100 app-1:0:prior", "app-2", none, Ok("app-1")),
        ("the tag prior is of what serves", "app-1:100 app-1:0:prior", "app-2", none, Ok("app-1")),
        ("the tag prior is an old one", "app-3:20 app-2:80 app-1:0:prior", "app-3", none, Err("two revisions")),
        ("everything is on an old one, and nobody says why", "app-1:100", "app-2", none, Err("nothing says")),
        ("a record", "app-2:100", "app-2", &[passed("app-2"), passed("app-1")], Ok("app-1")),
        (
            "a record of a canary alone",
            "app-2:100",
            "app-2",
            &[passed("app-2"), record("app-1", true, 20, "")],
            Err("nothing says"),
        ),
        (
            "a record that is against the traffic",
            "app-3:20 app-2:80",
            "app-3",
            &[passed("app-1")],
            Err("two revisions"),
        ),
        (
            "a rollback is written down",
            "app-1:100",
            "app-2",
            &[record("app-1", true, 100, "app-2"), passed("app-2"), passed("app-1"), passed("app-0")],
            Ok("app-1"),
        ),
        (
            "a record says that it is bad",
            "app-2:20 app-1:80",
            "app-2",
            &[record("app-1", false, 100, "")],
            Err("it is bad itself"),
        ),
    ];
    for (name, traffic, newest, records, wanted) in cases {
        match (chosen(traffic, newest, &[], records, &To::Previous), wanted) {
            (Ok(choice), Ok(wanted)) => assert_eq!(choice.revision, *wanted, "{name}"),
            (Err(undecided), Err(piece)) => assert!(undecided.why.to_string().contains(piece), "{name}: {undecided:?}"),
            (found, wanted) => panic!("{name}: {found:?}, want {wanted:?}"),
        }
    }
}

#[test]
fn what_a_person_names_is_taken_and_told_of() {
    let rollouts = [bad(2, "app-2", "app-1"), undone(good(1, "app-1", "")), good(0, "app-0", "")];
    let to = |to: To| chosen("app-2:20 app-1:80", "app-2", &rollouts, &[record("app-0", true, 100, "")], &to);
    let named = to(To::Revision("app-0".into())).unwrap();
    assert_eq!((named.release.as_deref(), &*named.notes), (Some("r-0"), &[Note::Recorded("app-0.md".into())][..]));
    let named = to(To::Revision("app-2".into())).unwrap();
    assert_eq!((named.release, &*named.notes), (None, &[Note::WasBad("r-2-to-run-0001".into())][..]));
    let named = to(To::Release("r-1".into())).unwrap();
    assert_eq!((&*named.revision, &*named.notes), ("app-1", &[Note::WasBad("r-1-to-run-0001".into())][..]));
    assert_eq!(to(To::Release("r-2".into())).unwrap_err().why, Why::NeverSucceeded("r-2".into()));
    // What a record says that failed is not gone back to unasked.
    let failed = [record("app-0", false, 100, "")];
    let rollouts = [bad(2, "app-2", "app-0"), good(0, "app-0", "")];
    let why = chosen("app-2:20 app-0:80", "app-2", &rollouts, &failed, &To::Previous).unwrap_err().why;
    assert!(matches!(why, Why::KnownBad { .. }), "{why}");
}

#[test]
fn a_choice_tells_of_another_success_and_a_doubt_of_each_candidate_once() {
    let notes = |found: &str| {
        let rollouts = [bad(3, "app-3", found), good(1, "app-1", "")];
        chosen(&format!("app-3:20 {found}:80"), "app-3", &rollouts, &[], &To::Previous).unwrap().notes
    };
    assert_eq!(notes("app-h"), [Note::LastSuccessWas("app-1".into())]);
    assert_eq!(notes("app-1"), []);
    // The record that the choice rests on is not told of twice.
    let records = [record("app-2", true, 100, ""), record("app-1", true, 100, "")];
    let choice = chosen("app-2:100", "app-2", &[], &records, &To::Previous).unwrap();
    assert_eq!((choice.by, choice.notes), (By::Record("app-1.md".into()), Vec::new()));
    let rollouts = [good(2, "app-2", "app-1"), good(1, "app-1", ""), good(0, "app-0", "")];
    let doubt = chosen("app-0:60 app-h:40", "app-2", &rollouts, &[], &To::Previous).unwrap_err();
    let mut revisions: Vec<&str> = doubt.candidates.iter().map(|(revision, _)| &**revision).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, ["app-0", "app-1", "app-2", "app-h"], "{:?}", doubt.candidates);
}
