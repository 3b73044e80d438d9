//! Logs to standard error, on request. Talk and data do not come this way.

use tracing_subscriber::EnvFilter;

use crate::{args::Global, environment::Environment, output};

/// Starts logging as `-v` and `PKI_LOG` say. A second call in the same process changes nothing.
pub fn start(global: &Global, environment: &Environment) {
    let chosen = environment.variable("PKI_LOG").and_then(|value| value.to_str());
    let filter = match (chosen, global.verbose) {
        (Some(directives), _) => EnvFilter::builder().parse_lossy(directives),
        (None, 0) if global.quiet => EnvFilter::new("error"),
        (None, 0) => EnvFilter::new("warn"),
        (None, 1) => EnvFilter::new("info"),
        (None, 2) => EnvFilter::new("debug"),
        (None, _) => EnvFilter::new("trace"),
    };
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(output::log_stream).with_ansi(false);
    let _ = if global.json { builder.json().try_init() } else { builder.try_init() };
}
