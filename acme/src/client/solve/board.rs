//! What is to be answered at `/.well-known/acme-challenge/`, shared between an order and a listener.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::proof::{Answer, Challenges, Doing, Method, Proof, done, of_another_method};

/// Where the answers lie, RFC 8555 §8.3.
pub const PATH: &str = "/.well-known/acme-challenge/";

/// The longest token taken: RFC 8555 §8.3 asks for 128 bits, which is 22 characters.
const TOKEN_LIMIT: usize = 256;

/// A challenge's token. It comes from the authority and goes into paths, so it is held to the
/// characters of RFC 8555 §8.3 (base64url).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(String);

impl Token {
    /// Takes a token; `None` if it is not one.
    pub fn new(token: &str) -> Option<Token> {
        let sound = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        (!token.is_empty() && token.len() <= TOKEN_LIMIT && token.bytes().all(sound))
            .then(|| Token(token.to_owned()))
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The answers of one listener; every clone is the same board.
#[derive(Clone, Default)]
pub struct Board(Arc<RwLock<HashMap<Token, String>>>);

impl Board {
    /// An empty board.
    pub fn new() -> Board {
        Board::default()
    }

    /// What to answer a request for `path`: the key authorization, `application/octet-stream`
    /// (RFC 8555 §8.3); `None` for 404.
    pub fn answer(&self, path: &str) -> Option<String> {
        let token = Token::new(path.strip_prefix(PATH)?)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&token).cloned()
    }
}

impl Challenges for Board {
    fn method(&self) -> Method {
        Method::Http01
    }

    fn publish<'a>(&'a self, proof: &'a Proof) -> Doing<'a> {
        let Answer::Http { token, key_authorization } = &proof.answer else {
            return done(Err(of_another_method()));
        };
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.clone(), key_authorization.clone());
        done(Ok(()))
    }

    fn withdraw(&self, proof: &Proof) {
        if let Answer::Http { token, .. } = &proof.answer {
            self.0.write().unwrap_or_else(PoisonError::into_inner).remove(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_published_is_answered_until_it_is_withdrawn() {
        let board = Board::new();
        let token = Token::new("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA").unwrap();
        let path = format!("{PATH}{token}");
        assert_eq!(board.answer(&path), None);
        let key_authorization = "key authorization".to_owned();
        let answer = Answer::Http { token: token.clone(), key_authorization };
        let proof = Proof { name: "a.example".to_owned(), answer };
        board.clone().publish(&proof).await.unwrap();
        assert_eq!(board.answer(&path).as_deref(), Some("key authorization"));
        assert_eq!(board.answer("/.well-known/acme-challenge/other"), None);
        assert_eq!(board.answer(token.as_str()), None);
        board.withdraw(&proof);
        assert_eq!(board.answer(&path), None);
    }

    #[test]
    fn a_token_can_not_be_a_path() {
        for hostile in ["", "../../etc/passwd", "a/b", "a b", "a\n", "é", &"x".repeat(257)] {
            assert_eq!(Token::new(hostile), None, "{hostile:?}");
        }
    }
}
