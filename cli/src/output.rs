//! Every word that `pki` says goes through here. The rules of the terminal:
//!
//! - Data goes to standard output, talk to standard error. `pki list | wc -l` counts certificates.
//! - Talk is lower case and has no full stop. `--quiet` silences it; warnings and errors stay.
//! - An error is one sentence, then `caused by:` lines, then `hint:` lines.
//! - `--json` prints one document whose field names are those of the service's replies; an error is
//!   then one JSON object on standard error.
//! - A table fits the terminal; in a pipe nothing is cut. Colour repeats what the words say.
//! - What others wrote (names, reasons, paths) is escaped: it cannot move the cursor or turn the text round.
//! - Secrets are never shown. Passphrases are asked for on the terminal alone.
//! - When the reader of a pipe goes away, so do we, without a word.

mod escape;
mod progress;
mod style;
mod table;

use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
};

use serde::Serialize;

pub use escape::escape;
pub use progress::{Progress, Watched};
pub use style::{Paint, Style};
pub use table::{Cell, Column, Table};

use crate::error::{CommandError, Kind};

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tables and lines for people.
    Human,
    /// One JSON document.
    Json,
}

/// Whether talk is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// Only warnings and errors.
    Quiet,
    /// All of it.
    Usual,
}

/// What kind of thing a stream leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A file, a pipe, nothing.
    Other,
    /// A terminal, so many columns wide.
    Terminal {
        /// Columns.
        width: usize,
    },
}

impl Stream {
    /// Where this process's standard input comes from.
    pub fn of_input() -> Stream {
        Stream::of(&io::stdin())
    }

    /// Where this process's standard output leads.
    pub fn of_data() -> Stream {
        Stream::of(&io::stdout())
    }

    /// Where this process's standard error leads.
    pub fn of_speech() -> Stream {
        Stream::of(&io::stderr())
    }

    fn of<S: IsTerminal + AsFd>(stream: &S) -> Stream {
        if !stream.is_terminal() {
            return Stream::Other;
        }
        let width = rustix::termios::tcgetwinsize(stream).map_or(0, |size| usize::from(size.ws_col));
        // Some terminals do not know their size, or claim none.
        Stream::Terminal { width: if width == 0 { 80 } else { width } }
    }
}

/// Where logs go. A bar that stands in that line gives way, and is drawn again below.
pub fn log_stream() -> progress::Below<io::Stderr> {
    progress::Below(io::stderr())
}

/// Where another program's output goes that we run: standard output is for our data.
pub fn speech_of_others() -> std::process::Stdio {
    std::process::Stdio::from(io::stderr())
}

/// Warns where no [`Output`] is at hand.
pub fn warn_plainly(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {}", escape(text));
}

/// The two streams, and how to write to them.
pub struct Output {
    format: Format,
    talk: Talk,
    data: Box<dyn Write>,
    speech: Box<dyn Write>,
    data_stream: Stream,
    speech_stream: Stream,
    data_paint: Paint,
    speech_paint: Paint,
}

/// How an [`Output`] behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How data is printed.
    pub format: Format,
    /// Whether talk is printed.
    pub talk: Talk,
    /// What standard output leads to.
    pub data: Stream,
    /// What standard error leads to.
    pub speech: Stream,
    /// Colours on standard output.
    pub data_paint: Paint,
    /// Colours on standard error.
    pub speech_paint: Paint,
}

impl Output {
    /// Speaks through the process's own streams.
    pub fn of_the_process(manner: Manner) -> Output {
        Output::new(manner, Box::new(io::BufWriter::new(io::stdout())), Box::new(io::stderr()))
    }

    /// Speaks through any two streams.
    pub fn new(manner: Manner, data: Box<dyn Write>, speech: Box<dyn Write>) -> Output {
        Output {
            format: manner.format,
            talk: manner.talk,
            data,
            speech,
            data_stream: manner.data,
            speech_stream: manner.speech,
            data_paint: manner.data_paint,
            speech_paint: manner.speech_paint,
        }
    }

    /// Whether data is printed for people.
    pub fn is_human(&self) -> bool {
        self.format == Format::Human
    }

    /// Prints a reply: as JSON, or as `human` shows it.
    pub fn reply<T: Serialize + ?Sized>(
        &mut self,
        reply: &T,
        human: impl FnOnce(&mut Output) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        match self.format {
            Format::Human => human(self),
            Format::Json => self.document(reply),
        }
    }

    /// Prints one JSON document.
    pub fn document<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| CommandError::internal("cannot write the reply as JSON").because(&error))?;
        writeln!(self.data, "{text}")?;
        Ok(())
    }

    /// Prints a JSON array that arrives in parts, or hands each part to `human`: for what may be too
    /// long to hold. `next` returns `None` at the end.
    pub fn array<T: Serialize>(
        &mut self,
        mut next: impl FnMut() -> Result<Option<Vec<T>>, CommandError>,
        mut human: impl FnMut(&mut Output, Vec<T>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let mut separator = "[";
        while let Some(part) = next()? {
            match self.format {
                Format::Human => human(self, part)?,
                Format::Json => {
                    for item in part {
                        let text = serde_json::to_string(&item).map_err(|error| {
                            CommandError::internal("cannot write the reply as JSON").because(&error)
                        })?;
                        write!(self.data, "{separator}\n  {text}")?;
                        separator = ",";
                    }
                }
            }
        }
        match (self.format, separator) {
            (Format::Json, "[") => writeln!(self.data, "[]")?,
            (Format::Json, _) => writeln!(self.data, "\n]")?,
            (Format::Human, _) => {}
        }
        Ok(())
    }

    /// Prints one line of data, escaped.
    pub fn line(&mut self, text: &str) -> Result<(), CommandError> {
        writeln!(self.data, "{}", escape(text))?;
        Ok(())
    }

    /// Prints data as it is: PEM, completions, man pages. The text must be our own or armoured.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        self.data.write_all(bytes)?;
        Ok(())
    }

    /// Prints a table.
    pub fn table(&mut self, table: &Table) -> Result<(), CommandError> {
        let width = match self.data_stream {
            Stream::Other => None,
            Stream::Terminal { width } => Some(width),
        };
        let text = table.render(width, self.data_paint);
        self.raw(text.as_bytes())
    }

    /// Prints names and values, a pair a line, the values aligned. A value is never cut.
    pub fn fields<'a>(
        &mut self,
        fields: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<(), CommandError> {
        let fields: Vec<_> = fields.into_iter().collect();
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in fields {
            let padding = " ".repeat(width - name.chars().count() + 2);
            let name = self.data_paint.apply(Style::Heading, &escape(name));
            writeln!(self.data, "{name}{padding}{}", escape(&value))?;
        }
        Ok(())
    }

    /// Says what was done or is going on.
    pub fn say(&mut self, text: &str) {
        if self.talk == Talk::Usual {
            self.speak(None, text);
        }
    }

    /// Asks for a line of text on the terminal; what is typed is read by whoever asks.
    pub fn prompt(&mut self, text: &str) {
        let _ = self.data.flush();
        let _ = write!(self.speech, "{}: ", escape(text)).and_then(|()| self.speech.flush());
    }

    /// Says what the user may do next.
    pub fn hint(&mut self, text: &str) {
        if self.talk == Talk::Usual {
            self.speak(Some(("hint", Style::Hint)), text);
        }
    }

    /// Warns; also under `--quiet`.
    pub fn warn(&mut self, text: &str) {
        self.speak(Some(("warning", Style::Warn)), text);
    }

    /// Says why the command failed.
    pub fn error(&mut self, error: &CommandError) {
        if error.kind == Kind::BrokenPipe {
            return;
        }
        if self.format == Format::Json {
            #[derive(Serialize)]
            struct Failure<'a> {
                error: &'a CommandError,
                exit_code: u8,
            }
            let failure = Failure { error, exit_code: error.kind.exit_code() };
            if let Ok(text) = serde_json::to_string(&failure) {
                let _ = writeln!(self.speech, "{text}");
            }
            return;
        }
        self.speak(Some(("error", Style::Bad)), &error.message);
        for cause in &error.causes {
            self.speak(Some(("caused by", Style::Faint)), cause);
        }
        for hint in &error.hints {
            self.speak(Some(("hint", Style::Hint)), hint);
        }
    }

    /// Says why the command of these words failed; in Multipass's words what Multipass says too.
    pub fn failed(&mut self, words: &str, error: &CommandError) {
        if self.format == Format::Json || !error.is_in_multipass_words() {
            return self.error(error);
        }
        let mut lines = error.message.lines();
        self.speak(None, &format!("{words} failed: {}", lines.next().unwrap_or_default()));
        lines.for_each(|line| self.speak(None, line));
    }

    /// A progress bar over `total` steps: on a terminal only, and not under `--quiet` or `--json`.
    pub fn progress(&self, total: u64) -> Progress {
        match self.shows_progress() {
            true => Progress::shown(total),
            false => Progress::hidden(),
        }
    }

    /// A bar of something that goes on by itself, by what `so_far` says of it (steps done, and of how many),
    /// until what this returns is dropped. Where [`Output::progress`] shows one.
    pub fn watch(
        &self,
        what: &'static str,
        so_far: impl Fn() -> Option<(u64, u64)> + Send + 'static,
    ) -> Watched {
        match self.shows_progress() {
            true => Watched::bar(what, so_far),
            false => Watched::hidden(),
        }
    }

    /// Says that something is under way, and for how long, until what this returns is dropped.
    pub fn busy(&self, what: String) -> Watched {
        match self.shows_progress() {
            true => Watched::clock(what),
            false => Watched::hidden(),
        }
    }

    fn shows_progress(&self) -> bool {
        match (self.speech_stream, self.talk, self.format) {
            (Stream::Terminal { .. }, Talk::Usual, Format::Human) => true,
            (Stream::Terminal { .. }, Talk::Quiet, _) | (_, _, Format::Json) | (Stream::Other, _, _) => false,
        }
    }

    /// Sends off what is buffered.
    pub fn flush(&mut self) -> Result<(), CommandError> {
        self.data.flush()?;
        Ok(())
    }

    fn speak(&mut self, prefix: Option<(&str, Style)>, text: &str) {
        // Data that came first is read first, also where both streams are the same terminal.
        let _ = self.data.flush();
        let text = escape(text);
        // When nobody hears us there is nobody to tell.
        let _ = match prefix {
            Some((prefix, style)) => {
                let prefix = self.speech_paint.apply(style, &format!("{prefix}:"));
                writeln!(self.speech, "{prefix} {text}")
            }
            None => writeln!(self.speech, "{text}"),
        };
    }
}

#[cfg(test)]
mod tests;
