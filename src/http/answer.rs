//! An answer, its body whole.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use reqwest::Version;
use reqwest::header::HeaderMap;
use url::Url;

use super::failure::is_transient;
use super::timing::Timing;
use crate::text::{self, shown_url};

/// What to do about an answer that not the application gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) text: String,
    /// Whether the gate lacks what it takes to see the canary at all: that is no failure of the canary.
    pub(crate) unseen: bool,
}

/// An answer, its body whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The URL that answered.
    pub(crate) url: Url,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The protocol that was spoken.
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// The body, decompressed.
    pub(crate) body: Vec<u8>,
    /// What to do about the answer, where not the application gave it but what stands in front of it.
    pub(crate) advice: Option<Advice>,
    pub(crate) timing: Timing,
    /// Whether the end of the body is marked: by its length, by chunks, or by the end of TLS. A body that is only broken off
    /// looks whole where it is not.
    pub(crate) is_end_marked: bool,
    /// Whether a connection that was kept alive was closed as the request went out, so that it was asked once more on a new one.
    pub(crate) was_cut_off: bool,
}

impl Answer {
    /// An answer for tests of what is made of one.
    #[cfg(any(test, fuzzing))]
    #[allow(clippy::unwrap_used, reason = "outside production code")]
    pub(crate) fn of(status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), value.parse().unwrap()));
        Self {
            url: Url::parse("https://canary.example.com/").unwrap(),
            status,
            version: Version::HTTP_11,
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
            advice: None,
            timing: Timing::default(),
            is_end_marked: true,
            was_cut_off: false,
        }
    }

    /// A header's value; what is not UTF-8 in it is shown as that.
    pub(crate) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// Where it redirects to, as a sentence may show it: what stands for a user, and behind the path, may be a credential.
    pub(crate) fn shown_location(&self) -> Option<String> {
        self.header("location").map(|location| shown_url(&location))
    }

    /// The media type in lower case, without its parameters; empty where there is none. Of several, the last that is one, as
    /// browsers take it: <https://fetch.spec.whatwg.org/#concept-header-extract-mime-type>.
    pub(crate) fn media_type(&self) -> String {
        let values = self.headers.get_all("content-type").iter();
        let text = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(",");
        let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token);
        let is_type = |essence: &String| essence.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b));
        let mut types = apart(&text).into_iter().map(essence).filter(|essence| is_type(essence) && essence != "*/*");
        types.next_back().unwrap_or_else(|| essence(&text))
    }

    /// How long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let value = self.header("retry-after")?;
        let value = value.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = httpdate::parse_http_date(value).ok()?;
        Some(until.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Whether the status says that the same request may do better later.
    pub(crate) fn is_transient(&self) -> bool {
        is_transient(self.status)
    }

    /// The start of the body as one line, for a message.
    pub(crate) fn excerpt(&self) -> String {
        const SHOWN: usize = 120;
        // Cut in front of a character, never within one.
        let is_start = |at: &usize| self.body.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
        let end = self.body.len().min(4 * SHOWN);
        let end = (end.saturating_sub(3)..=end).rev().find(is_start).unwrap_or(end);
        let mut text = String::from_utf8_lossy(&self.body[..end]).into_owned();
        if end < self.body.len() {
            text.push(text::CUT);
        }
        let line: String = text::one_line(&text).chars().filter(|c| !c.is_control()).collect();
        text::cut(&line, SHOWN).into_owned()
    }
}

/// Whether a byte may be in a token of HTTP.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The values of a list, apart at its commas, those in quotes aside.
fn apart(list: &str) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    list.split(|c: char| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match c {
            '"' if !was_escaped => is_quoted = !is_quoted,
            '\\' => is_escaped = is_quoted && !was_escaped,
            _ => {}
        }
        c == ',' && !is_quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_that_was_cut_says_so_wherever_it_was_cut() {
        let cases = [
            ("a\r\n  b\u{1}c".to_owned(), "a bc".to_owned()),
            ("x".repeat(121), format!("{}…", "x".repeat(120))),
            (" ".repeat(470) + "secret-of-many-bytes", "secret-of-…".into()),
            (" ".repeat(475) + "sécré-of", "sécr…".into()),
            (" ".repeat(474) + "sécré", "sécr…".into()),
        ];
        for (body, wanted) in cases {
            assert_eq!(Answer::of(200, &[], &body).excerpt(), wanted, "{body:?}");
        }
    }

    #[test]
    fn the_last_media_type_counts() {
        for (lines, wanted) in [
            (&["text/html; charset=utf-8"][..], "text/html"),
            (&["Text/JavaScript"], "text/javascript"),
            (&["text/plain", "text/javascript"], "text/javascript"),
            (&["text/javascript", "text/plain"], "text/plain"),
            (&["text/javascript", "nonsense"], "text/javascript"),
            (&["text/javascript", "*/*"], "text/javascript"),
            (&["text/html, text/css"], "text/css"),
            (&["text/css; x=\"a,text/html\""], "text/css"),
            (&["text/css; x=\"a,text/html,b\""], "text/css"),
            (&["text/javascript; x=\"\\\"\", text/css"], "text/css"),
            (&["text/javascript", "text/"], "text/javascript"),
            (&["text/javascript", "/css"], "text/javascript"),
            (&["text/javascript", "te xt/html"], "text/javascript"),
            (&["text/javascript", "text/h tml"], "text/javascript"),
            (&["nonsense"], "nonsense"),
            (&[], ""),
        ] {
            let mut answer = Answer::of(200, &[], "");
            for line in lines {
                answer.headers.append("content-type", line.parse().unwrap());
            }
            assert_eq!(answer.media_type(), wanted, "{lines:?}");
        }
    }
}
