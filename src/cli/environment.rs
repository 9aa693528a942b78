//! The environment twins of the flags: empty ones count as not set, unknown ones are named, lists have one item a line.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command as Clap};

use super::Command;
use crate::text;

/// What every twin's name begins with.
const PREFIX: &str = "CANARY_GATE_";

/// Variables that are no flag's twin: a token is not passed as an argument, which others could see.
const OTHERS: [&str; 2] = ["CANARY_GATE_ID_TOKEN", "CANARY_GATE_ACCESS_TOKEN"];

/// Variables of others that the gate reads as text, and what the names of more of them begin with.
const READ: [&str; 12] = [
    "CLOUDSDK_CONFIG",
    "GCE_METADATA_HOST",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "HOME",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];
const READ_PREFIXES: [&str; 2] = ["CLOUD_RUN_", "CLOUD_DEPLOY_"];

/// Takes the twins away whose variable is empty: a build's substitution that nobody set.
pub(super) fn without_empty(command: Clap) -> Clap {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| is_blank(&value));
    reset(command, &|arg| arg.get_env().is_some_and(is_empty))
}

/// Takes all twins away.
pub(super) fn without_twins(command: Clap) -> Clap {
    reset(command, &|_| true)
}

/// Flags, and the arguments that cannot stand beside one of them: given by a variable, these count for less.
const RIVALS: [(&[&str], &[&str]); 3] = [
    (&["-v", "--verbose"], &["quiet"]),
    (&["--file"], &["url", "checks", "window", "header"]),
    (&["--url", "--checks", "--window", "--header"], &["file"]),
];

/// Takes the twins away that a flag on the command line beats, and those of switches that are off.
pub(super) fn without_beaten(command: Clap, args: &[String]) -> Clap {
    let is_given = |flag: &&str| {
        args.iter().any(|arg| match flag.strip_prefix("--") {
            Some(_) => arg.strip_prefix(*flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')),
            None => is_among(arg, flag),
        })
    };
    let rivals = RIVALS.iter().filter(|(flags, _)| flags.iter().any(is_given));
    let beaten: BTreeSet<&str> = rivals.flat_map(|(_, ids)| *ids).copied().collect();
    reset(command, &|arg| {
        let is_off = || {
            let value = arg.get_env().and_then(std::env::var_os).unwrap_or_default().to_ascii_lowercase();
            matches!(arg.get_action(), ArgAction::SetTrue) && OFF.iter().any(|off| value == *off)
        };
        beaten.contains(arg.get_id().as_str()) || is_off()
    })
}

/// Whether a short switch is given, alone or together with others: `-v`, `-vvv`.
fn is_among(arg: &str, switch: &str) -> bool {
    let letters = arg.strip_prefix('-').unwrap_or_default();
    letters.bytes().all(|letter| b"vq".contains(&letter))
        && switch.bytes().skip(1).all(|one| letters.as_bytes().contains(&one))
}

/// What a variable says where its switch is off.
const OFF: [&str; 6] = ["0", "false", "f", "n", "no", "off"];

fn reset(command: Clap, is_reset: &dyn Fn(&Arg) -> bool) -> Clap {
    command
        .mut_subcommands(|subcommand| reset(subcommand, is_reset))
        .mut_args(|arg| if is_reset(&arg) { arg.env(Resettable::Reset) } else { arg })
}

fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| value.trim().is_empty())
}

/// # Errors
/// Names the variables that look like twins and are none, and those that are not text: what they ask for would be left undone
/// without a word.
pub(super) fn known(command: &Clap) -> Result<(), String> {
    let mut names = BTreeSet::from(OTHERS.map(str::to_owned));
    collect(command, &mut names);
    let set = std::env::vars_os().filter(|(_, value)| !is_blank(value));
    let (text, other): (Vec<_>, Vec<_>) = set.partition(|(_, value)| value.to_str().is_some());
    let names_of = |set: Vec<(OsString, OsString)>| set.into_iter().filter_map(|(name, _)| name.into_string().ok());
    let other: Vec<String> = names_of(other).collect();
    if let Some(name) = other.iter().find(|name| is_read(name)) {
        return Err(format!("the environment variable {name} is not UTF-8"));
    }
    unknown(names_of(text).chain(other), &names)
}

/// Whether a variable that is no flag's twin is read as text.
fn is_read(name: &str) -> bool {
    let mut known = OTHERS.iter().chain(&READ);
    known.any(|known| *known == name) || READ_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn unknown(set: impl Iterator<Item = String>, names: &BTreeSet<String>) -> Result<(), String> {
    let looks_like_one = |name: &String| name.starts_with(PREFIX) && !names.contains(name);
    let unknown: BTreeSet<String> = set.filter(looks_like_one).collect();
    let message = |name: &String| {
        let similar = text::similar(own(name), names.iter().map(|name| own(name)));
        let hint = similar.first().map_or(String::new(), |similar| format!("; did you mean {PREFIX}{similar}?"));
        format!("the environment variable {name} is not one of the gate's{hint}")
    };
    let messages: Vec<String> = unknown.iter().map(message).collect();
    if messages.is_empty() { Ok(()) } else { Err(messages.join("\n")) }
}

/// A name without what all of them begin with: that makes none of them similar.
fn own(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

fn collect(command: &Clap, names: &mut BTreeSet<String>) {
    let twins = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    names.extend(twins.map(str::to_owned));
    for subcommand in command.get_subcommands() {
        collect(subcommand, names);
    }
}

/// Marks what counts for less where it comes from the environment.
pub(super) fn mark(command: &mut Command, matches: &ArgMatches) {
    if let (Command::Verify(verify), Some(("verify", matches))) = (command, matches.subcommand()) {
        verify.url_from_environment = matches.value_source("url") == Some(ValueSource::EnvVariable);
    }
}

/// A list in an environment variable stands one a line. (Expressions hold commas, so clap's own delimiter is no help.)
pub(super) fn split_lines(command: &mut Command, matches: &ArgMatches) {
    let Some((_, matches)) = matches.subcommand() else { return };
    let lists = match command {
        Command::Verify(verify) => vec![
            ("report", &mut verify.reports.report),
            ("threshold", &mut verify.plan.threshold),
            ("warn", &mut verify.plan.warn),
        ],
        Command::Audit(audit) => vec![("report", &mut audit.report)],
        Command::Replay(replay) => vec![("report", &mut replay.report)],
        Command::Release(release) => vec![("image", &mut release.image)],
        Command::Rollback(rollback) => vec![("report", &mut rollback.report)],
        Command::Query(query) => vec![("header", &mut query.header)],
        Command::Checks(_)
        | Command::Completions(_)
        | Command::History(_)
        | Command::Init(_)
        | Command::Lint(_)
        | Command::Man(_)
        | Command::Watch(_)
        | Command::Schema(_) => Vec::new(),
    };
    for (name, list) in lists {
        if matches.value_source(name) == Some(ValueSource::EnvVariable) {
            let lines = list.iter().flat_map(|value| value.lines()).map(str::trim);
            *list = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_switches_are_found_together() {
        for (arg, is_given) in
            [("-v", true), ("-vvv", true), ("-qv", true), ("-q", false), ("-", false), ("-vx", false)]
        {
            assert_eq!(is_among(arg, "-v"), is_given, "{arg}");
        }
    }

    #[test]
    fn every_unknown_variable_is_named_and_only_near_names_are_offered() {
        let names = ["CANARY_GATE_COLOR", "CANARY_GATE_URL", "CANARY_GATE_THRESHOLD"].map(str::to_owned).into();
        let set = ["CANARY_GATE_TRESHOLD", "PATH", "CANARY_GATE_URL", "CANARY_GATE_FOO"].map(str::to_owned);
        assert_eq!(
            unknown(set.into_iter(), &names).unwrap_err(),
            "the environment variable CANARY_GATE_FOO is not one of the gate's\n\
             the environment variable CANARY_GATE_TRESHOLD is not one of the gate's; did you mean CANARY_GATE_THRESHOLD?"
        );
        assert_eq!(unknown(["CANARY_GATE_URL".to_owned()].into_iter(), &names), Ok(()));
    }
}
