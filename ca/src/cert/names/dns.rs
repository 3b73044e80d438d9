//! Host names.

use std::borrow::Cow;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::error::{NameError, printable, quoted};

/// A host name, or a wildcard for the hosts of one domain, as it stands in a certificate.
///
/// The one spelling (RFC 5280 §4.2.1.6, RFC 1034 §3.5, RFC 5890): lower case, A-labels for
/// internationalised ones, no trailing dot, letters, digits and hyphens only, labels of 1 to 63
/// octets, at most 253 together. `*` may stand as the whole leftmost label before two others or
/// more; whether a wildcard is wanted at all is the profile's affair ([`DnsName::is_wildcard`]).
/// A name whose last label is a number is refused: programs would read it as an address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

/// How a name's labels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// No label mixes scripts that look alike.
    Plain,
    /// A label mixes Latin with Cyrillic, Greek or Armenian letters: show it as suspicious.
    Mixed,
}

const MAX_OCTETS: usize = 253;
const MAX_LABEL_OCTETS: usize = 63;
/// Before conversion: a U-label can be longer in UTF-8 than the A-label it becomes, not by much.
const MAX_INPUT_OCTETS: usize = 4 * MAX_OCTETS;
const KIND: &str = "DNS name";

super::text_newtype!(DnsName);

impl DnsName {
    /// Whether the name stands for every host of a domain (`*.example.org`).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The name with its A-labels as people write them, safe to print. For showing, never for comparing.
    pub fn to_unicode(&self) -> String {
        let (unicode, _) = Uts46::new().to_unicode(self.0.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
        printable(&unicode)
    }

    /// Whether a label mixes scripts whose letters look alike.
    pub fn script(&self) -> Script {
        let (unicode, _) = Uts46::new().to_unicode(self.0.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
        match unicode.split('.').any(mixes_scripts) {
            true => Script::Mixed,
            false => Script::Plain,
        }
    }
}

impl FromStr for DnsName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<DnsName, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty { kind: KIND });
        }
        if text.len() > MAX_INPUT_OCTETS {
            let (length, limit) = (text.len(), MAX_OCTETS);
            return Err(NameError::TooLong { kind: KIND, value: quoted(text), length, limit });
        }
        let (wildcard, host) = match text.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, text),
        };
        check_characters(text, host)?;
        let host = to_ascii(text, host)?;
        check_labels(text, &host)?;
        if wildcard && !host.contains('.') {
            return Err(NameError::Wildcard { value: quoted(text) });
        }
        let name = if wildcard { format!("*.{host}") } else { host };
        if name.len() > MAX_OCTETS {
            let (length, limit) = (name.len(), MAX_OCTETS);
            return Err(NameError::TooLong { kind: KIND, value: quoted(text), length, limit });
        }
        Ok(DnsName(name))
    }
}

/// Refuses what no conversion may see: it must not be repaired silently.
fn check_characters(text: &str, host: &str) -> Result<(), NameError> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Err(NameError::Numeric { value: quoted(text) });
    }
    for character in host.chars() {
        match character {
            '*' => return Err(NameError::Wildcard { value: quoted(text) }),
            '_' => return Err(NameError::Underscore { value: quoted(text) }),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' => (),
            _ if character.is_ascii() || character.is_control() || character.is_whitespace() => {
                let character = format!("'{}'", character.escape_default());
                return Err(NameError::Character { value: quoted(text), character, place: "a host name" });
            }
            _ => (),
        }
    }
    Ok(())
}

/// Lower case, A-labels, without the trailing dot.
fn to_ascii(text: &str, host: &str) -> Result<String, NameError> {
    let ascii = if host.is_ascii() {
        host.to_ascii_lowercase()
    } else {
        let ascii = Uts46::new()
            .to_ascii(host.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Ignore)
            .map_err(|_| NameError::BadIdn { value: quoted(text) })?;
        ascii.into_owned()
    };
    Ok(ascii.strip_suffix('.').map(str::to_owned).unwrap_or(ascii))
}

fn check_labels(text: &str, host: &str) -> Result<(), NameError> {
    let mut last = "";
    for label in host.split('.') {
        if label.is_empty() {
            return Err(NameError::EmptyLabel { value: quoted(text) });
        }
        if label.len() > MAX_LABEL_OCTETS {
            let (octets, limit) = (label.len(), MAX_LABEL_OCTETS);
            return Err(NameError::LabelTooLong { value: quoted(text), octets, limit });
        }
        let reserved = label.as_bytes().get(2..4) == Some(b"--") && !label.starts_with("xn--");
        if label.starts_with('-') || label.ends_with('-') || reserved {
            return Err(NameError::Hyphen { value: quoted(text), label: quoted(label) });
        }
        if label.starts_with("xn--") && !is_a_label(label) {
            return Err(NameError::BadIdn { value: quoted(text) });
        }
        last = label;
    }
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    if hex || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NameError::Numeric { value: quoted(text) });
    }
    Ok(())
}

/// Whether an `xn--` label decodes to a valid U-label which encodes to the same label (RFC 5891 §5.4).
fn is_a_label(label: &str) -> bool {
    let uts46 = Uts46::new();
    let (unicode, result) = uts46.to_unicode(label.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
    result.is_ok()
        && uts46
            .to_ascii(unicode.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Ignore)
            .is_ok_and(|ascii: Cow<'_, str>| ascii == label)
}

/// Latin beside Cyrillic, Greek or Armenian, whose letters can't be told apart by eye.
fn mixes_scripts(label: &str) -> bool {
    let latin = |c: char| c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}');
    let lookalike = |c: char| matches!(c, '\u{370}'..='\u{58f}' | '\u{1c80}'..='\u{1c8f}' | '\u{1f00}'..='\u{1fff}' | '\u{2de0}'..='\u{2dff}' | '\u{a640}'..='\u{a69f}');
    label.chars().any(latin) && label.chars().any(lookalike)
}
