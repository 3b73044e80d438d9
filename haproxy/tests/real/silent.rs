//! A socket behind which something else than HAProxy speaks: every answer that is not the known one is an
//! error, and none takes for ever.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use haproxy::runtime::{Address, Bounds, Runtime};
use haproxy::{Error, FilePath, bundle};

use crate::sites::file;
use crate::world::Authority;

/// Answers each connection with the next of `answers`, and the last of them for ever.
fn speaker(folder: &Path, answers: &[&str]) -> FilePath {
    let path = file(folder, "admin.sock");
    let listener = UnixListener::bind(path.as_str()).unwrap();
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    std::thread::spawn(move || {
        for (stream, answer) in
            listener.incoming().zip(answers.iter().chain(std::iter::repeat(answers.last().unwrap())))
        {
            let mut stream = stream.unwrap();
            // The whole command: what is left unread would break the connection.
            let (mut heard, mut chunk) = (Vec::new(), [0; 4096]);
            while !heard.ends_with(if heard.windows(2).any(|two| two == b"<<") { b"\n\n" } else { b"\n" }) {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => heard.extend_from_slice(&chunk[..count]),
                }
            }
            match answer.as_str() {
                "<silence>" => std::mem::forget(stream),
                "<endless>" => while stream.write_all(&[b'x'; 4096]).is_ok() {},
                "<trickle>" => {
                    while stream.write_all(b"0").is_ok() {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
                text => {
                    let _ = stream.write_all(text.as_bytes());
                }
            }
        }
    });
    path
}

fn ask(answers: &'static [&'static str]) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds { deadline: Duration::from_millis(300), answer: 10_000, command: 15_000 };
    let runtime = Runtime::new(Address::Unix(speaker(folder.path(), answers)), bounds);
    let map = file(folder.path(), "revoked.map");
    match runtime.keep_revoked(&map, &BTreeSet::new()) {
        Err(error) => error,
        Ok(change) => panic!("{answers:?}: {change:?}"),
    }
}

#[test]
fn what_is_not_understood_is_an_error() {
    for answers in [
        &["Permission denied\n"] as &[&str],
        &["0xzz key value\n"],
        &["key value\n"],
        &["0x55aa key\n"],
        &["\u{1b}[2J"],
        // The map is not ours; and what should replace it is not prepared, or not put in force, or not there.
        &["0x55aa foreign 1\n", ""],
        &["0x55aa foreign 1\n", "New version created: minus\n"],
        &["0x55aa foreign 1\n", "New version created: 1\n", "Version can't be committed\n"],
    ] {
        let error = ask(answers);
        assert!(matches!(error, Error::Answer { .. }), "{answers:?}: {error}");
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
    let error = ask(&["0x55aa foreign 1\n", "New version created: 1\n", "", "0x55aa foreign 1\n"]);
    assert!(matches!(error, Error::MapDiffers { found: 1, wanted: 0, .. }), "{error}");
}

/// What 2.6.12 says when a certificate was replaced, and what it has said when it was not.
#[test]
fn success_is_no_proof_that_a_certificate_was_replaced() {
    let new = Authority::named("servers").issue("www.example", &[7]);
    let text = bundle::render(&new.certificate, &new.key).unwrap();
    let install = |answers: &dyn Fn(&str) -> Vec<String>| {
        let folder = tempfile::tempdir().unwrap();
        let pem = file(folder.path(), "www.pem");
        let answers = answers(pem.as_str());
        let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
        let runtime = Runtime::new(Address::Unix(speaker(folder.path(), &answers)), Bounds::STANDARD);
        runtime.install(&pem, &text)
    };
    let set = |pem: &str| format!("Transaction created for certificate {pem}!\n\n");
    let committed = |pem: &str| format!("Committing {pem}..\nSuccess!\n\n");
    let shown = |pem: &str, status: &str, serial: &str| {
        format!("Filename: {pem}\nStatus: {status}\nSerial: {serial}\nSubject: /CN=x\n\n")
    };
    let all = |pem: &str| vec![set(pem), committed(pem), shown(pem, "Used", "07")];
    assert_eq!(install(&all).unwrap(), 2);

    // Word for word, or it is refused: what is set, what is committed, what is loaded.
    let other = "/tmp/other.pem";
    for (step, answer) in [
        (0, String::new()),
        (0, "Success!\n".to_owned()),
        (0, "Transaction created".to_owned()),
        (0, set(other)),
        (0, format!("{}Success!\n", set("$"))),
        (1, String::new()),
        (1, "Success!\n".to_owned()),
        (1, committed(other)),
        (1, "Committing $..\n".to_owned()),
        (1, "Committing $.x\nSuccess!\n".to_owned()),
        (1, format!("{}and a word more\n", committed("$"))),
        (2, String::new()),
        (2, "Success!\n".to_owned()),
        (2, shown(other, "Used", "07")),
        (2, shown("$", "Ready", "07")),
        (2, shown("$", "Used", "seven")),
    ] {
        let answers = |pem: &str| {
            let mut answers = all(pem);
            answers[step] = answer.replace('$', pem);
            answers
        };
        let error = install(&answers).unwrap_err();
        assert!(matches!(error, Error::Answer { .. }), "{step}: {answer:?}: {error}");
    }
    // "Success!", and nothing was replaced: no dot, no use of it, or another one is loaded.
    for (step, answer) in [
        (1, "Committing $\nSuccess!\n".to_owned()),
        (2, shown("$", "Unused", "07")),
        (2, shown("$", "Used", "06")),
    ] {
        let answers = |pem: &str| {
            let mut answers = all(pem);
            answers[step] = answer.replace('$', pem);
            answers
        };
        let error = install(&answers).unwrap_err();
        assert!(matches!(error, Error::NotReplaced { .. }), "{step}: {answer:?}: {error}");
    }
}

#[test]
fn no_answer_takes_for_ever() {
    assert!(matches!(ask(&["<silence>"]), Error::Deadline { .. }));
    assert!(matches!(ask(&["<trickle>"]), Error::Deadline { .. }));
    assert!(matches!(ask(&["<endless>"]), Error::AnswerTooLong { limit: 10_000, .. }));
}

#[test]
fn nobody_there_is_an_error_that_names_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "admin.sock");
    let runtime = Runtime::new(Address::Unix(path.clone()), Bounds::STANDARD);
    let error = runtime.loaded(&file(folder.path(), "www.pem")).unwrap_err();
    assert!(matches!(error, Error::Exchange { .. }) && error.to_string().contains(path.as_str()), "{error}");
}
