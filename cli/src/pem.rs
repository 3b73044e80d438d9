//! The armour of RFC 7468, where the service's libraries do not make it or take one block only.
//!
//! Nothing is judged here: what is inside is read by those who know its form.

use base64::{Engine, engine::general_purpose::STANDARD};

/// DER in PEM (RFC 7468 §2).
pub fn armour(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The blocks of a file that holds several; the whole file where it holds one, none, or DER.
pub fn blocks<'f>(file: &'f [u8], label: &str) -> Vec<&'f [u8]> {
    let begin = format!("-----BEGIN {label}-----");
    let Ok(text) = std::str::from_utf8(file) else { return vec![file] };
    let begins: Vec<usize> = text.match_indices(&begin).map(|(at, _)| at).collect();
    if begins.len() < 2 {
        return vec![file];
    }
    let ends = begins.iter().copied().skip(1).chain([file.len()]);
    begins.iter().zip(ends).map(|(begin, end)| &file[*begin..end]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_apart_at_its_blocks() {
        let (one, two) = (armour("X", &[1; 100]), armour("X", b"two"));
        assert_eq!(blocks(one.as_bytes(), "X"), [one.as_bytes()]);
        let both = format!("{one}{two}");
        assert_eq!(blocks(both.as_bytes(), "X"), [one.as_bytes(), two.as_bytes()]);
        assert_eq!(blocks(b"0\xff", "X"), [b"0\xff"]);
        assert!(one.lines().all(|line| line.len() <= 64));
    }
}
