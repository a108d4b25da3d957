//! Compiles `proto/` without protoc: protox parses the files, tonic-prost-build generates the code, and the descriptor
//! set (with comments) is kept for reflection.

use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("proto");
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=build.rs");

    let mut files: Vec<PathBuf> =
        fs::read_dir(root.join("tidings/v1"))?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|ext| ext == "proto"));
    files.sort();

    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;

    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script by the environment where to write")]
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    // Encoded by protox itself, so that options and comments survive for reflection.
    fs::write(out_dir.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        .bytes(".tidings.v1.Event.payload")
        .bytes(".tidings.v1.Attempt.response_body")
        // Sorted, so that a message has one encoding: requests are compared by it, and answers are repeated by it.
        .btree_map(".")
        .build_transport(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
