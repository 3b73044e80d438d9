//! Tokens: a secret that lets a certificate in once, in LXD's form.
//!
//! Of a secret only its hash is kept; the hash is also what the record lies under, so that looking one up
//! tells nothing about another. A token is claimed by the batch that takes it away and adds the entry:
//! of any number of redemptions at once exactly one commits. A certificate that is not acceptable is
//! refused before that, and the token stays.

mod expiry;
mod redeem;
mod wire;

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SecureRandom;
use ca::cert::{Fingerprint, date};
use minicbor::{Decode, Encode};
use store::{Batch, Class, Direction, Format, Key, KeyRange, Record, Store, Table, Versioned};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::change::Cause;
use crate::entry::EntryName;
use crate::error::Error;
use crate::rights::{ProjectName, Rights};

pub use expiry::{Expiry, ExpiryError};
pub use redeem::{Claim, Redeemed, claim, redeem};
pub use wire::{WireEnrolment, WireError, WireToken};

/// How many octets of randomness a secret has.
const SECRET_OCTETS: usize = 32;

/// A token's secret: 256 random bits, wiped when it is dropped, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// [`TokenError::Random`].
    pub fn random(random: &dyn SecureRandom) -> Result<Secret, TokenError> {
        let mut octets = Zeroizing::new([0; SECRET_OCTETS]);
        random.fill(&mut *octets).map_err(|_| TokenError::Random)?;
        Ok(Secret(Zeroizing::new(hex::encode(octets.as_slice()))))
    }

    /// One that somebody presents; anything is taken, and most of it will be wrong.
    pub fn presented(text: &str) -> Secret {
        Secret(Zeroizing::new(text.to_owned()))
    }

    /// The secret itself, 64 hex digits: for the token that is handed out, once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The id of the token that has this secret, whether or not there is one.
    pub fn id(&self) -> TokenId {
        TokenId::of(&self.hash())
    }

    fn hash(&self) -> Hash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        Hash(hash)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 over a secret. The secret has 256 random bits: no slower hash would make it safer.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
struct Hash(#[cbor(with = "minicbor::bytes")] [u8; 32]);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

/// What a token is known by to whoever may list and revoke it: a UUID, as LXD's operations have. It
/// says nothing about the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenId([u8; 16]);

impl TokenId {
    fn of(hash: &Hash) -> TokenId {
        let mut id = [0; 16];
        id.copy_from_slice(&hash.0[..16]);
        TokenId(id)
    }
}

impl TokenId {
    /// Who redeems the token, as the audit trail says it.
    pub fn redeemer(&self) -> String {
        format!("token:{self}")
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = hex::encode(self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl std::str::FromStr for TokenId {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<TokenId, TokenError> {
        let mut id = [0; 16];
        let digits: String = text.chars().take(64).filter(|&c| c != '-').collect();
        hex::decode_to_slice(digits, &mut id).map_err(|_| TokenError::NotFound)?;
        let id = TokenId(id);
        if id.to_string() == text { Ok(id) } else { Err(TokenError::NotFound) }
    }
}

/// What a token is for. One for one thing is worth nothing for another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Purpose {
    /// The certificate of whoever redeems it becomes trusted.
    #[n(0)]
    Trust {
        /// What it may do then, and where.
        #[n(0)]
        rights: Rights,
    },
    /// Whoever redeems it gets a certificate of ours, for these names alone.
    #[n(1)]
    Enrol {
        /// The profile, by its name.
        #[n(0)]
        profile: String,
        /// The alternative names, as `dns:…`, `ip:…`, `email:…`, `uri:…`.
        #[n(1)]
        names: Vec<String>,
        /// The project that the certificate belongs to.
        #[n(2)]
        project: ProjectName,
        /// What its entry may do; `None` if it gets none.
        #[n(3)]
        rights: Option<Rights>,
        /// How far the certificate may reach by its signature alone.
        #[n(4)]
        reach: ca::records::Reach,
        /// The certificate's lifetime; `None` for the profile's own.
        #[n(5)]
        days: Option<u32>,
    },
}

/// A pending token, under `token/HASH`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Token {
    /// The name of the client, and of its entry.
    #[n(0)]
    pub name: EntryName,
    /// What it is for.
    #[n(1)]
    pub purpose: Purpose,
    /// Who made it.
    #[n(2)]
    pub created_by: String,
    /// When, in seconds since 1970.
    #[n(3)]
    pub created_at: i64,
    /// Until when it can be redeemed, in seconds since 1970; `None` for ever.
    #[n(4)]
    pub expires_at: Option<i64>,
    /// The fingerprint of the server's certificate that was handed out with it.
    #[n(5)]
    pub server: Fingerprint,
    /// The addresses that were handed out with it, as `host:port`.
    #[n(6)]
    pub addresses: Vec<String>,
    #[n(7)]
    hash: Hash,
}

impl Record for Token {
    const TREE: &'static str = "token";
    const FORMAT: Format = 1;
}

/// Why a token is not made, or does not let anybody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A token would name no address: nobody could redeem it.
    #[error("Can't issue token when server isn't listening on network")]
    NotListening,
    /// There is no such token: it is wrong, used, revoked, or for something else. Nobody is told which.
    #[error("No matching certificate add operation found")]
    NoMatch,
    /// Its time is over. Only whoever knows the secret hears this.
    #[error("Token has expired")]
    Expired {
        /// When it ended.
        at: OffsetDateTime,
    },
    /// No token has that id or name.
    #[error("there is no such token")]
    NotFound,
    /// No randomness was to be had.
    #[error("the system gave no random octets")]
    Random,
}

/// Where clients find the service: goes into every token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reachable {
    /// The server's certificate, which clients pin.
    pub fingerprint: Fingerprint,
    /// Its addresses, `host:port`, the external one first.
    pub addresses: Vec<String>,
}

/// A token that was made: what to commit, and what to hand out once it is.
#[derive(Debug)]
pub struct NewToken {
    /// What is to be committed.
    pub batch: Batch,
    /// What it is known by from then on.
    pub id: TokenId,
    /// What the client gets; it can't be had again.
    pub wire: WireToken,
    /// Its record.
    pub token: Token,
}

/// Makes a token.
///
/// # Errors
/// [`crate::change::ChangeError::Widens`] if it would give more than whoever makes it has,
/// [`TokenError::NotListening`], [`TokenError::Random`].
pub fn create(
    name: EntryName,
    purpose: Purpose,
    reachable: &Reachable,
    expires_at: Option<OffsetDateTime>,
    cause: &Cause,
    now: OffsetDateTime,
    random: &dyn SecureRandom,
) -> Result<NewToken, Error> {
    match &purpose {
        Purpose::Trust { rights } => cause.covers(rights)?,
        Purpose::Enrol { project, rights, reach, .. } => {
            cause.covers(&Rights::client(crate::rights::Scope::project(project.clone())))?;
            rights.iter().try_for_each(|rights| cause.covers(rights))?;
            if *reach == ca::records::Reach::Everything {
                cause.covers(&Rights::FULL)?;
            }
        }
    }
    if reachable.addresses.is_empty() {
        return Err(TokenError::NotListening.into());
    }
    let secret = Secret::random(random)?;
    let token = Token {
        name,
        purpose,
        created_by: cause.who.clone(),
        created_at: now.unix_timestamp(),
        expires_at: expires_at.map(OffsetDateTime::unix_timestamp),
        server: reachable.fingerprint,
        addresses: reachable.addresses.clone(),
        hash: secret.hash(),
    };
    let id = token.id();
    let until = expires_at.map_or_else(|| "never".to_owned(), date);
    let what = format!("token create {} id={id} for={} expires={until}", token.name, token.purpose);
    let mut batch = Batch::new(Class::State, now.unix_timestamp(), &cause.who, what);
    cause.rests_on.demand(&mut batch);
    batch.expect_absent(token.key());
    batch.put(token.key(), Table::encode(&token));
    let wire = WireToken::new(&token, secret);
    Ok(NewToken { batch, id, wire, token })
}

impl Token {
    /// What it is known by.
    pub fn id(&self) -> TokenId {
        TokenId::of(&self.hash)
    }

    /// Where it lies.
    fn key(&self) -> Key {
        Table::<Token>::key(hex::encode(self.hash.0))
    }

    /// When it ends.
    pub fn ends(&self) -> Option<OffsetDateTime> {
        self.expires_at.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok())
    }

    /// Whether it can't be redeemed any more.
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_some_and(|at| now.unix_timestamp() > at)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Purpose::Trust { rights } => write!(f, "trust({rights})"),
            Purpose::Enrol { profile, project, .. } => write!(f, "enrol({profile} in {project})"),
        }
    }
}

/// The token of a secret, whatever its state.
fn find(store: &Store, secret: &Secret) -> Result<Versioned<Token>, Error> {
    let hash = secret.hash();
    let found = Table::<Token>::get(store, hex::encode(hash.0))?.ok_or(TokenError::NoMatch)?;
    match verify_slices_are_equal(&found.record.hash.0, &hash.0) {
        Ok(()) => Ok(found),
        Err(_) => Err(TokenError::NoMatch.into()),
    }
}

/// Whether there is a token of this secret, whatever its state.
///
/// # Errors
/// [`Error::Store`].
pub fn is_known(store: &Store, secret: &Secret) -> Result<bool, Error> {
    match find(store, secret) {
        Ok(_) => Ok(true),
        Err(Error::Token(TokenError::NoMatch)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Every pending token, the oldest first; expired ones are listed until they are pruned.
///
/// # Errors
/// [`Error::Store`].
pub fn list(store: &Store) -> Result<Vec<Versioned<Token>>, Error> {
    const PAGE: usize = 512;
    let mut all: Vec<Versioned<Token>> = Vec::new();
    loop {
        let after = all.last().map(|last| last.key.clone());
        let page = Table::<Token>::list(store, after.as_ref(), PAGE)?;
        let full = page.len() == PAGE;
        all.extend(page);
        if !full {
            break;
        }
    }
    all.sort_by_key(|token| token.record.created_at);
    Ok(all)
}

/// The token with this id.
///
/// # Errors
/// [`TokenError::NotFound`], [`Error::Store`].
pub fn by_id(store: &Store, id: &TokenId) -> Result<Versioned<Token>, Error> {
    let start = Table::<Token>::key(hex::encode(id.0));
    let mut end = start.as_bytes().to_vec();
    end.push(b'g');
    let range = KeyRange { start: start.as_bytes().to_vec(), end };
    match store.scan(&range, None, 1, Direction::Ascending)?.pop() {
        Some(stored) => Ok(Table::decode(stored)?),
        None => Err(TokenError::NotFound.into()),
    }
}

/// Every token for this client, the oldest first; never none.
///
/// # Errors
/// [`TokenError::NotFound`], [`Error::Store`].
pub fn by_name(store: &Store, name: &str) -> Result<Vec<Versioned<Token>>, Error> {
    let named: Vec<_> = list(store)?.into_iter().filter(|token| token.record.name.as_str() == name).collect();
    if named.is_empty() { Err(TokenError::NotFound.into()) } else { Ok(named) }
}

/// The batch that takes a token back.
pub fn revoke(token: &Versioned<Token>, cause: &Cause, now: OffsetDateTime) -> Batch {
    let what = format!("token revoke {} id={}", token.record.name, token.record.id());
    let mut batch = Batch::new(Class::State, now.unix_timestamp(), &cause.who, what);
    batch.urgent();
    cause.rests_on.demand(&mut batch);
    batch.expect_unchanged(token.key.clone(), token.version);
    batch.delete(token.key.clone());
    batch
}

/// How long an expired token is still listed: a clock that was wrong for less loses nothing.
const LISTED_AFTER_END: time::Duration = time::Duration::days(7);

/// The batch that forgets tokens whose end is a week past; `None` if there are none.
pub fn prune(tokens: &[Versioned<Token>], now: OffsetDateTime) -> Option<Batch> {
    let long = now - LISTED_AFTER_END;
    let dead: Vec<_> = tokens.iter().filter(|token| token.record.is_expired(long)).collect();
    if dead.is_empty() {
        return None;
    }
    let what = format!("token prune count={}", dead.len());
    let mut batch = Batch::new(Class::State, now.unix_timestamp(), "service", what);
    for token in dead {
        batch.expect_unchanged(token.key.clone(), token.version);
        batch.delete(token.key.clone());
    }
    Some(batch)
}

#[cfg(test)]
mod tests;
