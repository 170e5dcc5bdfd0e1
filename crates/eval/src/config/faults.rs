//! The ranges of `[eval]`.
//!
//! Owns what each value may be; all faults are found at once.

use std::cmp::Ordering;

use super::{Column, ColumnsConfig, EvalConfig, PairRegressionConfig, Protocol, TaskConfig};
use crate::data::encoding_named;
use crate::metrics::Bootstrap;

type Faults = Vec<(String, String)>;

impl EvalConfig {
    /// Every value out of range: its key from `[eval]`, and what is wrong.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Faults::new();
        if self.seeds.is_empty() {
            fault(&mut faults, "seeds", "is empty, expected one or more");
        }
        if let Some(seed) = first_repeated(&self.seeds) {
            fault(&mut faults, "seeds", format!("holds `{seed}` twice"));
        }
        range(&mut faults, "micro_batch_tokens", self.micro_batch_tokens, 512, 1 << 20);
        let Bootstrap { resamples, confidence, .. } = self.bootstrap;
        range(&mut faults, "bootstrap.resamples", resamples, 1, 10_000_000);
        open_range(&mut faults, "bootstrap.confidence", confidence, 0.0, 1.0);
        for (index, task) in self.tasks.iter().enumerate() {
            if self.tasks[..index].iter().any(|other| other.name == task.name) {
                let key = format!("task[{index}].name");
                fault(&mut faults, &key, format!("is `{}`, as another task's", task.name));
            }
            for (key, message) in task.faults() {
                faults.push((format!("task[{index}].{key}"), message));
            }
        }
        faults
    }
}

impl TaskConfig {
    /// Every value out of range: its key from the task, and what is wrong.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Faults::new();
        let mut name = self.name.chars();
        if self.name.is_empty() || name.any(|c| !(c.is_alphanumeric() || "-_.".contains(c))) {
            let message = format!("is `{}`, expected letters, digits, `-`, `_`, `.`", self.name);
            fault(&mut faults, "name", message);
        }
        self.path_faults(&mut faults);
        self.table_faults(&mut faults);
        if self.min_score.partial_cmp(&self.max_score) != Some(Ordering::Less) {
            let message = format!(
                "is `{}`, expected above `min_score` = `{}`",
                self.max_score, self.min_score
            );
            fault(&mut faults, "max_score", message);
        }
        if self.obtain.as_ref().is_some_and(|obtain| obtain.trim().is_empty()) {
            fault(&mut faults, "obtain", "is empty, expected where the files are to be had");
        }
        if self.limit == Some(0) {
            fault(&mut faults, "limit", "is `0`, expected 1 or more");
        }
        for (key, message) in self.pair_reg.faults() {
            faults.push((format!("pair_reg.{key}"), message));
        }
        open_range(&mut faults, "mlm.mask_prob", self.mlm.mask_prob, 0.0, 1.0);
        if self.mlm.chars == 0 {
            fault(&mut faults, "mlm.chars", "is `0`, expected 1 or more");
        }
        range(&mut faults, "mlm.max_length", self.mlm.max_length, 8, 512);
        faults
    }

    fn path_faults(&self, faults: &mut Faults) {
        let files = [("train", &self.train), ("dev", &self.dev), ("test", &self.test)];
        let given = files.iter().any(|(_, path)| path.is_some());
        if self.protocol == Protocol::MaskedWords {
            for (key, _) in files.iter().chain(&[("path", &self.path)]).filter(|f| f.1.is_some()) {
                fault(faults, key, "is given, expected none: `mlm` reads the token store");
            }
            return;
        }
        if self.path.is_some() && given {
            fault(faults, "path", "is given beside `train`, `dev` or `test`, expected one way");
        }
        if self.path.is_some() {
            return;
        }
        if self.columns.split.is_some() {
            fault(faults, "columns.split", "is given without `path`");
        }
        if self.dev.is_none() && self.test.is_none() {
            fault(faults, "dev", "is missing, expected `path`, `dev` or `test`");
        }
        if self.protocol == Protocol::StsPairRegression {
            if self.train.is_none() {
                fault(faults, "train", "is missing, which `sts.pair_reg` needs");
            }
            if self.pair_reg.selects_on_dev() && self.dev.is_none() {
                fault(faults, "dev", "is missing, on which the epoch or the rate is selected");
            }
        }
    }

    fn table_faults(&self, faults: &mut Faults) {
        if !self.table.delimiter.is_ascii() || "\"\r\n".contains(self.table.delimiter) {
            let message = format!("is `{:?}`, expected an ASCII character", self.table.delimiter);
            fault(faults, "table.delimiter", message);
        }
        if encoding_named(&self.table.encoding).is_none() {
            let message =
                format!("is `{}`, expected a label such as `utf-8`, `cp949`", self.table.encoding);
            fault(faults, "table.encoding", message);
        }
        if self.table.header {
            return;
        }
        let ColumnsConfig { id, split, score, s1, s2 } = &self.columns;
        let columns = [("score", Some(score)), ("s1", Some(s1)), ("s2", Some(s2))];
        let optional = [("id", id.as_ref()), ("split", split.as_ref())];
        for (key, column) in columns.into_iter().chain(optional) {
            if let Some(Column::Name(name)) = column {
                let message = format!("is `{name}`, expected an index: the table has no header");
                fault(faults, &format!("columns.{key}"), message);
            }
        }
    }
}

impl PairRegressionConfig {
    fn faults(&self) -> Faults {
        let mut faults = Faults::new();
        if self.learning_rates.is_empty() {
            fault(&mut faults, "learning_rates", "is empty, expected one or more");
        }
        for &rate in &self.learning_rates {
            open_range(&mut faults, "learning_rates", rate, 0.0, 1.0);
        }
        range(&mut faults, "batch_size", self.batch_size, 1, 4096);
        range(&mut faults, "epochs", self.epochs, 1, 1000);
        range(&mut faults, "warmup_fraction", self.warmup_fraction, 0.0, 1.0);
        range(&mut faults, "weight_decay", self.weight_decay, 0.0, 1.0);
        open_range(&mut faults, "max_grad_norm", self.max_grad_norm, 0.0, f64::INFINITY);
        if !(0.0..1.0).contains(&self.head_dropout_prob) {
            let message = format!("is `{}`, expected 0 to below 1", self.head_dropout_prob);
            fault(&mut faults, "head_dropout_prob", message);
        }
        range(&mut faults, "max_length", self.max_length, 8, 512);
        faults
    }
}

fn fault(faults: &mut Faults, key: &str, message: impl Into<String>) {
    faults.push((key.to_owned(), message.into()));
}

fn range<T: PartialOrd + std::fmt::Display + Copy>(
    faults: &mut Faults,
    key: &str,
    value: T,
    low: T,
    high: T,
) {
    if !(low..=high).contains(&value) {
        fault(faults, key, format!("is `{value}`, expected {low} to {high}"));
    }
}

fn open_range(faults: &mut Faults, key: &str, value: f64, low: f64, high: f64) {
    if !(value > low && value < high) {
        fault(faults, key, format!("is `{value}`, expected above {low} and below {high}"));
    }
}

fn first_repeated(values: &[u64]) -> Option<u64> {
    values.iter().enumerate().find(|(at, v)| values[..*at].contains(v)).map(|(_, v)| *v)
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn task(json: &str) -> TaskConfig {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check(task: &TaskConfig, expected: &[&str]) {
        let keys: Vec<String> = task.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_task_with_one_file_or_three_has_no_fault() {
        check(&task(r#"{"name": "표본", "protocol": "sts.pair_reg", "path": "sts.tsv"}"#), &[]);
        let three = r#"{"name": "korsts", "protocol": "sts.pair_reg", "train": "a", "dev": "b"}"#;
        check(&task(three), &[]);
        check(&task(r#"{"name": "mlm", "protocol": "mlm"}"#), &[]);
    }

    #[test]
    fn all_faults_of_a_task_are_reported_at_once() {
        let task = task(
            r#"{"name": "a b", "protocol": "sts.pair_reg", "min_score": 5, "limit": 0, "obtain": "",
                "table": {"delimiter": "가", "header": false, "encoding": "cp-none"},
                "pair_reg": {"learning_rates": [0.0], "epochs": 0, "head_dropout_prob": 1.0}}"#,
        );
        let expected = [
            "name",
            "dev",
            "train",
            "dev",
            "table.delimiter",
            "table.encoding",
            "columns.score",
            "columns.s1",
            "columns.s2",
            "max_score",
            "obtain",
            "limit",
            "pair_reg.learning_rates",
            "pair_reg.epochs",
            "pair_reg.head_dropout_prob",
        ];
        check(&task, &expected);
    }

    #[test]
    fn faults_of_the_section_name_the_task() {
        let json = r#"{"seeds": [1, 1], "bootstrap": {"confidence": 95}, "task": [
            {"name": "sts", "protocol": "sts.embed", "dev": "a"},
            {"name": "sts", "protocol": "sts.embed"}]}"#;
        let config: EvalConfig = serde_json::from_str(json).unwrap();
        let keys: Vec<String> = config.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["seeds", "bootstrap.confidence", "task[1].name", "task[1].dev"]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let json = r#"{"name": "a", "protocol": "sts.embed", "dev": "a", "lenght": 3}"#;
        assert!(serde_json::from_str::<TaskConfig>(json).is_err());
    }
}
