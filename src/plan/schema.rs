//! The JSON Schemas in the repository are generated from the types; `UPDATE_SCHEMAS=1 cargo test` writes them anew.

use std::path::Path;

use schemars::Schema;

/// Compares a schema with the file of that name in the repository's root.
pub(crate) fn compare(name: &str, schema: &Schema, title: &str) {
    let mut schema = schema.clone();
    schema.insert("title".into(), title.into());
    let wanted = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{name} is not what the code says: run UPDATE_SCHEMAS=1 cargo test");
}

#[test]
fn the_schema_of_the_checks_file_is_that_of_the_code() {
    compare("checks.schema.json", &schemars::schema_for!(super::file::File), "The checks file of canary-gate");
}
