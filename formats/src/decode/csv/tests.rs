//! CSV against the `csv` crate, and what is refused.

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn csv(columns: &[&str]) -> Csv {
    Csv::new(&CsvSpec { header: false, columns: Some(names(columns)), ..CsvSpec::default() }).unwrap()
}

fn decoded(csv: &mut Csv, row: &[u8]) -> Result<Value, Undecoded> {
    let mut json = b"before".to_vec();
    let decoded = csv.decode(row, &mut json);
    if decoded.is_err() {
        assert_eq!(json, b"before", "nothing is left of a row that is refused");
    }
    decoded.map(|()| serde_json::from_slice(&json[6..]).unwrap())
}

fn refused(csv: &mut Csv, row: &[u8]) -> Refusal {
    match decoded(csv, row) {
        Err(Undecoded::Refused(refusal)) => refusal,
        other => panic!("{other:?} of {row:?}"),
    }
}

#[test]
fn fields_are_text_under_the_names_of_their_columns() {
    let mut csv = csv(&["at", "what", "how many"]);
    assert_eq!(
        decoded(&mut csv, b"2024-03-29,\"tv, 42\"\"\",07").unwrap(),
        json!({ "at": "2024-03-29", "what": "tv, 42\"", "how many": "07" })
    );
    assert_eq!(
        decoded(&mut csv, b",\"\",a\"b\t\\").unwrap(),
        json!({ "how many": "a\"b\t\\" }),
        "empty is absent"
    );
    assert_eq!(decoded(&mut csv, b"\"a\r\nb\",,").unwrap(), json!({ "at": "a\r\nb" }));
}

#[test]
fn a_row_with_more_or_fewer_fields_than_columns_is_malformed() {
    let mut csv = csv(&["a", "b"]);
    for row in ["", "1", "1,2,", "1,2,3", "\"1,2", "\"1\"x,2", "1,\"2\"\""] {
        assert_eq!(refused(&mut csv, row.as_bytes()), Refusal::Malformed, "{row}");
    }
    assert_eq!(refused(&mut csv, b"1,\xff"), Refusal::InvalidUtf8);
}

#[test]
fn a_header_names_the_columns_unless_the_configuration_does() {
    let mut by_header = Csv::new(&CsvSpec::default()).unwrap();
    assert!(by_header.has_header());
    assert_eq!(refused(&mut by_header, b"1,2"), Refusal::Malformed, "no header was given");
    by_header.header("\u{feff}\"a,\"\"b\",c".as_bytes()).unwrap();
    assert_eq!(decoded(&mut by_header, b"1,2").unwrap(), json!({ "a,\"b": "1", "c": "2" }));
    by_header.only(&names(&["c", "d"]));
    assert_eq!(decoded(&mut by_header, b"1,2").unwrap(), json!({ "c": "2" }));
    by_header.header(b"c,d,e").unwrap();
    assert_eq!(decoded(&mut by_header, b"1,2,3").unwrap(), json!({ "c": "1", "d": "2" }));
    assert_eq!(by_header.header(b"\"c"), Err(Refusal::Malformed));
    assert_eq!(refused(&mut by_header, b"1,2,3"), Refusal::Malformed, "the file has no columns");

    let columns = Some(names(&["x", "y"]));
    let mut by_name = Csv::new(&CsvSpec { columns, ..CsvSpec::default() }).unwrap();
    by_name.header(b"a,b").unwrap();
    assert_eq!(decoded(&mut by_name, b"1,2").unwrap(), json!({ "x": "1", "y": "2" }));
}

#[test]
fn tabs_and_no_quotes() {
    let columns = Some(names(&["a", "b"]));
    let spec = CsvSpec { delimiter: b'\t', quote: None, header: false, columns };
    let mut tsv = Csv::new(&spec).unwrap();
    assert_eq!(decoded(&mut tsv, b"\"1\t2,\"").unwrap(), json!({ "a": "\"1", "b": "2,\"" }));
}

#[test]
fn what_cannot_be_read_is_refused_by_its_key() {
    let refused = |spec| Csv::new(&spec).err().unwrap().to_string();
    let spec = CsvSpec::default;
    assert_eq!(
        refused(CsvSpec { delimiter: b'\n', ..spec() }),
        r"source.csv.delimiter = '\n': must be an ASCII character, and no line end"
    );
    assert_eq!(
        refused(CsvSpec { quote: Some(b','), ..spec() }),
        "source.csv.quote = ',': is the delimiter as well"
    );
    assert_eq!(
        refused(CsvSpec { columns: Some(names(&["a", "a"])), ..spec() }),
        "source.csv.columns = \"a\": is there twice"
    );
    assert_eq!(
        refused(CsvSpec { header: false, ..spec() }),
        "source.csv.columns = []: must name the columns where no header does"
    );
}

/// The fields of a row, as the `csv` crate reads them.
fn by_the_crate(row: &[u8]) -> Vec<String> {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(row);
    let record = reader.records().next().unwrap().unwrap();
    record.iter().map(str::to_owned).collect()
}

fn as_object(fields: &[String]) -> Value {
    let numbered = fields.iter().enumerate().filter(|(_, text)| !text.is_empty());
    Value::Object(numbered.map(|(at, text)| (at.to_string(), text.clone().into())).collect::<Map<_, _>>())
}

fn numbered(columns: usize) -> Csv {
    let columns: Vec<String> = (0..columns).map(|column| column.to_string()).collect();
    Csv::new(&CsvSpec { header: false, columns: Some(columns), ..CsvSpec::default() }).unwrap()
}

proptest! {
    #[test]
    fn what_the_crate_writes_is_read(fields in prop::collection::vec("[a,\"\\\\\\r\\n\\t é]{0,6}", 1..6)) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(&fields).unwrap();
        let written = writer.into_inner().unwrap();
        let row = written.strip_suffix(b"\n").unwrap();
        prop_assert_eq!(decoded(&mut numbered(fields.len()), row).unwrap(), as_object(&fields));
    }

    #[test]
    fn what_is_read_is_what_the_crate_reads(row in "[ab,\"]{1,12}", columns in 1..6_usize) {
        if let Ok(value) = decoded(&mut numbered(columns), row.as_bytes()) {
            let fields = by_the_crate(row.as_bytes());
            prop_assert_eq!(fields.len(), columns);
            prop_assert_eq!(value, as_object(&fields));
        }
    }
}
