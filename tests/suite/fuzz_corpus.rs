//! "What fuzzing has seen stays right": every kept input goes through its target again.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tests::{fuzzing::TARGETS, source_tree};

/// The octets that all kept inputs may have together.
const ROOM: u64 = 200 * 1024;

#[test]
fn every_kept_input_keeps_its_promises() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let files = files(&source_tree().join("fuzz/corpus").join(name));
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            let input = fs::read(source_tree().join("fuzz/corpus").join(name).join(&file)).unwrap();
            if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
                broken.push(format!("fuzz/corpus/{name}/{file}"));
            }
        }
    }
    assert!(broken.is_empty(), "inputs that break a promise: {broken:#?}");
}

#[test]
fn every_target_is_built_and_has_a_corpus() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let fuzz = source_tree().join("fuzz");
    assert_eq!(files(&fuzz.join("corpus")), names);
    let built: BTreeSet<String> = names.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(files(&fuzz.join("fuzz_targets")), built);
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
    }
}

#[test]
fn the_corpus_stays_small() {
    let mut size = 0;
    for (name, _) in TARGETS {
        let folder = source_tree().join("fuzz/corpus").join(name);
        size += files(&folder).iter().map(|file| fs::metadata(folder.join(file)).unwrap().len()).sum::<u64>();
    }
    assert!(size <= ROOM, "the corpus has {size} octets; {ROOM} are allowed");
}

fn files(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
