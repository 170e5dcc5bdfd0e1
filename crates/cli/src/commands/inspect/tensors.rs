//! Tensors as tables, and a file of tensors alone.

use std::collections::BTreeMap;
use std::path::Path;

use bimed_checkpoint::{
    Accounting, Part, TensorInfo, UnusedReason, UnusedTensor, WeightFormat, find_config,
    list_tensors,
};
use bimed_eval::{Cell, Table, TableColumn};
use fs_err as fs;
use serde_json::json;

use super::page::Page;
use crate::output::{bytes, grouped};

/// Puts a file of weights on a page.
pub(super) fn show_file(path: &Path, page: &mut Page, with_tensors: bool) -> anyhow::Result<()> {
    let tensors = list_tensors(path)?;
    let size = fs::metadata(path)?.len();
    let kinds = dtypes(&tensors);
    let shown: Vec<String> =
        kinds.iter().map(|(dtype, count)| format!("{} {dtype}", grouped(*count))).collect();
    let elements: u64 = tensors.iter().map(num_elements).sum();
    let format = WeightFormat::of(path);
    page.fact("format", format!("{}, {}", format.name(), bytes(size)));
    page.fact("tensors", format!("{}, {} elements", shown.join(", "), grouped(elements)));
    if path.parent().is_some_and(|dir| find_config(dir).is_ok()) {
        page.fact("hint", "its directory says more: it is a model's");
    }
    page.put(
        "weights",
        json!({ "format": format, "bytes": size, "dtypes": kinds, "elements": elements }),
    )?;
    if with_tensors {
        page.put("tensors", &tensors)?;
        page.table(all(&tensors));
    } else {
        page.fact("list", "`--tensors` shows each of them");
    }
    Ok(())
}

fn num_elements(tensor: &TensorInfo) -> u64 {
    tensor.shape.iter().fold(1, |product: u64, axis| product.saturating_mul(*axis as u64))
}

/// Every tensor with its shape and element type.
pub(super) fn all(tensors: &[TensorInfo]) -> Table {
    let rows = tensors.iter().map(|tensor| {
        [tensor.name.clone(), tensor.dtype.to_owned(), shape_text(&tensor.shape)]
            .into_iter()
            .map(Cell::plain)
            .collect()
    });
    Table {
        title: "Tensors".to_owned(),
        note: String::new(),
        columns: ["name in the file", "type", "shape"].map(TableColumn::left).to_vec(),
        rows: rows.collect(),
    }
}

/// What a model lacks, what of its file is not loaded, and what is not finite.
pub(super) fn not_applied(accounting: &Accounting) -> Table {
    let missing = accounting.missing.iter().map(|tensor| {
        let why = match tensor.part {
            Part::Encoder => "missing",
            Part::Pooler => "missing, with the pooler",
            Part::MlmHead => "missing, with the MLM head",
            Part::NspHead => "missing, with the NSP head",
            Part::Classifier => "missing, with the classifier",
        };
        [tensor.name.clone(), shape_text(&tensor.shape), why.to_owned()]
    });
    let of_optimizer = |tensor: &&UnusedTensor| tensor.reason == UnusedReason::Optimizer;
    let (optimizers, unused): (Vec<_>, Vec<_>) = accounting.unused.iter().partition(of_optimizer);
    // Two or three for each tensor of the model: their names say nothing more.
    let optimizers = (!optimizers.is_empty()).then(|| {
        let count = format!("{} tensors", grouped(optimizers.len() as u64));
        [count, String::new(), "unused: of the optimizer".to_owned()]
    });
    let unused = unused.into_iter().map(|tensor| {
        let why = match tensor.reason {
            UnusedReason::Buffer => "unused: a constant",
            UnusedReason::Tied => "unused: equals the tensor it is tied to",
            UnusedReason::Optimizer => "unused: of the optimizer",
        };
        [tensor.name.clone(), shape_text(&tensor.shape), why.to_owned()]
    });
    let not_finite =
        accounting.applied.iter().filter(|tensor| tensor.num_non_finite > 0).map(|tensor| {
            let why = format!("{} elements are not finite", grouped(tensor.num_non_finite as u64));
            [tensor.name.clone(), shape_text(&tensor.shape), why]
        });
    let rows = missing.chain(unused).chain(optimizers).chain(not_finite);
    Table {
        title: "Tensors to note".to_owned(),
        note: String::new(),
        columns: ["tensor", "shape", "note"].map(TableColumn::left).to_vec(),
        rows: rows.map(|cells| cells.into_iter().map(Cell::plain).collect()).collect(),
    }
}

fn shape_text(shape: &[usize]) -> String {
    let axes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", axes.join(", "))
}

/// Tensors by element type.
pub(super) fn dtypes(tensors: &[TensorInfo]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for tensor in tensors {
        *counts.entry(tensor.dtype).or_default() += 1;
    }
    counts
}
