//! What others are told after a run, and that it changes nothing of the verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::canary::google::{ACCESS, World, environment};
use crate::canary::server::{Canary, Reply};
use crate::canary::{FAULTS, Fault, Request};
use crate::checks::Checks;
use crate::gate::Gate;

/// Answers with these statuses, one after the other, the last one for good.
fn answering(statuses: &'static [u16]) -> Canary {
    let count = AtomicUsize::new(0);
    Canary::start(Arc::new(move |_: &Request| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        Reply::json(statuses[number.min(statuses.len() - 1)], "{}")
    }))
}

fn json(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_else(|error| panic!("{error}: {:?}", request.body))
}

const PATH: &str = "/services/T0/B0/s3cr3t-of-the-webhook?key=another-s3cr3t";

#[test]
fn a_chat_is_told_and_the_verdict_stands_whatever_becomes_of_it() {
    for (fault, statuses, code, requests, complaint) in [
        ("none", &[200][..], 0, 1, None),
        ("failures-3", &[200], 1, 1, None),
        ("none", &[503, 429, 200], 0, 3, None),
        ("none", &[404], 0, 1, Some("the notification could not be sent: the webhook answers 404")),
        ("failures-3", &[500], 1, 5, Some("the notification could not be sent: the webhook answers 500")),
    ] {
        let (canary, chat) = (Fault::named(fault).unwrap().start(), answering(statuses));
        let hook = format!("{}{PATH}", chat.url());
        let gate = Gate::verify(&canary.url(), Checks::fast()).args(["--notify", "env:HOOK"]).env("HOOK", &hook);
        let ran = gate.run();
        let context = format!("{fault} {statuses:?}: {}", ran.stderr);
        assert_eq!(ran.code, code, "{context}");
        let seen = chat.seen();
        assert_eq!(seen.len(), requests, "{context}");
        let text = json(&seen[0])["text"].as_str().unwrap().to_owned();
        assert_eq!(text.contains(": FAIL in "), code == 1, "{text}");
        assert!(format!("{}{text}", ran.everything()).find("s3cr3t").is_none(), "{context}");
        assert!(complaint.is_none_or(|piece| ran.stderr.contains(piece)), "{context}");
        assert_eq!(complaint.is_none(), !ran.stderr.contains("could not be"), "{context}");
    }
    // Nobody is there: also that is no failure of the canary.
    let canary = FAULTS[0].start();
    let gate = Gate::verify(&canary.url(), Checks::fast()).args(["--notify", "env:HOOK"]);
    let ran = gate.env("HOOK", &format!("http://127.0.0.1:1{PATH}")).run();
    assert!(ran.code == 0 && ran.stderr.contains("the notification could not be sent"), "{}", ran.stderr);
    assert!(!ran.everything().contains("s3cr3t"), "{}", ran.stderr);
}

#[test]
fn a_webhook_is_a_reference_that_leads_to_its_url() {
    for (written, hook, piece) in [
        ("https://hooks.example.com/s3cr3t", "", "a webhook's URL is a secret: pass env:NAME or file:/path"),
        ("env:HOOK", "", "the environment variable HOOK is empty"),
        ("env:HOOK", "s3cr3t", "what env:HOOK holds is not a URL"),
        ("env:HOOK", "ftp://h/s3cr3t", "is not the https URL of a webhook"),
        ("env:HOOK", "http://hooks.example.com/s3cr3t", "it has to be https"),
        ("file:/nowhere", "", "the file /nowhere cannot be read"),
    ] {
        let ran =
            Gate::new().args(["verify", "--url", "http://127.0.0.1:1", "--notify", written]).env("HOOK", hook).run();
        assert!(ran.code == 2 && ran.stderr.contains(piece), "{written} {hook}: {}", ran.stderr);
        assert!(!ran.stderr.contains("s3cr3t"), "{}", ran.stderr);
    }
}

#[test]
fn cloud_deploy_gets_its_results_and_the_verdict_stands_without() {
    for (folder, statuses, token, complaint) in [
        ("gs://bucket/a/b", &[200][..], 200, None),
        ("gs://bucket/a/b", &[503, 200], 200, None),
        ("gs://bucket/a/b", &[403], 200, Some("Cloud Storage")),
        ("gs://bucket/a/b", &[200], 404, Some("results.json could not be written")),
        ("/local", &[200], 200, Some("CLOUD_DEPLOY_OUTPUT_GCS_PATH is \"/local\"")),
    ] {
        let (canary, storage) = (Fault::named("failures-3").unwrap().start(), answering(statuses));
        let google = World { token, ..World::of(&canary) }.serve();
        let mut gate = Gate::verify(&canary.url(), Checks::fast());
        gate = gate.args(["--storage-endpoint", &storage.url()]).env("CLOUD_DEPLOY_OUTPUT_GCS_PATH", folder);
        let metadata = environment(&google).into_iter().find(|(name, _)| *name == "GCE_METADATA_HOST").unwrap();
        let ran = gate.env(metadata.0, &metadata.1).run();
        let context = format!("{folder} {statuses:?} {token}: {}", ran.stderr);
        assert_eq!(ran.code, 1, "{context}");
        assert!(complaint.is_none_or(|piece| ran.stderr.contains(piece)), "{context}");
        assert_eq!(complaint.is_none(), !ran.stderr.contains("results.json"), "{context}");
        assert!(!ran.everything().contains(ACCESS), "{context}");
        if complaint.is_none() {
            let seen = storage.seen();
            let last = seen.last().unwrap();
            assert_eq!(last.headers["authorization"], format!("Bearer {ACCESS}"));
            assert!(last.path.starts_with("/upload/storage/v1/b/bucket/o"), "{}", last.path);
            let metadata = &json(last)["metadata"];
            assert_eq!((&metadata["verdict"], &metadata["exit_code"]), (&"fail".into(), &"1".into()), "{metadata}");
        }
    }
}
