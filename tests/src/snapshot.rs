//! What differs from run to run, and what a snapshot shows in its place.

use crate::Sandbox;

/// Pairs of pattern and replacement for insta: paths, serials, fingerprints, dates, ports, times.
pub fn filters(sandbox: &Sandbox) -> Vec<(String, &'static str)> {
    let literal = |path: std::path::PathBuf| {
        path.display().to_string().replace('.', r"\.").replace('-', r"\-").replace('+', r"\+")
    };
    vec![
        // Columns are as wide as their widest cell, and that may be a path.
        (r"  +".to_owned(), "  "),
        (literal(sandbox.dir()), "[DIR]"),
        (literal(sandbox.work()), "[WORK]"),
        (literal(sandbox.home()), "[HOME]"),
        (literal(sandbox.root().to_path_buf()), "[ROOT]"),
        // PEM bodies.
        (
            r"-----BEGIN ([A-Z ]+)-----(\\n|\n)[A-Za-z0-9+/=\n\\]+-----END".to_owned(),
            "-----BEGIN $1----- … -----END",
        ),
        // Fingerprints and digests, key identifiers and serials: with or without colons.
        (r"\b[0-9a-f]{64}\b".to_owned(), "[SHA-256]"),
        (r"\b([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}\b".to_owned(), "[SHA-256]"),
        (r"\b([0-9A-Fa-f]{2}:){19}[0-9A-Fa-f]{2}\b".to_owned(), "[20 OCTETS]"),
        (r"\b[0-9a-f]{40}\b".to_owned(), "[20 OCTETS]"),
        // Tokens, what they are known by, and the beginnings of fingerprints.
        (r"\beyJ[A-Za-z0-9+/=]{40,}".to_owned(), "[TOKEN]"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b".to_owned(), "[UUID]"),
        (r"\b[0-9a-f]{12}\b".to_owned(), "[12 DIGITS]"),
        // Times, RFC 3339 and as people write them.
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|UTC|[+-]\d\d:\d\d))?".to_owned(), "[TIME]"),
        (r"\b20\d\d-\d\d-\d\d\b".to_owned(), "[DATE]"),
        (r"127\.0\.0\.1:\d{4,5}".to_owned(), "127.0.0.1:[PORT]"),
        (r"\bpid \d+".to_owned(), "pid [PID]"),
        (r#""pid": ?\d+"#.to_owned(), r#""pid": [PID]"#),
        (r"\b\d+(\.\d+)? ?(ms|s)\b".to_owned(), "[ELAPSED]"),
        // An authority's name ends with the beginning of its key identifier.
        (r"\bCA [0-9a-f]{8}\b".to_owned(), "CA [ID]"),
        (r"\bjust now\b|\b(in )?\d+ seconds?( ago)?".to_owned(), "[MOMENT]"),
        (r"\b\d+ MiB".to_owned(), "[ROOM] MiB"),
        (r#""size": ?\d+"#.to_owned(), r#""size": [SIZE]"#),
        (r"\b\d+ octets".to_owned(), "[SIZE] octets"),
        // CRL numbers begin with the time in seconds.
        (r"\b1[789]\d{8}\b".to_owned(), "[NUMBER]"),
    ]
}
