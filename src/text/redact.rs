//! Keeps secrets out of everything that is written, also where they come back encoded, in another case or cut.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::{CUT, MASK, one_line};

/// Text of fewer characters is not hidden: it would blank out ordinary words.
const SHORTEST: usize = 4;

/// Replaces secrets in text that is about to be written. Clones share what they know, also what they learn later.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// Every form of every secret in ASCII lower case, the longest first, so that none is left over behind a shorter one
    /// inside it.
    forms: Arc<RwLock<Vec<String>>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(***)")
    }
}

impl Redactor {
    /// Hides one more secret from now on: as it is, and as JSON, URLs, HTML and base64 write it, in any case.
    pub(crate) fn hide(&self, secret: &str) {
        if secret.chars().count() < SHORTEST {
            return;
        }
        let mut known = self.forms.write().unwrap_or_else(PoisonError::into_inner);
        for form in forms(secret) {
            let form = form.to_ascii_lowercase();
            if form.chars().count() >= SHORTEST && !known.contains(&form) {
                known.push(form);
            }
        }
        known.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The text with every secret replaced by `***`.
    pub(crate) fn clean(&self, text: &str) -> String {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        let whole = forms.iter().fold(text.to_owned(), |text, form| without(text, form));
        if whole.contains(CUT) { without_cut(&whole, &forms) } else { whole }
    }
}

/// The text without a form of a secret, whatever the case of its ASCII letters.
fn without(text: String, form: &str) -> String {
    // Lower case in ASCII leaves every byte where it is.
    let lower = text.to_ascii_lowercase();
    if !lower.contains(form) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut end = 0;
    for (at, _) in lower.match_indices(form) {
        clean.push_str(&text[end..at]);
        clean.push_str(MASK);
        end = at + form.len();
    }
    clean.push_str(&text[end..]);
    clean
}

/// The text without what a cut left of secrets: their beginnings in front of it, their ends behind it.
fn without_cut(text: &str, forms: &[String]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut pieces = text.split(CUT).enumerate().peekable();
    while let Some((index, piece)) = pieces.next() {
        let lower = piece.to_ascii_lowercase();
        let is_last = pieces.peek().is_none();
        let most = |left: fn(&str, &str) -> usize| forms.iter().map(|form| left(&lower, form)).max().unwrap_or(0);
        let ends = if index > 0 { most(end_of) } else { 0 };
        let begins = if is_last { 0 } else { most(beginning_of) };
        if ends > 0 {
            clean.push_str(MASK);
        }
        clean.push_str(piece.get(ends..piece.len() - begins).unwrap_or_default());
        if begins > 0 {
            clean.push_str(MASK);
        }
        if !is_last {
            clean.push(CUT);
        }
    }
    clean
}

/// How many bytes at the end of a text are the beginning of a form; 0 where that is too short to say anything.
fn beginning_of(text: &str, form: &str) -> usize {
    let lengths = form.char_indices().map(|(at, _)| at).skip(SHORTEST);
    lengths.filter(|length| text.ends_with(&form[..*length])).max().unwrap_or(0)
}

/// How many bytes at the beginning of a text are the end of a form; 0 where that is too short to say anything.
fn end_of(text: &str, form: &str) -> usize {
    let starts = form.char_indices().rev().map(|(at, _)| at).skip(SHORTEST - 1);
    starts.filter(|start| text.starts_with(&form[*start..])).map(|start| form.len() - start).max().unwrap_or(0)
}

/// The forms in which a secret may come back.
fn forms(secret: &str) -> Vec<String> {
    // As one line of a message writes it.
    let line = one_line(secret);
    let printed: String = line.chars().filter(|c| !c.is_control()).collect();
    let mut forms = vec![secret.to_owned(), secret.to_lowercase(), secret.to_uppercase(), line, printed];
    forms.dedup();
    // As JSON and Rust's own quotes write it, and once more where a sentence that quotes it is quoted.
    for _ in 0..2 {
        let quoted: Vec<String> = forms.iter().flat_map(|form| quoted(form)).collect();
        forms.extend(quoted.into_iter().filter(|form| form.contains('\\')));
        forms.sort();
        forms.dedup();
    }
    forms.push(secret.escape_debug().to_string());
    // As a URL's path and a form write it.
    forms.push(encoded(secret, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));
    forms.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    forms.push(encoded(secret, |byte| byte.is_ascii_graphic() && !b"\"#%<>?`{}".contains(&byte)));
    // As HTML writes it, by name or by number.
    let html = |quote: &str, apostrophe: &str| {
        let text = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text.replace('"', quote).replace('\'', apostrophe)
    };
    forms.extend([html("&quot;", "&#39;"), html("&#34;", "&#x27;"), html("\"", "'")]);
    forms.extend(in_base64(secret));
    // As a metric's or a label's name may have to write it.
    let name: String = secret.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.trim_matches('_').len() >= 2 * SHORTEST {
        forms.push(name);
    }
    forms
}

/// A text as JSON and Rust's `{:?}` write it, without the quotes around it.
fn quoted(text: &str) -> [String; 2] {
    [serde_json::Value::from(text).to_string(), format!("{text:?}")].map(|text| text[1..text.len() - 1].to_owned())
}

fn encoded(secret: &str, plain: impl Fn(u8) -> bool) -> String {
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    secret.bytes().map(encode).collect()
}

/// The secret in base64, alone or anywhere inside something longer: three bytes are four characters, so that there are
/// three ways to stand, each with characters at the edges that depend on the neighbours.
fn in_base64(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let padded = [&vec![0; before][..], secret.as_bytes()].concat();
        let whole_bits = padded.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            let start = [0, 2, 3][before];
            let form = text.get(start..whole_bits.min(text.len())).unwrap_or_default();
            // What is shorter could be part of an ordinary word.
            if form.len() >= 2 * SHORTEST {
                forms.push(form.to_owned());
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_nowhere() {
        let redactor = Redactor::default();
        redactor.hide("s3cret");
        redactor.clone().hide("Bearer s3cret-value");
        redactor.hide("abc");
        assert_eq!(redactor.clean("got Bearer s3cret-value, s3cret and abc"), "got ***, *** and abc");
        assert!(!format!("{redactor:?}").contains("s3cret"));
        let shared = redactor.clone();
        std::thread::spawn(move || shared.hide("late-one")).join().unwrap();
        assert_eq!(redactor.clean("late-one"), "***");
    }

    #[test]
    fn no_form_of_a_secret_is_shown() {
        let secret = "to<k>en/+\"x\\y&z é'1";
        let redactor = Redactor::default();
        redactor.hide(secret);
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        for form in [
            secret.to_owned(),
            secret.to_uppercase(),
            secret.to_lowercase(),
            serde_json::json!({ "a": secret }).to_string(),
            format!("{secret:?}"),
            // Quoted in a sentence that is itself a string.
            serde_json::json!({ "a": format!("want {secret:?}") }).to_string(),
            format!("{:?}", serde_json::json!({ "a": secret }).to_string()),
            format!("{:?}", format!("{secret:?}")),
            serde_json::json!({ "a": serde_json::json!({ "a": secret }).to_string() }).to_string(),
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            "to%3Ck%3Een%2F%2B%22x%5Cy%26z%20%C3%A9%271".into(),
            "to%3ck%3een%2f%2b%22x%5cy%26z%20%c3%a9%271".into(),
            "to&lt;k&gt;en/+&quot;x\\y&amp;z é&#39;1".into(),
            "to&lt;k&gt;en/+&#34;x\\y&amp;z é&#x27;1".into(),
            base64(secret),
            base64(&format!("user:{secret}")),
            base64(&format!("u:{secret} and more")),
            base64(&format!("us:{secret}")),
            "to_k_en___x_y_z___1".into(),
        ] {
            let clean = redactor.clean(&format!("before {form} after"));
            assert!(
                clean.contains("***") && clean.starts_with("before ") && clean.ends_with(" after"),
                "{form}: {clean}"
            );
        }
    }

    #[test]
    fn a_secret_that_was_cut_is_hidden_as_far_as_it_goes() {
        let redactor = Redactor::default();
        redactor.hide("eyJhbGciOiJSUzI1NiJ9.payload");
        for (text, wanted) in [
            ("sent: eyJhbGciOiJ…", "sent: ***…"),
            ("eyJh… and EYJHBG…", "***… and ***…"),
            ("an e… and eyJ…", "an e… and eyJ…"),
            ("whole eyJhbGciOiJSUzI1NiJ9.payload…", "whole ***…"),
            ("nothing…", "nothing…"),
            ("cut …J9.payload and more", "cut …*** and more"),
            ("eyJhb…yload", "***…***"),
            ("…oad", "…oad"),
        ] {
            assert_eq!(redactor.clean(text), wanted);
        }
    }

    #[test]
    fn a_secret_whose_blanks_were_collapsed_is_hidden() {
        let redactor = Redactor::default();
        redactor.hide("alpha  beta\t\u{1}12\"x");
        for text in ["alpha  beta\t\u{1}12\"x", "alpha beta \u{1}12\"x", "alpha beta 12\"x", "alpha beta 12\\\"x"] {
            assert_eq!(redactor.clean(&format!("<{text}>")), "<***>", "{text:?}");
        }
        assert_eq!(redactor.clean("alpha bet…"), "***…");
    }
}
