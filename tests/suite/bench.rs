//! "The benchmarks still run": the harness's smallest form, in seconds. What it measures says nothing.

use tests::bench::TABLE;
use tests::{Program, Sandbox, run};

#[test]
fn the_smallest_form_measures_every_row() {
    let sandbox = Sandbox::new();
    let document = sandbox.file("benchmarks.md");
    let mut command = std::process::Command::new(Program::Benchmarks.path());
    sandbox.surround(&mut command);
    command.env("TMPDIR", sandbox.root()).args(["--tiny", "--date", "2026-11-21"]);
    command
        .args(["--no-openbao", "left out here", "--no-easyrsa", "left out here", "--document"])
        .arg(&document);
    let output = run(&mut command).success();
    let text = sandbox.read("benchmarks.md");
    assert!(!text.contains("not measured"), "{output}");
    assert!(text.contains("| date | 2026-11-21 |"), "{text}");
    for benchmark in TABLE {
        assert!(output.stderr.contains(benchmark.name), "{} did not run\n{output}", benchmark.name);
        assert!(text.contains(&format!("\n## {}\n", benchmark.group)), "{}\n{text}", benchmark.group);
    }
    assert_eq!(text.matches("can't be had here: left out here").count(), 3, "{text}");
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 6).collect();
    assert!(rows.len() > 40, "{} rows\n{text}", rows.len());
    assert!(rows.iter().all(|row| !row.contains("NaN") && !row.contains("inf")), "{text}");
}

#[test]
fn a_word_that_is_not_understood_is_refused() {
    let output = run(std::process::Command::new(Program::Benchmarks.path()).arg("--fastest")).failure(2);
    assert!(output.says("unknown word --fastest"), "{output}");
}
