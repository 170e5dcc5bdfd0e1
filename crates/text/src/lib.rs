//! Normalisation, script classes, words, sentence bounds and identifier patterns.
