//! What the records of the source are: their format, and the registry that has their schemas.

use super::error::{SettingsError, refuse};
use super::keys::Keys;
use super::resolved::SourceSettings;
use crate::file::{CsvSection, Property, RegistryAuthSection, SourceSection};
use crest_connectors::Framing;
use crest_connectors::endpoint::SourceUrl;
use crest_connectors::registry::{RegistryAuth, RegistryOptions};
use crest_formats::decode::{AvroSchema, CsvSpec, FormatError, FormatSpec, ProtobufSchema, compile_proto};
use std::path::Path;

/// The formats, by their names.
const FORMATS: [&str; 5] = ["json", "csv", "text", "avro", "protobuf"];

/// The format of the records. Notes in `source` where their schemas are.
pub fn resolve(
    keys: &Keys<'_>,
    file: SourceSection,
    source: &mut SourceSettings,
) -> Result<FormatSpec, SettingsError> {
    // What the file says of records is for sources that have any kind: another one may be tried with the same file.
    if matches!(source.url, SourceUrl::Demo(_)) {
        return Ok(FormatSpec::Json);
    }
    let format = match file.format.as_deref() {
        None => by_name(&source.url),
        Some(name) => match FORMATS.into_iter().find(|format| *format == name) {
            None => {
                let allowed = format!("must be one of {}", FORMATS.join(", "));
                return refuse(keys.in_file("source.format"), format!("{name:?}"), allowed);
            }
            Some(format) if format != "json" && source.url.embedded().is_some() => {
                return refuse(
                    keys.in_file("source.format"),
                    format!("{format:?}"),
                    "an embedded log holds JSON",
                );
            }
            Some(format) => format,
        },
    };
    refuse_misplaced(keys, &file, format)?;
    source.registry = registry(keys, &file)?;
    source.schema = file.schema.clone();
    let spec = match (format, &file.schema) {
        ("csv", _) => FormatSpec::Csv(csv(keys, file.csv.unwrap_or_default(), &source.url)?),
        ("text", _) => match file.pattern {
            Some(pattern) => FormatSpec::Text(pattern),
            None => return refuse(keys.in_file("source.pattern"), "none", "is wanted for format = \"text\""),
        },
        ("avro" | "protobuf", schema) => match (schema, &source.registry) {
            (Some(path), None) => local(keys, format, path, file.message)?,
            (None, Some(_)) if format == "avro" => FormatSpec::Avro(AvroSchema::Registry),
            (None, Some(_)) => FormatSpec::Protobuf(ProtobufSchema::Registry),
            (given, _) => {
                let value = if given.is_some() { "given" } else { "none" };
                let allowed = format!("format = {format:?} wants either a schema or a registry");
                return refuse(keys.in_file("source.schema"), value, allowed);
            }
        },
        _ if source.registry.is_some() => FormatSpec::FramedJson,
        _ => FormatSpec::Json,
    };
    spec.check().map_err(|error| as_given(keys, error, source.schema.as_deref()))?;
    if source.url.is_stream() {
        frame(keys, &file.format, &spec, source)?;
    }
    Ok(spec)
}

/// How files and standard input are cut into records, where the format says it.
fn frame(
    keys: &Keys<'_>,
    format: &Option<String>,
    spec: &FormatSpec,
    source: &mut SourceSettings,
) -> Result<(), SettingsError> {
    let framing = match spec {
        FormatSpec::Json | FormatSpec::FramedJson => return Ok(()),
        FormatSpec::Csv(CsvSpec { delimiter, quote, header, .. }) => {
            Framing::Csv { delimiter: *delimiter, quote: *quote, header: *header }
        }
        FormatSpec::Text(_) => Framing::Lines,
        FormatSpec::Avro(_) | FormatSpec::Protobuf(_) => {
            let value = format!("{:?}", format.clone().unwrap_or_default());
            return refuse(keys.in_file("source.format"), value, "is read from Kafka only");
        }
    };
    if source.framing != Framing::Auto && source.framing != framing {
        let allowed = "belongs to format = json; records of the other formats have a framing of their own";
        return refuse(keys.in_file("source.framing"), format!("\"{}\"", source.framing), allowed);
    }
    source.framing = framing;
    Ok(())
}

/// The format that the ending of a file's name says, JSON where it says nothing.
fn by_name(url: &SourceUrl) -> &'static str {
    match ending(url) {
        Some("csv" | "tsv") => "csv",
        _ => "json",
    }
}

/// The ending of a file's name, apart from that of its compression.
pub fn ending(url: &SourceUrl) -> Option<&str> {
    let SourceUrl::Files(glob) = url else { return None };
    let plain = [".gz", ".zst"].iter().find_map(|packed| glob.strip_suffix(packed)).unwrap_or(glob);
    plain.rsplit_once('.').map(|(_, ending)| ending)
}

/// Refuses what belongs to another format.
fn refuse_misplaced(keys: &Keys<'_>, file: &SourceSection, format: &str) -> Result<(), SettingsError> {
    let belongs: [(&str, bool, &[&str]); 5] = [
        ("csv", file.csv.is_some(), &["csv"]),
        ("pattern", file.pattern.is_some(), &["text"]),
        ("schema", file.schema.is_some(), &["avro", "protobuf"]),
        ("message", file.message.is_some(), &["protobuf"]),
        ("registry", file.registry.is_some(), &["json", "avro", "protobuf"]),
    ];
    for (key, is_given, formats) in belongs {
        if is_given && !formats.contains(&format) {
            let allowed = format!("belongs to format = {}, and it is {format}", formats.join(" or "));
            return refuse(keys.in_file(&format!("source.{key}")), "given", allowed);
        }
    }
    if let (Some(message), Some(_)) = (&file.message, &file.registry) {
        let allowed = "cannot be given together with a registry, whose records say which message they are";
        return refuse(keys.in_file("source.message"), format!("{message:?}"), allowed);
    }
    Ok(())
}

fn csv(keys: &Keys<'_>, file: CsvSection, url: &SourceUrl) -> Result<CsvSpec, SettingsError> {
    let default = CsvSpec::default();
    let mark = |key: &str, text: &str| match text.as_bytes() {
        [mark] => Ok(*mark),
        _ => refuse(
            keys.in_file(&format!("source.csv.{key}")),
            format!("{text:?}"),
            "must be one ASCII character",
        ),
    };
    let by_name = if ending(url) == Some("tsv") { b'\t' } else { default.delimiter };
    let has_files = url.is_stream();
    // The header of files is passed over where the columns are named: a topic may have the same rows without it.
    if file.header == Some(true) && !has_files && file.columns.is_none() {
        let allowed = "only files and standard input have a header; csv.columns names the columns";
        return refuse(keys.in_file("source.csv.header"), true, allowed);
    }
    Ok(CsvSpec {
        delimiter: file.delimiter.map_or(Ok(by_name), |text| mark("delimiter", &text))?,
        quote: match file.quote.as_deref() {
            None => default.quote,
            Some("") => None,
            Some(text) => Some(mark("quote", text)?),
        },
        header: has_files && file.header.unwrap_or(file.columns.is_none()),
        columns: file.columns,
    })
}

/// A format with the schema in a file.
fn local(
    keys: &Keys<'_>,
    format: &str,
    path: &Path,
    message: Option<String>,
) -> Result<FormatSpec, SettingsError> {
    let unreadable = |error: std::io::Error| SettingsError::Refused {
        key: keys.in_file("source.schema"),
        value: format!("{:?}", path.display()),
        allowed: error.to_string(),
    };
    if format == "avro" {
        let schema = std::fs::read_to_string(path).map_err(unreadable)?;
        return Ok(FormatSpec::Avro(AvroSchema::Local(schema.into())));
    }
    let descriptors = if path.extension().is_some_and(|extension| extension == "proto") {
        std::fs::metadata(path).map_err(unreadable)?;
        compile_proto(path).map_err(|error| as_given(keys, error, Some(path)))?
    } else {
        std::fs::read(path).map_err(unreadable)?
    };
    Ok(FormatSpec::Protobuf(ProtobufSchema::Local { descriptors: descriptors.into(), message }))
}

/// A refusal under the key of the file, with the path of a schema instead of its text.
fn as_given(keys: &Keys<'_>, error: FormatError, schema: Option<&Path>) -> SettingsError {
    let value = match schema {
        Some(path) if error.key == "source.schema" => format!("{:?}", path.display()),
        _ => error.value,
    };
    SettingsError::Refused { key: keys.in_file(error.key), value, allowed: error.reason }
}

fn registry(keys: &Keys<'_>, file: &SourceSection) -> Result<Option<RegistryOptions>, SettingsError> {
    let Some(url) = &file.registry else {
        return match &file.registry_auth {
            None => Ok(None),
            Some(_) => {
                refuse(keys.in_file("source.registry_auth"), "***", "is for a registry, and there is none")
            }
        };
    };
    let key = keys.in_file("source.registry");
    let url = url.parse().or_else(|reason: String| {
        refuse(key, format!("{:?}", crest_connectors::without_secrets(url)), reason)
    })?;
    Ok(Some(RegistryOptions {
        url,
        auth: file.registry_auth.clone().map(|auth| self::auth(keys, auth)).transpose()?,
    }))
}

fn auth(keys: &Keys<'_>, file: RegistryAuthSection) -> Result<RegistryAuth, SettingsError> {
    let refuse = |reason: String| refuse(keys.in_file("source.registry_auth"), "***", reason);
    let auth = match (file.user, file.password, file.token) {
        (Some(user), Some(password), None) => {
            RegistryAuth::Basic { user: user.into_text(), password: password.into_text() }
        }
        (None, None, Some(token)) => RegistryAuth::Bearer(token.into_text()),
        _ => return refuse("must be { user = …, password = … } or { token = … }".to_owned()),
    };
    match auth.check() {
        Ok(()) => Ok(auth),
        Err(error) => refuse(error.to_string()),
    }
}

/// The format as the file says it, without secrets.
pub fn section(spec: &FormatSpec, source: &SourceSettings) -> SourceSection {
    let (format, csv, pattern, message) = match spec {
        FormatSpec::Json | FormatSpec::FramedJson => ("json", None, None, None),
        FormatSpec::Csv(spec) => ("csv", Some(csv_section(spec)), None, None),
        FormatSpec::Text(pattern) => ("text", None, Some(pattern.clone()), None),
        FormatSpec::Avro(_) => ("avro", None, None, None),
        FormatSpec::Protobuf(ProtobufSchema::Registry) => ("protobuf", None, None, None),
        FormatSpec::Protobuf(ProtobufSchema::Local { message, .. }) => {
            ("protobuf", None, None, message.clone())
        }
    };
    let registry = source.registry.as_ref();
    SourceSection {
        format: Some(format.to_owned()),
        csv,
        pattern,
        message,
        schema: source.schema.clone(),
        registry: registry.map(|registry| registry.url.to_string()),
        registry_auth: registry.and_then(|registry| registry.auth.as_ref()).map(masked),
        ..SourceSection::default()
    }
}

fn csv_section(spec: &CsvSpec) -> CsvSection {
    let mark = |mark: u8| char::from(mark).to_string();
    CsvSection {
        delimiter: Some(mark(spec.delimiter)),
        quote: Some(spec.quote.map(mark).unwrap_or_default()),
        header: Some(spec.header),
        columns: spec.columns.clone(),
    }
}

fn masked(auth: &RegistryAuth) -> RegistryAuthSection {
    let secret = || Some(Property::Text("***".to_owned()));
    match auth {
        RegistryAuth::Basic { user, .. } => {
            RegistryAuthSection { user: Some(Property::Text(user.clone())), password: secret(), token: None }
        }
        RegistryAuth::Bearer(_) => RegistryAuthSection { token: secret(), ..RegistryAuthSection::default() },
    }
}

#[cfg(test)]
mod tests;
