//! `--dump-reference`: what a model computes on texts, for `scripts/verify_hf.py`.

use std::path::Path;

use bimed_eval::reference_dump;
use bimed_ops::DeviceKind;
use serde_json::json;

use super::page::counted;
use crate::commands::recognise::{Found, Kind, read_json};
use crate::failure::UsageError;
use crate::paths::shown;
use crate::session::Session;

/// Runs the model that was found over the texts of the JSON file `texts`, on the processor, and
/// writes its states to `out`.
///
/// # Errors
/// [`UsageError`] where no model was found or there is no text; else when a file cannot be read or
/// written.
pub(super) fn dump(
    session: &Session,
    found: &Found,
    texts: &Path,
    num_states: Option<usize>,
    out: &Path,
) -> anyhow::Result<()> {
    if !matches!(found.kind, Kind::Model | Kind::TrainingCheckpoint) {
        let (path, kind) = (found.path.display(), found.kind.name());
        let message = format!("`--dump-reference` runs a model, and `{path}` is {kind}");
        let hint = "name a directory with `config.json`, `model.safetensors` and a tokenizer";
        return Err(UsageError::new(message).with_hint(hint).into());
    }
    let texts: Vec<String> = read_json(texts, "an array of strings")?;
    if texts.is_empty() {
        return Err(UsageError::new("the array of texts is empty").into());
    }
    let device = DeviceKind::Cpu.open()?;
    let num_states = num_states.unwrap_or(texts.len());
    reference_dump(&found.path, &texts, num_states, out, DeviceKind::Cpu.ops(), &device)?;
    let count = counted(texts.len(), "text");
    let text = format!(
        "wrote {} ({count})\nnext: python scripts/verify_hf.py {} --reference {}\n",
        shown(out),
        shown(&found.path),
        shown(out)
    );
    session.result(&text, &json!({ "event": "result", "written": out, "texts": texts.len() }));
    Ok(())
}
