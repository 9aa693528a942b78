//! Templates in the labels and annotations of alerts: which are broken, as Prometheus finds out when it loads a rules file,
//! and the little of them that is filled in.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/template_reference/>

mod lexer;
mod parser;

use std::fmt::Write as _;

use promeval::labels::Labels;
use promeval::number::format_value;

/// Whether Prometheus takes a template.
///
/// # Errors
/// Why it does not.
pub(super) fn check(template: &str) -> Result<(), String> {
    parser::check(template)
}

/// Whether there is anything to fill in.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Fills in `{{ $labels.NAME }}` and `{{ $value }}`; any other action stays as it is written.
pub(crate) fn fill(template: &str, labels: &Labels, value: f64) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, from)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((action, behind)) = from.split_once("}}") else {
            filled.push_str("{{");
            rest = from;
            break;
        };
        let name = |action: &str| {
            let name = action.strip_prefix("$labels.").or_else(|| action.strip_prefix(".Labels."))?;
            name.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| name.to_owned())
        };
        match action.trim() {
            "$value" | ".Value" => filled.push_str(&format_value(value)),
            action_text => match name(action_text) {
                Some(name) => filled.push_str(labels.get(&name)),
                // Writing to a string cannot fail.
                None => drop(write!(filled, "{{{{{action}}}}}")),
            },
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_the_value_are_filled_in_and_nothing_else() {
        let labels = Labels::new([("__name__", "m"), ("code", "500"), ("pod", "a")]);
        for (template, wanted) in [
            ("plain", "plain"),
            ("{{ $labels.code }} on {{$labels.pod}}: {{ $value }}", "500 on a: 0.25"),
            ("{{ .Labels.code }} {{ .Value }} {{ $labels.none }}|", "500 0.25 |"),
            ("{{ $value | humanize }} of {{ $labels.code }}", "{{ $value | humanize }} of 500"),
            ("{{ printf \"%.2f\" $value }}", "{{ printf \"%.2f\" $value }}"),
            ("a {{ $value", "a {{ $value"),
            ("}} {{ $value }}", "}} 0.25"),
        ] {
            assert_eq!(fill(template, &labels, 0.25), wanted, "{template}");
        }
    }
}
