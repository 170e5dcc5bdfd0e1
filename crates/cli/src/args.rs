//! The command line as it is typed.

use std::path::PathBuf;

use bimed_ops::DeviceKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Documents in, bilingual medical BERT out.
#[derive(Debug, Parser)]
#[command(name = "bimed", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  bimed run configs/quickstart.toml
  bimed plan configs/paper/study.toml --set experiment.paths.data=/data
  bimed new my-study

Exit codes: 0 done, 1 failed, 2 usage or config, 3 done with partial input, 4 too much bad input,
130 interrupted and 143 terminated (run the same command again to go on).";

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArgs {
    /// Set a key of the experiment file, over the file and the environment (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub(crate) sets: Vec<String>,
    /// Write progress and results as JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Worker threads [default: one per processor]; results do not depend on it
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Where to compute: cpu, cuda, cuda:N or wgpu
    #[arg(long, value_name = "DEVICE", global = true, default_value = "cpu")]
    pub(crate) device: DeviceKind,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Do every stage of every arm: skip what is up to date, resume what was interrupted
    #[command(after_help = "Examples:\n  bimed run configs/quickstart.toml\n  \
        bimed run study.toml --arm bi-biobert --device cuda\n  \
        bimed run study.toml --fresh --set pretrain.seed=7")]
    Run(ExperimentArgs),
    /// Read, clean, tag and deduplicate the sources
    #[command(after_help = "Examples:\n  bimed corpus study.toml --threads 8\n  \
        bimed corpus study.toml --dry-run\n  \
        bimed corpus study.toml --phase map --rank 0 --world 4\n\n\
        Many machines over one store: `map` on each, then `dedup-merge`, then `finalize` on one. In a\n\
        job array of Slurm, rank and world are the array's.")]
    Corpus(CorpusArgs),
    /// Train or extend the vocabulary
    #[command(after_help = "Example:\n  bimed vocab study.toml --set vocab.size=45000")]
    Vocab(ExperimentArgs),
    /// Encode the corpus into a token store
    #[command(after_help = "Example:\n  bimed encode study.toml")]
    Encode(ExperimentArgs),
    /// Put the new vocabulary into the base model
    #[command(after_help = "Example:\n  bimed transplant study.toml --arm bi-kmbert")]
    Transplant(ExperimentArgs),
    /// Continue the pretraining
    #[command(after_help = "Example:\n  bimed pretrain study.toml --device cuda:0")]
    Pretrain(ExperimentArgs),
    /// Write the model as a Hugging Face directory
    #[command(after_help = "Example:\n  bimed export study.toml")]
    Export(ExperimentArgs),
    /// Fine-tune on the tasks of the experiment
    #[command(after_help = "Example:\n  bimed finetune study.toml --arm bi-mbert")]
    Finetune(ExperimentArgs),
    /// Evaluate and write the tables
    #[command(after_help = "Example:\n  bimed eval study.toml")]
    Eval(ExperimentArgs),
    /// Show what would run, what it takes and what is missing; nothing is written
    #[command(after_help = "Examples:\n  bimed plan configs/paper/study.toml\n  \
        bimed plan study.toml --arm bi-biobert --device cuda\n  \
        bimed plan study.toml --set experiment.paths.data=/data --json\n\n\
        Marks: ~ by a rule that is stated beside it; ≥~ at least, for parts are not known;\n\
        – not known. The exit code is 0 though inputs are missing.")]
    Plan(ExperimentArgs),
    /// Show what an artifact is
    #[command(
        after_help = "Examples:\n  bimed inspect store/corpus/0f3a6c1d2b4e5f60 --lineage\n  \
        bimed inspect runs/quickstart/main/model --verify\n  \
        bimed inspect data/base/minilm --tensors\n  \
        bimed inspect runs/quickstart/main/model --dump-reference reference.safetensors \
        --texts scripts/verify_texts.json\n\n\
        PATH may be a corpus, a vocabulary, a token store, a model (ours or another's), a training \
        run or one of its checkpoints, an arm, an experiment, an evaluation, or one file of these."
    )]
    Inspect(InspectArgs),
    /// Show results, vocabularies or runs side by side
    #[command(after_help = "Examples:\n  bimed compare runs/a/main/eval runs/b/main/eval\n  \
        bimed compare data/base/minilm runs/a/main/model --format markdown\n  \
        bimed compare runs/a/main runs/b/main --format csv\n\n\
        What is compared: figures of evaluations, vocabularies, vocabulary reports, settings and \
        held-out figures of runs, models, corpora, token stores. An arm's directory is compared as a \
        run, its `eval` by its figures.")]
    Compare(CompareArgs),
    /// Write the weighted mean of models: interpolation, or the average of checkpoints
    #[command(
        after_help = "Examples:\n  bimed merge base/ continued/ --weights 0.3,0.7 --out between/\n  \
        bimed merge run/checkpoints/step-900 run/checkpoints/step-1000 --out average/\n\n\
        The models must have one vocabulary and the same tensors. With weights 1,0 the first comes out \
        bit for bit."
    )]
    Merge(MergeArgs),
    /// Predict with a fine-tuned model, by row id
    #[command(after_help = "Example:\n  bimed predict model/ reports.csv --text findings")]
    Predict(PredictArgs),
    /// Show which tokens a prediction rests on
    #[command(after_help = "Example:\n  bimed explain model/ --file reports.csv")]
    Explain(ExplainArgs),
    /// Write a commented starter experiment
    #[command(after_help = "Example:\n  bimed new my-study && bimed plan my-study/experiment.toml")]
    New(NewArgs),
    /// Show devices, libraries and memory: what works here and what to install
    #[command(after_help = "Example:\n  bimed doctor --json")]
    Doctor,
    /// Read one file for another process of this program: a request on its input, the answer on its
    /// output
    #[command(name = bimed_corpus::WORKER_ARGUMENT, hide = true)]
    ReadOneFile,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ExperimentArgs {
    /// The experiment file
    #[arg(value_name = "EXPERIMENT.toml")]
    pub(crate) experiment: PathBuf,
    /// Only this arm (repeatable)
    #[arg(long = "arm", value_name = "NAME")]
    pub(crate) arms: Vec<String>,
    /// Begin again, though it is up to date or was interrupted
    #[arg(long)]
    pub(crate) fresh: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CorpusArgs {
    #[command(flatten)]
    pub(crate) experiment: ExperimentArgs,
    /// Do one phase of the work
    #[arg(long, value_enum)]
    pub(crate) phase: Option<Phase>,
    /// This process among those of the phase `map`, from 0 [default: by SLURM_ARRAY_TASK_ID, or 0]
    #[arg(long, value_name = "N", requires = "phase")]
    pub(crate) rank: Option<usize>,
    /// How many processes there are [default: SLURM_ARRAY_TASK_COUNT, or 1]
    #[arg(long, value_name = "N", requires = "phase", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) world: Option<u16>,
    /// Read and decide, show the funnel, write no corpus
    #[arg(long, conflicts_with = "phase")]
    pub(crate) dry_run: bool,
}

/// A phase of the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// Extract this rank's files into the store's units
    Map,
    /// Decide which documents are in the corpus
    DedupMerge,
    /// Write the corpus
    Finalize,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct InspectArgs {
    /// A directory or file that `bimed` wrote, a model's, or a vocabulary's
    pub(crate) path: PathBuf,
    /// Every source it goes back to
    #[arg(long)]
    pub(crate) lineage: bool,
    /// Compare every file with the hashes that were recorded when it was written
    #[arg(long)]
    pub(crate) verify: bool,
    /// List every tensor of a model with its shape and type
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Run the model on the CPU and write its states there, for scripts/verify_hf.py
    #[arg(long, value_name = "OUT", requires = "texts", conflicts_with_all = ["lineage", "verify", "tensors"])]
    pub(crate) dump_reference: Option<PathBuf>,
    /// A JSON array of strings: the texts of `--dump-reference`
    #[arg(long, value_name = "FILE", requires = "dump_reference")]
    pub(crate) texts: Option<PathBuf>,
    /// Run the model on the first N texts alone, and write the ids of all [default: all]
    #[arg(long, value_name = "N", requires = "dump_reference")]
    pub(crate) states: Option<usize>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CompareArgs {
    /// Two or more of the same kind: directories, `results.json`, `report.json` or `vocab.txt`
    #[arg(required = true, num_args = 2..)]
    pub(crate) paths: Vec<PathBuf>,
    /// The form of the table
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: TableFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// Aligned columns.
    Text,
    /// A Markdown table.
    Markdown,
    /// Comma-separated values.
    Csv,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct MergeArgs {
    /// Directories of models
    #[arg(required = true, num_args = 2.., value_name = "MODEL")]
    pub(crate) models: Vec<PathBuf>,
    /// The share of each, from 0 to 1, summing to 1 [default: equal]
    #[arg(long, value_delimiter = ',', value_name = "W,W,…")]
    pub(crate) weights: Vec<f64>,
    /// The directory to write
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PredictArgs {
    /// The fine-tuned model's directory
    pub(crate) model: PathBuf,
    /// Rows to predict
    pub(crate) file: PathBuf,
    /// The column that holds the text
    #[arg(long, value_name = "COLUMN")]
    pub(crate) text: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ExplainArgs {
    /// The fine-tuned model's directory
    pub(crate) model: PathBuf,
    /// The text to explain
    #[arg(long, conflicts_with = "file")]
    pub(crate) text: Option<String>,
    /// Rows to explain
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct NewArgs {
    /// The directory to make
    pub(crate) directory: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        let command = Cli::command();
        // What `bimed` calls itself is no one's to call.
        for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let call = format!("bimed {}", command.get_name());
            assert!(help.contains("Example") && help.contains(&call), "{call}");
        }
    }
}
