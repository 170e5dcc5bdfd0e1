//! The plan on a terminal, 100 columns wide.

mod form;
mod trainings;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::corpus::{RULE, SourcePlan};
use super::figure::{Figure, or_dash};
use super::needs::Need;
use super::stages::{StagePlan, Standing};
use super::{ArmPlan, Plan};
use crate::output::{bytes, grouped, table};
use crate::paths::shown;

use form::{counted, in_bytes, right_aligned, wrapped};
use trainings::{details, totals, trainings};

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
        Standing::Fails { .. } => "would fail".to_owned(),
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
        match &plan.standing {
            Standing::Cannot { lacks } => facts.push(format!("needs {}", some_of(lacks))),
            Standing::Fails { error } => facts.push(error.clone()),
            _ => {}
        }
        facts.extend(plan.path.as_ref().map(|path| shown(path)));
        facts.extend(Some(plan.figures.clone()).filter(|figures| !figures.is_empty()));
        // A line for each, as both may be long.
        let mut facts = facts.into_iter();
        rows.push(vec![plan.stage.to_owned(), state, facts.next().unwrap_or_default()]);
        rows.extend(facts.map(|fact| vec![String::new(), String::new(), fact]));
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
    let errors = plan.arms.iter().flat_map(|arm| &arm.stages).filter_map(|plan| {
        let Standing::Fails { error } = &plan.standing else { return None };
        Some(error)
    });
    for error in errors.collect::<BTreeSet<_>>() {
        text += &wrapped(&format!("would fail: {error}"), 2);
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
    if is_by_rule { text + &wrapped(RULE, 2) } else { text }
}
