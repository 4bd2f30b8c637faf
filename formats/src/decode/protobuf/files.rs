//! `.proto` files, compiled: from a folder, or from the texts that a registry has.

use super::super::error::FormatError;
use super::super::registry::Reference;
use prost_reflect::{DescriptorPool, FileDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use std::path::Path;

/// The name that the file of a registry's schema has, since the registry gives it none.
const UNNAMED: &str = "schema.proto";

/// Compiles a `.proto` file to an encoded `FileDescriptorSet`. What it imports is looked for in its folder and among
/// Google's well-known types.
///
/// # Errors
/// The file, or one that it imports, cannot be read or compiled.
pub fn compile_proto(path: &Path) -> Result<Vec<u8>, FormatError> {
    let refuse = |error: protox::Error| {
        let reason = format!("{error:?}").lines().next().unwrap_or_default().to_owned();
        FormatError::new("source.schema", format!("{:?}", path.display()), reason)
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut compiler = protox::Compiler::new([folder]).map_err(refuse)?;
    compiler.include_imports(true).open_file(path).map_err(refuse)?;
    Ok(compiler.encode_file_descriptor_set())
}

/// Compiles a schema of a registry.
pub(super) fn compile(text: &str, references: &[Reference]) -> Result<FileDescriptor, String> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts { text: text.to_owned(), references: references.to_vec() });
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.open_file(UNNAMED).map_err(|error| error.to_string())?;
    let pool: DescriptorPool = compiler.descriptor_pool();
    pool.get_file_by_name(UNNAMED).ok_or_else(|| "it was not compiled".to_owned())
}

/// The texts of a registry, as files.
struct Texts {
    text: String,
    references: Vec<Reference>,
}

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let reference = self.references.iter().find(|reference| reference.name == name);
        match reference {
            Some(reference) => File::from_source(name, &reference.text),
            None if name == UNNAMED => File::from_source(name, &self.text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}
