//! Failures as the user meets them: a kind that decides the exit code, one sentence, its causes and hints.
//!
//! Exit codes and `hint:` lines are made here and nowhere else. Libraries' errors know neither.
//! A message is lower case, one sentence, without a full stop; every error a user can do something
//! about carries a hint.

use std::{error::Error, io, path::Path};

use serde::Serialize;
use server::problem::{Problem, ProblemKind};
use store::file::FileError;

/// How a command ended when nothing went wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The revocation is durable and enforced here, but the new list is not in place yet.
    CrlPending,
    /// It was done.
    Done,
    /// It was done, and the answer is no: the certificate is not valid, the doctor found errors, rows failed.
    No,
}

/// The kinds of failure; each has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Whoever read our output stopped reading: not worth a word.
    BrokenPipe,
    /// Something exists already, is ambiguous, or its state does not allow it.
    Conflict,
    /// Not this user.
    Denied,
    /// An ACME authority, another service or the network failed.
    External,
    /// The disk's fault, or ours.
    Internal,
    /// There is no such thing.
    NotFound,
    /// Another process is in the way, for now.
    Unavailable,
    /// Wrong arguments, or a request against policy.
    Usage,
}

/// The exit codes, as the documentation shows them: code, name, meaning.
pub const EXIT_CODES: [(u8, &str, &str); 10] = [
    (0, "done", "the command did what it says; also when the reader of its output went away"),
    (
        1,
        "no",
        "the command ran and the answer is no: `verify` refused, `doctor` found an error, rows of a batch failed",
    ),
    (2, "usage", "wrong arguments, unreadable input, or a request against policy; nothing was changed"),
    (3, "not found", "no such certificate, authority, file or PKI"),
    (4, "conflict", "it exists already, a name matches several certificates, or the state does not allow it"),
    (5, "denied", "this user may not: file permissions, or another user's directory"),
    (6, "unavailable", "another process holds the PKI, or the service is starting or stopping; try again"),
    (7, "external", "an ACME authority, a remote or the network failed"),
    (8, "internal", "the disk failed, or a defect of `pki`"),
    (
        9,
        "not published",
        "done and in force here, but not every list or certificate that follows from it could be signed or placed: others still see the old ones",
    ),
];

impl Outcome {
    /// The exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::No => 1,
            Outcome::CrlPending => 9,
        }
    }
}

impl Kind {
    /// The exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::BrokenPipe => 0,
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Conflict => 4,
            Kind::Denied => 5,
            Kind::Unavailable => 6,
            Kind::External => 7,
            Kind::Internal => 8,
        }
    }
}

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommandError {
    /// What kind it is: decides the exit code.
    pub kind: Kind,
    /// What happened, to what.
    pub message: String,
    /// Why, outermost cause first.
    pub causes: Vec<String>,
    /// What the user can do about it.
    pub hints: Vec<String>,
}

impl CommandError {
    /// An error of a kind that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> CommandError {
        CommandError { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Wrong arguments or input.
    pub fn usage(message: impl Into<String>) -> CommandError {
        CommandError::new(Kind::Usage, message)
    }

    /// It exists already, or its state does not allow it.
    pub fn conflict(message: impl Into<String>) -> CommandError {
        CommandError::new(Kind::Conflict, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> CommandError {
        CommandError::new(Kind::NotFound, message)
    }

    /// The disk's fault, or ours.
    pub fn internal(message: impl Into<String>) -> CommandError {
        CommandError::new(Kind::Internal, message)
    }

    /// A file could not be read, written, …: the kind follows from the cause.
    pub fn file(verb: &str, path: &Path, cause: &io::Error) -> CommandError {
        let kind = match cause.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
                Kind::Conflict
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Denied,
            _ => Kind::Internal,
        };
        let error = CommandError::new(kind, format!("cannot {verb} {}", path.display())).because(cause);
        match kind {
            Kind::NotFound => error.hint("check the path"),
            Kind::Conflict => error.hint("choose another path, or move what is there out of the way"),
            Kind::Denied => error.hint("check the owner and mode of the file and of its directory"),
            _ => error.hint("check the disk: `df` for space, `dmesg` for faults"),
        }
    }

    /// With an error and all of its sources as causes.
    pub fn because(mut self, cause: &dyn Error) -> CommandError {
        let mut next = Some(cause);
        while let Some(error) = next {
            let text = error.to_string();
            // Some foreign errors repeat their source's words; saying them twice helps nobody.
            if self.causes.last().is_none_or(|last| !last.ends_with(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// With the sources of an error as causes, whose own words are the message already.
    pub fn because_source(self, error: &dyn Error) -> CommandError {
        match error.source() {
            Some(source) => self.because(source),
            None => self,
        }
    }

    /// Whether it is one of the refusals that Multipass knows too: those are told as it tells them.
    pub fn is_in_multipass_words(&self) -> bool {
        self.kind == Kind::Denied
            && (self.message == trust::Refusal::NotAuthenticated.answer()
                || self.message.starts_with("Passphrase is not "))
    }

    /// With a line that says what the user can do.
    pub fn hint(mut self, hint: impl Into<String>) -> CommandError {
        self.hints.push(hint.into());
        self
    }
}

impl From<Problem> for CommandError {
    fn from(problem: Problem) -> CommandError {
        let kind = match problem.kind {
            ProblemKind::Conflict => Kind::Conflict,
            ProblemKind::Denied => Kind::Denied,
            ProblemKind::External => Kind::External,
            ProblemKind::Internal => Kind::Internal,
            ProblemKind::Invalid => Kind::Usage,
            ProblemKind::NotFound => Kind::NotFound,
            ProblemKind::Unavailable => Kind::Unavailable,
        };
        let fallback = match kind {
            Kind::Internal => Some("`pki doctor` looks for what is wrong"),
            Kind::Unavailable => Some("try again in a moment"),
            Kind::External => Some("try again later; `-v` shows the conversation"),
            Kind::NotFound => Some("`pki list` shows what there is"),
            Kind::Conflict => Some("`pki list` and `pki ca list` show how things stand"),
            Kind::Denied => Some("work as the owner of the directory"),
            Kind::Usage => Some("nothing was changed; correct what was asked for and try again"),
            Kind::BrokenPipe => None,
        };
        CommandError {
            kind,
            message: problem.message,
            causes: problem.causes,
            hints: problem.hint.or(fallback.map(str::to_string)).into_iter().collect(),
        }
    }
}

/// A file could not be placed or read: its message names it already.
impl From<FileError> for CommandError {
    fn from(error: FileError) -> CommandError {
        let io_kind = error.io_kind();
        if let (FileError::Io { operation, path, source }, Some(_)) = (&error, io_kind) {
            return CommandError::file(operation, path, source);
        }
        let refusal = CommandError::conflict(error.to_string());
        match &error {
            FileError::Exists { .. } => {
                refusal.hint("choose another path, or move what is there out of the way")
            }
            FileError::Irregular { .. } | FileError::NotADirectory { .. } => {
                refusal.hint("choose another path: nothing is written through or over it")
            }
            FileError::Exposed { path, mode } => {
                let owner_only = format!("{:o}", mode & 0o700);
                CommandError { kind: Kind::Denied, ..refusal }
                    .hint(format!("chmod {owner_only} {}", path.display()))
                    .hint("if others may have read it, replace the secret")
            }
            FileError::NoName { .. } | FileError::TooLarge { .. } => {
                CommandError { kind: Kind::Usage, ..refusal }.hint("check that it is the file you mean")
            }
            other => CommandError::internal(other.to_string()),
        }
    }
}

impl CommandError {
    /// A secret could not be read.
    pub fn secret(error: FileError) -> CommandError {
        match &error {
            FileError::Irregular { .. } => CommandError::usage(error.to_string())
                .hint("a secret is read from a regular file alone, and through no link: name that file"),
            _ => error.into(),
        }
    }
}

/// Writing to a standard stream failed.
impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> CommandError {
        match error.kind() {
            io::ErrorKind::BrokenPipe => CommandError::new(Kind::BrokenPipe, "the reader went away"),
            _ => CommandError::internal("cannot write the output")
                .because(&error)
                .hint("check where standard output goes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_documented() {
        let documented: Vec<u8> = EXIT_CODES.iter().map(|(code, _, _)| *code).collect();
        assert_eq!(documented, (0..=9).collect::<Vec<u8>>());
        for kind in [
            Kind::BrokenPipe,
            Kind::Conflict,
            Kind::Denied,
            Kind::External,
            Kind::Internal,
            Kind::NotFound,
            Kind::Unavailable,
            Kind::Usage,
        ] {
            assert!(documented.contains(&kind.exit_code()), "{kind:?}");
        }
        assert_eq!(Outcome::CrlPending.exit_code(), 9);
        assert_eq!(Outcome::No.exit_code(), 1);
    }

    #[test]
    fn the_kind_of_a_problem_decides_the_code() {
        let codes: Vec<u8> = [
            ProblemKind::Invalid,
            ProblemKind::NotFound,
            ProblemKind::Conflict,
            ProblemKind::Denied,
            ProblemKind::Unavailable,
            ProblemKind::External,
            ProblemKind::Internal,
        ]
        .into_iter()
        .map(|kind| {
            let problem = Problem { kind, message: "m".into(), causes: vec![], hint: None };
            CommandError::from(problem).kind.exit_code()
        })
        .collect();
        assert_eq!(codes, [2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn causes_are_listed_outermost_first_and_not_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let error = CommandError::usage("m").because(&Outer(io::Error::other("inner")));
        assert_eq!(error.causes, ["outer", "inner"]);
        let error = CommandError::file("read", Path::new("x"), &io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(error.kind, Kind::NotFound);
        assert_eq!(error.causes.len(), 1);
    }
}
