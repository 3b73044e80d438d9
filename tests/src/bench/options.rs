//! What is to be measured, and how large.

use std::path::PathBuf;

/// How large everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// What docs/benchmarks.md speaks of: up to a million certificates.
    Full,
    /// Minutes: up to ten thousand.
    Quick,
    /// Seconds: shows that the harness itself works, and nothing else.
    Tiny,
}

impl Scale {
    /// Certificates in the directory, step by step.
    pub fn sizes(self) -> &'static [usize] {
        match self {
            Scale::Full => &[1_000, 100_000, 1_000_000],
            Scale::Quick => &[1_000, 10_000],
            Scale::Tiny => &[20, 60],
        }
    }

    /// Certificates that bear one name and are revoked by one command.
    pub fn fleet(self) -> usize {
        match self {
            Scale::Full => 100_000,
            Scale::Quick => 5_000,
            Scale::Tiny => 10,
        }
    }

    /// Revoked certificates, step by step; the fleet is the step from the first to the second.
    pub fn revoked(self) -> [usize; 3] {
        let of = |place: usize| self.sizes().get(place).copied().unwrap_or(0);
        [of(0), of(0) + self.fleet(), of(self.sizes().len() - 1)]
    }

    /// Picks the number for this scale.
    pub fn pick<T>(self, full: T, quick: T, tiny: T) -> T {
        match self {
            Scale::Full => full,
            Scale::Quick => quick,
            Scale::Tiny => tiny,
        }
    }

    /// Its name, for the document.
    pub fn name(self) -> &'static str {
        self.pick("full", "quick", "tiny")
    }
}

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How large.
    pub scale: Scale,
    /// Only the benchmarks whose name contains one of these; all if there are none.
    pub only: Vec<String>,
    /// Where the document goes.
    pub document: Option<PathBuf>,
    /// The day of the run, `YYYY-MM-DD`.
    pub date: String,
    /// What was measured, in the words of the version control.
    pub revision: String,
    /// The `bao` program, if it could be had; why not, otherwise.
    pub openbao: Result<PathBuf, String>,
    /// The `easyrsa` program, likewise.
    pub easyrsa: Result<PathBuf, String>,
}

impl Options {
    /// The usual ones of a scale.
    pub fn of(scale: Scale) -> Options {
        Options {
            scale,
            only: Vec::new(),
            document: None,
            date: "undated".to_owned(),
            revision: "unknown".to_owned(),
            openbao: Err("not asked for".to_owned()),
            easyrsa: Err("not asked for".to_owned()),
        }
    }

    /// Whether a benchmark is to run.
    pub fn chooses(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()))
    }

    /// Reads the words of a command line.
    ///
    /// # Errors
    /// The word that is not understood.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut options = Options::of(Scale::Full);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => options.scale = Scale::Quick,
                "--tiny" => options.scale = Scale::Tiny,
                "--only" => options.only.push(value()?),
                "--document" => options.document = Some(PathBuf::from(value()?)),
                "--date" => options.date = value()?,
                "--revision" => options.revision = value()?,
                "--openbao" => options.openbao = Ok(PathBuf::from(value()?)),
                "--no-openbao" => options.openbao = Err(value()?),
                "--easyrsa" => options.easyrsa = Ok(PathBuf::from(value()?)),
                "--no-easyrsa" => options.easyrsa = Err(value()?),
                _ => return Err(format!("unknown word {word}")),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_or_refused() {
        let words = ["--quick", "--only", "crl", "--no-openbao", "offline"].map(str::to_owned);
        let options = Options::parse(words).expect("good words");
        assert_eq!((options.scale, options.only.len()), (Scale::Quick, 1));
        assert_eq!(options.openbao, Err("offline".to_owned()));
        assert!(options.chooses("crl-encode") && !options.chooses("start"));
        assert!(Options::parse(["--only".to_owned()]).is_err());
        assert!(Options::parse(["--fast".to_owned()]).is_err());
    }
}
