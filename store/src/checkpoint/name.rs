//! The name under which a log signs.

use std::fmt;

use super::CheckpointError;

/// The origin of a checkpoint, also the name of the key that signs it: 1 to 255 printable ASCII
/// characters without space or plus, for both have a meaning in a note.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogName(String);

impl LogName {
    /// Checks a name.
    pub fn new(name: &str) -> Result<LogName, CheckpointError> {
        let fits = (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        match fits {
            true => Ok(LogName(name.to_owned())),
            false => Err(CheckpointError::Name { name: name.chars().take(255).collect() }),
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
