//! The decoder and its cross-entropy.

use burn::tensor::{Int, Tensor};

/// What [`crate::BertOps::masked_cross_entropy`] gives.
#[derive(Debug, Clone)]
pub struct CrossEntropy {
    /// `Σ weight · nll`, `[1]`, differentiable.
    pub loss_sum: Tensor<1>,
    /// `−log p(label)` of each row in nats, without its weight and off the graph, `[masked]`.
    pub nll: Tensor<1>,
    /// 1 where the label has the largest logit, else 0, off the graph, `[masked]`.
    pub correct: Tensor<1>,
}

pub(crate) fn masked_cross_entropy(
    rows: Tensor<2>,
    decoder: Tensor<2>,
    bias: Tensor<1>,
    labels: Tensor<1, Int>,
    weights: Tensor<1>,
) -> CrossEntropy {
    let logits = rows.matmul(decoder.transpose()) + bias.unsqueeze::<2>(); // [masked, vocab]
    of_logits(logits, labels, weights)
}

/// The loss of finished logits, `[masked, vocab]`.
pub(crate) fn of_logits(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    weights: Tensor<1>,
) -> CrossEntropy {
    let maximum = logits.clone().detach().max_dim(1);
    let shifted = logits - maximum; // the label that leads has 0
    let log_sum = shifted.clone().exp().sum_dim(1).log(); // [masked, 1]
    let of_label = shifted.gather(1, labels.unsqueeze_dim(1)); // [masked, 1]
    let correct = of_label.clone().inner().greater_equal_elem(0.0).float();
    let nll = (log_sum - of_label).squeeze_dim::<1>(1); // [masked]
    CrossEntropy {
        nll: nll.clone().inner(),
        correct: correct.squeeze_dim::<1>(1),
        loss_sum: (nll * weights).sum(),
    }
}
