//! Attention over packed samples: by tiles, which keep no scores, or by matrices of scores.

mod flash;
mod scores;

use burn_cubecl::tensor::CubeTensor;

use super::launch::contiguous;
use super::random::{DrawsLaunch, draws};
use crate::{Attention, Dropout};
use flash::Flash;

/// Scores below this are of no key.
const LOWEST: f32 = -3.0e38;

/// The scalars of packed attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    pub(crate) bins: usize,
    pub(crate) bin_length: usize,
    pub(crate) heads: usize,
    pub(crate) head_size: usize,
    pub(crate) dropout: Option<Dropout>,
    /// What is asked for; [`forward`] decides what is done.
    pub(crate) attention: Attention,
}

impl AttentionShape {
    /// What scores are multiplied by.
    fn scale(&self) -> f32 {
        1.0 / (self.head_size as f32).sqrt()
    }

    fn drops(&self) -> bool {
        self.dropout.is_some_and(|dropout| dropout.probability > 0.0)
    }

    fn draws(&self) -> DrawsLaunch {
        let first_row = self.dropout.map_or(0, |dropout| dropout.first_row);
        draws(self.dropout, first_row.wrapping_mul(self.heads as u64))
    }

    fn tokens(&self) -> usize {
        self.bins * self.bin_length
    }
}

/// What the forward pass leaves for the backward pass, and how that goes.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// By tiles: the output, and the logarithm of each row's sum of exponentials, `[heads, tokens]`.
    LogSums { flash: Flash, kept: Box<[CubeTensor; 2]> },
    /// By scores: the weights before dropout, `[bins · heads, length, length]`.
    Weights(Box<CubeTensor>),
}

/// The attended values of `qkv`, `[tokens, 3 · hidden]`, as `[tokens, hidden]`. `bounds` are the first
/// place of each token's sample in its bin and the one after its last.
pub(crate) fn forward(
    qkv: CubeTensor,
    bounds: [CubeTensor; 2],
    shape: &AttentionShape,
) -> (CubeTensor, Kept) {
    let flash = match shape.attention {
        Attention::Flash => Flash::on(&qkv, shape),
        Attention::Scores => None,
    };
    match flash {
        Some(flash) => {
            let bounds = bounds.map(contiguous);
            let (output, log_sums) = flash.forward(contiguous(qkv), bounds, shape);
            (output.clone(), Kept::LogSums { flash, kept: Box::new([output, log_sums]) })
        }
        None => {
            let (output, weights) = scores::attended(qkv, bounds, shape);
            (output, Kept::Weights(Box::new(weights)))
        }
    }
}

/// The gradient of `qkv` from that of the attended values.
pub(crate) fn backward(
    qkv: CubeTensor,
    kept: Kept,
    gradient: CubeTensor,
    bounds: [CubeTensor; 2],
    shape: &AttentionShape,
) -> CubeTensor {
    match kept {
        Kept::LogSums { flash, kept } => {
            let [output, log_sums] = *kept;
            let [qkv, gradient] = [qkv, gradient].map(contiguous);
            flash.backward([qkv, output, gradient], log_sums, bounds.map(contiguous), shape)
        }
        Kept::Weights(weights) => scores::pulled_back(qkv, *weights, gradient, bounds, shape),
    }
}
