//! Where each row of a new vocabulary comes from in an old one.

/// The origin of one new row.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// The old row, bit for bit.
    Copy(u32),
    /// A weighted sum of old rows; the weights sum to one.
    Mix(Vec<(u32, f32)>),
    /// The mean of all old rows.
    Mean,
    /// A draw from N(μ, σ²) of the old rows, per column, by counter from the map's seed and the row.
    Draw,
    /// A draw from N(0, 0.02²), which knows nothing of the old rows.
    ///
    /// Source: `initializer_range` of google-research/bert.
    Random,
}

/// New row → old rows: all that a transplant needs to know of two vocabularies.
#[derive(Debug, Clone, PartialEq)]
pub struct RowMap {
    /// The number of old rows.
    pub old_rows: usize,
    /// One origin a new row.
    pub rows: Vec<Row>,
    /// The seed of [`Row::Draw`] and [`Row::Random`].
    pub seed: u64,
    /// How often the token of each new row occurs in the text that the model will read; with it, the
    /// decoder's bias of the rows that are not copied is fitted.
    pub counts: Option<Vec<u64>>,
}

impl RowMap {
    /// The map that changes nothing.
    pub fn identity(rows: usize) -> Self {
        let copies = (0..rows as u32).map(Row::Copy).collect();
        Self { old_rows: rows, rows: copies, seed: 0, counts: None }
    }
}
