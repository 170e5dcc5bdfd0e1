//! `bimed new DIR`: a commented starter experiment.

use bimed_artifact::{create_private_dir, write_atomic};
use serde_json::json;

use crate::args::NewArgs;
use crate::failure::{Exit, UsageError};
use crate::session::Session;

/// The starter's file name.
const EXPERIMENT_FILE: &str = "experiment.toml";

/// The starter itself; a test reads it as `bimed run` would.
pub(crate) const STARTER: &str = include_str!("starter.toml");

/// Writes the starter into a directory that has none.
pub(crate) fn new(session: &Session, args: &NewArgs) -> anyhow::Result<Exit> {
    let path = args.directory.join(EXPERIMENT_FILE);
    if path.exists() {
        return Err(UsageError::new(format!("`{}` is there already", path.display()))
            .with_hint("name another directory, or remove the file")
            .into());
    }
    create_private_dir(&args.directory)?;
    write_atomic(&path, STARTER.as_bytes())?;
    let shown = path.display();
    let text = format!("wrote {shown}\nnext: edit its sources, then `bimed plan {shown}`\n");
    session.result(&text, &json!({ "event": "result", "written": path }));
    Ok(Exit::Done)
}
