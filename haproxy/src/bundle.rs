//! The file that a `crt` or `crt-list` line of HAProxy names: certificate, its issuers, private key in
//! one PEM.
//!
//! The leaf must come first; the key last lets `openssl x509 -in` and people read the file. Between two
//! blocks stands no empty line: on HAProxy's socket an empty line ends the payload, and the same
//! text is to serve both. The file holds a private key: it is 0600 from the moment it exists, and is at
//! every instant absent, old or new.

use std::path::Path;

use ca::cert::Certificate;
use store::file::{OnExisting, Visibility, place};
use zeroize::Zeroizing;

use crate::Error;

/// Puts a chain, the leaf first, and the leaf's key together. Text around the blocks is dropped.
pub fn render(chain: &str, key: &str) -> Result<Zeroizing<String>, Error> {
    let mut bundle = Zeroizing::new(String::with_capacity(chain.len() + key.len() + 1));
    append(&mut bundle, chain, "chain", "CERTIFICATE", |label| label == "CERTIFICATE")?;
    append(&mut bundle, key, "key", "PRIVATE KEY", |label| {
        matches!(label, "PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY")
    })?;
    Ok(bundle)
}

/// The blocks of a bundle's file in the order that [`render()`] gives them, whatever order they stand in.
pub fn in_order(text: &str) -> Result<Zeroizing<String>, Error> {
    let (mut chain, mut key) = (String::new(), Zeroizing::new(String::new()));
    let mut inside = None;
    for line in text.lines() {
        if let Some(label) = line.trim_end().strip_prefix("-----BEGIN ") {
            inside = Some(label.starts_with("CERTIFICATE"));
        }
        match inside {
            Some(true) => {
                chain.push_str(line);
                chain.push('\n');
            }
            // Parameters and whatever else is not ours is refused by `render`.
            Some(false) => {
                key.push_str(line);
                key.push('\n');
            }
            None => {}
        }
        if line.starts_with("-----END ") {
            inside = None;
        }
    }
    render(&chain, &key)
}

/// The certificate itself, of a bundle as [`render()`] gives it.
pub fn leaf(bundle: &str) -> Result<Certificate, Error> {
    let end = "-----END CERTIFICATE-----\n";
    let at = bundle.find(end).ok_or(Error::Absent { part: "chain", label: "CERTIFICATE" })?;
    Certificate::from_pem(&bundle.as_bytes()[..at + end.len()]).map_err(Error::Leaf)
}

/// Places a bundle at `path` in the place of the old one.
pub fn write(path: &Path, chain: &str, key: &str) -> Result<(), Error> {
    let bundle = render(chain, key)?;
    place(path, bundle.as_bytes(), Visibility::Secret, OnExisting::Replace).map_err(Error::File)
}

/// Appends the PEM blocks of `text`, each line ended by one newline.
fn append(
    bundle: &mut String,
    text: &str,
    part: &'static str,
    wanted: &'static str,
    belongs: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let mut inside = false;
    let mut blocks = 0;
    for line in text.lines().map(str::trim_end) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            if !belongs(label) {
                let label = label.chars().take(40).collect();
                return Err(Error::Foreign { part, label });
            }
            inside = true;
            blocks += 1;
        }
        if inside && !line.is_empty() {
            bundle.push_str(line);
            bundle.push('\n');
        }
        if line.starts_with("-----END ") {
            inside = false;
        }
    }
    match blocks {
        0 => Err(Error::Absent { part, label: wanted }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const LEAF: &str = "-----BEGIN CERTIFICATE-----\nTEVBRg==\n-----END CERTIFICATE-----\n";
    const ISSUER: &str = "-----BEGIN CERTIFICATE-----\nSVNTVUVS\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n";

    #[test]
    fn the_leaf_comes_first_the_key_last_and_no_empty_line_between() {
        let chain = format!("subject=/CN=a\r\n{}\r\n\r\n{ISSUER}", LEAF.replace('\n', "\r\n"));
        assert_eq!(*render(&chain, &format!("\n{KEY}\n")).unwrap(), format!("{LEAF}{ISSUER}{KEY}"));
    }

    #[test]
    fn the_blocks_of_a_file_are_put_in_order() {
        let wanted = format!("{LEAF}{ISSUER}{KEY}");
        for text in
            [wanted.clone(), format!("{KEY}\n{LEAF}\r\n{ISSUER}"), format!("a: b\n{LEAF}\n{KEY}{ISSUER}")]
        {
            assert_eq!(*in_order(&text).unwrap(), wanted);
        }
        assert!(in_order(LEAF).is_err());
        assert!(in_order("").is_err());
    }

    #[test]
    fn a_part_in_the_wrong_place_is_refused() {
        assert!(matches!(render(KEY, KEY), Err(Error::Foreign { part: "chain", .. })));
        assert!(matches!(render(LEAF, LEAF), Err(Error::Foreign { part: "key", .. })));
        assert!(matches!(render("", KEY), Err(Error::Absent { part: "chain", .. })));
        assert!(matches!(render(LEAF, "no key"), Err(Error::Absent { part: "key", .. })));
        let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(matches!(render(LEAF, sealed), Err(Error::Foreign { part: "key", .. })));
    }

    #[test]
    fn the_file_is_the_owners_alone_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("www.pem");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, LEAF, KEY).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{LEAF}{KEY}"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write(&path, "", KEY).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{LEAF}{KEY}"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
