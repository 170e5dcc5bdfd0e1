//! Source files to clean, tagged, deduplicated document shards.
