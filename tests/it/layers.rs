//! The rooms of `src/` are layers: none uses one above it. The order is that of the table in docs/architecture.md.

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rooms from the bottom up, each with what it never does.
fn never() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let table = text.split_once("| room |").unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let row = |row: &str| {
        let cells: Vec<&str> = row.split('|').collect();
        (cells[1].trim().trim_matches('`').to_owned(), cells[3].trim().to_owned())
    };
    let rooms: Vec<(String, String)> = rows.map(row).collect();
    assert!(rooms.len() > 10, "{rooms:?}");
    rooms
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The files that are compiled for tests only: what `#[cfg(test)]` stands in front of as a module.
fn only_of_tests(all: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in all {
        let text = std::fs::read_to_string(path).unwrap();
        let folder = match path.file_stem().unwrap().to_str().unwrap() {
            "mod" | "lib" | "main" => path.parent().unwrap().to_owned(),
            stem => path.parent().unwrap().join(stem),
        };
        for declared in text.split("#[cfg(test)]\n").skip(1) {
            let line = declared.lines().next().unwrap_or_default().trim_end_matches(';');
            let Some((_, name)) = line.rsplit_once("mod ") else { continue };
            found.push(folder.join(format!("{name}.rs")));
        }
    }
    found
}

/// The rooms that a file names, by `crate::room` or `use crate::{room, …}`.
fn named(text: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        // Part of a longer word, as in `other_crate::`.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => names.push(word(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (index, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && c.is_alphabetic() => {
                            names.push(word(&list[index..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

/// What the table says that some rooms never touch, and the signs of it.
const NEVER: [(&str, &[&str]); 3] = [
    ("clock", &["Instant::now", "SystemTime::now", "elapsed()"]),
    ("network", &["reqwest::Client", "tokio::net", "TcpStream", "TcpListener", ".ask("]),
    ("environment", &["env::var(", "env::vars", "env::args", "env::current_dir"]),
];

#[test]
fn no_room_uses_one_above_it() {
    let never = never();
    assert!(never.iter().filter(|(_, never)| never.contains("clock")).count() > 3, "{never:?}");
    let rooms: Vec<String> = never.iter().map(|(name, _)| name.clone()).collect();
    let rank = |room: &str| rooms.iter().position(|known| known == room);
    let src = root().join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    let of_tests = only_of_tests(&all);
    let mut wrong = String::new();
    let mut seen = 0;
    for path in all {
        let inside = path.strip_prefix(&src).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = room.strip_suffix(".rs").unwrap_or(room);
        if matches!(room, "main" | "lib") {
            continue;
        }
        let Some(own) = rank(room) else {
            wrong += &format!("{}: docs/architecture.md knows no room {room}\n", inside.display());
            continue;
        };
        let text = std::fs::read_to_string(&path).unwrap();
        for name in named(&text) {
            seen += 1;
            match rank(&name) {
                Some(other) if other <= own => {}
                Some(_) => wrong += &format!("{}: {room} uses {name}, which is above it\n", inside.display()),
                None => wrong += &format!("{}: {name} is not a room of docs/architecture.md\n", inside.display()),
            }
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        // So many times `super` is the crate's root.
        let depth = inside.components().count() - usize::from(inside.ends_with("mod.rs"));
        if code.contains(&"super::".repeat(depth)) {
            wrong += &format!("{}: `super` leads out of the room\n", inside.display());
        }
        if of_tests.contains(&path) {
            continue;
        }
        for (what, signs) in NEVER {
            let touched = signs.iter().find(|sign| code.contains(**sign));
            if let Some(sign) = touched.filter(|_| never[own].1.starts_with("touches") && never[own].1.contains(what)) {
                wrong += &format!("{}: {room} never touches the {what}, and here is {sign}\n", inside.display());
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(seen > 100, "only {seen} uses were read");
}

#[test]
fn uses_are_read_in_every_form() {
    let text = "use crate::text;\nuse crate::{http::{Address, Client}, plan,\n  outcome::Status};\nlet x: crate::judge::Decision; my_crate::no::x";
    assert_eq!(named(text), ["text", "http", "plan", "outcome", "judge"]);
}

/// The calls that change something in the cloud, and where they may stand besides the room `operate`: where they are made.
const CHANGES: [(&str, &[&str]); 11] = [
    (".patch(", &["google/run_traffic.rs"]),
    (".patch::<", &[]),
    (".delete(", &["google/run_inventory.rs"]),
    (".delete::<", &[]),
    (".delete_revision(", &[]),
    ("set_traffic(", &["google/run_traffic.rs"]),
    (".rollback_target(", &[]),
    (".cancel(", &[]),
    (".terminate(", &[]),
    (".create_release(", &[]),
    (".create_rollout(", &[]),
];

#[test]
fn only_the_commands_that_operate_change_the_cloud() {
    let src = root().join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    let (mut wrong, mut seen) = (String::new(), 0);
    for path in all {
        let inside = path.strip_prefix(&src).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        for (call, allowed) in CHANGES.iter().filter(|(call, _)| text.contains(call)) {
            seen += 1;
            if !inside.starts_with("operate/") && !allowed.contains(&&*inside) {
                wrong += &format!("{inside}: {call}\n");
            }
        }
        // Whoever looks has no part of what operates but the eyes.
        let looks = ["command/verify.rs", "command/query/", "command/replay.rs", "command/lint.rs"];
        if looks.iter().any(|looks| inside.starts_with(looks)) && named(&text).iter().any(|room| room == "operate") {
            wrong += &format!("{inside} uses operate\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(seen > 4, "only {seen} calls were found");
}
