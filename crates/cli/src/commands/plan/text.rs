//! The plan on a terminal, 100 columns wide.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::corpus::{RULE, SourcePlan};
use super::figure::{Certainty, Figure, or_dash, scaled};
use super::needs::Need;
use super::stages::{StagePlan, Standing};
use super::training::{ModelPlan, TrainingPlan};
use super::{ArmPlan, Plan, Totals};
use crate::output::{bytes, grouped, table};
use crate::paths::shown;

/// Columns of a terminal that are filled.
const WIDTH: usize = 100;
/// Names that a cell shows before it says how many more there are.
const SHOWN_NAMES: usize = 2;

/// All of the plan.
pub(super) fn render(plan: &Plan) -> String {
    let mut parts = vec![heading(plan)];
    match plan.arms.as_slice() {
        [arm] => {
            parts.push(missing(plan));
            parts.push(stages_of_one(arm));
            parts.push(sources(plan, true));
            parts.push(details(arm));
        }
        _ => {
            parts.push(stages_of_all(plan));
            parts.push(missing(plan));
            parts.push(sources(plan, false));
            parts.push(trainings(plan));
        }
    }
    parts.push(totals(&plan.totals));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

fn heading(plan: &Plan) -> String {
    let arms = counted(plan.arms.len(), "arm");
    let missing = match plan.missing.len() {
        0 => "nothing is missing".to_owned(),
        1 => "1 input is missing".to_owned(),
        count => format!("{count} inputs are missing"),
    };
    let mut text = format!(
        "{}: {arms} on {}; {missing}. Nothing was written.\n",
        plan.experiment, plan.device
    );
    if let Some(refused) = &plan.refused {
        text += &wrapped(&format!("would be refused: {refused}"), 2);
    }
    text
}

fn counted(count: usize, name: &str) -> String {
    let ending = if name.ends_with("ch") { "es" } else { "s" };
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}{ending}") }
}

/// A line of at most [`WIDTH`] columns, what is beyond it in further lines after `indent` spaces.
fn wrapped(line: &str, indent: usize) -> String {
    let mut text = String::new();
    let mut at = 0;
    for word in line.split_inclusive(' ') {
        if at > indent && at + word.trim_end().width() > WIDTH {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text += &" ".repeat(indent);
            at = indent;
        }
        text += word;
        at += word.width();
    }
    text + "\n"
}

/// What is missing, each thing with where it is to be had.
fn missing(plan: &Plan) -> String {
    let needs = &plan.missing;
    if needs.is_empty() {
        return String::new();
    }
    let mut text = String::from("missing\n");
    let what = needs.iter().map(|need| need.input.what.width()).max().unwrap_or(0);
    for need in needs {
        let Need { input, arms } = need;
        let pad = " ".repeat(what - input.what.width());
        let _ = writeln!(text, "  {}{pad}  {}", input.what, shown(&input.path));
        let mut facts = Vec::new();
        if !input.licence.is_empty() {
            facts.push(format!("licence: {}; {}", input.licence, input.access));
        }
        if arms.len() < plan.arms.len() {
            facts.push(format!("for {}", arms.join(", ")));
        }
        if !input.is_needed {
            facts.push("without it the task is skipped".to_owned());
        }
        if !facts.is_empty() {
            text += &wrapped(&format!("      {}", facts.join("; ")), 6);
        }
        if !input.obtain.is_empty() {
            text += &wrapped(&format!("      from: {}", input.obtain), 12);
        }
    }
    let unsaid = needs.iter().filter(|need| need.input.obtain.is_empty()).count();
    if unsaid > 0 {
        let _ = writeln!(
            text,
            "  `obtain` in the experiment file would say where {unsaid} of them come from"
        );
    }
    text
}

/// `base, source notes and 3 more`.
fn some_of(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN_NAMES).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn state(plan: &StagePlan) -> String {
    if let (Some(_), true) = (&plan.shared_with, plan.standing == Standing::ToDo) {
        return "shared".to_owned();
    }
    match &plan.standing {
        Standing::UpToDate => "up to date".to_owned(),
        Standing::Resumes { step, steps: Some(steps) } => {
            format!("at {}/{}", grouped(*step), grouped(*steps))
        }
        Standing::Resumes { step, steps: None } => format!("at {}", grouped(*step)),
        Standing::ToDo => "to do".to_owned(),
        Standing::Cannot { .. } => "cannot".to_owned(),
        Standing::NotAskedFor => "–".to_owned(),
    }
}

fn stages_of_one(arm: &ArmPlan) -> String {
    let mut rows = vec![["stage", "state", ""].map(str::to_owned).to_vec()];
    for plan in &arm.stages {
        let state = match &plan.standing {
            Standing::Resumes { step, steps } => {
                let of = steps.map(|steps| format!(" of {}", grouped(steps))).unwrap_or_default();
                format!("resumes at step {}{of}", grouped(*step))
            }
            Standing::NotAskedFor => "not asked for".to_owned(),
            _ => state(plan),
        };
        let mut facts = Vec::new();
        if let Standing::Cannot { lacks } = &plan.standing {
            facts.push(format!("needs {}", some_of(lacks)));
        }
        facts.extend(plan.path.as_ref().map(|path| shown(path)));
        facts.extend(Some(plan.figures.clone()).filter(|figures| !figures.is_empty()));
        rows.push(vec![plan.stage.to_owned(), state, facts.join(": ")]);
    }
    if rows.iter().all(|row| row[2].is_empty()) {
        rows.iter_mut().for_each(|row| row.truncate(2));
    }
    table(&rows)
}

/// Arms down, stages across; a stage that no arm asks for is left out.
fn stages_of_all(plan: &Plan) -> String {
    let asked = |index: usize| {
        let standing = |arm: &ArmPlan| arm.stages.get(index).map(|plan| plan.standing.clone());
        plan.arms.iter().any(|arm| standing(arm) != Some(Standing::NotAskedFor))
    };
    let Some(first) = plan.arms.first() else { return String::new() };
    let columns: Vec<usize> = (0..first.stages.len()).filter(|&index| asked(index)).collect();
    let mut rows = vec![vec!["arm".to_owned()]];
    rows[0].extend(columns.iter().map(|&index| first.stages[index].stage.to_owned()));
    for arm in &plan.arms {
        let cells = columns.iter().map(|&index| state(&arm.stages[index]));
        rows.push(std::iter::once(arm.arm.clone()).chain(cells).collect());
    }
    let shown = |word: &str| rows.iter().skip(1).flatten().any(|cell| cell == word);
    let mut legend = Vec::new();
    if shown("cannot") {
        legend.push("cannot: needs what is missing");
    }
    if shown("shared") {
        legend.push("shared: done once, with an arm above");
    }
    if shown("–") {
        legend.push("–: not asked for");
    }
    let mut text = table(&rows);
    if !legend.is_empty() {
        let _ = writeln!(text, "{}", legend.join("; "));
    }
    // What is there and cannot be read is not among what is missing.
    let named: BTreeSet<&String> = plan.missing.iter().map(|need| &need.input.what).collect();
    let lacks =
        plan.arms.iter().flat_map(|arm| &arm.stages).filter_map(|plan| match &plan.standing {
            Standing::Cannot { lacks } => Some(lacks),
            _ => None,
        });
    let others: BTreeSet<&String> = lacks.flatten().filter(|name| !named.contains(name)).collect();
    for other in others {
        let _ = writeln!(text, "cannot: {other}");
    }
    text
}

/// The sources of all arms, each once. Tokens depend on an arm's vocabulary, so they are shown for
/// one arm alone.
fn sources(plan: &Plan, has_tokens: bool) -> String {
    let mut found: Vec<&SourcePlan> = Vec::new();
    for source in
        plan.arms.iter().filter_map(|arm| arm.corpus.as_ref()).flat_map(|one| &one.sources)
    {
        let same =
            |known: &&mut &SourcePlan| known.name == source.name && known.path == source.path;
        match found.iter_mut().find(same) {
            Some(known) if known.is_dropped => *known = source,
            Some(_) => {}
            None => found.push(source),
        }
    }
    if found.is_empty() {
        return String::new();
    }
    let mut heading = vec!["source", "language", "files", "size", "words"];
    heading.extend(has_tokens.then_some("tokens"));
    let mut rows = vec![heading.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    let count = |number: Option<u64>| number.map_or("–".to_owned(), grouped);
    for source in &found {
        let language = match (source.language.as_str(), source.is_dropped) {
            ("", _) => "tagged".to_owned(),
            (language, true) => format!("{language}, dropped"),
            (language, false) => language.to_owned(),
        };
        let size = source.bytes.map_or("–".to_owned(), bytes);
        let mut row = vec![source.name.clone(), language, count(source.files), size];
        row.push(or_dash(source.words, Figure::count));
        row.extend(has_tokens.then(|| or_dash(source.tokens, Figure::count)));
        rows.push(row);
    }
    if let [arm] = plan.arms.as_slice()
        && let Some(corpus) = arm.corpus.as_ref().filter(|_| found.len() > 1)
    {
        let files = found.iter().map(|source| source.files.map(Figure::exact));
        let size = found.iter().map(|source| source.bytes.map(Figure::exact));
        rows.push(vec![
            "all".to_owned(),
            String::new(),
            or_dash(Figure::total(files), Figure::count),
            or_dash(Figure::total(size), in_bytes),
            or_dash(corpus.words, Figure::count),
            or_dash(corpus.tokens, Figure::count),
        ]);
    }
    let is_by_rule = rows.iter().flatten().any(|cell| cell.contains('~'));
    let text = right_aligned(rows, 2);
    if is_by_rule { format!("{text}{RULE}\n") } else { text }
}

fn in_bytes(figure: Figure) -> String {
    figure.shown(|value| bytes(value as u64))
}

fn in_hours(figure: Figure) -> String {
    match figure.value {
        0.0 => figure.count(),
        hours if hours < 0.005 => "<0.01".to_owned(),
        hours if hours < 1.0 => figure.decimal(2),
        hours if hours < 10.0 => figure.decimal(1),
        _ => figure.count(),
    }
}

/// In the unit that suits it.
fn in_time(figure: Figure) -> String {
    let (unit, name) = match figure.value {
        hours if hours < 1.0 / 60.0 => (3600.0, "s"),
        hours if hours < 1.0 => (60.0, "min"),
        hours if hours < 72.0 => (1.0, "h"),
        _ => (1.0 / 24.0, "days"),
    };
    let figure = figure.map(|hours| hours * unit);
    let number = if figure.value < 10.0 { figure.decimal(1) } else { figure.decimal(0) };
    format!("{number} {name}")
}

fn in_millions(figure: Figure) -> String {
    figure.shown(|value| scaled(value, "").trim_end().to_owned())
}

/// A table whose columns from `first` on stand to the right.
fn right_aligned(mut rows: Vec<Vec<String>>, first: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    for column in first..columns {
        let cells = || rows.iter().filter_map(|row| row.get(column));
        let width = cells().map(|cell| cell.width()).max().unwrap_or(0);
        for row in &mut rows {
            if let Some(cell) = row.get_mut(column) {
                *cell = " ".repeat(width - cell.width()) + cell;
            }
        }
    }
    table(&rows)
}

/// The pretraining of one arm, figure by figure.
fn details(arm: &ArmPlan) -> String {
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
fn trainings(plan: &Plan) -> String {
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

fn totals(totals: &Totals) -> String {
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
