//! Which module of a crate uses which: a drawing of its files, and the circles in it.
//!
//! An arrow goes from a file to the one that defines what it names. What is named through another module's re-export
//! goes to that module as well: whoever asks the root for a thing of a neighbour depends on both. `mod child;` is no
//! arrow, and neither is anything for tests only.

use super::source::{Crate, is_for_tests};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// A module by the names on the way to it from the root, which has none.
type ModulePath = Vec<String>;

/// What one module declares.
#[derive(Default)]
struct Module {
    /// The file it is in, by its path from the root of the workspace.
    file: String,
    /// Types, functions, constants and the like.
    items: BTreeSet<String>,
    /// The names that a `use` brings in, each with its full path.
    imports: BTreeMap<String, Vec<String>>,
    /// The paths of `use path::*`.
    globs: Vec<Vec<String>>,
}

/// The files of a crate: which uses which, and by what names.
#[derive(Default)]
pub struct Drawing {
    modules: BTreeMap<ModulePath, Module>,
    arrows: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Drawing {
    /// Draws a crate.
    pub fn of(source: &Crate) -> Drawing {
        let mut drawing = Drawing::default();
        for file in &source.files {
            drawing.declare(&file.module, &file.path, &file.syntax.items);
        }
        for file in &source.files {
            drawing.follow(&file.module, &file.syntax.items);
        }
        drawing
    }

    /// The circles, each as a text that names its files and what ties them.
    pub fn circles(&self) -> Vec<String> {
        let files: BTreeSet<&str> = self.modules.values().map(|module| &*module.file).collect();
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            files.iter().map(|file| (*file, self.reachable(file))).collect();
        let mut seen = BTreeSet::new();
        let mut circles = Vec::new();
        for file in &files {
            let circle: Vec<&str> =
                reach[file].iter().copied().filter(|other| reach[other].contains(file)).collect();
            if circle.len() > 1 && seen.insert(circle.clone()) {
                circles.push(self.told(&circle));
            }
        }
        circles
    }

    fn reachable<'a>(&'a self, from: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            for (_, to) in self.arrows.keys().filter(|(source, _)| source == file) {
                if found.insert(to.as_str()) {
                    open.push(to);
                }
            }
        }
        found
    }

    fn told(&self, circle: &[&str]) -> String {
        let inside = |file: &String| circle.contains(&file.as_str());
        let arrows = self.arrows.iter().filter(|((from, to), _)| inside(from) && inside(to));
        let lines = arrows.map(|((from, to), names)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!("\n  {from} -> {to}: {}", names.join(", "))
        });
        format!("a circle of {} files{}", circle.len(), lines.collect::<String>())
    }

    fn declare(&mut self, path: &[String], file: &str, items: &[Item]) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items.iter().filter(|item| !is_for_tests(item)) {
            match item {
                Item::Mod(inner) => {
                    if let Some((_, items)) = &inner.content {
                        self.declare(&below(path, &inner.ident.to_string()), file, items);
                    }
                }
                Item::Use(found) => module.import(Vec::new(), &found.tree),
                item => module.items.extend(name_of(item)),
            }
        }
        self.modules.insert(path.to_vec(), module);
    }

    fn follow(&mut self, path: &[String], items: &[Item]) {
        let mut named = Named::default();
        for item in items.iter().filter(|item| !is_for_tests(item)) {
            match item {
                Item::Mod(inner) => {
                    if let Some((_, items)) = &inner.content {
                        self.follow(&below(path, &inner.ident.to_string()), items);
                    }
                }
                item => named.visit_item(item),
            }
        }
        for names in named.0 {
            self.add(path, &names);
        }
    }

    /// Adds the arrows of a name that is used in a module.
    fn add(&mut self, path: &[String], names: &[String]) {
        let Some(from) = self.modules.get(path).map(|module| module.file.clone()) else { return };
        let mut files = BTreeSet::new();
        self.resolve(path, names, &mut files, 0);
        for to in files.into_iter().filter(|to| *to != from) {
            self.arrows.entry((from.clone(), to)).or_default().insert(names.join("::"));
        }
    }

    /// Collects the files that a name leads to: where it is defined, and those that pass it on.
    fn resolve(&self, path: &[String], names: &[String], files: &mut BTreeSet<String>, depth: usize) -> bool {
        let Some((mut at, rest)) = self.start(path, names) else { return false };
        for (place, name) in rest.iter().enumerate() {
            let next = below(&at, name);
            if self.modules.contains_key(&next) {
                at = next;
                continue;
            }
            let module = &self.modules[&at];
            if !module.items.contains(name) && depth < 8 {
                let passed_on = module.imports.get(name).cloned();
                let through_globs = module.globs.iter().map(|glob| below(glob, name));
                for found in passed_on.into_iter().chain(through_globs) {
                    let whole: Vec<String> = found.iter().chain(&rest[place + 1..]).cloned().collect();
                    if self.resolve(&at, &whole, files, depth + 1) {
                        // What only this module itself imports is no re-export.
                        if at != path {
                            files.insert(module.file.clone());
                        }
                        return true;
                    }
                }
            }
            if depth > 0 && !module.items.contains(name) {
                return false;
            }
            files.insert(module.file.clone());
            return true;
        }
        files.insert(self.modules[&at].file.clone());
        true
    }

    /// The module where a name begins, and what follows; `None` where it begins in another crate.
    fn start<'a>(&self, path: &[String], names: &'a [String]) -> Option<(ModulePath, &'a [String])> {
        let (first, mut rest) = names.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => path.to_vec(),
            "super" => path[..path.len().checked_sub(1)?].to_vec(),
            name => {
                let module = self.modules.get(path)?;
                let known =
                    self.modules.contains_key(&below(path, name)) || module.imports.contains_key(name);
                return known.then(|| (path.to_vec(), names));
            }
        };
        while let [first, others @ ..] = rest
            && first == "super"
        {
            at.pop()?;
            rest = others;
        }
        Some((at, rest))
    }
}

impl Module {
    fn import(&mut self, mut before: Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(inner) => {
                before.push(inner.ident.to_string());
                self.import(before, &inner.tree);
            }
            UseTree::Name(name) if name.ident == "self" => {
                if let Some(last) = before.last().cloned() {
                    self.bring(last, before);
                }
            }
            UseTree::Name(name) => {
                before.push(name.ident.to_string());
                self.bring(name.ident.to_string(), before);
            }
            UseTree::Rename(renamed) => {
                before.push(renamed.ident.to_string());
                self.bring(renamed.rename.to_string(), before);
            }
            UseTree::Glob(_) => self.globs.push(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(before.clone(), tree);
                }
            }
        }
    }

    /// A name of another crate, such as `use serde;`, would lead to itself.
    fn bring(&mut self, name: String, whole: Vec<String>) {
        if whole.len() > 1 {
            self.imports.insert(name, whole);
        }
    }
}

fn below(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::TraitAlias(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        _ => return None,
    })
}

/// All paths of more than one name, and all imports.
#[derive(Default)]
struct Named(BTreeSet<Vec<String>>);

impl Named {
    fn import(&mut self, before: &[String], tree: &UseTree) {
        match tree {
            UseTree::Path(inner) => self.import(&below(before, &inner.ident.to_string()), &inner.tree),
            UseTree::Name(name) if name.ident != "self" => {
                self.0.insert(below(before, &name.ident.to_string()));
            }
            UseTree::Rename(renamed) => {
                self.0.insert(below(before, &renamed.ident.to_string()));
            }
            UseTree::Name(_) | UseTree::Glob(_) => {
                self.0.insert(before.to_vec());
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(before, tree)),
        }
    }

    /// What a macro is given is not parsed, so that its paths are found by their colons.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end(&mut names);
                    }
                    names.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut names);
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end(&mut names);
                    colons = 0;
                }
            }
        }
        self.end(&mut names);
    }

    fn end(&mut self, names: &mut Vec<String>) {
        let names = std::mem::take(names);
        if names.len() > 1 {
            self.0.insert(names);
        }
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        visit::visit_macro(self, found);
        self.tokens(found.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }

    /// `pub(super)` says who may name a thing, and names nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}
