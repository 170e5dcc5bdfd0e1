//! What the trainings take: figure by figure for one arm, a row each for several.

use std::fmt::Write as _;

use super::super::figure::{Certainty, Figure, or_dash, scaled};
use super::super::model::ModelPlan;
use super::super::training::TrainingPlan;
use super::super::{ArmPlan, Plan, Totals};
use super::form::{counted, in_bytes, in_hours, in_millions, in_time, right_aligned, wrapped};
use crate::output::{bytes, grouped};

/// The pretraining of one arm, figure by figure.
pub(super) fn details(arm: &ArmPlan) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    if let Some(model) = &arm.model {
        lines.push(("model", model_line(model, arm.pretrain.as_ref())));
        lines.extend(base_line(model).map(|line| ("base", line)));
    }
    if let Some(training) = &arm.pretrain {
        lines.extend(training_lines(training));
    }
    if let Some(head) = &arm.head {
        let (steps, time) = (grouped(head.most_steps), in_time(head.hours));
        lines.push(("head first", format!("at most {steps} steps, {time}")));
    }
    if let Some(eval) = arm.eval.as_ref().filter(|eval| !eval.tasks.is_empty()) {
        let skipped = eval.tasks.iter().filter(|task| task.skipped.is_some()).count();
        let (tasks, models) =
            (counted(eval.tasks.len(), "task"), counted(eval.models.len(), "model"));
        let mut line = format!("{tasks} for {models}");
        if eval.runs > 0 {
            let _ = write!(
                line,
                "; {} of fine-tuning ({}), {} steps, {}",
                counted(eval.runs as usize, "run"),
                counted(eval.seeds.len(), "seed"),
                or_dash(eval.steps, Figure::count),
                or_dash(eval.hours, in_time),
            );
        }
        if skipped > 0 {
            let _ = write!(line, "; {} skipped", counted(skipped, "task"));
        }
        lines.push(("evaluation", line));
    }
    let mut text = String::new();
    for (name, line) in lines {
        text += &wrapped(&format!("{name:<12}  {line}"), 14);
    }
    text
}

fn model_line(model: &ModelPlan, training: Option<&TrainingPlan>) -> String {
    let mut line = format!("{} parameters", model.parameters.count());
    if let Some(training) = training {
        let _ = write!(line, ", {} of them trained", training.trained_parameters.count());
    }
    let _ = write!(line, "; {} rows", model.vocabulary_rows.count());
    line
}

fn base_line(model: &ModelPlan) -> Option<String> {
    if model.is_assumed {
        return Some("missing; taken to be of BERT-base's shape".to_owned());
    }
    let (base, parameters) = (model.base.as_ref()?, model.base_parameters?);
    let head = match model.base_has_head {
        Some(true) => "with a masked-word head",
        _ => "without a masked-word head",
    };
    Some(format!("{base}: {} parameters, {head}", grouped(parameters as u64)))
}

fn training_lines(training: &TrainingPlan) -> Vec<(&'static str, String)> {
    let count = |figure: Option<Figure>| or_dash(figure, Figure::count);
    let micro = counted(training.micro_batches_per_step as usize, "micro-batch");
    let steps = format!(
        "{} of {} tokens ({} of bins of {}); {} left",
        count(training.steps),
        grouped(training.tokens_per_step),
        micro,
        grouped(training.sequence_length),
        count(training.steps_left),
    );
    let reading = format!(
        "{} tokens: {} epochs of {}",
        count(training.tokens),
        or_dash(training.epochs, |epochs| epochs.decimal(2)),
        count(training.packing.tokens_per_epoch),
    );
    let fill = training.packing.fill;
    let is_counted = fill.certainty == Certainty::Exact;
    let fill = match is_counted {
        true => format!("{:.3} of the bins is text", fill.value),
        false => format!("{} assumed; known once the corpus is encoded", fill.decimal(2)),
    };
    let checkpoints = &training.checkpoints;
    let saved = format!(
        "{} written, {} kept beside step 0's weights, {} each: {}",
        count(checkpoints.written),
        count(checkpoints.kept),
        in_bytes(checkpoints.bytes_each),
        or_dash(checkpoints.bytes, in_bytes),
    );
    let memory = &training.memory;
    let part = |value: f64| bytes(value as u64);
    let memory = format!(
        "~{}: weights {}, gradients {}, moments {}, activations {}",
        part(memory.total()),
        part(memory.weights),
        part(memory.gradients),
        part(memory.moments),
        part(memory.activations),
    );
    let flop = |figure: Figure| figure.shown(|value| scaled(value, "FLOP"));
    let compute = format!(
        "{}, {} a token",
        or_dash(training.flops, flop),
        flop(training.flops_per_token.estimated())
    );
    let time = format!(
        "{} at {} tokens/s, by {}",
        or_dash(training.hours, in_time),
        training.tokens_per_second.count(),
        training.speed.basis,
    );
    let mut lines = vec![
        ("steps", steps),
        ("reading", reading),
        ("packing", fill),
        ("checkpoints", saved),
        ("memory", memory),
        ("compute", compute),
        ("time", time),
    ];
    if has_open_end(training) {
        let time = in_time(training.hours_per_100m_tokens);
        lines.push(("", format!("{time} for every 100 million tokens of text")));
    }
    lines
}

/// Whether nobody knows how long it takes, for want of text.
fn has_open_end(training: &TrainingPlan) -> bool {
    training.hours.is_none_or(|hours| hours.certainty == Certainty::AtLeast)
}

/// The pretrainings of all arms, one a row, and what their figures rest on.
pub(super) fn trainings(plan: &Plan) -> String {
    let trained = || {
        let arms = plan.arms.iter();
        arms.filter_map(|arm| Some((arm, arm.model.as_ref()?, arm.pretrain.as_ref()?)))
    };
    let is_open = trained().any(|(.., training)| has_open_end(training));
    let mut heading =
        vec!["arm", "parameters", "steps", "tokens", "epochs", "fill", "memory", "disk", "hours"];
    heading.extend(is_open.then_some("a 100 M"));
    let mut rows = vec![heading.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for (arm, model, training) in trained() {
        let mut row = vec![
            arm.arm.clone(),
            in_millions(model.parameters),
            or_dash(training.steps, Figure::count),
            or_dash(training.tokens, in_millions),
            or_dash(training.epochs, |epochs| epochs.decimal(1)),
            training.packing.fill.decimal(2),
            format!("~{}", bytes(training.memory.total() as u64)),
            or_dash(training.disk_bytes, in_bytes),
            or_dash(training.hours, in_hours),
        ];
        row.extend(is_open.then(|| in_hours(training.hours_per_100m_tokens)));
        rows.push(row);
    }
    if rows.len() == 1 {
        return String::new();
    }
    let mut text = right_aligned(rows, 1);
    let mut lines: Vec<String> = Vec::new();
    for line in trained().flat_map(|(_, model, training)| grounds(model, training)) {
        if !lines.contains(&line) {
            let _ = writeln!(text, "{line}");
            lines.push(line);
        }
    }
    if is_open {
        text += "a 100 M: hours for every 100 million tokens of text\n";
    }
    let _ =
        writeln!(text, "checkpoints, memory by its parts and compute: `--arm NAME`, or `--json`");
    text
}

/// What an arm's figures rest on; most arms say the same.
fn grounds(model: &ModelPlan, training: &TrainingPlan) -> Vec<String> {
    let mut lines = Vec::new();
    if model.is_assumed {
        lines.push("~ parameters: a missing base is taken to be of BERT-base's shape".to_owned());
    }
    if training.packing.fill.certainty != Certainty::Exact {
        lines.push("~ fill: assumed; known once the corpus is encoded".to_owned());
    }
    lines.push(format!("~ hours: by {}", training.speed.basis));
    lines
}

/// What is left over all arms.
pub(super) fn totals(totals: &Totals) -> String {
    let mut rows =
        vec![["left to do", "runs", "steps", "tokens", "hours"].map(str::to_owned).to_vec()];
    if totals.pretrainings > 0 || totals.pretrain_steps.is_some() {
        rows.push(vec![
            "pretraining".to_owned(),
            grouped(totals.pretrainings),
            or_dash(totals.pretrain_steps, Figure::count),
            or_dash(totals.pretrain_tokens, in_millions),
            or_dash(totals.pretrain_hours, in_hours),
        ]);
    }
    if totals.tuning_runs > 0 {
        rows.push(vec![
            "fine-tuning".to_owned(),
            grouped(totals.tuning_runs),
            or_dash(totals.tuning_steps, Figure::count),
            or_dash(totals.tuning_tokens, in_millions),
            or_dash(totals.tuning_hours, in_hours),
        ]);
    }
    if rows.len() == 1 {
        return "left to do: no training\n".to_owned();
    }
    let mut text = right_aligned(rows, 1);
    if let Some(disk) = totals.disk_bytes {
        let _ = writeln!(
            text,
            "disk: {} for token stores, step-0 models, checkpoints and exports",
            in_bytes(disk)
        );
    }
    text
}
