//! How an issuance begins: anew, where it was interrupted, or not at all. Pure: what was found in,
//! decision out.

use zeroize::Zeroizing;

use super::{Decoded, Pending};

/// What lies where the files are to go.
#[derive(Clone, Default)]
pub struct Found {
    /// `.NAME.pending`
    pub pending: Option<Decoded>,
    /// `NAME.key`
    pub key: Option<Zeroizing<Vec<u8>>>,
    /// `NAME.crt`
    pub certificate: Option<Zeroizing<Vec<u8>>>,
}

/// Whether files that are there may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// `--force`: yes, once the new certificate has arrived.
    Allow,
    /// No.
    Refuse,
}

/// How it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With a new key.
    Fresh,
    /// With the key and the CSR that were made before.
    Resume(Pending),
}

/// Why it does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A certificate is there, and nobody said `--force`.
    CertificateExists,
    /// The pending file is none of ours.
    Foreign,
    /// A key is there, and nobody said `--force`.
    KeyExists,
    /// An issuance with other parameters has not finished.
    OtherRequest,
}

/// Decides how the issuance with this digest begins.
pub fn start(found: &Found, request: &str, overwrite: Overwrite) -> Result<Start, Refusal> {
    let refuse = overwrite == Overwrite::Refuse;
    match &found.pending {
        Some(Decoded::Foreign) => Err(Refusal::Foreign),
        Some(Decoded::Pending(pending)) if pending.request != request => Err(Refusal::OtherRequest),
        Some(Decoded::Pending(pending)) => {
            // A key that is there already is ours if an interruption came after it was placed.
            let ours = |key: &Zeroizing<Vec<u8>>| key.as_slice() == pending.key.as_bytes();
            match &found.key {
                Some(key) if refuse && !ours(key) => Err(Refusal::KeyExists),
                None if refuse && found.certificate.is_some() => Err(Refusal::CertificateExists),
                Some(_) | None => Ok(Start::Resume(pending.clone())),
            }
        }
        Some(Decoded::Torn) | None if refuse && found.key.is_some() => Err(Refusal::KeyExists),
        Some(Decoded::Torn) | None if refuse && found.certificate.is_some() => {
            Err(Refusal::CertificateExists)
        }
        Some(Decoded::Torn) | None => Ok(Start::Fresh),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::pending::tests::pending, *};

    fn key(text: &str) -> Option<Zeroizing<Vec<u8>>> {
        Some(Zeroizing::new(text.as_bytes().to_vec()))
    }

    fn found(pending: Option<Decoded>, key: Option<Zeroizing<Vec<u8>>>) -> Found {
        Found { pending, key, certificate: None }
    }

    #[test]
    fn nothing_there_begins_anew() {
        assert_eq!(start(&Found::default(), "a", Overwrite::Refuse), Ok(Start::Fresh));
        assert_eq!(start(&found(Some(Decoded::Torn), None), "a", Overwrite::Refuse), Ok(Start::Fresh));
    }

    #[test]
    fn a_key_is_never_replaced_unasked() {
        for torn in [None, Some(Decoded::Torn)] {
            let found = found(torn, key("theirs"));
            assert_eq!(start(&found, "a", Overwrite::Refuse), Err(Refusal::KeyExists));
            assert_eq!(start(&found, "a", Overwrite::Allow), Ok(Start::Fresh));
        }
        let unfinished = found(Some(Decoded::Pending(pending("a"))), key("theirs"));
        assert_eq!(start(&unfinished, "a", Overwrite::Refuse), Err(Refusal::KeyExists));
        assert_eq!(start(&unfinished, "a", Overwrite::Allow), Ok(Start::Resume(pending("a"))));
    }

    #[test]
    fn a_certificate_is_never_replaced_unasked() {
        let found = Found { certificate: key("theirs"), ..Found::default() };
        assert_eq!(start(&found, "a", Overwrite::Refuse), Err(Refusal::CertificateExists));
        assert_eq!(start(&found, "a", Overwrite::Allow), Ok(Start::Fresh));
    }

    #[test]
    fn an_interruption_is_resumed_with_the_same_key() {
        let resumed = Ok(Start::Resume(pending("a")));
        let before_placing = found(Some(Decoded::Pending(pending("a"))), None);
        assert_eq!(start(&before_placing, "a", Overwrite::Refuse), resumed);
        let after_the_key = found(Some(Decoded::Pending(pending("a"))), key(&pending("a").key));
        assert_eq!(start(&after_the_key, "a", Overwrite::Refuse), resumed);
        let after_everything = Found { certificate: key("crt"), ..after_the_key };
        assert_eq!(start(&after_everything, "a", Overwrite::Refuse), resumed);
    }

    #[test]
    fn other_parameters_are_refused_even_with_force() {
        let other = found(Some(Decoded::Pending(pending("b"))), None);
        for overwrite in [Overwrite::Allow, Overwrite::Refuse] {
            assert_eq!(start(&other, "a", overwrite), Err(Refusal::OtherRequest));
            assert_eq!(start(&found(Some(Decoded::Foreign), None), "a", overwrite), Err(Refusal::Foreign));
        }
    }
}
