//! Keys that can be broken: RSA keys that can be factored, or are likely to be, and Ed25519 keys of
//! small order.
//!
//! The checks of RSA are those of the CA/Browser Forum's Baseline Requirements 6.1.1.3 and 6.1.6 and of SP
//! 800-89 §5.3.3, done as Boulder does them. What is not checked: lists of compromised keys such as
//! Debian's of 2008 (they need a database), and keys that share a factor with others.

use num_bigint::BigUint;

/// The fewest bits of an RSA modulus.
const MIN_BITS: usize = 2048;
/// The most: more is slow for everyone who verifies, and a way to keep us busy.
const MAX_BITS: usize = 8192;
/// The most bits of a public exponent, BR 6.1.6: below 2^256.
const MAX_EXPONENT_BITS: u64 = 256;
/// The least public exponent, BR 6.1.6.
const MIN_EXPONENT: u32 = 65_537;
/// Small factors are looked for below this, SP 800-89 §5.3.3.
const SMALL_FACTOR_BOUND: u32 = 752;
/// Rounds of Fermat's method; BR 6.1.1.3 asks for 100, Boulder does 110.
const FERMAT_ROUNDS: u32 = 110;
/// The primes below which keys of a broken Infineon chip leave a mark.
const ROCA_BOUND: u32 = 168;

/// Why a key is not strong enough.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeakKey {
    /// Its primes lie close together: Fermat's method finds them.
    #[error("the RSA key's primes are so close together that it can be factored (Fermat, {rounds} rounds)")]
    ClosePrimes {
        /// How many rounds are tried.
        rounds: u32,
    },
    /// An even exponent has no inverse.
    #[error("the RSA key's exponent is even")]
    EvenExponent,
    /// Even numbers aren't products of two large primes.
    #[error("the RSA key's modulus is even")]
    EvenModulus,
    /// 2^256 or more, against BR 6.1.6.
    #[error("the RSA key's exponent has {bits} bits; {limit} are allowed")]
    LargeExponent {
        /// Its bits.
        bits: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// The RSAPublicKey can't be read.
    #[error("the RSA key's modulus and exponent can't be read")]
    Modulus,
    /// Made by a broken chip: CVE-2017-15361, "ROCA".
    #[error("the RSA key was made by a chip whose keys can be factored (ROCA, CVE-2017-15361)")]
    Roca,
    /// 1, 3 and other small exponents.
    #[error("the RSA key's exponent {exponent} is too small; it must be at least {least}")]
    SmallExponent {
        /// The exponent.
        exponent: String,
        /// The least that is accepted.
        least: u32,
    },
    /// A point of order 8 or less, or one that isn't written in its one way: anyone could sign for it.
    #[error("the Ed25519 key is a point of small order: anyone could sign for it")]
    SmallOrder,
    /// Divisible by a small prime.
    #[error("the RSA key's modulus can be divided by {factor}")]
    SmallFactor {
        /// The prime.
        factor: u32,
    },
    /// The square of one number.
    #[error("the RSA key's modulus is a square")]
    Square,
    /// Too many bits.
    #[error("the RSA key has {bits} bits; at most {limit} are accepted")]
    TooLong {
        /// Its bits.
        bits: usize,
        /// How many are accepted.
        limit: usize,
    },
    /// Too few bits.
    #[error("the RSA key has {bits} bits; at least {limit} are needed")]
    TooShort {
        /// Its bits.
        bits: usize,
        /// How many are needed.
        limit: usize,
    },
    /// A number of bits that is no multiple of 8.
    #[error("the RSA key has {bits} bits, which is not a multiple of 8")]
    UnevenBits {
        /// Its bits.
        bits: usize,
    },
}

/// Checks an RSA key given by its big-endian numbers.
pub(super) fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), WeakKey> {
    let bits = bits(modulus);
    if bits < MIN_BITS {
        return Err(WeakKey::TooShort { bits, limit: MIN_BITS });
    }
    if bits > MAX_BITS {
        return Err(WeakKey::TooLong { bits, limit: MAX_BITS });
    }
    if !bits.is_multiple_of(8) {
        return Err(WeakKey::UnevenBits { bits });
    }
    check_exponent(&BigUint::from_bytes_be(exponent))?;
    let modulus = BigUint::from_bytes_be(modulus);
    if !modulus.bit(0) {
        return Err(WeakKey::EvenModulus);
    }
    if let Some(factor) = small_primes(SMALL_FACTOR_BOUND).find(|&prime| remainder(&modulus, prime) == 0) {
        return Err(WeakKey::SmallFactor { factor });
    }
    if has_roca_mark(&modulus) {
        return Err(WeakKey::Roca);
    }
    check_fermat(&modulus)
}

/// Checks an Ed25519 key, RFC 8032 §5.1.7: for a point of small order every signature can be forged.
pub(super) fn check_ed25519(point: &[u8]) -> Result<(), WeakKey> {
    let mut y: Vec<u8> = point.iter().rev().copied().collect();
    if let Some(sign) = y.first_mut() {
        *sign &= 0x7f;
    }
    let y = BigUint::from_bytes_be(&y);
    let prime = (BigUint::from(1_u32) << 255_u32) - 19_u32;
    let one = BigUint::from(1_u32);
    // The coordinates y of the points of order 1, 2 and 4 are 1, -1 and 0.
    if y >= prime || y <= one || y == &prime - &one || SMALL_ORDER.contains(&y.to_bytes_be().as_slice()) {
        return Err(WeakKey::SmallOrder);
    }
    Ok(())
}

/// The two coordinates y of the points of order 8, big-endian.
const SMALL_ORDER: [&[u8]; 2] = [
    b"\x05\xfc\x53\x6d\x88\x02\x38\xb1\x39\x33\xc6\xd3\x05\xac\xdf\xd5\xf0\x98\xef\xf2\x89\xf4\xc3\x45\xb0\x27\xb2\xc2\x8f\x95\xe8\x26",
    b"\x7a\x03\xac\x92\x77\xfd\xc7\x4e\xc6\xcc\x39\x2c\xfa\x53\x20\x2a\x0f\x67\x10\x0d\x76\x0b\x3c\xba\x4f\xd8\x4d\x3d\x70\x6a\x17\xc7",
];

/// How many bits a big-endian number has.
pub(super) fn bits(number: &[u8]) -> usize {
    match number.iter().position(|&octet| octet != 0) {
        Some(at) => (number.len() - at) * 8 - number[at].leading_zeros() as usize,
        None => 0,
    }
}

fn check_exponent(exponent: &BigUint) -> Result<(), WeakKey> {
    let bits = exponent.bits();
    if bits > MAX_EXPONENT_BITS {
        return Err(WeakKey::LargeExponent { bits, limit: MAX_EXPONENT_BITS });
    }
    if !exponent.bit(0) {
        return Err(WeakKey::EvenExponent);
    }
    if *exponent < BigUint::from(MIN_EXPONENT) {
        return Err(WeakKey::SmallExponent { exponent: exponent.to_string(), least: MIN_EXPONENT });
    }
    Ok(())
}

/// The odd primes below `bound`.
fn small_primes(bound: u32) -> impl Iterator<Item = u32> {
    (3..bound).step_by(2).filter(|&n| (3..n).step_by(2).take_while(|d| d * d <= n).all(|d| n % d != 0))
}

fn remainder(number: &BigUint, divisor: u32) -> u32 {
    let remainder = number % divisor;
    remainder.iter_u32_digits().next().unwrap_or(0)
}

/// Whether the modulus is a power of 65537 modulo every small prime: the mark of keys made by the
/// broken chip (Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, §3). A good key has it
/// with a probability below 2^-27.
fn has_roca_mark(modulus: &BigUint) -> bool {
    small_primes(ROCA_BOUND).all(|prime| {
        let wanted = remainder(modulus, prime);
        let generator = 65_537 % prime;
        let mut power = 1;
        loop {
            if power == wanted {
                return true;
            }
            power = power * generator % prime;
            if power == 1 {
                return false;
            }
        }
    })
}

/// Fermat's method: looks for `a` with `a² - n = b²`, from the root of `n` upwards.
fn check_fermat(modulus: &BigUint) -> Result<(), WeakKey> {
    let floor = modulus.sqrt();
    if &floor * &floor == *modulus {
        return Err(WeakKey::Square);
    }
    let first = floor + 1_u32;
    let mut difference = &first * &first - modulus;
    for round in 0..FERMAT_ROUNDS {
        if is_square(&difference) {
            return Err(WeakKey::ClosePrimes { rounds: FERMAT_ROUNDS });
        }
        difference += ((&first + round) << 1_u32) + 1_u32;
    }
    Ok(())
}

/// Whether a number is a square. Most are told apart by their remainders, without a root.
fn is_square(number: &BigUint) -> bool {
    let candidate = [64, 63, 65, 11, 17, 19, 23, 31].iter().all(|&modulus| {
        let wanted = remainder(number, modulus);
        (0..modulus).any(|root| root * root % modulus == wanted)
    });
    candidate && {
        let root = number.sqrt();
        &root * &root == *number
    }
}

#[cfg(test)]
mod tests;
