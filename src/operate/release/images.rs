//! Which image each name in the manifests stands for. Pure: nothing but a digest is taken, for a tag may be another image tomorrow.

use std::collections::BTreeSet;

use crate::google::deploy::BuildArtifact;
use crate::text;

/// An image that a file of the pipeline names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) image: String,
    /// `FILE:LINE`.
    pub(crate) place: String,
}

/// The images of a release, by what was passed and what the files name.
///
/// # Errors
/// Every image that was passed in another form, is named nowhere or twice; every one that a file names and that is neither
/// passed nor pinned there.
pub(crate) fn images(passed: &[String], named: &[Named]) -> Result<Vec<BuildArtifact>, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut images: Vec<BuildArtifact> = Vec::new();
    let names: BTreeSet<&str> = named.iter().map(|named| &*named.image).collect();
    for written in passed {
        match image(written) {
            Err(why) => mistakes.push(why),
            Ok(image) if images.iter().any(|other| other.image == image.image) => {
                mistakes.push(format!("--image: {} is given twice", image.image));
            }
            Ok(image) if !names.contains(&*image.image) => {
                let similar = text::similar(&image.image, names.iter().copied());
                let hint = similar.first().map_or_else(
                    || format!("; there are {}", text::joined(&names.iter().collect::<Vec<_>>(), 10, ", ")),
                    |similar| format!("; did you mean {similar}?"),
                );
                mistakes.push(format!("--image: no manifest names the image {}{hint}", image.image));
            }
            Ok(image) => images.push(image),
        }
    }
    let mut told = BTreeSet::new();
    for Named { image, place } in named {
        let is_given = passed.iter().any(|written| written.split_once('=').is_some_and(|(name, _)| name == image));
        if !is_given && digest(image).is_none() && told.insert(image) {
            mistakes.push(format!(
                "{place}: the image {image} is not given: pass --image {image}=REPOSITORY/IMAGE@sha256:DIGEST"
            ));
        }
    }
    images.sort();
    if mistakes.is_empty() { Ok(images) } else { Err(mistakes) }
}

/// `NAME=REFERENCE@sha256:DIGEST`.
fn image(written: &str) -> Result<BuildArtifact, String> {
    let (name, reference) = written
        .split_once('=')
        .filter(|(name, reference)| !name.is_empty() && !reference.is_empty())
        .ok_or_else(|| format!("--image: {written:?} is not of the form NAME=REPOSITORY/IMAGE@sha256:DIGEST"))?;
    if let Some(bad) = reference.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("--image: {written:?} holds {bad:?}, which no image's reference has"));
    }
    match digest(reference) {
        Some(Ok(())) => Ok(BuildArtifact { image: name.into(), tag: reference.into() }),
        Some(Err(why)) => Err(format!("--image: {reference} {why}")),
        None => Err(format!(
            "--image: {reference} has no digest, and its tag may be another image tomorrow; this gives the digest: \
             gcloud artifacts docker images describe {} --format='value(image_summary.fully_qualified_digest)'",
            text::shell(reference)
        )),
    }
}

/// Whether what stands behind the `@` of a reference is a whole digest; nothing where there is none.
fn digest(reference: &str) -> Option<Result<(), &'static str>> {
    let (name, digest) = reference.split_once('@')?;
    let is_hex =
        |hex: &str| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    Some(match digest.strip_prefix("sha256:") {
        Some(hex) if is_hex(hex) && !name.is_empty() => Ok(()),
        _ => Err("has a digest that is none: sha256: and 64 digits of a hexadecimal number in lower case"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(images: &[&str]) -> Vec<Named> {
        images.iter().map(|image| Named { image: (*image).into(), place: "service.yaml:3".into() }).collect()
    }

    #[test]
    fn only_digests_are_taken_and_every_name_is_given_once() {
        let whole = format!("repo/app@sha256:{}", "a1".repeat(32));
        let given = |written: &[&str], names: &[&str]| {
            let written: Vec<String> = written.iter().map(|text| text.replace("WHOLE", &whole)).collect();
            images(&written, &named(names)).map_err(|mistakes| mistakes.join("\n"))
        };
        let taken = given(&["gate=WHOLE", "app=WHOLE"], &["app", "gate", "gate"]).unwrap();
        assert_eq!(taken.iter().map(|image| &*image.image).collect::<Vec<_>>(), ["app", "gate"]);
        assert_eq!(given(&["app=WHOLE"], &["app", &whole]).unwrap().len(), 1);
        for (written, names, piece) in [
            (&["app=repo/app:v1"][..], &["app"][..], "gcloud artifacts docker images describe repo/app:v1"),
            (&["app=repo/app"], &["app"], "has no digest"),
            (&["app=repo/app@sha256:abc"], &["app"], "has a digest that is none"),
            (&["app=repo/app@sha512:abc"], &["app"], "has a digest that is none"),
            (&["app"], &["app"], "is not of the form"),
            (&["=x@sha256:1"], &["app"], "is not of the form"),
            (&["app=WHOLE", "app=WHOLE"], &["app"], "is given twice"),
            (&["ap=WHOLE", "app=WHOLE"], &["app"], "no manifest names the image ap; did you mean app?"),
            (&["app=WHOLE"], &["app", "gate"], "service.yaml:3: the image gate is not given"),
            (&[], &["repo/app:v1"], "the image repo/app:v1 is not given"),
            (&["app=a b@sha256:1"], &["app"], "which no image's reference has"),
        ] {
            let error = given(written, names).unwrap_err();
            assert!(error.contains(piece), "{written:?}: {error}");
        }
    }
}
