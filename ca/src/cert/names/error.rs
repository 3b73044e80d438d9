//! Why a name was refused.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Why a name was refused. Values are quoted and escaped ([`printable`]), safe to print anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// An `xn--` label that decodes to nothing valid, or does not encode to itself again.
    #[error("{value} is not a valid internationalised name (IDNA, UTS #46)")]
    BadIdn {
        /// The whole name.
        value: String,
    },
    /// A character that the name may not have.
    #[error("{value} has the character {character}, which {place} can't have")]
    Character {
        /// The whole name.
        value: String,
        /// The character, escaped.
        character: String,
        /// The part of a name that can't have it.
        place: &'static str,
    },
    /// Nothing at all.
    #[error("the {kind} is empty")]
    Empty {
        /// What kind of name was expected.
        kind: &'static str,
    },
    /// Two dots in a row, or a dot in front.
    #[error("{value} has an empty label")]
    EmptyLabel {
        /// The whole name.
        value: String,
    },
    /// A label that begins or ends with a hyphen, or has two in the third and fourth place without
    /// being an A-label (RFC 5890 §2.3.1 reserves those).
    #[error("{value} has the label {label}, with hyphens where they aren't allowed")]
    Hyphen {
        /// The whole name.
        value: String,
        /// The label at fault.
        label: String,
    },
    /// An address with a zone, which means something on one machine only.
    #[error("the address {value} has a zone; leave it out")]
    IpZone {
        /// The address.
        value: String,
    },
    /// `::ffff:192.0.2.1`.
    #[error("{address} is an IPv4 address in IPv6 form; write ip:{v4}")]
    Ipv4Mapped {
        /// The address.
        address: Ipv6Addr,
        /// What to write instead.
        v4: Ipv4Addr,
    },
    /// A label of more than 63 octets, RFC 1035 §2.3.4.
    #[error("{value} has a label of {octets} octets; {limit} are allowed")]
    LabelTooLong {
        /// The whole name.
        value: String,
        /// Octets of the label.
        octets: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Not a mailbox of the simple form `local@domain`.
    #[error("{value} is not a mail address: {reason}")]
    NotEmail {
        /// The address.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Neither an IPv4 nor an IPv6 address in its usual form.
    #[error("{value} is not an IP address; IPv4 is four decimal numbers without leading zeros")]
    NotIp {
        /// The text.
        value: String,
    },
    /// Not an absolute URI with an authority.
    #[error("{value} is not an absolute URI: {reason}")]
    NotUri {
        /// The text.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A host name that programs would read as a number or an address.
    #[error("{value} looks like a number or an address, not a host name; for an address write ip:…")]
    Numeric {
        /// The name.
        value: String,
    },
    /// White space in front or behind.
    #[error("{value} begins or ends with white space")]
    Space {
        /// The name.
        value: String,
    },
    /// Longer than the format allows.
    #[error("the {kind} {value} has a length of {length}; {limit} are allowed")]
    TooLong {
        /// What kind of name it is.
        kind: &'static str,
        /// The name, cut.
        value: String,
        /// Its length, in octets; a common name's in characters.
        length: usize,
        /// The greatest length.
        limit: usize,
    },
    /// An underscore in a host name: not a letter, digit or hyphen (RFC 1034 §3.5).
    #[error("{value} has an underscore, which a host name can't have")]
    Underscore {
        /// The name.
        value: String,
    },
    /// A subject alternative name without a known kind in front.
    #[error("{value} doesn't begin with dns:, ip:, email: or uri:")]
    UnknownKind {
        /// The text.
        value: String,
    },
    /// A `*` that is not the whole leftmost label, or stands before fewer than two labels.
    #[error("{value}: a wildcard must be the whole leftmost label, before at least two others")]
    Wildcard {
        /// The name.
        value: String,
    },
    /// A wildcard where a single host is meant.
    #[error("{value} is a wildcard, which a {kind} can't have")]
    WildcardHost {
        /// The host.
        value: String,
        /// Where it stood.
        kind: &'static str,
    },
}

/// Text that is safe on a terminal, in a log or in a page of text: control characters, direction
/// marks and other invisible ones are escaped, and it is cut after 80 characters.
pub fn printable(text: &str) -> String {
    const LIMIT: usize = 80;
    let mut shown = String::new();
    for (at, character) in text.chars().enumerate() {
        if at == LIMIT {
            shown.push('…');
            break;
        }
        match character {
            '\'' | '"' => shown.push(character),
            _ if is_invisible(character) => shown.extend(character.escape_unicode()),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// The same in quotation marks.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text).replace('"', "\\\""))
}

/// Characters that show nothing, or change how others are shown: Unicode's bidirectional controls,
/// zero-width ones, line separators, tags. The joiners U+200C and U+200D belong here as well, though
/// some scripts use them: two names that look the same must be the same.
pub(in crate::cert) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
