//! The sections of the configuration file and their keys, read from the sources: each key is a field of a structure, and
//! its comment says what it means. The lines `Type:`, `Default:` and `Example:` in it are what the code cannot say.

use crate::common::root;
use std::collections::HashMap;
use syn::{Expr, ExprLit, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Type};

/// The structures by their names.
pub type Sections = HashMap<String, Section>;

/// A table of the file.
pub struct Section {
    pub meaning: String,
    pub keys: Vec<Key>,
}

/// A key of it.
pub struct Key {
    pub name: String,
    pub meaning: String,
    pub kind: String,
    pub default: Option<String>,
    pub example: Option<String>,
    /// The structure that it holds, if it holds one.
    pub inner: Option<String>,
    /// Whether it holds a list of them.
    pub is_list: bool,
}

/// Reads `src/file.rs` and what is below it.
pub fn read() -> Sections {
    let mut files = vec![root().join("src/file.rs")];
    let folder = std::fs::read_dir(root().join("src/file")).unwrap();
    files.extend(folder.map(|entry| entry.unwrap().path()));
    let mut sections = Sections::new();
    for path in files {
        let file = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for item in file.items {
            let Item::Struct(item) = item else { continue };
            let Fields::Named(fields) = item.fields else { continue };
            let keys = fields.named.iter().map(key).collect();
            let section = Section { meaning: comment(&item.attrs).join(" "), keys };
            sections.insert(item.ident.to_string(), section);
        }
    }
    sections
}

fn key(field: &syn::Field) -> Key {
    let mut key = Key {
        name: renamed(&field.attrs).unwrap_or_else(|| field.ident.as_ref().unwrap().to_string()),
        meaning: String::new(),
        kind: kind(&field.ty),
        default: None,
        example: None,
        inner: inner(&field.ty),
        is_list: written(&field.ty).contains("Vec<"),
    };
    for line in comment(&field.attrs) {
        if let Some(text) = line.strip_prefix("Type: ") {
            key.kind = text.to_owned();
        } else if let Some(text) = line.strip_prefix("Default: ") {
            key.default = Some(text.to_owned());
        } else if let Some(text) = line.strip_prefix("Example: ") {
            key.example = Some(text.to_owned());
        } else {
            key.meaning = format!("{} {line}", key.meaning).trim().to_owned();
        }
    }
    key
}

/// The lines of a comment.
fn comment(attributes: &[syn::Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// What `#[serde(rename = "…")]` calls a field.
fn renamed(attributes: &[syn::Attribute]) -> Option<String> {
    let mut name = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                name = Some(meta.value()?.parse::<syn::LitStr>()?.value());
            } else if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<Expr>()?;
            }
            Ok(())
        });
    }
    name
}

/// A type as it is written, without spaces.
fn written(kind: &Type) -> String {
    let Type::Path(path) = kind else { return String::new() };
    let last = path.path.segments.last().unwrap();
    let name = last.ident.to_string();
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return name };
    let arguments = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(kind) => Some(written(kind)),
        _ => None,
    });
    format!("{name}<{}>", arguments.collect::<Vec<_>>().join(","))
}

/// A type in the words of TOML.
fn kind(kind: &Type) -> String {
    let text = written(kind);
    let text = text.strip_prefix("Option<").and_then(|text| text.strip_suffix('>')).unwrap_or(&text);
    let words = match text {
        "String" | "MissingItem" => "text",
        "PathBuf" => "path",
        "bool" => "boolean",
        "usize" | "u32" | "u64" => "whole number",
        "f64" => "number",
        "OneOrMore" => "text or list of texts",
        "Vec<String>" | "Vec<Rule>" => "list of texts",
        "Property" => "text or number",
        "OneOrMoreConstants" => "value or list of values",
        text if text.contains("Vec<") => "list of tables",
        _ => "table",
    };
    words.to_owned()
}

/// The structure in a type. What a filter says of a field may be one, too.
fn inner(kind: &Type) -> Option<String> {
    let text = written(kind);
    let name = text.split(['<', ',', '>']).rfind(|part| part.ends_with("Section"))?;
    Some(name.replace("FilterSection", "ConditionsSection"))
}
