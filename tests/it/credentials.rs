//! By whose account Google's APIs are asked: every kind of credentials, who is told of it, and that no secret is ever shown.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::canary::cloud::Cloud;
use crate::canary::cloud::deploy::STABLE_RELEASE;
use crate::canary::cloud::faults::{Act, Fault};
use crate::canary::cloud::oauth::{PERSON, REFRESH, SUBJECT};
use crate::canary::google::{ACCESS, ACCOUNT};
use crate::gate::{Gate, Ran};
use crate::release::settled;
use crate::watch::gate;

/// A key that opens nothing: the fake takes whatever it signs, and the test verifies the signature.
const KEY: &str = include_str!("credentials/key.pem");
const SECRET: &str = "client-secret-of-the-fake";
const DEPLOYER: &str = "deployer@emergence-469005.iam.gserviceaccount.com";

fn watch(cloud: &Cloud) -> Gate {
    gate(cloud, &[&format!("{STABLE_RELEASE}-to-emergence-run-0001")])
}

/// Runs with application default credentials.
fn with_file(cloud: &Cloud, credentials: &Value) -> Ran {
    let mut gate = watch(cloud);
    let path = gate.file("credentials.json", credentials.to_string());
    gate.file("subject", format!("{SUBJECT}\n"));
    gate.env("GOOGLE_APPLICATION_CREDENTIALS", &path.display().to_string()).args(["-vv"]).run()
}

fn has_no_secret(ran: &Ran) {
    let written = ran.everything();
    let body: String = KEY.lines().nth(1).unwrap_or_default().into();
    for secret in [ACCESS, REFRESH, SUBJECT, SECRET, &body, "ya29.issued", "ya29.impersonated"] {
        assert!(!written.contains(secret), "{secret} is shown: {written}");
    }
}

fn person() -> Value {
    json!({"type": "authorized_user", "client_id": "client", "client_secret": SECRET, "refresh_token": REFRESH})
}

fn key(cloud: &Cloud) -> Value {
    json!({"type": "service_account", "client_email": DEPLOYER, "private_key_id": "key-1", "private_key": KEY,
        "token_uri": format!("{}/token", cloud.server.url())})
}

fn external(cloud: &Cloud) -> Value {
    json!({"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": format!("{}/v1/token", cloud.server.url()),
        "credential_source": {"file": "subject"}})
}

fn impersonating(cloud: &Cloud, source: &Value) -> Value {
    let url = format!("{}/v1/projects/-/serviceAccounts/{DEPLOYER}:generateAccessToken", cloud.server.url());
    json!({"type": "impersonated_service_account", "service_account_impersonation_url": url, "source_credentials": source})
}

#[test]
fn every_kind_of_credentials_is_taken_and_told_of() {
    type Make = fn(&Cloud) -> Value;
    #[rustfmt::skip]
    let cases: [(&str, Make, &str); 5] = [
        ("a person", |_| person(), &format!("asking as {ACCOUNT}, by a person's credentials in ")),
        ("a key", key, &format!("asking as {DEPLOYER}, by a service account's key in ")),
        ("another system", external, "asking as an account that is not named, by an external account in "),
        ("another system, as an account", |cloud| {
            let mut own = external(cloud);
            own["service_account_impersonation_url"] = impersonating(cloud, &Value::Null)["service_account_impersonation_url"].clone();
            own
        }, &format!("asking as {DEPLOYER}, by an external account in ")),
        ("a person, as an account", |cloud| impersonating(cloud, &person()), &format!("asking as {DEPLOYER}, by a service account that is impersonated in ")),
    ];
    for (name, credentials, wanted) in cases {
        let cloud = settled().serve();
        let ran = with_file(&cloud, &credentials(&cloud));
        assert_eq!(ran.code, 0, "{name}: {}", ran.everything());
        has_no_secret(&ran);
        let plain = {
            let mut gate = watch(&cloud);
            let path = gate.file("credentials.json", credentials(&cloud).to_string());
            gate.file("subject", SUBJECT);
            gate.env("GOOGLE_APPLICATION_CREDENTIALS", &path.display().to_string()).run()
        };
        assert!(plain.stderr.contains(wanted), "{name}: {}", plain.stderr);
        // The machine's own account is not asked beside it.
        assert!(cloud.server.seen().iter().all(|request| !request.path.contains("computeMetadata")), "{name}");
    }
}

#[test]
fn tokens_that_are_passed_and_the_machines_own_are_told_of_too() {
    let cloud = settled().serve();
    let ran = watch(&cloud).run();
    assert!(
        ran.code == 0 && ran.stderr.contains(&format!("asking as {ACCOUNT}, by the metadata server")),
        "{}",
        ran.stderr
    );
    let ran = watch(&cloud).env("CANARY_GATE_ACCESS_TOKEN", ACCESS).run();
    assert!(
        ran.code == 0 && ran.stderr.contains(&format!("asking as {PERSON}, by CANARY_GATE_ACCESS_TOKEN")),
        "{}",
        ran.stderr
    );
    has_no_secret(&ran);
    let mut gate = watch(&cloud).args(["--access-token-file", "token"]);
    gate.file("token", format!("{ACCESS}\n"));
    let ran = gate.run();
    assert!(
        ran.code == 0 && ran.stderr.contains(&format!("asking as {PERSON}, by the access token in token")),
        "{}",
        ran.stderr
    );
    has_no_secret(&ran);
    // The credentials that gcloud writes are found where it writes them.
    let mut gate = watch(&cloud);
    let folder = gate.folder().to_owned();
    gate.file("application_default_credentials.json", person().to_string());
    let ran = gate.env("CLOUDSDK_CONFIG", &folder.display().to_string()).run();
    assert!(ran.code == 0 && ran.stderr.contains("by a person's credentials in "), "{}", ran.stderr);
}

#[test]
fn the_claim_of_a_key_is_signed_by_it_and_is_for_the_place_that_it_is_sent_to() {
    let cloud = settled().serve();
    assert_eq!(with_file(&cloud, &key(&cloud)).code, 0);
    let seen = cloud.server.seen();
    let asked = seen.iter().find(|request| request.path == "/token").unwrap();
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
    let assertion = &fields.iter().find(|(name, _)| name == "assertion").unwrap().1;
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(DEPLOYER), &json!(format!("{}/token", cloud.server.url()))));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
}

#[test]
fn credentials_that_cannot_be_used_are_named_without_their_values() {
    type Break = fn(&Cloud) -> Value;
    #[rustfmt::skip]
    let cases: [(&str, Break, &str); 9] = [
        ("refused", |_| { let mut own = person(); own["refresh_token"] = json!("1//refresh-token-that-was-revoked"); own },
            "gives no access token for a person's credentials in "),
        ("without a token", |_| json!({"type": "authorized_user", "client_id": "c", "client_secret": SECRET}), "missing field `refresh_token`"),
        ("of another kind", |_| json!({"type": "gdch_service_account"}), "holds credentials of the type \"gdch_service_account\""),
        ("no object", |_| json!("x"), "holds credentials of the type \"\""),
        ("a wrong value", |_| { let mut own = person(); own["refresh_token"] = json!([SECRET]); own }, "a key has a value of the wrong kind"),
        ("no key", |cloud| { let mut own = key(cloud); own["private_key"] = json!("hunter2-hunter2"); own }, "its private_key is not an RSA key in PEM"),
        ("in the clear", |cloud| { let mut own = key(cloud); own["token_uri"] = json!("http://token.example.com/"); own }, "it has to be https"),
        ("a source that is a program", |cloud| { let mut own = external(cloud); own["credential_source"] = json!({"executable": {"command": "x"}}); own },
            "names neither a file nor a url"),
        ("a source that is not there", |cloud| { let mut own = external(cloud); own["credential_source"] = json!({"file": "/nowhere"}); own }, "/nowhere cannot be read"),
    ];
    for (name, credentials, wanted) in cases {
        let cloud = settled().serve();
        let ran = with_file(&cloud, &credentials(&cloud));
        assert_eq!(ran.code, 3, "{name}: {}", ran.everything());
        assert!(ran.stderr.contains(wanted), "{name}: {}", ran.stderr);
        has_no_secret(&ran);
        assert!(!ran.everything().contains("hunter2") && !ran.everything().contains("was-revoked"), "{name}");
        assert!(cloud.server.seen().iter().all(|request| !request.path.starts_with("/v1/projects")), "{name}");
    }
}

#[test]
fn a_token_that_expires_is_taken_anew_and_a_file_read_again() {
    // Refused once in the middle: a fresh one is had by the refresh token.
    let cloud = settled().serve();
    let refused = Act::Reply { status: 401, name: "UNAUTHENTICATED", reason: "", retry_after: "" };
    cloud.state().faults.push(Fault { after: 1, ..Fault::first("GET", "/rollouts/", refused) });
    let ran = with_file(&cloud, &person());
    assert_eq!(ran.code, 0, "{}", ran.everything());
    assert_eq!(cloud.server.seen().iter().filter(|request| request.path == "/token").count(), 2);
    // What a file held is no longer taken, and stays there: that is said.
    let mut gate = watch(&cloud).args(["--access-token-file", "token"]);
    gate.file("token", "ya29.an-old-token");
    let ran = gate.run();
    assert!(
        ran.code == 3 && ran.stderr.contains("answers 401") && !ran.everything().contains("an-old-token"),
        "{}",
        ran.stderr
    );
}
