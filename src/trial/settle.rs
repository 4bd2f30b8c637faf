//! Notes in the configuration what the records of a sample are.

use super::decode::TrialRegistry;
use super::format::{self, Format};
use super::sample::Sample;
use super::show;
use crate::failure::Failure;
use crate::file::{CsvSection, SourceSection};
use crate::settings::ending;
use crest_connectors::endpoint::SourceUrl;
use crest_formats::decode::SchemaKind;

/// Notes the format of a sample, unless the configuration says it. Returns its name for people.
///
/// # Errors
/// The format is not known, cannot be read from such a source, or needs a registry.
pub fn format(
    sample: &Sample,
    source: &mut SourceSection,
    url: &SourceUrl,
    registry: Option<&TrialRegistry>,
) -> Result<String, Failure> {
    if let Some(format) = &source.format {
        return Ok(format.clone());
    }
    let (is_file, ending) = (url.is_stream(), ending(url));
    let is_csv = matches!(ending, Some("csv" | "tsv"));
    match format::guess(sample, is_file, is_csv).map_err(Failure::of)? {
        Format::Json => {
            // Of a file of this name it would not be taken for JSON.
            source.format = is_csv.then(|| "json".to_owned());
            Ok(show::JSON.to_owned())
        }
        Format::Framed(ids) => framed(&ids, source, registry),
        Format::Csv(mut section) => {
            if ending == Some("tsv") {
                section.delimiter.get_or_insert_with(|| ",".to_owned());
            }
            let header = if section.columns.is_none() { "a header" } else { "no header" };
            let by = match section.delimiter.as_deref() {
                Some("\t") => "tabs".to_owned(),
                mark => format!("\"{}\"", mark.unwrap_or(",")),
            };
            source.format = Some("csv".to_owned());
            source.csv = Some(section).filter(|section| *section != CsvSection::default());
            Ok(format!("CSV with {header}, separated by {by}"))
        }
        Format::Text(pattern, what) => {
            (source.format, source.pattern) = (Some("text".to_owned()), Some(pattern));
            Ok(what.to_owned())
        }
    }
}

/// The format of records whose schemas a registry has, by the first of these ids that it knows.
fn framed(
    ids: &[u32],
    source: &mut SourceSection,
    registry: Option<&TrialRegistry>,
) -> Result<String, Failure> {
    let first = ids.first().copied().unwrap_or(0);
    let Some(registry) = registry else {
        return Err(Failure::Failed(format!(
            "the records begin with the id of their schema, {first}: name the schema registry that has it, as in \
             --registry http://host:8081"
        )));
    };
    let mut refused = None;
    for id in ids {
        let (format, shown) = match registry.schema(*id)? {
            Ok(schema) => match schema.kind {
                SchemaKind::Avro => ("avro", "Avro"),
                SchemaKind::Protobuf => ("protobuf", "Protobuf"),
                SchemaKind::Json => ("json", "JSON"),
            },
            Err(reason) => {
                refused
                    .get_or_insert(format!("the registry has none of the records' schemas: {id}: {reason}"));
                continue;
            }
        };
        source.format = Some(format.to_owned());
        return Ok(format!("{shown} with the schemas of a registry"));
    }
    Err(Failure::Failed(refused.unwrap_or_default()))
}
