//! What comes in as text: names, another authority's index, a batch.

use std::collections::HashSet;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use ca::cert::{CommonName, DnsName, EmailAddress, KeyId, Serial, Slug, SubjectAltName, UriName};
use ca::key::KeyType;
use cli::reading::batch_rows;
use server::ops::issue::ProfileName;

/// A name that is accepted has one spelling, which is read as itself, and steers no terminal.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    one_spelling::<CommonName>(text);
    one_spelling::<EmailAddress>(text);
    one_spelling::<UriName>(text);
    one_spelling::<SubjectAltName>(text);
    one_spelling::<HexSerial>(text);
    if let Some(name) = one_spelling::<DnsName>(text) {
        let name = name.to_string();
        assert!(name.is_ascii() && name.len() <= 253, "{name:?}");
        assert_eq!(name, name.to_ascii_lowercase());
    }
    if let Ok(key_type) = KeyType::from_str(text) {
        assert_eq!(KeyType::from_str(&key_type.to_string()).ok(), Some(key_type));
    }
    if let Ok(reason) = crl::Reason::from_str(text) {
        assert_eq!(crl::Reason::from_str(&reason.to_string()).ok(), Some(reason));
    }
    if let Ok(id) = KeyId::from_str(text) {
        assert_eq!(KeyId::from_str(&id.to_string()).ok(), Some(id));
    }
    let slug = Slug::of(text);
    let file = slug.as_str();
    assert!(!file.is_empty() && !file.starts_with('.') && file.len() <= Slug::MAX_OCTETS, "{file:?}");
    assert!(!file.contains(['/', '\\', '\0']) && !file.chars().any(char::is_control), "{file:?}");
    assert!(
        file == text || Slug::of(file).as_str() != file,
        "{text:?} and {file:?} share the files {file:?}"
    );
}

/// A serial as hex, so that it is tried like a name.
#[derive(Debug, PartialEq)]
struct HexSerial(Serial);

impl FromStr for HexSerial {
    type Err = ca::cert::SerialError;

    fn from_str(text: &str) -> Result<HexSerial, Self::Err> {
        Serial::from_hex(text).map(HexSerial)
    }
}

impl Display for HexSerial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&self.0, f)
    }
}

fn one_spelling<N: FromStr + Display + Debug + PartialEq>(text: &str) -> Option<N> {
    let name = N::from_str(text).ok()?;
    let spelled = name.to_string();
    assert!(!spelled.chars().any(char::is_control), "{spelled:?} would steer a terminal");
    match N::from_str(&spelled) {
        Ok(again) => assert_eq!(again, name, "{spelled:?} is read as another name"),
        Err(_) => panic!("{spelled:?} is not read again as {name:?}"),
    }
    Some(name)
}

/// No line of an index is lost: each is a row, a comment, or the reason to refuse the file; no
/// serial is there twice; a revoked row keeps its date.
pub fn index_txt(data: &[u8]) {
    let Ok(rows) = ca::index_txt::parse(data) else { return };
    let lines: Vec<&[u8]> = data.split(|&octet| octet == b'\n').collect();
    let said = lines
        .iter()
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty() && line[0] != b'#');
    assert_eq!(rows.len(), said.count(), "a line was lost");
    let mut serials = HashSet::new();
    for row in &rows {
        assert!(serials.insert(row.serial), "{} is there twice", row.serial);
        let revoked = lines[row.line - 1].first() == Some(&b'R');
        assert_eq!(revoked, row.revocation.is_some(), "line {} changed its status", row.line);
        assert!(!row.name().chars().any(char::is_control), "{:?}", row.name());
        if let Some(revocation) = row.revocation {
            assert!(crl::Reason::from_str(revocation.reason.as_str()).is_ok());
        }
    }
}

/// A row that is accepted asks for names that are accepted again, one file each; lines ascend.
pub fn csv(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for profile in [ProfileName::Client, ProfileName::Server] {
        let Ok(rows) = batch_rows(text, profile) else { continue };
        let mut slugs = HashSet::new();
        let mut last = 0;
        for row in rows {
            assert!(row.line > last, "line {} behind line {last}", row.line);
            last = row.line;
            let Ok(issue) = row.request else { continue };
            let name = issue.name.unwrap_or_default();
            assert!(
                slugs.insert(Slug::of(&name).as_str().to_owned()),
                "two rows share the files of {name:?}"
            );
            assert_ne!(issue.days, Some(0));
            for name in &issue.names {
                match SubjectAltName::from_str(name) {
                    Ok(read) => assert_eq!(read.to_string(), *name),
                    Err(error) => panic!("{name:?} was accepted, and is not: {error}"),
                }
            }
        }
    }
}
