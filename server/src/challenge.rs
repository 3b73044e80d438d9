//! The HTTP-01 answers that our own listeners give, and every HAProxy before us (RFC 8555 §8.3).
//!
//! An order posts an answer before it tells the authority to look, and takes it away afterwards.
//! Answers live in memory alone: an order that was interrupted posts its answers anew.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// The answers that are up now.
#[derive(Debug, Default)]
pub struct ChallengeBoard {
    answers: RwLock<BTreeMap<String, String>>,
}

impl ChallengeBoard {
    /// Puts the key authorization for `token` up. A token that no URL could carry (RFC 8555 §8:
    /// the base64url alphabet) is refused by returning `false`: it would never be asked for.
    pub fn post(&self, token: &str, key_authorization: &str) -> bool {
        let fits = is_token(token);
        if fits {
            let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
            answers.insert(token.to_owned(), key_authorization.to_owned());
        }
        fits
    }

    /// Takes the answer for `token` down.
    pub fn withdraw(&self, token: &str) {
        self.answers.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// The key authorization for `token`, if one is up.
    pub fn answer(&self, token: &str) -> Option<String> {
        self.answers.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// All that are up: tokens and key authorizations.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        self.answers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The longest token we would answer for; RFC 8555 §8.3 asks for 128 bits, which are 22 characters.
const LONGEST_TOKEN: usize = 256;

fn is_token(token: &str) -> bool {
    (1..=LONGEST_TOKEN).contains(&token.len())
        && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_up_until_it_is_withdrawn() {
        let board = ChallengeBoard::default();
        assert!(board.post("tok-en_1", "tok-en_1.thumb"));
        assert_eq!(board.answer("tok-en_1").as_deref(), Some("tok-en_1.thumb"));
        board.withdraw("tok-en_1");
        assert_eq!(board.answer("tok-en_1"), None);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let board = ChallengeBoard::default();
        for token in ["", "a/b", "..", "a b", "a%2f", &"a".repeat(257)] {
            assert!(!board.post(token, "x"), "{token}");
            assert_eq!(board.answer(token), None);
        }
    }
}
