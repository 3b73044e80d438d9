//! `pki metrics`.

use server::ops::metrics::Metrics;

use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

/// Show what there is to watch, in Prometheus' text format
///
/// The service answers the same at /1.0/metrics over HTTPS, to a certificate of type metrics.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki metrics
  pki metrics > /var/lib/prometheus/node-exporter/pki.prom
  pki trust add prometheus.crt --type metrics")]
pub struct Args {}

pub fn run(_args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let metrics = context.connect()?.call(Metrics {})?;
    context.output.reply(&metrics, |output| output.raw(metrics.text.as_bytes()))?;
    Ok(Outcome::Done)
}
