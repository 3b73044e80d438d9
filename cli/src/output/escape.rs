//! Makes text from outside safe to show: it can neither move the cursor nor reorder what is read.
//!
//! Names in certificates and files are written by others. Control characters, line separators,
//! bidirectional marks and invisible characters become `\u{…}`; everything else stays as it is.

use std::borrow::Cow;

/// The text with every character that a terminal would act on, or a reader would not see, spelled out.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Invisible: soft hyphen, zero-width characters, word joiners, the byte order mark.
            '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            // Bidirectional marks, embeddings and isolates (Unicode UAX #9).
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Interlinear annotations and tags.
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in ["alice", "Zoë Müller", "名前", "a\\b"] {
            assert!(matches!(escape(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn what_a_terminal_would_act_on_is_spelled_out() {
        assert_eq!(escape("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape("a\nb\r\t\u{7f}\u{9b}"), "a\\u{a}b\\u{d}\\u{9}\\u{7f}\\u{9b}");
        assert_eq!(escape("abc\u{202e}txt.exe"), "abc\\u{202e}txt.exe");
        assert_eq!(escape("pay\u{200b}pal"), "pay\\u{200b}pal");
    }
}
