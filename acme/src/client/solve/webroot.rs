//! HTTP-01 by files in the folder that a web server shows (RFC 8555 §8.3).
//!
//! The folder must be there: one that was misspelt would be made, and never be asked for. What is below it must
//! be real folders: whoever may write into a web site could otherwise send us elsewhere. Files are readable by
//! everybody, as the web server is somebody else, and are removed again; the folders stay.

use std::path::{Path, PathBuf};

use store::file::{FileError, OnExisting, Visibility, make_dir, place, remove};

use super::proof::{Answer, Challenges, Doing, Method, Proof, done, of_another_method};
use crate::Error;

/// Where the files lie below the folder.
const BELOW: [&str; 2] = [".well-known", "acme-challenge"];

/// A folder that some web server shows at `/`.
pub struct Webroot {
    challenges: PathBuf,
}

impl Webroot {
    /// Makes what is missing below the folder: what can't be written is found out before an order.
    pub fn new(root: &Path) -> Result<Webroot, Error> {
        let refuse = |source| Error::Webroot { folder: root.to_owned(), source };
        let mut challenges = root.to_owned();
        let there = std::fs::metadata(root).map_err(|source| looked_at(root, source)).map_err(refuse)?;
        if !there.is_dir() {
            return Err(refuse(FileError::NotADirectory { path: challenges }));
        }
        for name in BELOW {
            challenges.push(name);
            // A link to a folder is none.
            match std::fs::symlink_metadata(&challenges) {
                Ok(found) if !found.is_dir() => {
                    return Err(refuse(FileError::NotADirectory { path: challenges }));
                }
                _ => make_dir(&challenges, Visibility::Public).map_err(refuse)?,
            }
        }
        let rights = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(&challenges, rights).map_err(|error| {
            refuse(FileError::Io { operation: "write into", path: challenges.clone(), source: error.into() })
        })?;
        Ok(Webroot { challenges })
    }

    fn file(&self, answer: &Answer) -> Option<PathBuf> {
        match answer {
            Answer::Http { token, .. } => Some(self.challenges.join(token.as_str())),
            Answer::Dns { .. } | Answer::TlsAlpn { .. } => None,
        }
    }
}

fn looked_at(path: &Path, source: std::io::Error) -> FileError {
    FileError::Io { operation: "look at", path: path.to_owned(), source }
}

impl Challenges for Webroot {
    fn method(&self) -> Method {
        Method::Http01
    }

    fn publish<'a>(&'a self, proof: &'a Proof) -> Doing<'a> {
        let (Answer::Http { key_authorization, .. }, Some(file)) = (&proof.answer, self.file(&proof.answer))
        else {
            return done(Err(of_another_method()));
        };
        let placed = place(&file, key_authorization.as_bytes(), Visibility::Public, OnExisting::Replace);
        done(placed.map_err(std::io::Error::other))
    }

    fn withdraw(&self, proof: &Proof) {
        if let Some(file) = self.file(&proof.answer)
            && let Err(error) = remove(&file)
        {
            tracing::warn!(%error, "the answer to a challenge is still there");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::Token;
    use super::*;

    fn proof() -> Proof {
        let token = Token::new("to-ken_1").unwrap();
        let answer = Answer::Http { token, key_authorization: "to-ken_1.thumb".to_owned() };
        Proof { name: "a.example".to_owned(), answer }
    }

    #[tokio::test]
    async fn a_file_is_there_for_everybody_until_it_is_withdrawn() {
        let root = tempfile::tempdir().unwrap();
        let (webroot, again) = (Webroot::new(root.path()).unwrap(), Webroot::new(root.path()).unwrap());
        webroot.publish(&proof()).await.unwrap();
        let file = root.path().join(".well-known/acme-challenge/to-ken_1");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "to-ken_1.thumb");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o644, 0o755));
        // An order that is resumed publishes once more, and each withdraws.
        again.publish(&proof()).await.unwrap();
        webroot.withdraw(&proof());
        again.withdraw(&proof());
        assert!(!file.exists());
        let dns = Proof { name: "a".to_owned(), answer: Answer::Dns { value: "x".to_owned() } };
        assert!(webroot.publish(&dns).await.is_err());
    }

    #[test]
    fn nothing_is_made_of_a_folder_that_is_not_there_and_no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("htdocs");
        assert!(matches!(Webroot::new(&missing), Err(Error::Webroot { .. })) && !missing.exists());
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), root.path().join(".well-known")).unwrap();
        let refused = Webroot::new(root.path()).err().unwrap();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains(".well-known"), "{cause}");
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
