//! `pki haproxy sync` and `pki haproxy status`.

use server::ops::haproxy::{HaproxyState, HaproxyStatus, HaproxySync, HaproxySynced};

use crate::{
    context::{Context, distance},
    error::{CommandError, Outcome},
    output::{Cell, Column, Style, Table},
};

const NONE: &str =
    "haproxy.instances is not set; `pki config set haproxy.instances SOCKET` names a running HAProxy";

pub fn sync(context: &mut Context) -> Result<Outcome, CommandError> {
    let synced = context.connect()?.call(HaproxySync {})?;
    context.output.reply(&synced, |output| {
        for one in &synced {
            for installed in &one.installed {
                output.say(&format!("{}: serves {} ({})", one.instance, installed.file, installed.serial));
            }
            if one.reloaded {
                output.say(&format!("{}: reloaded", one.instance));
            }
            for file in &one.absent {
                output.warn(&format!("{}: {file} is not there", one.instance));
            }
            for file in &one.placeholders {
                output.warn(&format!("{}: {file} is a placeholder", one.instance));
            }
            for failure in &one.failures {
                output.warn(&format!(
                    "{}: {} failed: {}",
                    one.instance,
                    failure.step,
                    failure.causes.join(": ")
                ));
            }
        }
        match synced.is_empty() {
            true => {
                output.say(NONE);
                Ok(())
            }
            false => output.table(&told(&synced)),
        }
    })?;
    let failed = synced.iter().any(|one| !one.failures.is_empty());
    Ok(if failed { Outcome::No } else { Outcome::Done })
}

fn told(synced: &[HaproxySynced]) -> Table {
    let mut table = Table::new([
        Column::text("INSTANCE"),
        Column::whole("STATE"),
        Column::whole("INSTALLED"),
        Column::whole("REVOKED"),
        Column::whole("ADDED"),
        Column::whole("REMOVED"),
    ]);
    for one in synced {
        let state = match one.failures.is_empty() {
            true => Cell::styled("in step", Style::Good),
            false => Cell::styled("failed", Style::Bad),
        };
        table.row([
            one.instance.clone().into(),
            state,
            one.installed.len().to_string().into(),
            one.revoked.to_string().into(),
            one.added.to_string().into(),
            one.removed.to_string().into(),
        ]);
    }
    table
}

pub fn status(context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let states = context.connect()?.call(HaproxyStatus {})?;
    context.output.reply(&states, |output| {
        if states.is_empty() {
            output.say(NONE);
        }
        for (index, state) in states.iter().enumerate() {
            if index > 0 {
                output.line("")?;
            }
            if let Some(causes) = &state.unreachable {
                output.warn(&format!("{}: {}", state.instance, causes.join(": ")));
                continue;
            }
            let until = state.lists_until.map_or_else(|| "none loaded".to_string(), |end| distance(end, now));
            let mut fields = vec![
                ("instance", state.instance.clone()),
                ("version", state.version.clone().unwrap_or_default()),
                ("process", state.pid.map(|pid| pid.to_string()).unwrap_or_default()),
                ("revoked", format!("{} of {} in its map", state.revoked_loaded, state.revoked_wanted)),
                ("lists run out", until),
            ];
            if let Some(started) = state.started {
                fields.insert(3, ("started", distance(started, now)));
            }
            output.fields(fields)?;
            if !state.certificates.is_empty() {
                output.line("")?;
                output.table(&certificates(state, now))?;
            }
            if !state.backends.is_empty() {
                output.line("")?;
                output.table(&backends(state))?;
            }
        }
        Ok(())
    })?;
    let well = states.iter().all(in_step);
    Ok(if well { Outcome::Done } else { Outcome::No })
}

/// Whether what is loaded and served is what should be.
fn in_step(state: &HaproxyState) -> bool {
    state.unreachable.is_none()
        && state.revoked_loaded == state.revoked_wanted
        && state.certificates.iter().all(|one| one.on_disk == one.loaded && one.on_disk == one.served)
}

fn certificates(state: &HaproxyState, now: time::OffsetDateTime) -> Table {
    let mut table = Table::new([
        Column::whole("NAME"),
        Column::whole("STATE"),
        Column::whole("EXPIRES"),
        Column::text("ON DISK"),
        Column::text("LOADED"),
        Column::text("SERVED"),
    ]);
    for one in &state.certificates {
        let cell = match (&one.on_disk, &one.loaded, &one.served) {
            (None, _, _) if one.placeholder => Cell::styled("placeholder", Style::Bad),
            (None, _, _) => Cell::styled("absent", Style::Bad),
            (disk, loaded, _) if disk != loaded => Cell::styled("not loaded", Style::Bad),
            (disk, _, served) if disk != served => Cell::styled("not served", Style::Bad),
            _ => Cell::styled("served", Style::Good),
        };
        let or = |serial: &Option<String>| serial.clone().unwrap_or_else(|| "-".to_string());
        let served = one.served.clone().or_else(|| one.not_served.clone()).unwrap_or_default();
        table.row([
            one.name.clone().into(),
            cell,
            one.not_after.map_or_else(|| "-".to_string(), |end| distance(end, now)).into(),
            or(&one.on_disk).into(),
            or(&one.loaded).into(),
            served.into(),
        ]);
    }
    table
}

fn backends(state: &HaproxyState) -> Table {
    let mut table = Table::new([Column::text("BACKEND"), Column::text("SERVER"), Column::whole("STATE")]);
    for one in &state.backends {
        let style = if one.state.starts_with("DOWN") { Style::Bad } else { Style::Plain };
        table.row([
            one.backend.clone().into(),
            one.server.clone().unwrap_or_else(|| "(all)".to_string()).into(),
            Cell::styled(one.state.clone(), style),
        ]);
    }
    table
}
