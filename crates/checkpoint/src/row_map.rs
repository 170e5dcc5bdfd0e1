//! Where each row of a new vocabulary comes from in an old one.

/// The origin of one new row.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// The old row, bit for bit.
    Copy(u32),
    /// A weighted sum of old rows; the weights sum to one.
    Mix(Vec<(u32, f32)>),
    /// A draw from N(μ, σ²) of the old rows, per column, by counter from the map's seed and the row.
    Draw,
}

/// New row → old rows: all that a transplant needs to know of two vocabularies.
#[derive(Debug, Clone, PartialEq)]
pub struct RowMap {
    /// The number of old rows.
    pub old_rows: usize,
    /// One origin a new row.
    pub rows: Vec<Row>,
    /// The seed of [`Row::Draw`].
    pub seed: u64,
}

impl RowMap {
    /// The map that changes nothing.
    pub fn identity(rows: usize) -> Self {
        Self { old_rows: rows, rows: (0..rows as u32).map(Row::Copy).collect(), seed: 0 }
    }
}
