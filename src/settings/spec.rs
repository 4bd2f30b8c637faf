//! What is computed: how event time moves, the sketch, and where an event's fields are.

use super::boards;
use super::error::{SettingsError, refuse};
use super::keys::Keys;
use super::value::duration;
use crate::file::{BoardSection, OneOrMore, Property, SchemaSection, SketchSection, TimeSection};
use crest_formats::schema::SchemaSpec;
use crest_state::spec::{FIRST_SEED, JobSpec, SketchKind, SketchSpec, TimeSpec};

/// The flags' durations, or else the file's.
pub fn time(keys: &Keys<'_>, file: TimeSection) -> Result<TimeSpec, SettingsError> {
    let in_file = [
        file.pane,
        file.out_of_orderness,
        file.allowed_lateness,
        file.idle_timeout,
        file.max_future_skew,
        file.refresh,
    ];
    let (mut time, mut guards_files) = (TimeSpec::default(), false);
    let fields = [
        &mut time.pane,
        &mut time.out_of_orderness,
        &mut time.allowed_lateness,
        &mut time.idle_timeout,
        &mut time.max_future_skew,
        &mut time.refresh,
    ];
    for (((id, flag), file), field) in keys.time_flags().into_iter().zip(in_file).zip(fields) {
        if let Some(given) = keys.given(id, flag.clone(), &format!("time.{id}"), file) {
            *field = duration(&given.key, &given.value)?;
            guards_files |= id == "max_future_skew";
        }
    }
    Ok(TimeSpec { guards_files, ..time })
}

/// The file's, with as many rows kept as the longest ranking needs.
pub fn sketch(keys: &Keys<'_>, file: SketchSection, most_k: usize) -> Result<SketchSpec, SettingsError> {
    let kind = match file.kind.as_deref() {
        None | Some("ledger") => SketchKind::Ledger,
        Some("classic") => SketchKind::Classic,
        Some(kind) => {
            let allowed = "must be \"ledger\" or \"classic\"";
            return refuse(keys.in_file("sketch.kind"), format!("{kind:?}"), allowed);
        }
    };
    let default = SketchSpec::of(kind);
    let named = file.seed.map(|given| seed(keys, &given)).transpose()?;
    Ok(SketchSpec {
        kind,
        rows: file.rows.unwrap_or(default.rows),
        rows_kept: file.rows_kept.unwrap_or(default.rows_kept.max(most_k.saturating_mul(10))),
        epsilon: file.epsilon.unwrap_or(default.epsilon),
        delta: file.delta.unwrap_or(default.delta),
        seed: named.unwrap_or(default.seed),
        seed_named: named.is_some(),
    })
}

/// What is wrong with a seed is said without it.
fn seed(keys: &Keys<'_>, given: &Property) -> Result<u64, SettingsError> {
    let key = || keys.in_file("sketch.seed");
    let seed = if let Property::Number(seed) = given { u64::try_from(*seed).ok() } else { None };
    match seed {
        Some(FIRST_SEED) => refuse(key(), "***", "must be another one: this one is known to everybody"),
        Some(seed) => Ok(seed),
        None => refuse(key(), "***", format!("must be a whole number from 0 to {}", i64::MAX)),
    }
}

/// The file's names.
pub fn schema(section: SchemaSection) -> SchemaSpec {
    let default = SchemaSpec::default();
    let names = |given: Option<OneOrMore>, default| given.map_or(default, OneOrMore::into_vec);
    SchemaSpec {
        item: names(section.item, default.item),
        event_type: names(section.event_type, default.event_type),
        timestamp: names(section.timestamp, default.timestamp),
        weight: names(section.weight, default.weight),
        weight_default: section.weight_default,
        weight_scale: section.weight_scale.unwrap_or(default.weight_scale),
        each: section.each,
        timestamp_format: section.timestamp_format,
        timezone: section.timezone,
    }
}

/// What is computed.
pub fn spec_of(
    keys: &Keys<'_>,
    time: TimeSection,
    sketch: SketchSection,
    schema: SchemaSection,
    board: Vec<BoardSection>,
) -> Result<JobSpec, SettingsError> {
    let time = self::time(keys, time)?;
    let boards = boards::resolve(keys, time.pane, board)?;
    let sketch = self::sketch(
        keys,
        sketch,
        boards.iter().filter(|b| b.engine.is_sketch()).map(|b| b.k).max().unwrap_or(0),
    )?;
    let spec = JobSpec { boards, time, sketch, schema: self::schema(schema), ..JobSpec::default() };
    spec.check().map_err(|error| keys.as_given(error))?;
    Ok(spec)
}
