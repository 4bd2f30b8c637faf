//! How long the functions of a file are.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The functions of more than `most` lines from their `fn` to their last brace, each as a fault.
pub fn long(text: &str, most: usize) -> Vec<String> {
    let mut functions = Functions::default();
    match syn::parse_file(text) {
        Ok(syntax) => functions.visit_file(&syntax),
        Err(error) => return vec![format!("it cannot be parsed: {error}")],
    }
    let long = functions.0.into_iter().filter(|(_, lines)| *lines > most);
    long.map(|(name, lines)| format!("fn {name} has {lines} lines; at most {most} are allowed")).collect()
}

/// Names and lines.
#[derive(Default)]
struct Functions(Vec<(String, usize)>);

impl Functions {
    fn note(&mut self, signature: &syn::Signature, end: proc_macro2::Span) {
        let lines = end.end().line + 1 - signature.fn_token.span().start().line;
        self.0.push((signature.ident.to_string(), lines));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, function.block.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, function.block.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.note(&function.sig, block.span());
        }
        visit::visit_trait_item_fn(self, function);
    }
}
