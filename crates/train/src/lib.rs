//! Pretraining: samples, packing, masking, loss, optimizer, schedule, checkpoints and the loop.
//!
//! Owns everything between a token store and a trained model. It computes through `bimed-bert` and
//! [`bimed_ops::BertOps`] alone; it knows nothing of corpora, source files or the command line.
//!
//! Invariants: every random choice about data is a function of (seed, epoch, sample, position) and
//! every dropout mask of (seed, step, site, row), so that a resumed run is the run that was not
//! interrupted, bit for bit. The loss is a sum and a count, divided once per optimizer step. A
//! checkpoint is complete or not there, and its weights are a Hugging Face directory.

mod checkpoint;
mod config;
mod data;
mod error;
mod fitting;
mod optimizer;
mod pretrain;
mod run_log;
mod schedule;
mod trainer;
mod validate;

pub use checkpoint::{
    CHECKPOINTS_DIR, Checkpoints, OPTIMIZER_FILE, STATE_FILE, TUNING_FILE, TrainState,
};
pub use config::{
    Decay, Fault, HeadConfig, Length, OptimizerConfig, Precision, PretrainConfig, ScheduleConfig,
};
pub use data::batch::{BatchCapacity, DeviceBatch, PackedBatch, Sample};
pub use data::loader::{Cursor, Loader, StepData};
pub use data::masking::{MaskVocabulary, Masked, num_predicted};
pub use data::packing::{BinCapacity, EpochPlan, plan_epoch};
pub use data::samples::{SampleSet, Span};
pub use data::validation::{
    UNKNOWN_CHARACTER_BITS, ValidationSet, ValidationShape, validation_sets, validation_sets_by,
};
pub use error::{Error, Result};
pub use optimizer::AdamW;
pub use pretrain::{PretrainRun, PretrainSummary, mask_vocabulary, num_steps, pretrain};
pub use run_log::{
    LOG_FILE, LogRecord, RunLog, TrainRecord, ValidationFigures, ValidationRecord, read_log,
};
pub use schedule::Schedule;
pub use trainer::Scope;
pub use validate::validate;
