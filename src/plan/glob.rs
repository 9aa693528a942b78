//! Paths with `*`, `?` and `[…]`, as Prometheus takes them in `rule_files`.

use std::path::{Path, PathBuf};

/// Whether a path is a pattern.
pub(super) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The paths that fit a pattern, sorted; `names` lists the names in a folder.
pub(super) fn expand(pattern: &Path, names: &dyn Fn(&Path) -> Vec<String>) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    let mut is_patterned = false;
    for component in pattern.components() {
        let part = component.as_os_str().to_string_lossy();
        if !is_glob(&part) {
            // Behind a pattern a part is looked for as one is: it is not in every folder.
            let is_there = |path: &PathBuf| !is_patterned || names(folder_of(path)).iter().any(|name| *name == part);
            found.retain(is_there);
            for path in &mut found {
                path.push(component);
            }
            continue;
        }
        is_patterned = true;
        let inside = |folder: &PathBuf| {
            let fitting = names(folder_of(folder)).into_iter().filter(|name| fits(&part, name));
            fitting.map(|name| folder.join(name)).collect::<Vec<_>>()
        };
        found = found.iter().flat_map(inside).collect();
    }
    found.sort();
    found
}

fn folder_of(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Whether a name fits a pattern.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    let mut name = name.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => {
                let (pattern, mut name) = (rest.as_str(), name);
                return std::iter::once(name.clone())
                    .chain(std::iter::from_fn(|| name.next().map(|_| name.clone())))
                    .any(|tail| fits(pattern, tail.as_str()));
            }
            '?' => {
                if name.next().is_none() {
                    return false;
                }
            }
            '[' => {
                let Some((set, behind)) = rest.as_str().split_once(']') else { return false };
                let Some(c) = name.next() else { return false };
                let (set, negated) = set.strip_prefix('^').map_or((set, false), |set| (set, true));
                if in_set(set, c) == negated {
                    return false;
                }
                rest = behind.chars();
            }
            _ => {
                if name.next() != Some(c) {
                    return false;
                }
            }
        }
    }
    name.next().is_none()
}

fn in_set(set: &str, c: char) -> bool {
    let set: Vec<char> = set.chars().collect();
    let mut at = 0;
    while at < set.len() {
        if let [first, '-', last, ..] = set[at..] {
            if (first..=last).contains(&c) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == c {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, wanted) in [
            ("*.yml", "a.yml", true),
            ("*.yml", ".yml", true),
            ("*.yml", "a.yaml", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x[^1]", "bx2", true),
            ("[a-c]x[^1]", "bx1", false),
            ("[a-c]x", "dx", false),
            ("[a", "a", false),
            ("ü*", "üx", true),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn every_part_of_a_path_may_be_a_pattern() {
        let names = |folder: &Path| -> Vec<String> {
            let names: &[&str] = match folder.to_str() {
                Some("dir") => &["b", "a", "c.yml"],
                Some("dir/a") => &["2.yml", "1.yml", "x.txt"],
                Some("dir/b") => &["3.yml"],
                Some(".") => &["dir", "top.yml"],
                _ => &[],
            };
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let found = |pattern: &str| -> Vec<String> {
            expand(Path::new(pattern), &names).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(found("dir/*/*.yml"), ["dir/a/1.yml", "dir/a/2.yml", "dir/b/3.yml"]);
        assert_eq!(found("*.yml"), ["top.yml"]);
        assert_eq!(found("../none/*"), Vec::<String>::new());
    }
}
