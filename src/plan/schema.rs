//! The JSON Schemas in the repository are generated from the types; `UPDATE_SCHEMAS=1 cargo test` writes them anew.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::written::{Item, Key, List, Map, Meant, Must};

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

/// What a type of [`super::written`] is in a schema: that of what it is made of.
macro_rules! transparent {
    ($($of:ident<$t:ident$(: $bound:ident)?> as $inner:ty $(, optional: $optional:literal)?;)*) => {
        $(impl<$t: JsonSchema $(+ $bound)?> JsonSchema for $of<$t> {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                <$inner>::schema_name()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                generator.subschema_for::<$inner>()
            }
            $(fn _schemars_private_is_option() -> bool {
                $optional
            })?
        })*
    };
}

transparent! {
    Key<T> as T, optional: true;
    Must<T> as T;
    Map<T> as BTreeMap<String, T>;
}

impl<T: JsonSchema + Item> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<Vec<T>>();
        if !T::ALONE {
            return list;
        }
        let alone = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [list, alone] })
    }
}

impl<T> JsonSchema for Meant<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}
