//! The embedding's rows and where its gradient goes.

use rayon::prelude::*;

use super::vector::vectorised;

/// Adds each row of `gradient` to the row of its id in a table of zeros, ids in order, so that the
/// sum of an id that occurs twice has one order.
///
/// # Shapes
/// `gradient`: `[tokens, hidden]`, `ids`: `[tokens]` → `[rows, hidden]`
pub(crate) fn scatter(gradient: &[f32], ids: &[i32], rows: usize, hidden: usize) -> Vec<f32> {
    let mut order: Vec<u32> = (0..ids.len() as u32).collect();
    order.sort_by_key(|&token| (ids[token as usize], token));
    let mut table = vec![0.0f32; rows * hidden];
    // Split the table where the ids do, so that tasks own their rows.
    let groups: Vec<&[u32]> = order.chunk_by(|&a, &b| ids[a as usize] == ids[b as usize]).collect();
    let mut owned = Vec::with_capacity(groups.len());
    let (mut rest, mut at) = (table.as_mut_slice(), 0);
    for group in groups {
        let row = ids[group[0] as usize] as usize;
        let (_, from_row) = rest.split_at_mut((row - at) * hidden);
        let (cells, after) = from_row.split_at_mut(hidden);
        owned.push((cells, group));
        (rest, at) = (after, row + 1);
    }
    owned.into_par_iter().for_each(|(cells, group)| {
        add_tokens(cells, gradient, group);
    });
    table
}

vectorised! {
    fn add_tokens<'a>(cells: &'a mut [f32], gradient: &'a [f32], tokens: &'a [u32]) {
        for &token in tokens {
            let first = token as usize * cells.len();
            for (to, from) in cells.iter_mut().zip(&gradient[first..]) {
                *to += from;
            }
        }
    }
}
