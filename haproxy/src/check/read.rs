//! A configuration as lines of words in sections, and what a section inherits.
//!
//! Words are split as HAProxy splits them: by blanks, with `\`, `"…"` and `'…'`, and `#` for a comment.
//! Variables are left as they stand.

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub number: usize,
    pub words: Vec<String>,
}

impl Line {
    /// Whether it begins with these words.
    pub fn begins(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && self.words.iter().zip(words).all(|(own, word)| own == word)
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    /// The word after this one.
    pub fn after(&self, word: &str) -> Option<&str> {
        let at = self.words.iter().position(|own| own == word)?;
        self.words.get(at + 1).map(String::as_str)
    }

    /// Whether `text` stands in any word.
    pub fn mentions(&self, text: &str) -> bool {
        self.words.iter().any(|own| own.contains(text))
    }
}

/// `global`, `defaults` or a proxy.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub number: usize,
    pub kind: String,
    pub name: String,
    pub lines: Vec<Line>,
    /// The lines of the `defaults` before it.
    inherited: Vec<Line>,
}

/// The language of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Tcp,
    Http,
}

impl Section {
    /// Whether clients come in by it.
    pub fn is_front(&self) -> bool {
        matches!(self.kind.as_str(), "frontend" | "listen")
    }

    /// Whether it has servers.
    pub fn is_back(&self) -> bool {
        matches!(self.kind.as_str(), "backend" | "listen")
    }

    pub fn mode(&self) -> Mode {
        let told = self.last(&["mode"]);
        match told.and_then(|line| line.words.get(1)).map(String::as_str) {
            Some("http") => Mode::Http,
            Some(_) | None => Mode::Tcp,
        }
    }

    /// The line with these first words that is in force: its own, else the inherited.
    pub fn last(&self, words: &[&str]) -> Option<&Line> {
        let of = |lines: &'_ [Line]| lines.iter().rposition(|line| line.begins(words));
        match of(&self.lines) {
            Some(at) => self.lines.get(at),
            None => of(&self.inherited).and_then(|at| self.inherited.get(at)),
        }
    }

    pub fn beginning<'a>(&'a self, words: &'a [&'a str]) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.begins(words))
    }

    pub fn mentions(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.mentions(text))
    }

    pub fn binds(&self) -> impl Iterator<Item = &Line> {
        self.beginning(&["bind"])
    }
}

/// A whole configuration.
pub(super) struct Document {
    sections: Vec<Section>,
}

/// The words that begin a section.
const SECTIONS: [&str; 13] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "peers",
    "resolvers",
    "program",
    "cache",
    "mailers",
    "ring",
    "http-errors",
];

impl Document {
    pub fn read(text: &str) -> Document {
        let mut sections: Vec<Section> = Vec::new();
        let mut defaults: Vec<Line> = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let line = Line { number: index + 1, words: words(text) };
            let Some(first) = line.words.first() else { continue };
            if SECTIONS.contains(&first.as_str()) {
                if let Some(before) = sections.last().filter(|section| section.kind == "defaults") {
                    defaults.clone_from(&before.lines);
                }
                sections.push(Section {
                    number: line.number,
                    kind: first.clone(),
                    name: line.words.get(1).cloned().unwrap_or_default(),
                    lines: Vec::new(),
                    inherited: if first == "defaults" { Vec::new() } else { defaults.clone() },
                });
            } else if let Some(section) = sections.last_mut() {
                section.lines.push(line);
            }
        }
        Document { sections }
    }

    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    pub fn fronts(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.is_front())
    }

    pub fn backs(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.is_back())
    }

    /// The lines of every `global`.
    pub fn global(&self) -> impl Iterator<Item = &Line> {
        self.sections.iter().filter(|section| section.kind == "global").flat_map(|section| &section.lines)
    }

    /// The backend of this name.
    pub fn back(&self, name: &str) -> Option<&Section> {
        self.backs().find(|section| section.name == name)
    }

    /// Where a frontend hands on to: the line, and the backend if it is there.
    pub fn handed<'a>(&'a self, front: &'a Section) -> impl Iterator<Item = (&'a Line, &'a Section)> {
        let lines = front.lines.iter().filter(|line| {
            matches!(line.words.first().map(String::as_str), Some("use_backend" | "default_backend"))
        });
        lines.filter_map(|line| Some((line, self.back(line.words.get(1)?)?)))
    }
}

/// The words of a line.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), c) => word.push(c),
            (_, '\\') => {
                begun = true;
                word.extend(rest.next());
            }
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => {
                begun = true;
                quote = Some(c);
            }
            (None, '#') => break,
            (None, c) if c.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, c) => {
                begun = true;
                word.push(c);
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_haproxy_splits_them() {
        for (text, wanted) in [
            ("  bind :80 # all", &["bind", ":80"] as &[&str]),
            (r#"a "b # c" d\ e 'f "g'"#, &["a", "b # c", "d e", "f \"g"]),
            ("# none", &[]),
            ("\t", &[]),
            (r#"a """#, &["a", ""]),
        ] {
            assert_eq!(words(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_section_inherits_of_the_defaults_before_it() {
        let text = "defaults\n mode http\nfrontend a\nfrontend b\n mode tcp\ndefaults\nbackend c\n";
        let document = Document::read(text);
        let modes: Vec<_> = document.sections().skip(1).map(Section::mode).collect();
        assert_eq!(modes, [Mode::Http, Mode::Tcp, Mode::Tcp, Mode::Tcp]);
        assert_eq!(document.sections().nth(1).map(|section| section.number), Some(3));
    }
}
