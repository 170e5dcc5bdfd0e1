//! The BERT encoder and its heads.
