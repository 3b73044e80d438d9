//! Reading a trace: the calls of every thread with what they were given and what they returned.
//!
//! strace writes every string and path as `\x2f\x74…` (option -xx), so that no comma, quote or
//! bracket in a line belongs to a string. A call that another thread interrupts stands in two lines;
//! both are kept, for between them the call may have happened or not.

use std::collections::HashMap;

/// One system call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    /// What it returned, or why it failed.
    pub(super) result: String,
    /// The lines of the trace at which it began and ended.
    pub(super) begins: usize,
    pub(super) ends: usize,
}

/// A descriptor of a file that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Descriptor {
    pub(super) number: String,
    pub(super) path: String,
}

impl Call {
    /// Whether it had its effect.
    pub(super) fn succeeded(&self) -> bool {
        !self.result.starts_with('-') && !self.result.starts_with('?')
    }

    pub(super) fn argument(&self, at: usize) -> Result<&str, String> {
        self.arguments
            .get(at)
            .map(String::as_str)
            .ok_or_else(|| format!("{} has no argument {at}", self.name))
    }

    /// The descriptor in an argument; `None` if its file has no name, or none any more.
    pub(super) fn descriptor(&self, at: usize) -> Result<Option<Descriptor>, String> {
        Ok(descriptor(self.argument(at)?))
    }

    /// The descriptor that was returned.
    pub(super) fn opened(&self) -> Option<Descriptor> {
        descriptor(&self.result)
    }

    /// The string in an argument.
    pub(super) fn text(&self, at: usize) -> Result<String, String> {
        let bytes = unescape(self.argument(at)?)?;
        String::from_utf8(bytes).map_err(|_| format!("{}: a name is no UTF-8", self.name))
    }

    /// The bytes in an argument; those of all its strings, one after the other.
    pub(super) fn bytes(&self, at: usize) -> Result<Vec<u8>, String> {
        unescape(self.argument(at)?)
    }

    pub(super) fn number(&self, at: usize) -> Result<u64, String> {
        number(self.argument(at)?)
    }

    /// The number that was returned.
    pub(super) fn returned(&self) -> Result<u64, String> {
        number(&self.result)
    }

    /// A mode in octal.
    pub(super) fn mode(&self, at: usize) -> Result<u32, String> {
        let text = self.argument(at)?;
        u32::from_str_radix(text, 8).map_err(|_| format!("{}: {text} is no mode", self.name))
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.split(' ').next().unwrap_or_default().parse().map_err(|_| format!("{text} is no number"))
}

/// `3<\x2f\x74>`; what was deleted is followed by `(deleted)`.
fn descriptor(text: &str) -> Option<Descriptor> {
    let (number, rest) = text.split_once('<')?;
    let (path, after) = rest.rsplit_once('>')?;
    if !after.is_empty() || !path.starts_with("\\x2f") {
        return None;
    }
    let path = String::from_utf8(unescape(&format!("\"{path}\"")).ok()?).ok()?;
    Some(Descriptor { number: number.to_owned(), path })
}

/// The bytes of every quoted string in `text`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    if text.contains("\"...") {
        return Err("a string was cut off by strace".to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len() / 4);
    for string in text.split('"').skip(1).step_by(2) {
        let digits = string.as_bytes();
        if digits.len() % 4 != 0 {
            return Err(format!("{string} is not escaped whole"));
        }
        for escaped in digits.chunks_exact(4) {
            let digit = |at: usize| char::from(escaped[at]).to_digit(16);
            match (&escaped[..2], digit(2), digit(3)) {
                (b"\\x", Some(high), Some(low)) => bytes.push((high << 4 | low) as u8),
                _ => return Err(format!("{string} is not escaped whole")),
            }
        }
    }
    Ok(bytes)
}

/// Takes a trace apart; the calls in the order in which they ended. Lines count from `first`.
pub(super) fn calls(trace: &str, first: usize) -> Result<Vec<Call>, String> {
    let mut begun: HashMap<&str, (usize, &str, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let at = first + at;
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let (_, rest) =
                resumed.split_once(" resumed>").ok_or_else(|| format!("a strange line: {line}"))?;
            if let Some((begins, name, head)) = begun.remove(thread) {
                calls.push(call(name, &format!("{head}{rest}"), begins, at)?);
            }
            continue;
        }
        let Some((name, rest)) = rest.split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        match rest.strip_suffix(" <unfinished ...>") {
            Some(head) => {
                begun.insert(thread, (at, name, head));
            }
            None => calls.push(call(name, rest, at, at)?),
        }
    }
    Ok(calls)
}

/// `rest` is everything behind the call's opening bracket.
fn call(name: &str, rest: &str, begins: usize, ends: usize) -> Result<Call, String> {
    let (inside, result) = rest.rsplit_once(" = ").ok_or_else(|| format!("{name} returned nothing"))?;
    let inside = inside.trim_end();
    let inside = inside.strip_suffix(')').ok_or_else(|| format!("{name} is not closed"))?;
    let (mut depth, mut from, mut arguments) = (0usize, 0, Vec::new());
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                arguments.push(inside[from..at].trim().to_owned());
                from = at + 1;
            }
            _ => {}
        }
    }
    arguments.push(inside[from..].trim().to_owned());
    Ok(Call { name: name.to_owned(), arguments, result: result.trim().to_owned(), begins, ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_and_two_halves_are_put_together() {
        let trace = "\
7 pwrite64(3<\\x2f\\x61>, \"\\x68\\x2c\", 2, 4096 <unfinished ...>
8 openat(AT_FDCWD<\\x2f>, \"\\x62\", O_WRONLY|O_CREAT, 0600) = 4<\\x2f\\x62>
7 <... pwrite64 resumed>) = 2
8 --- SIGCHLD {si_signo=SIGCHLD} ---
8 fsync(4<\\x2f\\x62>(deleted)) = -1 EIO (Input/output error)
8 fdatasync(4<\\x2f\\x62> <unfinished ...>
8 +++ killed by SIGKILL +++
";
        let calls = calls(trace, 10).unwrap();
        assert_eq!(
            calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(),
            ["openat", "pwrite64", "fsync"]
        );
        let (opened, written, synced) = (&calls[0], &calls[1], &calls[2]);
        assert_eq!((opened.text(1).unwrap(), opened.mode(3).unwrap()), ("b".to_owned(), 0o600));
        assert_eq!(opened.opened(), Some(Descriptor { number: "4".to_owned(), path: "/b".to_owned() }));
        assert_eq!((written.begins, written.ends), (10, 12));
        assert_eq!((written.bytes(1).unwrap(), written.number(3).unwrap()), (b"h,".to_vec(), 4096));
        assert_eq!(synced.descriptor(0).unwrap(), None, "its file has no name any more");
        assert!(!synced.succeeded());
    }
}
