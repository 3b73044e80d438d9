//! A socket behind which something else than HAProxy speaks: every answer that is not the known one is an
//! error, and none takes for ever.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use haproxy::runtime::{Address, Bounds, Runtime};
use haproxy::{Error, FilePath};

use crate::sites::file;

/// Answers each connection with the next of `answers`, and the last of them for ever.
fn speaker(folder: &Path, answers: &'static [&'static str]) -> FilePath {
    let path = file(folder, "admin.sock");
    let listener = UnixListener::bind(path.as_str()).unwrap();
    std::thread::spawn(move || {
        for (stream, answer) in
            listener.incoming().zip(answers.iter().chain(std::iter::repeat(answers.last().unwrap())))
        {
            let mut stream = stream.unwrap();
            let mut chunk = [0; 4096];
            let _ = stream.read(&mut chunk);
            match *answer {
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
