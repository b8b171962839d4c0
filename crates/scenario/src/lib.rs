//! Scenario files: the YAML model, its validation and its JSON Schema
