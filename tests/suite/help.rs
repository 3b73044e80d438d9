//! "Every command explains itself."

use tests::Sandbox;

/// Every command, by the words that call it, the bare program first.
fn commands(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let help = help(sandbox, &words, "--help");
        let mut inside = false;
        for line in help.lines() {
            if !line.starts_with(' ') {
                inside = line == "Commands:";
            } else if inside
                && let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))
                && let Some(name) = name.split_whitespace().next().filter(|name| *name != "help")
            {
                waiting.push(words.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
        found.push(words);
    }
    found.sort();
    found
}

fn help(sandbox: &Sandbox, words: &[String], flag: &str) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).chain([flag]).collect();
    let output = sandbox.pki(words).success();
    assert_eq!(output.stderr, "", "help is data: {output}");
    output.stdout
}

#[test]
fn every_commands_help_is_what_it_was() {
    let sandbox = Sandbox::new();
    let commands = commands(&sandbox);
    assert!(commands.len() > 30, "{commands:?}");
    for words in commands {
        let name = if words.is_empty() { "pki".to_owned() } else { words.join(" ") };
        insta::assert_snapshot!(name.replace(' ', "_"), help(&sandbox, &words, "--help"));
    }
}

#[test]
fn every_command_has_an_example_or_needs_none() {
    let sandbox = Sandbox::new();
    for words in commands(&sandbox) {
        let help = help(&sandbox, &words, "--help");
        let takes_arguments = help.lines().any(|line| line.starts_with("Arguments:") || line == "Options:");
        let name = words.join(" ");
        let group = help.contains("\nCommands:");
        assert!(
            !takes_arguments || group || help.contains("pki "),
            "pki {name} --help shows no example:\n{help}"
        );
        let first = help.lines().next().unwrap_or_default();
        assert!(!first.is_empty() && !first.ends_with('.'), "pki {name}: {first}");
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "pki {name} --help has a line over 100"
        );
    }
}

#[test]
fn help_needs_no_pki_and_the_completions_know_every_command() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.pki(["completions", shell]).success().stdout;
        for words in commands(&sandbox) {
            if let Some(last) = words.last() {
                assert!(script.contains(last.as_str()), "{shell} does not know {words:?}");
            }
        }
    }
    assert!(!sandbox.dir().exists());
}

#[test]
fn man_renders_every_page() {
    let sandbox = Sandbox::new();
    sandbox.pki(["man", "--out", "pages"]).success();
    for words in commands(&sandbox) {
        let page =
            std::iter::once("pki").chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
        assert!(sandbox.file(&format!("pages/{page}.1")).exists(), "{page}.1");
    }
    let rendered = tests::witness(&sandbox, "man", ["--warnings=all", "-P", "cat", "pages/pki.1"]).success();
    assert!(rendered.stdout.contains("issue-client"), "{rendered}");
}

#[test]
fn the_reference_of_commands_is_the_programs_own() {
    compare("docs/reference/commands.md", &cli::reference::commands());
}

#[test]
fn the_reference_of_exit_codes_is_the_programs_own() {
    compare("docs/reference/exit-codes.md", &cli::reference::exit_codes());
}

#[test]
fn the_reference_of_settings_is_the_programs_own() {
    compare("docs/reference/settings.md", &cli::reference::settings());
}

#[test]
fn the_reference_of_the_api_is_the_services_own() {
    compare("docs/reference/openapi.json", &server::http::openapi::text());
}

#[test]
fn a_wrong_command_is_met_with_the_right_one() {
    let sandbox = Sandbox::new();
    let refused = sandbox.pki(["isue-client", "alice"]).failure(2);
    assert!(refused.stdout.is_empty() && refused.says("issue-client"), "{refused}");
    let refused = sandbox.pki(Vec::<&str>::new()).failure(2);
    assert!(refused.says("hint:"), "{refused}");
}

/// Compares a page of the reference with what the program says now; `PKI_WRITE_REFERENCE=1` writes it anew.
fn compare(page: &str, now: &str) {
    let path = tests::source_tree().join(page);
    if std::env::var_os("PKI_WRITE_REFERENCE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == now,
        "{page} is not what the program says: PKI_WRITE_REFERENCE=1 cargo test -p tests --test suite reference"
    );
}
