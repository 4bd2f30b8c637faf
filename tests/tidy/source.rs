//! The crates of the workspace as syntax trees, found from its manifest and from the roots of the crates.

use std::path::{Path, PathBuf};
use syn::{Attribute, Item};

/// A crate: its folder, `.` for the program, and its files.
pub struct Crate {
    pub name: String,
    pub files: Vec<Source>,
}

/// One file that is a module.
pub struct Source {
    /// From the root of the workspace.
    pub path: String,
    /// The names on the way to it from the root of its crate.
    pub module: Vec<String>,
    pub syntax: syn::File,
}

/// All crates of the workspace below `root`, the program first.
pub fn crates(root: &Path) -> Vec<Crate> {
    let manifest: toml::Table = std::fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let members = members.iter().map(|member| member.as_str().unwrap());
    ["."].into_iter().chain(members).map(|folder| read(root, folder)).collect()
}

fn read(root: &Path, folder: &str) -> Crate {
    let mut files = Vec::new();
    let src = if folder == "." { PathBuf::from("src") } else { Path::new(folder).join("src") };
    collect(root, &src.join("lib.rs"), &src, Vec::new(), &mut files);
    Crate { name: folder.to_owned(), files }
}

/// A file and those that it declares; `below` is the folder in which they are.
fn collect(root: &Path, file: &Path, below: &Path, module: Vec<String>, files: &mut Vec<Source>) {
    let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for item in syntax.items.iter().filter(|item| !is_for_tests(item)) {
        if let Item::Mod(inner) = item
            && inner.content.is_none()
        {
            let name = inner.ident.to_string();
            let folder = below.join(&name);
            let plain = below.join(format!("{name}.rs"));
            let file = if root.join(&plain).exists() { plain } else { folder.join("mod.rs") };
            let module = module.iter().cloned().chain([name]).collect();
            collect(root, &file, &folder, module, files);
        }
    }
    files.push(Source { path: file.to_string_lossy().into_owned(), module, syntax });
}

/// Whether an item is compiled for tests only.
pub fn is_for_tests(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    };
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string().replace(' ', "");
            condition.split(|c: char| !c.is_alphanumeric()).any(|word| word == "test")
                && !condition.contains("not(test)")
        }
        _ => false,
    })
}
