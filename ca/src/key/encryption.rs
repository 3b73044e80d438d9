//! Encrypted PKCS#8: PBES2, RFC 8018 §6.2.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use der::{Decode, Encode};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::{self, EncryptionScheme, scrypt};
use zeroize::Zeroizing;

use super::passphrase::Passphrase;
use super::private::PrivateKeyError;

/// How much work a passphrase costs, RFC 7914 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScryptCost {
    /// The logarithm of N, which with `r` sets the memory: 128·r·2^log_n octets.
    pub log_n: u8,
    /// The block size.
    pub r: u32,
    /// How often it is done.
    pub p: u32,
}

impl ScryptCost {
    /// 16 MiB five times over: as much work as OWASP advises (2025), in the memory that OpenSSL's
    /// limit of 32 MiB lets it read without options.
    pub const DEFAULT: ScryptCost = ScryptCost { log_n: 14, r: 8, p: 5 };
    /// Next to no work: for tests only.
    pub const CHEAP: ScryptCost = ScryptCost { log_n: 4, r: 1, p: 1 };
}

impl Default for ScryptCost {
    fn default() -> ScryptCost {
        ScryptCost::DEFAULT
    }
}

/// The most memory that deriving a key may take, in octets: what is read may come from anywhere.
const MAX_SCRYPT_MEMORY: u64 = 512 * 1024 * 1024;
/// The most passes over that memory.
const MAX_SCRYPT_PASSES: u64 = 64;
/// The most rounds of PBKDF2: some seconds.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// Encrypts a PKCS#8 structure.
pub(super) fn encrypt(
    pkcs8: &[u8],
    passphrase: &Passphrase,
    cost: ScryptCost,
) -> Result<Vec<u8>, PrivateKeyError> {
    let failed = PrivateKeyError::Library { task: "encrypt a key" };
    let mut salt = [0; 16];
    let mut iv = [0; 16];
    let random = SystemRandom::new();
    if random.fill(&mut salt).is_err() || random.fill(&mut iv).is_err() {
        return Err(failed);
    }
    let too_costly = |_| PrivateKeyError::TooCostly { parameter: "scrypt" };
    let params = scrypt::Params::new(cost.log_n, cost.r, cost.p).map_err(too_costly)?;
    let encrypt = || -> Result<Vec<u8>, pkcs8::Error> {
        let parameters = Parameters::generate_scrypt_aes256cbc(params, &salt, iv)?;
        let encrypted_data = parameters.encrypt(passphrase.as_bytes(), pkcs8)?;
        let encrypted_data = der::asn1::OctetStringRef::new(&encrypted_data)?;
        let info = EncryptedPrivateKeyInfoRef { encryption_algorithm: parameters.into(), encrypted_data };
        Ok(info.to_der()?)
    };
    encrypt().map_err(|_| failed)
}

/// Opens an encrypted PKCS#8 structure.
pub(super) fn decrypt(
    der: &[u8],
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<Vec<u8>>, PrivateKeyError> {
    let malformed =
        |e: der::Error| PrivateKeyError::Malformed { format: "encrypted PKCS#8", reason: e.to_string() };
    let info = EncryptedPrivateKeyInfoRef::from_der(der).map_err(malformed)?;
    check_cost(&info.encryption_algorithm)?;
    let passphrase = passphrase.ok_or(PrivateKeyError::PassphraseNeeded)?;
    match info.encryption_algorithm.decrypt(passphrase.as_bytes(), info.encrypted_data.as_bytes()) {
        Ok(plain) => Ok(Zeroizing::new(plain)),
        Err(pkcs5::Error::DecryptFailed) => Err(PrivateKeyError::WrongPassphrase),
        Err(error) => Err(PrivateKeyError::UnsupportedEncryption { reason: error.to_string() }),
    }
}

/// Refuses parameters that would keep the machine busy or fill its memory.
fn check_cost(scheme: &EncryptionScheme) -> Result<(), PrivateKeyError> {
    let parameters = match scheme {
        EncryptionScheme::Pbes2(parameters) => parameters,
        other => {
            let reason = format!("PBES1 ({})", other.oid());
            return Err(PrivateKeyError::UnsupportedEncryption { reason });
        }
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) if pbkdf2.iteration_count > MAX_PBKDF2_ROUNDS => {
            Err(PrivateKeyError::TooCostly { parameter: "PBKDF2's iteration count" })
        }
        Kdf::Pbkdf2(_) => Ok(()),
        Kdf::Scrypt(scrypt) => {
            let block = 128 * u64::from(scrypt.block_size);
            let memory = block.saturating_mul(scrypt.cost_parameter);
            if memory > MAX_SCRYPT_MEMORY || u64::from(scrypt.parallelization) > MAX_SCRYPT_PASSES {
                return Err(PrivateKeyError::TooCostly { parameter: "scrypt's cost" });
            }
            Ok(())
        }
        other => Err(PrivateKeyError::UnsupportedEncryption { reason: other.oid().to_string() }),
    }
}
