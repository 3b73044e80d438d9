//! The signed request that creates an account (RFC 8555 §7.3), with the binding to an external one
//! (§7.3.4), and the one that changes its key (§7.3.5).
//!
//! The client library can create an account too, but only with a key that it makes itself and hands
//! out after the fact. Here the key must be on disk *before* the authority hears of it: a crash in
//! between would otherwise leave an account that nobody can use and that counts against a limit. The same
//! holds of a key that takes over. All other requests are the library's.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

/// The key of an account: ECDSA on P-256, `ES256` in RFC 7518's terms, which every authority must
/// accept (RFC 8555 §6.2).
pub struct AccountKey(EcdsaKeyPair);

/// The bytes are no P-256 private key, or the signature could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account key can't be used")]
pub struct KeyFault;

impl AccountKey {
    /// Takes a private key in PKCS#8.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<AccountKey, KeyFault> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
            .map(AccountKey)
            .map_err(|_| KeyFault)
    }

    /// The public key (RFC 7517, RFC 7518 §6.2.1).
    pub fn jwk(&self) -> Value {
        let (x, y) = self.point();
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    /// What the public key is known by, base64url (RFC 7638 §3: the members in this order, no spaces).
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        encode(digest(&SHA256, format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes()))
    }

    fn point(&self) -> (String, String) {
        // An uncompressed point: one octet 4, then x and y of 32 octets each (SEC 1 §2.3.3).
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        (encode(x), encode(y))
    }

    /// A flattened JWS whose header names the account (RFC 8555 §6.2). Without a payload it is a
    /// POST-as-GET (§6.3).
    pub fn sign_as(
        &self,
        account: &str,
        url: &str,
        nonce: &str,
        payload: Option<&Value>,
    ) -> Result<Value, KeyFault> {
        let protected = json!({ "alg": "ES256", "kid": account, "nonce": nonce, "url": url });
        self.flatten(&protected, &payload.map(Value::to_string).unwrap_or_default())
    }

    /// A flattened JWS whose header carries the key itself, as `newAccount` demands (RFC 8555 §6.2).
    pub fn sign(&self, url: &str, nonce: &str, payload: &Value) -> Result<Value, KeyFault> {
        let protected = json!({ "alg": "ES256", "jwk": self.jwk(), "nonce": nonce, "url": url });
        self.flatten(&protected, &payload.to_string())
    }

    /// What this key signs to take over an account from the key `before` (RFC 8555 §7.3.5): it names both, and
    /// has no nonce. The account's key so far signs it once more, as the payload of the request.
    pub fn take_over(&self, account: &str, before: &AccountKey, url: &str) -> Result<Value, KeyFault> {
        let protected = json!({ "alg": "ES256", "jwk": self.jwk(), "url": url });
        self.flatten(&protected, &json!({ "account": account, "oldKey": before.jwk() }).to_string())
    }

    fn flatten(&self, protected: &Value, payload: &str) -> Result<Value, KeyFault> {
        let (protected, payload) = (encode(protected.to_string()), encode(payload));
        let signature = self
            .0
            .sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes())
            .map_err(|_| KeyFault)?;
        Ok(json!({ "protected": protected, "payload": payload, "signature": encode(signature) }))
    }

    /// The `externalAccountBinding`: this account's key, authenticated with the key that the authority
    /// handed out for `kid` (`HS256`, RFC 8555 §7.3.4).
    pub fn bind(&self, url: &str, kid: &str, mac_key: &[u8]) -> Value {
        let protected = json!({ "alg": "HS256", "kid": kid, "url": url });
        let (protected, payload) = (encode(protected.to_string()), encode(self.jwk().to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, mac_key);
        let tag = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
        json!({ "protected": protected, "payload": payload, "signature": encode(tag) })
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn decode(value: &Value) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
    }

    fn key() -> (AccountKey, Vec<u8>) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        (AccountKey(pair), public)
    }

    #[test]
    fn the_signature_covers_header_and_payload() {
        let (key, public) = key();
        let jws = key.sign("https://ca.example/new-account", "n0", &json!({"contact": []})).unwrap();
        let signed = format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public)
            .verify(signed.as_bytes(), &decode(&jws["signature"]))
            .unwrap();
        let header: Value = serde_json::from_slice(&decode(&jws["protected"])).unwrap();
        assert_eq!(header["nonce"], "n0");
        assert_eq!(header["url"], "https://ca.example/new-account");
        let point: Vec<u8> = [vec![4], decode(&header["jwk"]["x"]), decode(&header["jwk"]["y"])].concat();
        assert_eq!(point, public);
    }

    #[test]
    fn a_post_as_get_names_the_account_and_has_no_payload() {
        let (key, _) = key();
        let jws = key.sign_as("https://ca.example/acct/1", "https://ca.example/o/1", "n0", None).unwrap();
        assert_eq!(jws["payload"], "");
        let header: Value = serde_json::from_slice(&decode(&jws["protected"])).unwrap();
        assert_eq!((&header["kid"], &header["jwk"]), (&json!("https://ca.example/acct/1"), &Value::Null));
    }

    #[test]
    fn the_key_that_takes_over_names_account_and_key_and_has_no_nonce() {
        let ((old, _), (new, public)) = (key(), key());
        let (account, url) = ("https://ca.example/acct/1", "https://ca.example/key-change");
        let inner = new.take_over(account, &old, url).unwrap();
        let signed =
            format!("{}.{}", inner["protected"].as_str().unwrap(), inner["payload"].as_str().unwrap());
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public)
            .verify(signed.as_bytes(), &decode(&inner["signature"]))
            .unwrap();
        let header: Value = serde_json::from_slice(&decode(&inner["protected"])).unwrap();
        assert_eq!(header, json!({ "alg": "ES256", "jwk": new.jwk(), "url": url }));
        let payload: Value = serde_json::from_slice(&decode(&inner["payload"])).unwrap();
        assert_eq!(payload, json!({ "account": account, "oldKey": old.jwk() }));
        assert_ne!(old.thumbprint(), new.thumbprint());
        assert_eq!(decode(&json!(old.thumbprint())).len(), 32);
    }

    #[test]
    fn the_binding_carries_the_account_key_and_no_nonce() {
        let (key, _) = key();
        let binding = key.bind("https://ca.example/new-account", "kid-1", b"0123456789abcdef");
        let signed =
            format!("{}.{}", binding["protected"].as_str().unwrap(), binding["payload"].as_str().unwrap());
        let mac = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef");
        hmac::verify(&mac, signed.as_bytes(), &decode(&binding["signature"])).unwrap();
        let header: Value = serde_json::from_slice(&decode(&binding["protected"])).unwrap();
        assert_eq!(header, json!({"alg": "HS256", "kid": "kid-1", "url": "https://ca.example/new-account"}));
        assert_eq!(serde_json::from_slice::<Value>(&decode(&binding["payload"])).unwrap(), key.jwk());
    }
}
