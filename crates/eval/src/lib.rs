//! Intrinsic measures, fine-tuned tasks, tables and plots.
