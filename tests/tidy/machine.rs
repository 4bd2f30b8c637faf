//! What of the machine a file reaches by itself, and not through the crate that stands for it.

use super::source::is_for_tests;
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// What must be reached through `crest_host`, by the last names of its path.
const OF_THE_MACHINE: [&[&str]; 12] = [
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["Utc", "now"],
    &["Timestamp", "now"],
    &["thread", "spawn"],
    &["thread", "sleep"],
    &["thread", "Builder"],
    &["thread", "park_timeout"],
    &["rand", "random"],
    &["RandomState", "new"],
    &["available_parallelism"],
    &["Condvar"],
];

/// The method that reads a clock.
const ELAPSED: &str = "elapsed";

/// What the file's code reaches, outside its tests.
pub fn reached(syntax: &syn::File) -> Vec<String> {
    let mut found = Reached(Vec::new());
    syntax.items.iter().for_each(|item| found.visit_item(item));
    found.0
}

struct Reached(Vec<String>);

impl Reached {
    fn note(&mut self, names: &[String]) {
        let ours = names.first().is_some_and(|first| first == "crest_host");
        // Also where more follows, as in `thread::Builder::new`.
        let has = |wanted: &&[&str]| names.windows(wanted.len()).any(|part| part == *wanted);
        if !ours && OF_THE_MACHINE.iter().any(has) {
            self.0.push(names.join("::"));
        }
    }

    fn note_imports(&mut self, tree: &UseTree, mut before: Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.note_imports(&path.tree, before);
            }
            UseTree::Name(name) => {
                before.push(name.ident.to_string());
                self.note(&before);
            }
            UseTree::Rename(name) => {
                before.push(name.ident.to_string());
                self.note(&before);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.note_imports(tree, before.clone()));
            }
            UseTree::Glob(_) => {}
        }
    }
}

impl<'ast> Visit<'ast> for Reached {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.note(&path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>());
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note_imports(&item.tree, Vec::new());
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == ELAPSED {
            self.0.push(format!(".{ELAPSED}()"));
        }
        visit::visit_expr_method_call(self, call);
    }
}
