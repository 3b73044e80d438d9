//! Keeps every HAProxy of the settings in step: one task each, so that one that hangs keeps nobody back.
//!
//! A change that was committed is told at once; everything is looked at once a minute; and an instance that
//! was away is tried every second until it is back, and then told all it has missed.

use std::collections::BTreeMap;
use std::time::Duration;

use haproxy::keep::Pass;
use haproxy::written::InstanceSpec;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::problem::in_words;
use crate::listen::Stop;
use crate::{Pki, clock, fleet};

/// How often everything is looked at.
const WHOLE: Duration = Duration::from_secs(60);
/// How soon an instance that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Keeps them until told to stop. `changes` moves whenever something was committed that concerns HAProxy.
pub(super) async fn keep(pki: Pki, mut changes: watch::Receiver<u64>, stop: Stop) {
    let mut kept: BTreeMap<String, Stop> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    while !stop.is_told() {
        changes.mark_unchanged();
        match wanted(&pki) {
            Ok(instances) => {
                kept.retain(|name, its_stop| {
                    let stays = instances.contains_key(name);
                    if !stays {
                        its_stop.stop();
                    }
                    stays
                });
                for (name, instance) in instances {
                    let (pki, changes, stop) = (pki.clone(), changes.clone(), stop.clone());
                    kept.entry(name).or_insert_with(|| {
                        let its_stop = Stop::new();
                        tasks.spawn(one(pki, instance, changes, stop, its_stop.clone()));
                        its_stop
                    });
                }
            }
            Err(error) => tracing::error!(error = in_words(&error), "which HAProxys there are is not known"),
        }
        tokio::select! {
            () = stop.told() => break,
            changed = changes.changed() => if changed.is_err() { break },
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
    for its_stop in kept.values() {
        its_stop.stop();
    }
    while tasks.join_next().await.is_some() {}
}

fn wanted(pki: &Pki) -> Result<BTreeMap<String, InstanceSpec>, crate::ops::Error> {
    let settings = pki.settings()?;
    let all = fleet::instances(&settings)?;
    Ok(all.into_iter().map(|instance| (instance.to_string(), instance)).collect())
}

async fn one(
    pki: Pki,
    instance: InstanceSpec,
    mut changes: watch::Receiver<u64>,
    stop: Stop,
    its_stop: Stop,
) {
    let mut how = Pass::Whole;
    let mut complained = false;
    loop {
        changes.mark_unchanged();
        let (worker, spec) = (pki.clone(), instance.clone());
        let passed =
            tokio::task::spawn_blocking(move || fleet::pass(&worker, &spec, how, clock::now())).await;
        let failure = match passed {
            Ok(Ok(last)) => {
                last.failures.first().map(|(step, causes)| format!("{step}: {}", causes.join(": ")))
            }
            Ok(Err(error)) => Some(in_words(&error)),
            Err(_panicked) => Some("it stopped at a defect of this program".to_owned()),
        };
        match &failure {
            Some(failure) if !complained => tracing::error!(%instance, failure, "HAProxy is not in step"),
            None if complained => tracing::info!(%instance, "HAProxy is in step again"),
            Some(_) | None => {}
        }
        complained = failure.is_some();
        let pause = if complained { AGAIN } else { WHOLE };
        how = tokio::select! {
            biased;
            () = stop.told() => return,
            () = its_stop.told() => return,
            changed = changes.changed() => match changed {
                Ok(()) if complained => Pass::Whole,
                Ok(()) => Pass::Changes,
                Err(_) => return,
            },
            () = tokio::time::sleep(pause) => Pass::Whole,
        };
    }
}
