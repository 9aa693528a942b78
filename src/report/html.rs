//! The report as one page that needs nothing else: no script, no font, no image from anywhere, and a policy that lets none in.
//! Every value is escaped where it is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::markdown::facts;
use super::{compared, headline, interval, labels, next, plot, time};
use crate::outcome::{Observation, Outcome, Share, Status, Summary};
use crate::text;

const STYLE: &str = include_str!("html.css");

pub(super) fn render(summary: &Summary) -> String {
    let verdict = summary.verdict().word();
    let known = summary.deployment.as_ref().and_then(|facts| facts.release.as_deref().or(facts.revision.as_deref()));
    let title = known.or(summary.url.as_deref()).unwrap_or("a canary");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (shown(title)) ": " (verdict) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header class=(verdict) {
                        h1 { (shown(title)) }
                        p { b class=(verdict) { (shown(&headline(summary))) } }
                        p { "Next: " (shown(&next(summary, "below"))) }
                    }
                    (deployment(summary))
                    (steps(summary))
                    (timeline(summary))
                    (thresholds(summary))
                    (plots(summary))
                    (beside_stable(summary))
                    (seen(summary))
                    (links(summary))
                }
            }
        }
    };
    page.into_string() + "\n"
}

/// Nothing may be loaded or run; the page's own style is let in by its digest.
fn policy() -> String {
    // The digest is of what stands between the tags.
    let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    // One of 32 bytes ends with a padding of one.
    let digest = STANDARD_NO_PAD.encode(digest.as_ref());
    format!("default-src 'none'; style-src 'sha256-{digest}='; base-uri 'none'; form-action 'none'")
}

/// Text that may hold what a canary said: what is not to be seen is written out.
fn shown(said: &str) -> String {
    text::escaped(said).into_owned()
}

fn status(status: Status) -> Markup {
    html! { b class=(status.word()) { (status.word()) } }
}

fn deployment(summary: &Summary) -> Markup {
    let serving = summary.deployment.as_ref().and_then(|facts| facts.serving.as_ref());
    let share = |Share { revision, percent, tag }: &Share| {
        let tag = tag.as_ref().map_or(String::new(), |tag| format!(" (tag {tag})"));
        format!("{percent} % {revision}{tag}")
    };
    html! {
        dl {
            dt { "date" } dd { (humantime::format_rfc3339_seconds(summary.started_at)) }
            @for (name, value) in facts(summary) {
                dt { (name) } dd { (shown(value)) }
            }
            @for (index, entry) in serving.iter().flat_map(|serving| &serving.traffic).enumerate() {
                @if index == 0 { dt { "traffic" } }
                dd { (shown(&share(entry))) }
            }
        }
    }
}

fn steps(summary: &Summary) -> Markup {
    html! {
        @if !summary.checks.is_empty() {
            section {
                h2 { "Steps" }
                div class="scroll" {
                    table {
                        thead { tr {
                            th { "check" } th { "status" } th class="number" { "attempts" } th class="number" { "time" } th { "why" }
                        } }
                        tbody {
                            @for check in &summary.checks {
                                tr {
                                    td class="name" { (shown(&check.name)) }
                                    td { (status(check.status)) }
                                    td class="number" data-label="attempts" { (check.attempts) }
                                    td class="number" data-label="time" { (time(check)) }
                                    td class="wide" { (shown(&check.detail)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// When each check ran, and when its attempts failed.
fn timeline(summary: &Summary) -> Markup {
    const WIDTH: f64 = 1000.0;
    const LEAST: f64 = 4.0;
    let whole = summary.duration.as_secs_f64().max(0.001);
    let at = |time: std::time::Duration| (time.as_secs_f64() / whole).min(1.0) * (WIDTH - LEAST);
    let rounded = |x: f64| (x * 10.0).round() / 10.0;
    let ran: Vec<&Outcome> = summary.checks.iter().filter(|check| check.started.is_some()).collect();
    html! {
        @if !ran.is_empty() {
            section {
                h2 { "Timeline" }
                div class="timeline" {
                    @for check in ran {
                        @let began = check.started.unwrap_or_default();
                        @let (from, to) = (at(began), at(began + check.duration));
                        span { (shown(&check.name)) }
                        svg viewBox="0 0 1000 24" preserveAspectRatio="none" role="img" {
                            title { (shown(&check.name)) ": " (check.status.word()) " after " (text::duration(check.duration)) }
                            rect class=(check.status.word()) x=(rounded(from)) y="4" height="16" width=(rounded((to - from).max(LEAST))) {}
                            @for retry in &check.retries {
                                rect class="retry" x=(rounded(at(retry.at))) y="1" height="22" width="4" {
                                    title { "attempt " (retry.attempt) ": " (shown(&retry.cause)) }
                                }
                            }
                        }
                    }
                    div class="axis" { span { "0s" } span { (text::duration(summary.duration)) } }
                }
            }
        }
    }
}

fn all(summary: &Summary) -> impl Iterator<Item = &Observation> {
    summary.checks.iter().flat_map(|check| &check.observations)
}

fn thresholds(summary: &Summary) -> Markup {
    let thresholds: Vec<&Observation> = all(summary).filter(|seen| seen.threshold().is_some()).collect();
    html! {
        @if !thresholds.is_empty() {
            section {
                h2 { "Thresholds" }
                p class="faint" { "Of each the worst value; n is how many values were compared." }
                div class="scroll" {
                    table {
                        thead { tr {
                            th { "threshold" } th { "status" } th class="number" { "value" } th class="number" { "limit" }
                            th class="number" { "n" } th { "of" }
                        } }
                        tbody {
                            @for observation in thresholds { (threshold(observation)) }
                        }
                    }
                }
            }
        }
    }
}

fn threshold(observation: &Observation) -> Markup {
    let Some(seen) = observation.threshold() else { return html! {} };
    let worst = seen.elements.first();
    let (value, limit) = compared(worst);
    html! {
        tr {
            td class="wide" {
                (shown(&observation.name))
                @if seen.expression != observation.name { br; small { code { (shown(&seen.expression)) } } }
            }
            td { (status(observation.status)) }
            td class="number" data-label="value" { (value) }
            td class="number" data-label="limit" { (limit) }
            td class="number" data-label="n" { (seen.compared) }
            td class="name" { (shown(&worst.map(labels).unwrap_or_default())) }
        }
    }
}

fn plots(summary: &Summary) -> Markup {
    let drawn = |observation| {
        let observation: &Observation = observation;
        Some((observation, plot::of(&observation.threshold()?.courses)?))
    };
    let plots: Vec<(&Observation, Markup)> = all(summary).filter_map(drawn).collect();
    html! {
        @if !plots.is_empty() {
            section {
                h2 { "Over the window" }
                p class="faint" { "The limit is dashed; what would have failed is marked." }
                div class="plots" {
                    @for (observation, plot) in plots {
                        figure {
                            figcaption { (status(observation.status)) " " (shown(&observation.name)) }
                            (plot)
                        }
                    }
                }
            }
        }
    }
}

/// What the pairs of requests prove of each measure.
fn beside_stable(summary: &Summary) -> Markup {
    let drawn = |observation| {
        let observation: &Observation = observation;
        Some((observation, interval::of(observation.interval.as_deref()?)?))
    };
    let drawn: Vec<(&Observation, Markup)> = all(summary).filter_map(drawn).collect();
    html! {
        @if !drawn.is_empty() {
            section {
                h2 { "Beside stable" }
                p class="faint" {
                    "The bar is the interval in which the canary lies beside stable, the dot the estimate. What is proven to be beyond \
                     the tinted part fails; a pass is proven to be within the dashed line."
                }
                div class="plots" {
                    @for (observation, drawing) in drawn {
                        figure {
                            figcaption { (status(observation.status)) " " (shown(&observation.name)) }
                            (drawing)
                            p class="faint" { (shown(&observation.detail)) }
                        }
                    }
                }
            }
        }
    }
}

/// What was not good, with the command that shows it.
fn seen(summary: &Summary) -> Markup {
    let is_bad = |observation: &&Observation| !matches!(observation.status, Status::Pass | Status::Skipped);
    html! {
        @for check in &summary.checks {
            @let bad: Vec<&Observation> = check.observations.iter().filter(is_bad).collect();
            @if !bad.is_empty() || !check.retries.is_empty() {
                section {
                    h2 { (shown(&check.name)) }
                    @for observation in bad {
                        p { (status(observation.status)) " " (shown(&observation.name)) ": " (shown(&observation.detail)) }
                        @if let Some(command) = &observation.reproduce { pre { (shown(command)) } }
                    }
                    @if !check.retries.is_empty() {
                        ul {
                            @for retry in &check.retries {
                                li { "attempt " (retry.attempt) " failed at " (text::duration(retry.at)) ": " (shown(&retry.cause)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn links(summary: &Summary) -> Markup {
    let links = summary.links();
    html! {
        @if !links.is_empty() {
            section {
                h2 { "Cloud Console" }
                ul {
                    @for link in links {
                        li { a href=(link.url) rel="noreferrer" { (link.name) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn the_page_needs_nothing_and_lets_nothing_in() {
        for (name, summary) in samples::all() {
            let page = render(&summary);
            for outside in ["<script", "<link", "<img", "<iframe", "@import", "url(", " style=", " on", "src="] {
                let markup: String =
                    page.split('<').map(|piece| format!("<{}", piece.split('>').next().unwrap())).collect();
                let found = if outside.starts_with(['<', '@']) || outside == "url(" {
                    page.contains(outside)
                } else {
                    markup.contains(outside)
                };
                assert!(!found || (outside == " on" && name == "hostile"), "{name}: {outside}");
            }
            let links = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
            assert!(links.into_iter().all(|url| url.starts_with("https://console.cloud.google.com/")), "{name}");
        }
        assert!(policy().starts_with("default-src 'none'; style-src 'sha256-"));
    }

    #[test]
    fn two_minutes_of_twenty_thresholds_are_a_small_page() {
        let page = render(&samples::large());
        assert!(page.len() <= 300 * 1024, "{} bytes", page.len());
        assert_eq!(page.matches("<figure>").count(), 20);
    }
}
