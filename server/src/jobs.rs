//! What the service does by itself: one table, and a loop for each line of it.
//!
//! A job that fails is logged, remembered for `pki doctor`, and tried again; it never stops the
//! service or another job.

mod table;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::http::problem;
use crate::listen::Stop;
use crate::ops::Error;
use crate::{Pki, clock};

pub(crate) use table::TABLE;

/// One thing that is done again and again.
pub(crate) struct Job {
    /// Its name, e.g. `publish`.
    pub(crate) name: &'static str,
    /// How long after it ended it begins again. It first runs as the service starts.
    pub(crate) every: Duration,
    /// What else it begins at.
    pub(crate) wake: Wake,
    /// Does it; what is not due yet it leaves alone.
    pub(crate) run: fn(&Pki, OffsetDateTime) -> Result<(), Error>,
}

/// What a job begins at besides its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Nothing.
    Never,
    /// A setting was changed.
    Settings,
}

/// The jobs whose last run failed.
#[derive(Debug, Default)]
pub struct Failures {
    failed: Mutex<BTreeMap<&'static str, Failure>>,
}

/// A job that failed, and has not succeeded since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it failed last.
    pub at: OffsetDateTime,
    /// How, outermost cause first.
    pub causes: Vec<String>,
}

impl Failures {
    /// What fails now, by the job's name.
    pub fn now(&self) -> BTreeMap<&'static str, Failure> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, job: &'static str, failure: Option<Failure>) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            Some(failure) => failed.insert(job, failure),
            None => failed.remove(job),
        };
    }
}

/// Runs every job of `table` until told to stop; a run under way is waited for.
pub(crate) async fn run(pki: Pki, table: &'static [Job], stop: Stop) {
    let mut loops = JoinSet::new();
    for job in table {
        let (pki, stop) = (pki.clone(), stop.clone());
        loops.spawn(async move {
            let mut settings = pki.settings_moved();
            while !stop.is_told() {
                // What changes from here on wakes it: a run that is under way may have looked already.
                settings.mark_unchanged();
                once(&pki, job).await;
                let woken = async {
                    match job.wake {
                        Wake::Never => std::future::pending().await,
                        Wake::Settings => settings.changed().await,
                    }
                };
                tokio::select! {
                    () = stop.told() => break,
                    _moved = woken => {}
                    () = tokio::time::sleep(job.every) => {}
                }
            }
        });
    }
    while loops.join_next().await.is_some() {}
}

async fn once(pki: &Pki, job: &'static Job) {
    let now = clock::now();
    let worker = pki.clone();
    let causes = match tokio::task::spawn_blocking(move || (job.run)(&worker, now)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            let mut causes = vec![error.to_string()];
            causes.extend(problem::causes(&error));
            Some(causes)
        }
        Err(_panicked) => Some(vec!["it stopped at a defect of this program".to_owned()]),
    };
    if let Some(causes) = &causes {
        tracing::error!(job = job.name, causes = causes.join(": "), "periodic work failed");
    }
    pki.job_failures().note(job.name, causes.map(|causes| Failure { at: now, causes }));
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    static RUNS: AtomicU32 = AtomicU32::new(0);

    fn fails_first(_: &Pki, _: OffsetDateTime) -> Result<(), Error> {
        match RUNS.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::Nameless),
            1 => panic!("a defect"),
            _ => Ok(()),
        }
    }

    static JOBS: [Job; 1] =
        [Job { name: "test", every: Duration::from_millis(20), wake: Wake::Never, run: fails_first }];

    #[tokio::test]
    async fn a_job_that_fails_is_known_and_tried_again() {
        let pki = Pki::in_memory(Path::new("/nowhere"), 0).unwrap();
        let stop = Stop::new();
        once(&pki, &JOBS[0]).await;
        assert_eq!(pki.job_failures().now()["test"].causes, [Error::Nameless.to_string()]);
        once(&pki, &JOBS[0]).await;
        assert!(pki.job_failures().now()["test"].causes[0].contains("defect"));
        let running = tokio::spawn(run(pki.clone(), &JOBS, stop.clone()));
        while RUNS.load(Ordering::SeqCst) < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.stop();
        running.await.unwrap();
        assert!(pki.job_failures().now().is_empty());
    }
}
