//! README's reference is held to the flags: every flag has a row with its environment twin and its default, and every row a flag.

use std::collections::BTreeMap;
use std::path::Path;

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;

/// The rows of the tables under each heading of README's reference: the cells of flag, environment and default.
fn rows() -> BTreeMap<String, Vec<[String; 3]>> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let reference = text.split_once("\n## Reference\n").unwrap().1.split("\n## ").next().unwrap().to_owned();
    let mut found: BTreeMap<String, Vec<[String; 3]>> = BTreeMap::new();
    let mut heading = String::new();
    for line in reference.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            title.clone_into(&mut heading);
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", flag, environment, default, _, ""] = &cells[..]
            && flag.starts_with('`')
        {
            found.entry(heading.clone()).or_default().push([flag, environment, default].map(|cell| (*cell).to_owned()));
        }
    }
    found
}

/// The pieces of a cell in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// What is wrong with the rows of a command's flags.
fn mistakes(rows: &[[String; 3]], args: &[&Arg]) -> Vec<String> {
    let mut wrong = Vec::new();
    for arg in args {
        let flag = format!("--{}", arg.get_long().unwrap_or_else(|| arg.get_id().as_str()));
        let of = |written: &str| written.split([' ', '[']).next().unwrap_or_default().to_owned();
        let Some([own, environment, default]) = rows.iter().find(|[own, ..]| {
            let short = arg.get_short().map(|short| format!("-{short}"));
            quoted(own).any(|written| of(written) == flag || Some(of(written)) == short)
        }) else {
            wrong.push(format!("{flag} has no row"));
            continue;
        };
        // A row of several flags names the twin of one.
        let several = environment.contains('…');
        if let Some(twin) = arg.get_env().and_then(|twin| twin.to_str()).filter(|_| !several)
            && !quoted(environment).any(|written| written == twin)
        {
            wrong.push(format!("{flag}: {twin} is not its environment twin in {environment:?}"));
        }
        let given = arg.get_default_values().first().and_then(|value| value.to_str());
        let is_public = |value: &str| value.starts_with("https://") && default == "the public one";
        if let Some(value) = given.filter(|value| !is_public(value) && !matches!(*value, "false" | "0"))
            && !quoted(default).any(|written| written == value)
        {
            wrong.push(format!("{flag}: {value} is not its default in {default:?}"));
        }
        let takes_a_value = arg.get_action().takes_values() && !several && quoted(own).count() == 1;
        if takes_a_value && !own.contains(' ') {
            wrong.push(format!("{flag}: {own:?} says no value"));
        }
    }
    for [own, ..] in rows {
        for written in quoted(own) {
            let name = written.split(' ').next().unwrap_or_default();
            let is_known = |arg: &&Arg| {
                let short = arg.get_short().map(|short| format!("-{short}"));
                arg.get_long().is_some_and(|long| name == format!("--{long}"))
                    || short.is_some_and(|short| name.starts_with(&short) && !name.starts_with("--"))
            };
            if !args.iter().any(is_known) {
                wrong.push(format!("{name} is not a flag"));
            }
        }
    }
    wrong
}

#[test]
fn the_reference_in_the_readme_is_that_of_the_flags() {
    let (whole, rows) = (Cli::command(), rows());
    let flags = |command: &Command, global: bool| -> Vec<Arg> {
        let all = command.get_arguments().filter(|arg| !arg.is_positional() && arg.is_global_set() == global);
        all.filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version")).cloned().collect()
    };
    let mut wrong = Vec::new();
    let mut compare = |heading: &str, args: &[Arg]| {
        let own = rows.get(heading).cloned().unwrap_or_default();
        let found = mistakes(&own, &args.iter().collect::<Vec<_>>());
        wrong.extend(found.into_iter().map(|mistake| format!("{heading}: {mistake}")));
    };
    compare("What every command takes", &flags(&whole, true));
    for command in whole.get_subcommands() {
        let args = flags(command, false);
        let heading = rows.keys().find(|heading| heading.starts_with(&format!("`canary-gate {}", command.get_name())));
        if let Some(heading) = heading {
            compare(heading, &args);
            continue;
        }
        // Few flags are told in a sentence.
        let (text, name) = (include_str!("../../README.md"), format!("`canary-gate {}", command.get_name()));
        let unknown = |arg: &&Arg| !text.contains(&format!("--{}", arg.get_long().unwrap_or_default()));
        let unknown: Vec<String> = args.iter().filter(unknown).map(|arg| arg.get_id().to_string()).collect();
        assert!(text.contains(&name) && unknown.is_empty(), "{name}: {unknown:?}");
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
