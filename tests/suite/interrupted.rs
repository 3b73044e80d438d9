//! "The power went while I issued a certificate. I say the same again."

use std::process::Command;

use tests::{Program, Purpose, Sandbox, openssl, openssl_accepts, run};

/// Runs `pki issue-client alice` and kills it (SIGKILL) at the `nth` system call of these kinds.
fn killed_at(sandbox: &Sandbox, calls: &str, nth: usize) -> tests::Output {
    let mut command = Command::new("strace");
    sandbox.surround(&mut command);
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={calls}"))
        .arg("-e")
        .arg(format!("inject={calls}:signal=KILL:when={nth}"))
        .arg(Program::Shipped.path())
        .args(["issue-client", "alice"]);
    run(&mut command)
}

fn certificates(sandbox: &Sandbox) -> usize {
    sandbox.pki(["list", "--json", "--name", "alice"]).success().json().as_array().unwrap().len()
}

#[test]
fn the_same_command_finishes_the_same_certificate_wherever_it_was_killed() {
    let (mut killed, mut finished_before) = (0, 0);
    for calls in ["rename,renameat,renameat2", "fsync,fdatasync", "link,linkat", "unlink,unlinkat"] {
        for nth in 1.. {
            let sandbox = Sandbox::with_pki();
            let ended = killed_at(&sandbox, calls, nth);
            if ended.code == 0 {
                // The command makes fewer such calls than that.
                finished_before += 1;
                break;
            }
            killed += 1;
            let made = certificates(&sandbox);
            assert!(made <= 1, "{calls} {nth}: {made} certificates");
            let again = sandbox.pki(["issue-client", "alice"]);
            if again.code != 0 {
                // Everything had been placed: the key is not overwritten, and nothing is missing.
                assert_eq!(again.code, 4, "{calls} {nth}: {again}");
            }
            assert_eq!(certificates(&sandbox), 1, "{calls} {nth}: {again}");
            openssl_accepts(&sandbox, Purpose::Client, "alice");
            let of_key = openssl(&sandbox, ["pkey", "-in", "alice.key", "-pubout"]).success().stdout;
            let of_certificate =
                openssl(&sandbox, ["x509", "-in", "alice.crt", "-noout", "-pubkey"]).success().stdout;
            assert_eq!(of_key, of_certificate, "{calls} {nth}");
            let left: Vec<_> =
                std::fs::read_dir(sandbox.work()).unwrap().map(|one| one.unwrap().file_name()).collect();
            assert_eq!(left.len(), 3, "{calls} {nth}: {left:?}");
            assert!(nth < 60, "{calls}: it never ends");
        }
    }
    assert!(killed >= 8, "killed {killed} times only");
    assert_eq!(finished_before, 4);
}

#[test]
fn an_init_that_was_interrupted_can_be_said_again() {
    for (calls, nths) in [("rename,renameat,renameat2", [1, 3, 6]), ("fsync,fdatasync", [1, 8, 20])] {
        for nth in nths {
            let sandbox = Sandbox::new();
            let mut command = Command::new("strace");
            sandbox.surround(&mut command);
            command
                .args(["-f", "-qq", "-o", "/dev/null", "-e"])
                .arg(format!("trace={calls}"))
                .arg("-e")
                .arg(format!("inject={calls}:signal=KILL:when={nth}"))
                .arg(Program::Shipped.path())
                .args(["init", "--name", "Example"]);
            run(&mut command);
            let again = sandbox.pki(["init", "--name", "Example"]);
            // Either it is finished now, or it was finished then.
            assert!(again.code == 0 || again.code == 4, "{calls} {nth}: {again}");
            sandbox.pki(["issue-client", "alice"]).success();
            openssl_accepts(&sandbox, Purpose::Client, "alice");
        }
    }
}
