//! A bar for long work, on standard error and only on a terminal.
//!
//! What is left is estimated from the steps that were done, never from anything else: where their number is not
//! known there is a clock that counts up, and no estimate.

use std::{
    io::{self, Write},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often somebody looks how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// Whether a bar stands in the terminal's line.
static STANDS: AtomicBool = AtomicBool::new(false);

const ROOMY: &str = "{bar:30} {pos}/{len} {per_sec} {eta} left";
/// No step is done: nothing is known of the time they take.
const BEGUN: &str = "{msg} {bar:30} {percent}%";
const WATCHED: &str = "{msg} {bar:30} {percent}% {eta} left";
/// Every step is done, and it is still going on.
const LAST: &str = "{msg} {bar:30} {percent}% nearly done";
const CLOCK: &str = "{spinner} {msg}, {elapsed}";

/// A bar that may be invisible.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn shown(total: u64) -> Progress {
        Progress { bar: bar(Some(total), ROOMY) }
    }

    pub(super) fn hidden() -> Progress {
        Progress { bar: ProgressBar::hidden() }
    }

    /// So many more steps are done.
    pub fn advance(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// Takes the bar away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

fn bar(total: Option<u64>, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
    restyle(&bar, template);
    bar
}

/// A bar without style is still a bar.
fn restyle(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// A line that a thread of its own keeps right, until this is dropped. It may be invisible.
#[must_use]
pub struct Watched {
    thread: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Watched {
    pub(super) fn hidden() -> Watched {
        Watched { thread: None }
    }

    /// A bar, from the moment on that something is known of it.
    pub(super) fn bar(
        what: &'static str,
        so_far: impl Fn() -> Option<(u64, u64)> + Send + 'static,
    ) -> Watched {
        Watched::drawn(move |shown: &mut Option<ProgressBar>| {
            let Some((done, of)) = so_far() else { return };
            let bar = shown.get_or_insert_with(|| bar(None, BEGUN).with_message(what));
            if bar.length() != Some(of) {
                bar.set_length(of);
            }
            restyle(
                bar,
                match done {
                    0 => BEGUN,
                    _ if done == of => LAST,
                    _ => WATCHED,
                },
            );
            bar.set_position(done);
        })
    }

    /// The time that has passed.
    pub(super) fn clock(what: String) -> Watched {
        Watched::drawn(move |shown| {
            shown.get_or_insert_with(|| bar(None, CLOCK).with_message(what.clone())).tick();
        })
    }

    /// Where the system gives no thread, nothing is shown.
    fn drawn(draw: impl Fn(&mut Option<ProgressBar>) + Send + 'static) -> Watched {
        let (stop, stopped) = mpsc::channel();
        let keep = move || {
            let mut shown = None;
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                draw(&mut shown);
                STANDS.store(shown.is_some(), Ordering::Relaxed);
            }
            if let Some(bar) = shown {
                bar.finish_and_clear();
                STANDS.store(false, Ordering::Relaxed);
            }
        };
        let thread = Builder::new().name("progress".to_owned()).spawn(keep).ok();
        Watched { thread: thread.map(|thread| (stop, thread)) }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// Writes below a bar: what stands in its line is wiped away first.
pub struct Below<W: Write>(pub(super) W);

impl<W: Write> Write for Below<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if STANDS.load(Ordering::Relaxed) {
            self.0.write_all(b"\r\x1b[2K")?;
        }
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
