//! What every command is handed.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    args::Global,
    environment::Environment,
    error::CommandError,
    output::{Output, Stream},
};

/// The world, the common options and the streams.
pub struct Context {
    /// Variables, directory, clock.
    pub environment: Environment,
    /// The options of every command.
    pub global: Global,
    /// The streams.
    pub output: Output,
}

impl Context {
    /// The time.
    pub fn now(&self) -> OffsetDateTime {
        (self.environment.now)()
    }

    /// The time in whole seconds.
    pub fn whole_second(&self) -> OffsetDateTime {
        self.environment.whole_second()
    }

    /// A path as the user typed it, made absolute.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.environment.resolve(path)
    }

    /// Reads a regular file, or a pipe such as `<(…)`, of at most `limit` octets; `-` is standard input.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, CommandError> {
        use std::io::Read;
        let failed = |error: std::io::Error| CommandError::file("read", path, &error);
        let mut bytes = Vec::new();
        let read = if path == Path::new("-") {
            std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes)
        } else {
            open_readable(path, &self.resolve(path))?.take(limit + 1).read_to_end(&mut bytes)
        };
        read.map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(CommandError::usage(format!("{} is larger than {limit} octets", path.display()))
                .hint("check that it is the file you mean"));
        }
        Ok(bytes)
    }

    /// Asks on the terminal for a line that others may see.
    pub fn ask(&mut self, what: &str) -> Result<String, CommandError> {
        use std::io::{BufRead, Read};
        /// The most octets of an answer.
        const LINE: u64 = 4096;
        if self.environment.input == Stream::Other {
            return Err(CommandError::usage(format!("{what}: there is no terminal to ask on")));
        }
        self.output.prompt(what);
        let mut line = String::new();
        std::io::stdin().lock().take(LINE).read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_string())
    }

    /// Reads a text file of at most `limit` octets; a byte order mark is dropped.
    pub fn read_text(&self, path: &Path, limit: u64) -> Result<String, CommandError> {
        self.text(path, self.read(path, limit)?)
    }

    /// What was read from a file, as text; a byte order mark is dropped.
    pub fn text(&self, path: &Path, bytes: Vec<u8>) -> Result<String, CommandError> {
        let text = String::from_utf8(bytes).map_err(|error| {
            CommandError::usage(format!("{} is not text", path.display()))
                .because(&error)
                .hint("save it as UTF-8")
        })?;
        Ok(text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text))
    }
}

/// The file system of pipes without a name (`PIPEFS_MAGIC` of linux/magic.h).
const PIPEFS: rustix::fs::FsWord = 0x5049_5045;

/// Opens a regular file, or a pipe that a shell has connected to its writer already (`<(…)` is one).
///
/// Anything else might never end, or never begin: nobody knows whether a FIFO with a name will ever have
/// a writer.
fn open_readable(path: &Path, resolved: &Path) -> Result<std::fs::File, CommandError> {
    use std::os::unix::fs::FileTypeExt;

    use rustix::fs::{Mode, OFlags};
    let failed = |error: std::io::Error| CommandError::file("read", path, &error);
    // NONBLOCK: opening a FIFO must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(resolved, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let file = std::fs::File::from(file);
    let kind = file.metadata().map_err(failed)?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    if kind.is_fifo() && rustix::fs::fstatfs(&file).is_ok_and(|system| system.f_type == PIPEFS) {
        rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(|error| failed(error.into()))?;
        return Ok(file);
    }
    let found = match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a FIFO",
        _ => "a device",
    };
    Err(CommandError::usage(format!("{} is {found}, not a regular file", path.display()))
        .hint("name a file, or `-` for standard input"))
}

/// A moment as people and programs can read it: RFC 3339, UTC, whole seconds.
pub fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_else(|_| at.unix_timestamp().to_string())
}

/// How far away a moment is: `in 30 days`, `just now`, `5 minutes ago`.
pub fn distance(at: OffsetDateTime, now: OffsetDateTime) -> String {
    let seconds = (at - now).whole_seconds();
    if seconds == 0 {
        return "just now".to_string();
    }
    let span = span(Duration::from_secs(seconds.unsigned_abs()));
    if seconds > 0 { format!("in {span}") } else { format!("{span} ago") }
}

/// A span of time in its largest sensible unit, rounded to the nearest: a certificate for 365 days
/// that was made a second ago ends in 365 days.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let rounded = |unit: u64| (seconds + unit / 2) / unit;
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (rounded(60), "minute"),
        7_200..172_800 => (rounded(3_600), "hour"),
        _ => (rounded(86_400), "day"),
    };
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn distances_read_well() {
        let now = datetime!(2026-01-01 0:00 UTC);
        for (seconds, text) in [
            (0, "just now"),
            (1, "in 1 second"),
            (-90, "90 seconds ago"),
            (3600, "in 60 minutes"),
            (-86_400, "24 hours ago"),
            (86_400 * 365 - 1, "in 365 days"),
        ] {
            assert_eq!(distance(now + time::Duration::seconds(seconds), now), text);
        }
        assert_eq!(moment(datetime!(2026-01-01 1:00:00.5 +1)), "2026-01-01T00:00:00Z");
    }
}
