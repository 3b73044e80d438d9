//! Writing much beside others who wait for the same disk.
//!
//! A disk that is told to keep something keeps all it was given before it, so that whoever syncs two
//! kilobytes waits for the hundred megabytes that somebody else is writing. Where somebody waits, a large
//! file is therefore written in pieces, each synced before the next is written, one piece at a time however
//! many files are under way. That takes about twice as long, so it is done only while somebody waits.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// What is handed to the disk at once beside others: a few milliseconds of its time.
const PIECE: usize = 4 << 20;

/// Whether somebody else waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Nobody, as far as is known.
    None,
    /// Somebody does.
    Waiting,
}

/// How files are brought to the disk.
#[derive(Clone, Copy)]
pub enum Pace<'a> {
    /// Each written whole and then synced: the quickest.
    Whole,
    /// The same, and in pieces for as long as somebody waits. It is asked again for each piece.
    GivingWay(&'a (dyn Fn() -> Others + Sync)),
}

/// What can be made durable as far as it is written.
pub(super) trait Durable: Write {
    fn sync(&self) -> io::Result<()>;
}

impl Durable for &mut File {
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&**self)?)
    }
}

/// Writes a file at a pace.
pub(super) struct Paced<'a, W> {
    file: W,
    pace: Pace<'a>,
    /// Held while a piece is on its way to the disk.
    turn: &'a Mutex<()>,
    /// Octets since the last piece.
    written: usize,
}

impl<'a, W: Durable> Paced<'a, W> {
    /// A writer of `file`; the files that are written at the same time share a `turn`.
    pub(super) fn new(file: W, pace: Pace<'a>, turn: &'a Mutex<()>) -> Paced<'a, W> {
        Paced { file, pace, turn, written: 0 }
    }

    fn piece(&self) -> io::Result<()> {
        match self.pace {
            Pace::Whole => Ok(()),
            Pace::GivingWay(others) => match others() {
                Others::None => Ok(()),
                Others::Waiting => {
                    let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
                    self.file.sync()
                }
            },
        }
    }
}

impl<W: Durable> Write for Paced<'_, W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let octets = &octets[..octets.len().min(PIECE - self.written)];
        let written = self.file.write(octets)?;
        self.written += written;
        if self.written >= PIECE {
            self.written = 0;
            self.piece()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// How much had been written at each sync.
    #[derive(Default)]
    struct Recorder {
        written: usize,
        synced: RefCell<Vec<usize>>,
    }

    impl Write for &mut Recorder {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.written += octets.len();
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Durable for &mut Recorder {
        fn sync(&self) -> io::Result<()> {
            self.synced.borrow_mut().push(self.written);
            Ok(())
        }
    }

    fn synced(pace: Pace<'_>, size: usize) -> Vec<usize> {
        let mut file = Recorder::default();
        let turn = Mutex::default();
        let mut paced = Paced::new(&mut file, pace, &turn);
        // First a part that is no piece, then all the rest by one call.
        paced.write_all(&vec![0; size.min(1000)]).unwrap();
        paced.write_all(&vec![0; size - size.min(1000)]).unwrap();
        assert_eq!(file.written, size);
        file.synced.into_inner()
    }

    #[test]
    fn nothing_is_synced_on_the_way_while_nobody_waits() {
        assert_eq!(synced(Pace::Whole, 3 * PIECE), []);
        assert_eq!(synced(Pace::GivingWay(&|| Others::None), 3 * PIECE), []);
    }

    #[test]
    fn each_piece_is_synced_before_the_next_is_written_while_somebody_waits() {
        let waiting = || Others::Waiting;
        assert_eq!(synced(Pace::GivingWay(&waiting), PIECE - 1), []);
        assert_eq!(synced(Pace::GivingWay(&waiting), 2 * PIECE + 5), [PIECE, 2 * PIECE]);
        // Whoever comes meanwhile is noticed at the next piece.
        let asked = AtomicUsize::new(0);
        let later = || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Others::None,
            _ => Others::Waiting,
        };
        assert_eq!(synced(Pace::GivingWay(&later), 3 * PIECE), [2 * PIECE, 3 * PIECE]);
    }
}
