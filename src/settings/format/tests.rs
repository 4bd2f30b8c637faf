//! What a file says of the format, and what is refused.

use super::*;
use crate::args::{RunArgs, Typed};
use crate::file::File;
use crate::settings::Settings;

fn settings(source: &str, file: &str) -> Result<Settings, SettingsError> {
    let words = ["crest", "--source", source].into_iter().map(Into::into);
    let run = RunArgs { config: Some("crest.toml".into()), ..Typed::parse_from_args(words).unwrap().run };
    Settings::resolve(&run, File::parse(Path::new("crest.toml"), &format!("[source]\n{file}")).unwrap())
}

fn format(source: &str, file: &str) -> FormatSpec {
    settings(source, file).unwrap().spec.format
}

fn refusal(source: &str, file: &str) -> String {
    settings(source, file).unwrap_err().to_string()
}

const TOPIC: &str = "kafka://h:9092/t";

#[test]
fn a_files_name_says_its_format_unless_the_configuration_does() {
    assert_eq!(format("file:a/*.ndjson", ""), FormatSpec::Json);
    assert_eq!(format("file:a.csv.gz", ""), FormatSpec::Csv(CsvSpec::default()));
    let tabs = CsvSpec { delimiter: b'\t', ..CsvSpec::default() };
    assert_eq!(format("file:a/*.tsv", ""), FormatSpec::Csv(tabs.clone()));
    assert_eq!(format("file:a.tsv", "format = \"json\""), FormatSpec::Json);
    assert_eq!(
        format("demo:", "format = \"csv\""),
        FormatSpec::Json,
        "the file may serve another source as well"
    );

    let columns = Some(vec!["a".to_owned(), "b".to_owned()]);
    let named = CsvSpec { quote: None, header: false, columns, ..tabs };
    let file = "format = \"csv\"\ncsv = { delimiter = \"\\t\", quote = \"\", columns = [\"a\", \"b\"] }";
    assert_eq!(format("-", file), FormatSpec::Csv(named.clone()));
    assert_eq!(format(TOPIC, file), FormatSpec::Csv(named.clone()));
    let with_header = file.replace("columns", "header = true, columns");
    assert_eq!(format("-", &with_header), FormatSpec::Csv(CsvSpec { header: true, ..named.clone() }));
    assert_eq!(format(TOPIC, &with_header), FormatSpec::Csv(named), "a topic of the rows of such files");
}

#[test]
fn a_registry_is_asked_by_those_that_are_let_in_and_its_secrets_are_not_shown() {
    let url = "registry = \"https://h/api/\"\n";
    assert_eq!(format(TOPIC, url), FormatSpec::FramedJson);
    for (name, spec) in [
        ("avro", FormatSpec::Avro(AvroSchema::Registry)),
        ("protobuf", FormatSpec::Protobuf(ProtobufSchema::Registry)),
    ] {
        assert_eq!(format(TOPIC, &format!("format = {name:?}\n{url}")), spec);
    }
    let basic = settings(TOPIC, &format!("{url}registry_auth = {{ user = \"me\", password = \"hunter2\" }}"))
        .unwrap();
    let auth = basic.source.registry.as_ref().unwrap().auth.clone().unwrap();
    assert_eq!(auth, RegistryAuth::Basic { user: "me".into(), password: "hunter2".into() });
    let token = settings(TOPIC, &format!("{url}registry_auth = {{ token = \"hunter2\" }}")).unwrap();
    for settings in [basic, token] {
        let shown = settings.to_toml().unwrap();
        assert!(shown.contains("registry = \"https://h/api\"") && shown.contains("\"***\""), "{shown}");
        assert!(!shown.contains("hunter2") && !format!("{settings:?}").contains("hunter2"));
    }
}

#[test]
fn what_is_shown_gives_the_same_format_again() {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/formats/tests/fixtures/protobuf/shop.proto");
    for (source, file) in [
        ("-", "".to_owned()),
        ("-", "format = \"csv\"\ncsv = { delimiter = \";\", header = true }".to_owned()),
        ("-", "format = \"text\"\npattern = '^(?P<a>\\S+)'".to_owned()),
        ("kafka://h:1/t", format!("format = \"protobuf\"\nschema = {schema:?}\nmessage = \"shop.Ping\"")),
    ] {
        let first = settings(source, &file).unwrap();
        let again = File::parse(Path::new("crest.toml"), &first.to_toml().unwrap()).unwrap();
        let run = Typed::parse_from_args(["crest", "--source", source].map(Into::into)).unwrap().run;
        assert_eq!(Settings::resolve(&run, again).unwrap().spec.format, first.spec.format, "{file}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_by_its_key() {
    for (source, file, want) in [
        ("-", "format = \"xml\"", "format = \"xml\": must be one of json, csv, text, avro, protobuf"),
        ("log:x", "format = \"csv\"", "format = \"csv\": an embedded log holds JSON"),
        ("-", "format = \"text\"", "pattern = none: is wanted for format = \"text\""),
        ("-", "pattern = \"(?P<a>.)\"", "pattern = given: belongs to format = text, and it is json"),
        ("-", "format = \"text\"\npattern = \"(?P<a>\"", "pattern = \"(?P<a>\": unclosed group"),
        ("-", "csv = { header = true }", "csv = given: belongs to format = csv, and it is json"),
        (
            "-",
            "format = \"csv\"\ncsv = { delimiter = \"::\" }",
            "csv.delimiter = \"::\": must be one ASCII character",
        ),
        (
            "-",
            "format = \"csv\"\ncsv = { header = false }",
            "csv.columns = []: must name the columns where no header does",
        ),
        (TOPIC, "format = \"csv\"", "csv.columns = []: must name the columns where no header does"),
        (
            TOPIC,
            "format = \"csv\"\ncsv = { header = true }",
            "csv.header = true: only files and standard input have a header; csv.columns names the columns",
        ),
        ("-", "format = \"avro\"", "schema = none: format = \"avro\" wants either a schema or a registry"),
        (
            "-",
            "format = \"avro\"\nschema = \"a\"\nregistry = \"http://h\"",
            "schema = given: format = \"avro\" wants either a schema or a registry",
        ),
        (
            "-",
            "format = \"avro\"\nschema = \"/no/a.avsc\"",
            "schema = \"/no/a.avsc\": No such file or directory (os error 2)",
        ),
        (
            "-",
            "format = \"protobuf\"\nschema = \"/no/a.proto\"",
            "schema = \"/no/a.proto\": No such file or directory (os error 2)",
        ),
        (
            "-",
            "format = \"avro\"\nmessage = \"a\"",
            "message = given: belongs to format = protobuf, and it is avro",
        ),
        ("-", "registry = \"h:8081\"", "registry = \"h:8081\": must be http://host:port or https://host"),
        (
            "-",
            "registry = \"http://me:hunter2@h\"",
            "registry = \"http://me:***@h\": must be without credentials: they belong to registry_auth",
        ),
        (
            "-",
            "registry_auth = { token = \"hunter2\" }",
            "registry_auth = ***: is for a registry, and there is none",
        ),
        (
            "-",
            "registry = \"http://h\"\nregistry_auth = { user = \"me\", token = \"hunter2\" }",
            "registry_auth = ***: must be { user = …, password = … } or { token = … }",
        ),
        (
            "-",
            "registry = \"http://h\"\nregistry_auth = { user = \"me\", password = \"hunter2\\n\" }",
            "registry_auth = ***: the password must be without control characters",
        ),
    ] {
        assert_eq!(refusal(source, file), format!("crest.toml: source.{want}"), "{file}");
    }
}
