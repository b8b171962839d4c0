//! The JSON Schema of scenario files, for editors.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::convert::FAULTS;
use crate::raw;

/// The JSON Schema of scenario files (draft 2020-12), pretty-printed. What takes more than one key to judge, such as
/// whether a target exists, only [`parse`](crate::parse) finds.
pub fn schema() -> String {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<raw::Scenario>().to_value();
    schema["title"] = json!("Scenario of sentinel-lab");
    schema["$defs"]["Step"]["allOf"] = json!([one_of(&["at", "on"]), one_of(&FAULTS)]);
    schema["$defs"]["Step"]["dependentRequired"] = json!({"after": ["on"]});
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}

/// Exactly one of these keys is there.
fn one_of(keys: &[&str]) -> Value {
    json!({"oneOf": keys.iter().map(|key| json!({"required": [key]})).collect::<Vec<_>>()})
}
