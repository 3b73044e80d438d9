//! Tables with aligned columns.
//!
//! On a terminal a table is as wide as the terminal at most: the widest shrinkable columns give way,
//! with `…` where something was left out. In a pipe nothing is ever left out. No borders, so that
//! `awk` and people can both read it. Every cell is escaped here.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::escape::escape;
use super::style::{Paint, Style};

/// What may be done to a column that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shrink {
    /// It is kept whole: half a serial or a date is worth nothing.
    Never,
    /// Its end may be left out.
    End,
}

/// A column's heading and how it behaves.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    heading: &'static str,
    shrink: Shrink,
}

impl Column {
    /// A column that is kept whole.
    pub const fn whole(heading: &'static str) -> Column {
        Column { heading, shrink: Shrink::Never }
    }

    /// A column whose cells may lose their end.
    pub const fn text(heading: &'static str) -> Column {
        Column { heading, shrink: Shrink::End }
    }
}

/// One cell: text and how it looks. The look never says what the text does not.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell with a look.
    pub fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell { text: escape(&text.into()).into_owned(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::styled(text, Style::Plain)
    }
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// No column becomes narrower than this.
const NARROWEST: usize = 8;
const GAP: usize = 2;

impl Table {
    /// An empty table.
    pub fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the last column are dropped, missing ones are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().take(self.columns.len()).collect());
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table's lines, each with its newline. `width`: the terminal's, `None` in a pipe.
    pub fn render(&self, width: Option<usize>, paint: Paint) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        let headings: Vec<Cell> =
            self.columns.iter().map(|column| Cell::styled(column.heading, Style::Heading)).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let last = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |index| index + 1);
            for (index, (cell, width)) in row.iter().zip(&widths).take(last).enumerate() {
                let fitted = fit(&cell.text, *width);
                let padding = if index + 1 == last { 0 } else { width - fitted.width() + GAP };
                text.push_str(&paint.apply(cell.style, &fitted));
                text.extend(std::iter::repeat_n(' ', padding));
            }
            text.push('\n');
        }
        text
    }

    fn widths(&self, available: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.heading.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let Some(available) = available else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > available {
            let widest = self
                .columns
                .iter()
                .enumerate()
                .filter(|(index, column)| {
                    column.shrink == Shrink::End && widths[*index] > NARROWEST.max(column.heading.width())
                })
                .max_by_key(|(index, _)| widths[*index]);
            match widest {
                Some((index, _)) => widths[index] -= 1,
                None => break,
            }
        }
        widths
    }
}

/// The text cut to a width, with `…` in place of what was left out.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let mut fitted = String::new();
    let mut used = 0;
    for character in text.chars() {
        let step = character.width().unwrap_or(0);
        if used + step + 1 > width {
            break;
        }
        used += step;
        fitted.push(character);
    }
    fitted.push('…');
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([Column::text("NAME"), Column::whole("SERIAL"), Column::text("NAMES")]);
        table.row(["alice".into(), "4a1b".into(), "dns:alice.example, email:alice@example".into()]);
        table.row(["名前".into(), "51".into(), "".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        assert_eq!(
            sample().render(None, Paint::Off),
            "NAME   SERIAL  NAMES\n\
             alice  4a1b    dns:alice.example, email:alice@example\n\
             名前   51\n"
        );
    }

    #[test]
    fn a_terminal_is_never_exceeded_while_a_column_can_give_way() {
        let text = sample().render(Some(30), Paint::Off);
        assert!(text.lines().all(|line| line.width() <= 30), "{text}");
        assert!(text.contains("4a1b    dns:alice.exam…"), "{text}");
        // Columns that are kept whole stay whole, even if that is too wide.
        assert!(sample().render(Some(5), Paint::Off).contains("4a1b"));
    }

    #[test]
    fn cells_are_escaped() {
        let mut table = Table::new([Column::text("NAME")]);
        table.row(["a\x1b[2Jb".into()]);
        assert_eq!(table.render(None, Paint::Off), "NAME\na\\u{1b}[2Jb\n");
    }

    #[test]
    fn colour_does_not_disturb_the_alignment() {
        let mut table = Table::new([Column::whole("STATUS"), Column::whole("X")]);
        table.row([Cell::styled("valid", Style::Good), "1".into()]);
        let coloured = table.render(None, Paint::On);
        assert!(coloured.contains("\x1b[32mvalid\x1b[0m   1"), "{coloured:?}");
    }
}
