//! Credentials that a person wrote where none belong: no error shows them.

use super::MASK;

/// A URL as an error may show it: without what stands for a user, and without its query and fragment. It need not be a
/// URL that can be read.
pub(crate) fn shown_url(written: &str) -> String {
    let scheme = match written.find("://") {
        Some(at) if written[..at].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => at + 3,
        _ if written.starts_with("//") => 2,
        _ => 0,
    };
    let (scheme, rest) = written.split_at(scheme);
    // A path alone names no user.
    if scheme.is_empty() && rest.starts_with('/') {
        return rest.find(['?', '#']).map_or_else(|| rest.to_owned(), |at| format!("{}{MASK}", &rest[..=at]));
    }
    let user = rest.rfind('@').map_or(0, |at| at + 1);
    // Where a query comes first, or a user with such a character in the password, nothing is certain.
    if rest[..user].contains(['?', '#']) {
        return format!("{scheme}{MASK}");
    }
    let (masked, rest) = (if user > 0 { "***@" } else { "" }, &rest[user..]);
    match rest.find(['?', '#']) {
        Some(at) => format!("{scheme}{masked}{}{MASK}", &rest[..=at]),
        None => format!("{scheme}{masked}{rest}"),
    }
}

/// What a line of a file holds in front of an `@` of a URL, and behind the name of a header that carries a secret, as
/// stars: every character stays where it is.
pub(crate) fn covered(line: &str, secret_names: &[&str]) -> String {
    let mut hidden = vec![false; line.len()];
    let mut hide = |from: usize, to: usize| hidden[from..to].fill(true);
    for (at, mark) in line.match_indices("//") {
        let from = at + mark.len();
        let word = line[from..].split(|c: char| c.is_whitespace() || "\"'`".contains(c)).next().unwrap_or_default();
        if let Some(end) = word.rfind('@') {
            hide(from, from + end);
        }
    }
    let lower = line.to_ascii_lowercase();
    for name in secret_names {
        for (at, _) in lower.match_indices(name) {
            let after = &line[at + name.len()..];
            let Some(value) = after.trim_start_matches(['"', '\'', ' ']).strip_prefix(':') else { continue };
            let from = line.len() - value.trim_start().len();
            let quote = line[from..].chars().next().filter(|c| "\"'".contains(*c));
            let rest = &line[from + quote.map_or(0, char::len_utf8)..];
            let length = rest.find(|c| quote.map_or(",}\"'".contains(c), |quote| c == quote)).unwrap_or(rest.len());
            let from = line.len() - rest.len();
            hide(from, from + length);
        }
    }
    line.char_indices().map(|(at, c)| if hidden[at] { '*' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_credentials() {
        for (written, wanted) in [
            ("https://host:8080/a", "https://host:8080/a"),
            ("localhost:8080", "localhost:8080"),
            ("https://user:hunter2@ho st/", "https://***@ho st/"),
            ("https://user:hun/ter2@host", "https://***@host"),
            ("user:hunter2@host", "***@host"),
            ("//user:hunter2@host", "//***@host"),
            ("https:/user:hunter2@host", "***@host"),
            ("https://user:hun?ter2@host", "https://***"),
            ("https://user:hunter2@host/?token=hunter2", "https://***@host/?***"),
            ("https://host/?mail=a@hunter2", "https://***"),
            ("https://host/#hunter2", "https://host/#***"),
            ("/login/a@b?next=c@hunter2", "/login/a@b?***"),
            ("/login", "/login"),
        ] {
            assert_eq!(shown_url(written), wanted);
        }
    }

    #[test]
    fn a_line_keeps_its_width_and_not_its_secrets() {
        let names = ["authorization", "x-api-key"];
        for (line, wanted) in [
            ("a: up == !", "a: up == !"),
            ("{url: https://ü:pw@h/, up: a@b}", "{url: https://****@h/, up: a@b}"),
            ("{Authorization: Bearer x y, expr: up}", "{Authorization: **********, expr: up}"),
            ("{\"x-api-key\": \"a, b\", expr: up}", "{\"x-api-key\": \"****\", expr: up}"),
            ("X-Api-Key: hunter2", "X-Api-Key: *******"),
        ] {
            assert_eq!(covered(line, &names), wanted);
        }
    }
}
