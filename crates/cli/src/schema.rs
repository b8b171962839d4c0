//! `sentinel-lab schema`

use crate::args::SchemaArgs;
use crate::exit::Exit;
use crate::print;

pub(crate) fn schema(args: &SchemaArgs) -> Exit {
    let schema = scenario::schema();
    match &args.output {
        None => print::out(schema.trim_end()),
        Some(path) => {
            if let Err(error) = std::fs::write(path, schema) {
                print::error(&format!("{}: {error}", path.display()));
                return Exit::Unusable;
            }
        }
    }
    Exit::Pass
}
