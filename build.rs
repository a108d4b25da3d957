//! Compiles `proto/` without protoc: protox parses the files, tonic-prost-build generates the code, and the descriptor
//! set (with comments) is kept for reflection.

use std::{
    collections::HashSet,
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use prost_types::{DescriptorProto, FileDescriptorSet};

const PACKAGE: &str = "tidings.v1";

/// Messages with fields that Debug output must not show: secrets, and what publishers and receivers send.
const HIDDEN: &[(&str, &[&str])] = &[
    ("Attempt", &["response_body"]),
    ("BasicCredentials", &["password"]),
    ("BearerCredentials", &["token"]),
    ("CreateDashboardTokenResponse", &["token"]),
    ("CreateEndpointRequest", &["secret"]),
    ("CreateEndpointResponse", &["secret"]),
    ("CreateKeyResponse", &["secret"]),
    ("EndpointClientCertificate", &["private_key_pem"]),
    ("EndpointHeader", &["value"]),
    ("Event", &["labels", "payload"]),
    ("EventFilter", &["labels"]),
    ("ImportedSecret", &["secret"]),
    ("IssuedSecret", &["secret"]),
    ("OAuth2ClientCredentials", &["client_secret"]),
    ("RotateEndpointSecretRequest", &["secret"]),
    ("RotateEndpointSecretResponse", &["secret"]),
];

/// Debug for the messages of [`HIDDEN`], as it would be derived but for those fields.
fn debug_impls(descriptors: &FileDescriptorSet) -> String {
    let files = descriptors.file.iter().filter(|file| file.package() == PACKAGE);
    let messages: Vec<&DescriptorProto> = files.flat_map(|file| &file.message_type).collect();
    let mut text = String::new();
    for (name, hidden) in HIDDEN {
        let message = messages.iter().find(|message| message.name() == *name).expect("a message of this name");
        assert!(hidden.iter().all(|field| message.field.iter().any(|known| known.name() == *field)), "{name}");
        text += &format!(
            "impl ::core::fmt::Debug for {name} {{ fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> \
             ::core::fmt::Result {{ f.debug_struct(\"{name}\")"
        );
        let mut oneofs = HashSet::new();
        for field in &message.field {
            // The fields of a oneof are one in Rust.
            let own = match field.oneof_index.filter(|_| !field.proto3_optional()) {
                Some(index) if !oneofs.insert(index) => continue,
                Some(index) => message.oneof_decl[usize::try_from(index).expect("an index")].name(),
                None => field.name(),
            };
            let value = if hidden.contains(&own) { "&\"…\"".to_owned() } else { format!("&self.r#{own}") };
            text += &format!(".field(\"{own}\", {value})");
        }
        text += ".finish() } }\n";
    }
    text
}

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

    let descriptors = compiler.file_descriptor_set();
    fs::write(out_dir.join("debug.rs"), debug_impls(&descriptors))?;
    tonic_prost_build::configure()
        .skip_debug(HIDDEN.iter().map(|(message, _)| format!(".{PACKAGE}.{message}")))
        .bytes(".tidings.v1.Event.payload")
        .bytes(".tidings.v1.Attempt.response_body")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        // Sorted, so that a message has one encoding: requests are compared by it, and answers are repeated by it.
        .btree_map(".")
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
