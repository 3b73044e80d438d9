//! "Two of us can use one directory at a time, and nobody else can."

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Command, Stdio};

use tests::{Program, Sandbox, Service, run};

#[test]
fn a_second_process_works_through_the_running_service() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    let info = sandbox.pki(["info", "--json"]).success().json();
    assert_eq!(info["service"], true, "{info}");
    assert_eq!(info["pid"], service.pid(), "{info}");
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["revoke", "alice"]).success();
    let listed = sandbox.pki(["list", "--revoked", "--json"]).success();
    assert!(listed.stdout.contains("\"alice\""), "{listed}");
    assert_eq!(service.stop().code, 0);
    // And without it, the same words work on the directory itself.
    let info = sandbox.pki(["info", "--json"]).success().json();
    assert_eq!(info["service"], false, "{info}");
    assert!(sandbox.pki(["list", "--revoked", "--json"]).success().stdout.contains("\"alice\""));
}

#[test]
fn sixty_four_commands_at_once_all_succeed() {
    let sandbox = Sandbox::with_pki();
    let children: Vec<(usize, Child)> = (0..64)
        .map(|number| {
            let name = format!("client-{number}");
            let words = ["issue-client", &name, "--key-type", "p256", "--wait", "300s"];
            let mut command = sandbox.command(words);
            (number, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    for (number, child) in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "client-{number}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let listed = sandbox.pki(["list", "--json", "--name", "client-*"]).success().json();
    assert_eq!(listed.as_array().unwrap().len(), 64);
    let serials: std::collections::BTreeSet<&str> =
        listed.as_array().unwrap().iter().map(|one| one["serial"].as_str().unwrap()).collect();
    assert_eq!(serials.len(), 64, "every serial is its own");
}

#[test]
fn a_second_service_is_refused() {
    let sandbox = Sandbox::with_pki();
    let _service = Service::start(&sandbox);
    let second = sandbox.pki(["serve", "--wait", "1s"]);
    assert_eq!(second.code, 4, "{second}");
    assert!(second.stderr.contains("hint:"), "{second}");
}

#[test]
fn a_service_that_was_killed_does_not_stand_in_the_way() {
    let sandbox = Sandbox::with_pki();
    Service::start(&sandbox).kill();
    assert!(sandbox.dir().join("pki.socket").exists(), "a killed service leaves its socket");
    sandbox.pki(["issue-client", "alice"]).success();
    Service::start(&sandbox);
}

/// Runs `pki` as the user `nobody`, with this sandbox's environment.
fn as_nobody(sandbox: &Sandbox, arguments: &[&str]) -> tests::Output {
    let mut command = Command::new("setpriv");
    sandbox.surround(&mut command);
    // The build may lie where nobody may go: a copy lies where anybody may.
    let copy = sandbox.root().join("pki-copy");
    if !copy.exists() {
        std::fs::copy(Program::Shipped.path(), &copy).unwrap();
    }
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(copy).args(arguments);
    command.current_dir("/");
    run(&mut command)
}

#[test]
fn another_users_directory_is_refused_with_a_hint() {
    assert!(rustix::process::geteuid().is_root(), "this test changes users: run it as root");
    let sandbox = Sandbox::with_pki();
    std::fs::set_permissions(sandbox.root(), PermissionsExt::from_mode(0o755)).unwrap();
    let before = sandbox.contents();
    for words in [["list", "--revoked"], ["issue-client", "mallory"], ["revoke", "x"]] {
        let refused = as_nobody(&sandbox, &words);
        assert_eq!(refused.code, 5, "{refused}");
        assert!(refused.stderr.contains("hint:"), "{refused}");
    }
    assert!(before == sandbox.contents(), "something was written");
}

#[test]
fn root_is_told_to_become_the_owner() {
    assert!(rustix::process::geteuid().is_root(), "this test changes users: run it as root");
    let sandbox = Sandbox::with_pki();
    let mut folders = vec![sandbox.dir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                chown(&path, Some(65534), Some(65534)).unwrap();
            }
        }
        chown(&folder, Some(65534), Some(65534)).unwrap();
    }
    let refused = sandbox.pki(["list"]).failure(5);
    assert!(refused.stderr.contains("sudo -u"), "{refused}");
}

#[test]
fn up_says_which_options_change_nothing_where_a_pki_is() {
    let sandbox = Sandbox::with_pki();
    let said = |words: &[&str]| {
        let service = Service::start_with(&sandbox, words, &[]);
        let log = service.log();
        assert_eq!(service.stop().code, 0);
        log
    };
    let other = said(&["up", "--name", "Other", "--name-constraint", "example.org"]);
    assert!(other.contains("--name, --name-constraint changed nothing"), "{other}");
    let plain = said(&["up"]);
    assert!(!plain.contains("changed nothing"), "{plain}");
}
