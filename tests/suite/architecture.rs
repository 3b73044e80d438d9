//! "The code is where ARCHITECTURE.md says it is": arrows, sizes, words, printing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::source_tree;

/// Who may use whom. A crate may skip to the right; nothing points left.
const ARROWS: [(&str, &[&str]); 9] = [
    ("store", &[]),
    ("ca", &["store"]),
    ("crl", &["ca", "store"]),
    ("trust", &["crl", "ca", "store"]),
    ("acme", &["crl", "ca", "store"]),
    ("haproxy", &["ca", "store"]),
    ("server", &["acme", "trust", "haproxy", "crl", "ca", "store"]),
    ("cli", &["server", "acme", "trust", "haproxy", "crl", "ca", "store"]),
    ("tests", &["cli", "server", "acme", "trust", "haproxy", "crl", "ca", "store"]),
];

/// Lines a source file may have at most.
const LONGEST: usize = 500;

/// Words that name nothing.
const EMPTY_WORDS: [&str; 4] = ["Manager", "Helper", "Util", "get_"];

#[test]
fn no_crate_points_left() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir(source_tree())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let table: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    assert_eq!(names, table.keys().copied().collect(), "the workspace's crates and the table's");
    let mut wrong = Vec::new();
    for package in packages {
        let from = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            if names.contains(to) && !table[from].contains(&to) {
                wrong.push(format!("{from} → {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that are not in the table: {wrong:?}");
}

#[test]
fn certificates_types_do_not_know_the_store() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if path.starts_with(source_tree().join("ca/src/cert")) {
            for (number, line) in code_lines(&text) {
                if line.contains("store::") || line.contains("crate::authority") {
                    wrong.push(format!("{}:{number}: {line}", shown(&path)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_fits_in_a_head() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(path, lines)| format!("{}: {lines} lines", shown(&path)))
        .collect();
    assert!(long.is_empty(), "more than {LONGEST} lines:\n{}", long.join("\n"));
}

#[test]
fn every_file_says_why_it_exists() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(path, text)| !is_test(path) && !text.trim_start().starts_with("//!"))
        .map(|(path, _)| shown(&path))
        .collect();
    assert!(silent.is_empty(), "no module documentation:\n{}", silent.join("\n"));
}

#[test]
fn only_output_rs_prints() {
    let printing = ["println!", "print!(", "eprintln!", "eprint!(", "io::stdout", "io::stderr"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let name = shown(&path);
        if name.starts_with("tests/") || is_test(&path) || name == "cli/src/output.rs" {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if printing.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{name}:{number}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "printing outside cli/src/output.rs:\n{}", wrong.join("\n"));
}

#[test]
fn only_server_and_cli_read_the_clock() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let name = shown(&path);
        if ["server/", "cli/", "tests/"].iter().any(|crate_| name.starts_with(crate_)) || is_test(&path) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if line.contains("SystemTime::now") || line.contains("now_utc") || line.contains("env::var") {
                wrong.push(format!("{name}:{number}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "the clock or the environment is read in:\n{}", wrong.join("\n"));
}

#[test]
fn names_mean_something() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let name = shown(&path);
        if name == "tests/suite/architecture.rs" {
            continue;
        }
        for (number, line) in code_lines(&text) {
            let declares = ["struct ", "enum ", "trait ", "fn ", "mod ", "type "].iter().any(|word| {
                line.split_once(word).is_some_and(|(before, after)| {
                    let named: String =
                        after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    !before.contains("//")
                        && EMPTY_WORDS.iter().any(|empty| {
                            if empty.ends_with('_') {
                                named.starts_with(empty)
                            } else {
                                named.contains(empty)
                            }
                        })
                })
            });
            if declares {
                wrong.push(format!("{name}:{number}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "names that say nothing:\n{}", wrong.join("\n"));
}

#[test]
fn every_suite_file_is_included() {
    let suite = source_tree().join("tests/suite");
    let mut forgotten = Vec::new();
    for (path, _) in sources() {
        let Ok(inside) = path.strip_prefix(&suite) else { continue };
        let (folder, stem) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
        if inside == Path::new("main.rs") {
            continue;
        }
        let (parent, name) = match (stem, folder == suite) {
            ("mod", _) => {
                (folder.parent().unwrap().join("main.rs"), folder.file_name().unwrap().to_str().unwrap())
            }
            (_, true) => (suite.join("main.rs"), stem),
            (_, false) => (folder.join("mod.rs"), stem),
        };
        let includes = std::fs::read_to_string(&parent).unwrap_or_default();
        let line = format!("mod {name};");
        if !includes.lines().any(|found| found.trim().trim_start_matches("pub ") == line) {
            forgotten.push(inside.display().to_string());
        }
    }
    assert!(forgotten.is_empty(), "never included: {forgotten:?}");
}

/// Every Rust file of the tree, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ARROWS.iter().map(|(name, _)| source_tree().join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 30, "the sources are not where they were");
    found
}

/// The lines that are code and not comment, up to a file's unit tests.
fn code_lines(text: &str) -> Vec<(usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(number, line)| (number + 1, line.trim()))
        .filter(|(_, line)| !line.starts_with("//"))
        .collect()
}

/// Tests of a crate's own, which stand apart: their length is the length of what they test.
fn is_test(path: &Path) -> bool {
    let name = shown(path);
    path.file_name().is_some_and(|file| file == "tests.rs")
        || name.contains("/examples/")
        || (name.contains("/tests/") && !name.starts_with("tests/"))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(source_tree()).unwrap_or(path).display().to_string()
}
