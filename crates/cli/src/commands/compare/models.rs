//! Models side by side: their configs where they differ, their parameters, their vocabularies.

use serde_json::{Map, Value};

use super::settings::{differing, flat};
use super::sheet::{Cell, Sheet};
use super::vocabularies;
use crate::commands::inspect::{Model, Vocabulary};
use crate::commands::recognise::Found;

/// The models at the paths that were found.
pub(super) fn sheets(names: &[String], found: &[Found]) -> anyhow::Result<Vec<Sheet>> {
    let models =
        found.iter().map(|found| Model::read(&found.path)).collect::<anyhow::Result<Vec<_>>>()?;
    let configs: Vec<Map<String, Value>> =
        models.iter().map(|model| flat(&Value::Object(model.config.clone()))).collect();
    let mut sheets = vec![parameters(names, &models), differing("Config", names, &configs)];
    let vocabularies: Vec<&Vocabulary> =
        models.iter().filter_map(|model| model.vocabulary.as_ref()?.as_ref().ok()).collect();
    if vocabularies.len() == models.len() {
        sheets.extend(vocabularies::side_by_side(names, &vocabularies));
    }
    Ok(sheets)
}

fn parameters(names: &[String], models: &[Model]) -> Sheet {
    let of: Vec<Vec<(&str, u64)>> = models.iter().map(Model::parameters).collect();
    let mut sheet = Sheet::new("Parameters", &["part"], names)
        .with_note("The tied decoder counts once; a dash stands for a part that is not there.");
    let parts = ["embeddings", "encoder layers", "pooler", "MLM head", "NSP head", "classifier"];
    for part in parts {
        let cells: Vec<Option<u64>> = of
            .iter()
            .map(|found| found.iter().find(|(name, _)| *name == part).map(|(_, count)| *count))
            .collect();
        if cells.iter().any(Option::is_some) {
            sheet
                .push([part], cells.into_iter().map(|count| Cell::or_none(count.map(Cell::count))));
        }
    }
    let sum = |found: &Vec<(&str, u64)>| found.iter().map(|(_, count)| count).sum();
    let all = of.iter().map(|found| match sum(found) {
        0 => Cell::text("not loaded"),
        count => Cell::count(count),
    });
    sheet.push(["all"], all);
    sheet
}
