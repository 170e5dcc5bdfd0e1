//! WordPiece training, encoding, tokenizer files, the token store.
