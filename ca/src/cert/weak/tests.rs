//! One weak key of each kind, built from numbers (C3).

use num_bigint::BigUint;
use num_integer::Integer;

use super::*;

const E: &[u8] = &[1, 0, 1];

fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap()
}

/// A deterministic number of exactly `bits` bits with its two highest bits set.
fn digits(bits: u64, seed: u8) -> BigUint {
    let mut octets = Vec::new();
    let mut block = vec![seed];
    while (octets.len() as u64) * 8 < bits {
        block = crate::cert::digest::sha256(&block).to_vec();
        octets.extend_from_slice(&block);
    }
    let mut number = BigUint::from_bytes_be(&octets) >> (octets.len() as u64 * 8 - bits);
    number.set_bit(bits - 1, true);
    number.set_bit(bits - 2, true);
    number
}

/// Miller and Rabin with fixed bases: enough for numbers that nobody chose.
fn is_prime(n: &BigUint) -> bool {
    if small_primes(2000).any(|p| remainder(n, p) == 0) {
        return false;
    }
    let less = n - 1_u32;
    let twos = less.trailing_zeros().unwrap();
    let odd = &less >> twos;
    [2_u32, 3, 5, 7, 11].iter().all(|&base| {
        let mut x = BigUint::from(base).modpow(&odd, n);
        if x == BigUint::from(1_u32) || x == less {
            return true;
        }
        (1..twos).any(|_| {
            x = &x * &x % n;
            x == less
        })
    })
}

fn next_prime(mut n: BigUint) -> BigUint {
    n.set_bit(0, true);
    while !is_prime(&n) {
        n += 2_u32;
    }
    n
}

fn check(modulus: &BigUint) -> Result<(), WeakKey> {
    check_rsa(&modulus.to_bytes_be(), E)
}

/// A sound modulus of 2048 bits.
fn sound() -> BigUint {
    next_prime(digits(1024, 1)) * next_prime(digits(1024, 2))
}

#[test]
fn a_sound_key_passes() {
    let n = sound();
    assert_eq!(n.bits(), 2048);
    assert_eq!(check(&n), Ok(()));
    assert_eq!(check_rsa(&n.to_bytes_be(), &[0x80, 0, 0, 1]), Ok(()));
}

#[test]
fn lengths_are_judged_first() {
    let of = |bits: u64| check(&digits(bits, 3));
    assert_eq!(of(1024), Err(WeakKey::TooShort { bits: 1024, limit: 2048 }));
    assert_eq!(of(2047), Err(WeakKey::TooShort { bits: 2047, limit: 2048 }));
    assert_eq!(of(2049), Err(WeakKey::UnevenBits { bits: 2049 }));
    assert_eq!(of(16_384), Err(WeakKey::TooLong { bits: 16_384, limit: 8192 }));
    assert_eq!(check_rsa(&[], E), Err(WeakKey::TooShort { bits: 0, limit: 2048 }));
}

#[test]
fn exponents_are_odd_and_of_moderate_size() {
    let n = sound().to_bytes_be();
    let with = |exponent: &[u8]| check_rsa(&n, exponent);
    for small in [&[1][..], &[3], &[17], &[0xff, 0xff]] {
        assert!(matches!(with(small), Err(WeakKey::SmallExponent { least: 65_537, .. })), "{small:?}");
    }
    assert_eq!(with(&[1, 0, 0]), Err(WeakKey::EvenExponent));
    assert_eq!(with(&[]), Err(WeakKey::EvenExponent));
    let mut large = vec![1; 33];
    assert_eq!(with(&large), Err(WeakKey::LargeExponent { bits: 257, limit: 256 }));
    large.remove(0);
    assert_eq!(with(&large), Ok(()));
}

#[test]
fn moduli_with_small_factors_are_refused() {
    let prime = next_prime(digits(1024, 1));
    assert_eq!(check(&(digits(2048, 4) >> 1 << 1)), Err(WeakKey::EvenModulus));
    // 751 is the last prime below 752.
    for factor in [3_u32, 7, 751] {
        let other = next_prime(digits(2048, 5) / factor);
        let modulus = &other * factor;
        let modulus = if modulus.bits() == 2048 { modulus } else { next_prime(other << 1) * factor };
        assert_eq!(check(&modulus), Err(WeakKey::SmallFactor { factor }));
    }
    assert_eq!(check(&(&prime * &prime)), Err(WeakKey::Square));
}

#[test]
fn close_primes_are_found() {
    let p = next_prime(digits(1024, 6));
    let next = next_prime(&p + 2_u32);
    assert_eq!(check(&(&p * &next)), Err(WeakKey::ClosePrimes { rounds: 110 }));
    // Boulder's measure: with primes so far apart the last round finds them, one more does not.
    // a - sqrt(n) is about (p - q)² / 8a, so round k needs a difference of about sqrt(8·k·2^1024).
    let distance = |rounds: u32| (BigUint::from(8 * rounds) * &p).sqrt();
    let near = next_prime(&p + distance(100));
    assert_eq!(check(&(&p * near)), Err(WeakKey::ClosePrimes { rounds: 110 }));
    let far = next_prime(&p + distance(130));
    assert_eq!(check(&(&p * far)), Ok(()));
}

/// The fingerprint that the finders of ROCA published: for each prime the remainders that mark a key,
/// as bits of a number (crocs-muni/roca, `roca/detect.py`).
#[test]
fn the_roca_mark_is_the_published_one() {
    let published = [
        (3_u32, 6_u128),
        (5, 30),
        (7, 126),
        (11, 1026),
        (13, 5658),
        (17, 107_286),
        (19, 199_410),
        (23, 8_388_606),
        (29, 536_870_910),
        (31, 2_147_483_646),
        (37, 67_109_890),
        (41, 2_199_023_255_550),
        (43, 8_796_093_022_206),
        (47, 140_737_488_355_326),
        (53, 5_310_023_542_746_834),
        (59, 576_460_752_303_423_486),
        (61, 1_455_791_217_086_302_986),
        (67, 147_573_952_589_676_412_926),
    ];
    for (prime, mask) in published {
        let mut bits = 0_u128;
        let mut power = 1;
        loop {
            bits |= 1 << power;
            power = power * (65_537 % prime) % prime;
            if power == 1 {
                break;
            }
        }
        assert_eq!(bits, mask, "{prime}");
    }
}

/// Primes of the broken form `k·M + (65537^a mod M)`, M a primorial, make a key with the mark.
#[test]
fn keys_of_the_roca_form_are_refused() {
    // For 2048 bits the chip used the product of the first 126 primes, up to 701: 971 bits.
    let m = small_primes(702).fold(BigUint::from(2_u32), |product, prime| product * prime);
    let roca_prime = |seed: u8| {
        let residue = BigUint::from(65_537_u32).modpow(&digits(200, seed), &m);
        let mut k = digits(1024, seed).div_floor(&m);
        loop {
            let candidate = &k * &m + &residue;
            if is_prime(&candidate) {
                return candidate;
            }
            k += 1_u32;
        }
    };
    let modulus = roca_prime(7) * roca_prime(8);
    assert_eq!(modulus.bits(), 2048);
    assert_eq!(check(&modulus), Err(WeakKey::Roca));
}

#[test]
fn squares_are_told_apart() {
    for root in (0_u32..2000).chain([65_535, 65_536]) {
        let square = BigUint::from(root) * root;
        assert!(is_square(&square), "{root}²");
        assert!(root < 2 || !is_square(&(&square + 1_u32)), "{root}² + 1");
    }
    assert_eq!(bits(&[0, 0, 1, 0]), 9);
    assert_eq!(number("100").bits(), 9);
}

/// For each point of small order a signature by nobody is accepted by the library: hence the check.
#[test]
fn ed25519_points_of_small_order_are_refused() {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    // R is the neutral element, S is zero: right whenever the digest is a multiple of the point's order.
    let mut forged = [0; 64];
    forged[0] = 1;
    for point in points {
        let point = hex::decode(point).unwrap();
        assert_eq!(check_ed25519(&point), Err(WeakKey::SmallOrder));
        let key = UnparsedPublicKey::new(&ED25519, &point);
        let canonical = !point[1..].starts_with(&[0xff]) || point[0] == 0xec;
        let accepted = (0..200_u8).any(|text| key.verify(&[text], &forged).is_ok());
        assert!(accepted || !canonical, "{point:02x?}");
    }
    let base = hex::decode(format!("58{}", "66".repeat(31))).unwrap();
    assert_eq!(check_ed25519(&base), Ok(()));
}
