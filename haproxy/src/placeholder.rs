//! What lies where a certificate will lie, until the first one has come: HAProxy does not start without a file
//! there, and the authority comes through HAProxy to see that the name is ours.
//!
//! It is self-signed by a key of its own, for a day, and says by its subject what it is: nobody can take it for the
//! certificate, neither a client nor we. What this refuses: to be put in the place of anything, be it old or broken.

use std::path::Path;

use ca::cert::{Certificate, DnsName};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};
use store::file::{FileError, OnExisting, Visibility, make_dir, place, read_limited};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::{Error, FilePath, bundle};

/// The common name of the subject, which is the issuer too.
const SUBJECT: &str = "placeholder of pki, no certificate yet";
/// The octets of a file that may be one.
const MOST: usize = 16 * 1024;
/// How long it says that it is good for.
const LIFETIME: Duration = Duration::DAY;

/// Whether one lies where it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Something lies there already.
    Before,
    /// It was put there.
    Now,
}

/// A bundle for these names, with a key that nobody else has.
pub fn render(names: &[DnsName], now: OffsetDateTime) -> Result<Zeroizing<String>, Error> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, SUBJECT);
    params.distinguished_name = subject;
    let name = |name: &DnsName| Ok(SanType::DnsName(name.to_string().try_into()?));
    params.subject_alt_names =
        names.iter().map(name).collect::<Result<_, _>>().map_err(Error::Placeholder)?;
    params.not_before = now - Duration::MINUTE;
    params.not_after = now + LIFETIME;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(Error::Placeholder)?;
    let made = params.self_signed(&key).map_err(Error::Placeholder)?;
    bundle::render(&made.pem(), &Zeroizing::new(key.serialize_pem()))
}

/// Whether a certificate is one of these.
pub fn is_one(leaf: &Certificate) -> bool {
    leaf.subject_raw() == leaf.issuer_raw() && leaf.subject_display() == format!("CN={}", escaped())
}

/// Whether one lies at `path`. What can't be read is none.
pub fn lies_at(path: &Path) -> bool {
    let read = || {
        let text = Zeroizing::new(read_limited(path, MOST).ok()?);
        let text = bundle::in_order(std::str::from_utf8(&text).ok()?).ok()?;
        bundle::leaf(&text).ok()
    };
    read().is_some_and(|leaf| is_one(&leaf))
}

/// The subject as it is shown (RFC 4514 §2.4).
fn escaped() -> String {
    SUBJECT.replace(',', "\\,")
}

/// Puts one at `file` unless something lies there.
pub fn put(file: &FilePath, names: &[DnsName], now: OffsetDateTime) -> Result<Placed, Error> {
    let path = Path::new(file.as_str());
    if path.exists() {
        return Ok(Placed::Before);
    }
    let text = render(names, now)?;
    if let Some(folder) = path.parent() {
        make_dir(folder, Visibility::Public).map_err(Error::File)?;
    }
    match place(path, text.as_bytes(), Visibility::Secret, OnExisting::Refuse) {
        Ok(()) => Ok(Placed::Now),
        // The certificate has come in this moment.
        Err(FileError::Exists { .. }) => Ok(Placed::Before),
        Err(other) => Err(Error::File(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use time::macros::datetime;

    use super::*;
    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn names() -> Vec<DnsName> {
        ["www.example", "example.net"].map(|name| name.parse().unwrap()).to_vec()
    }

    fn read(text: &str) -> Certificate {
        bundle::leaf(text).unwrap()
    }

    #[test]
    fn it_is_known_by_what_it_says_and_short_lived() {
        let leaf = read(&render(&names(), NOW).unwrap());
        assert!(is_one(&leaf), "{}", leaf.subject_display());
        assert_eq!(leaf.names().len(), 2);
        assert_eq!((leaf.not_before(), leaf.not_after()), (NOW - Duration::MINUTE, NOW + LIFETIME));
        leaf.verify_signed_by(&leaf).unwrap();
        let other = read(&render(&names(), NOW).unwrap());
        assert_ne!(leaf.public_key().spki_der(), other.public_key().spki_der(), "the key is nobody else's");
        // Somebody's own self-signed certificate is none.
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["www.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        assert!(!is_one(&Certificate::from_pem(own.pem().as_bytes()).unwrap()));
    }

    #[test]
    fn nothing_that_lies_there_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("www.example/haproxy.pem");
        let file: FilePath = path.display().to_string().parse().unwrap();
        assert_eq!(put(&file, &names(), NOW).unwrap(), Placed::Now);
        let first = std::fs::read_to_string(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(is_one(&read(&first)) && lies_at(&path));
        assert_eq!(put(&file, &names(), NOW).unwrap(), Placed::Before);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
        std::fs::write(&path, "broken").unwrap();
        assert_eq!(put(&file, &names(), NOW).unwrap(), Placed::Before);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "broken");
        assert!(!lies_at(&path) && !lies_at(folder.path()) && !lies_at(&folder.path().join("none")));
    }
}
