//! `bimed corpus`: the whole, one phase of it on one of many machines, or the funnel alone.

use std::collections::BTreeSet;

use bimed_artifact::Store;
use bimed_corpus::{CorpusSummary, Job, Share, card};
use serde_json::json;

use super::run::{Last, check_approvals, check_inputs, run};
use crate::args::{CorpusArgs, Phase};
use crate::failure::{Exit, UsageError};
use crate::sections::{Corpus, read_arms};
use crate::session::Session;
use crate::stages::{Survey, Workshop, corpus as stage};

/// What Slurm says of a job array.
const TASK_VARIABLE: &str = "SLURM_ARRAY_TASK_ID";
const FIRST_TASK_VARIABLE: &str = "SLURM_ARRAY_TASK_MIN";
const TASKS_VARIABLE: &str = "SLURM_ARRAY_TASK_COUNT";

/// Makes the corpus of every arm, or does one phase of it.
pub(crate) fn corpus(session: &Session, args: &CorpusArgs) -> anyhow::Result<Exit> {
    if args.phase.is_none() && !args.dry_run {
        return run(session, &args.experiment, Last::Corpus);
    }
    let share = share(args, |name| std::env::var(name).ok())?;
    let arms = read_arms(session, &args.experiment)?;
    check_inputs(&arms, Last::Corpus)?;
    check_approvals(&arms)?;
    let survey = Survey::default();
    let mut workshop = Workshop::new(session, false);
    let mut done = BTreeSet::new();
    for arm in &arms {
        let store = Store::new(&arm.config.experiment.store);
        workshop.begin_arm(&arm.name, store.clone());
        let Some(section) = &arm.config.corpus else {
            let message = format!("the arm `{}` has no section `[corpus]`", arm.name);
            return Err(UsageError::new(message).into());
        };
        // Arms share a corpus that their configs share.
        if done.insert(stage::recipe(&survey, section)?.key) {
            let work = Work { session, store: &store, survey: &survey, section };
            work.phase(&mut workshop, args.phase, share)?;
        }
    }
    Ok(Exit::Done)
}

struct Work<'a> {
    session: &'a Session,
    store: &'a Store,
    survey: &'a Survey,
    section: &'a Corpus,
}

impl Work<'_> {
    fn phase(
        &self,
        workshop: &mut Workshop<'_>,
        phase: Option<Phase>,
        share: Share,
    ) -> anyhow::Result<()> {
        let context = workshop.context();
        let recipe = stage::recipe(self.survey, self.section)?;
        match phase {
            Some(Phase::Map) => Ok(self.job()?.map(share, &context)?),
            Some(Phase::DedupMerge) => self.funnel(&self.job()?, workshop),
            Some(Phase::Finalize) => {
                workshop.resume(recipe, |directory, context| {
                    stage::finish(&self.job()?, directory, context)
                })?;
                Ok(())
            }
            None => match self.store.find(recipe.stage, &recipe.key)? {
                // What was decided of a corpus that is there lies in it.
                Some(corpus) => self.show(&serde_json::from_value(corpus.manifest.summary)?),
                None => {
                    let job = self.job()?;
                    job.map(Share::ALL, &context)?;
                    self.funnel(&job, workshop)
                }
            },
        }
    }

    fn job(&self) -> anyhow::Result<Job<'_>> {
        stage::job(self.store, self.survey, self.section)
    }

    /// Decides, and shows what the corpus will hold.
    fn funnel(&self, job: &Job<'_>, workshop: &Workshop<'_>) -> anyhow::Result<()> {
        let recipe = stage::recipe(self.survey, self.section)?;
        let resumable = self.store.resume(recipe.stage, &recipe.key)?;
        self.show(&job.merge(resumable.dir(), &workshop.context())?)
    }

    fn show(&self, summary: &CorpusSummary) -> anyhow::Result<()> {
        let text = card(summary, &self.section.sources);
        self.session.result(&text, &json!({ "event": "result", "corpus": summary }));
        Ok(())
    }
}

/// Which files are this process's: by the arguments, else by the variables of Slurm.
fn share(args: &CorpusArgs, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Share> {
    let number = |name: &str| variable(name).and_then(|text| text.parse::<usize>().ok());
    let task =
        number(TASK_VARIABLE).map(|task| task - number(FIRST_TASK_VARIABLE).unwrap_or(0).min(task));
    let world = args.world.map(usize::from).or(number(TASKS_VARIABLE)).unwrap_or(1);
    let rank = args.rank.or(task).unwrap_or(0);
    if rank >= world {
        let message =
            format!("`--rank` is `{rank}`, expected less than `--world`, which is `{world}`");
        return Err(UsageError::new(message).with_hint("ranks count from 0").into());
    }
    Ok(Share { rank, world })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn check(arguments: &str, variables: &[(&str, &str)], expected: Option<(usize, usize)>) {
        let line = format!("bimed corpus study.toml {arguments}");
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Corpus(args) = cli.command else { panic!("{line}") };
        let variable = |name: &str| {
            let found = variables.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = share(&args, variable).ok().map(|share| (share.rank, share.world));
        assert_eq!(found, expected, "{arguments}");
    }

    #[test]
    fn the_share_is_that_of_the_arguments_or_of_the_job_array() {
        check("--phase map", &[], Some((0, 1)));
        check("--phase map --rank 1 --world 4", &[], Some((1, 4)));
        check("--phase map --rank 4 --world 4", &[], None);
        let array = [(TASK_VARIABLE, "3"), (FIRST_TASK_VARIABLE, "1"), (TASKS_VARIABLE, "8")];
        check("--phase map", &array, Some((2, 8)));
        check("--phase map --rank 5", &array, Some((5, 8)));
    }
}
