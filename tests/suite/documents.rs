//! "What the documents name is there."

use tests::source_tree;

/// The documents that speak of the source tree.
const DOCUMENTS: [&str; 5] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "docs/decisions/0001-three-more-crates.md",
];

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.starts_with("    "))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_path_in_the_documents_exists() {
    let tops = [
        "acme/",
        "ca/",
        "cli/",
        "crl/",
        "docs/",
        "haproxy/",
        "packaging/",
        "server/",
        "store/",
        "tests/",
        "trust/",
        ".ci/",
    ];
    let mut missing = Vec::new();
    let mut looked = 0;
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(source_tree().join(document)).unwrap();
        for path in quoted(&text) {
            let path = path.split_whitespace().next().unwrap_or_default();
            if tops.iter().any(|top| path.starts_with(top)) {
                looked += 1;
                if !source_tree().join(path).exists() {
                    missing.push(format!("{document}: {path}"));
                }
            }
        }
    }
    assert!(looked > 30, "only {looked} paths");
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
}

#[test]
fn every_test_that_holds_an_invariant_exists() {
    let text = std::fs::read_to_string(source_tree().join("ARCHITECTURE.md")).unwrap();
    let mut looked = 0;
    for line in text.lines().filter(|line| line.starts_with("| I")) {
        for name in quoted(line).into_iter().filter(|name| name.contains("::") && !name.ends_with("::*")) {
            let (modules, function) = name.rsplit_once("::").unwrap();
            let module = source_tree().join("tests/suite").join(modules.replace("::", "/"));
            let read = |path| std::fs::read_to_string(path).unwrap_or_default();
            let source = read(module.with_extension("rs")) + &read(module.join("mod.rs"));
            assert!(source.contains(&format!("fn {function}(")), "{name} is not in tests/suite");
            looked += 1;
        }
    }
    assert!(looked >= 8, "only {looked}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut folders = vec![source_tree().join("docs")];
    let mut documents: Vec<_> = std::fs::read_dir(source_tree())
        .unwrap()
        .map(|one| one.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { documents.push(path) }
        }
    }
    let mut dead = Vec::new();
    for document in documents.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = std::fs::read_to_string(document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") && !document.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// Each file, and behind it the tests in it.
#[test]
fn every_test_that_is_named_for_who_may_connect_exists() {
    let text = std::fs::read_to_string(source_tree().join("docs/trust-tests.md")).unwrap();
    let is_name =
        |word: &str| word.contains('_') && word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    let (mut source, mut path, mut looked) = (String::new(), "", 0);
    for word in text.split('`').skip(1).step_by(2) {
        if word.contains('/') {
            let file = source_tree().join(word);
            assert!(file.exists(), "{word} is not there");
            path = word;
            source = std::fs::read_to_string(file).unwrap_or_default();
        } else if is_name(word) {
            assert!(source.contains(&format!("fn {word}(")), "{word} is not in {path}");
            looked += 1;
        }
    }
    assert!(looked > 40, "only {looked}");
}
