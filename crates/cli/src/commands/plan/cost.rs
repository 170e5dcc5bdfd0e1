//! What a BERT costs: parameters, memory, operations, disk. Formulas alone; nothing is looked up.

use bimed_checkpoint::{Dimensions, Part, expected_tensors};
use bimed_train::{Precision, PretrainConfig, num_predicted};
use serde::Serialize;

/// Bytes of an f32, in which weights, gradients and moments are kept.
const F32: f64 = 4.0;
/// The moments that AdamW keeps of each parameter.
const MOMENTS: f64 = 2.0;

/// How the attention's scores are kept for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scores {
    /// They are computed again: the fused operations, on the processor and by tiles on a GPU.
    Recomputed,
    /// They are kept: burn's own operations.
    Kept,
}

/// Bytes that a training holds at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Memory {
    /// The weights.
    pub(crate) weights: f64,
    /// The gradients: of the micro-batch, and their sum over the step where it has several.
    pub(crate) gradients: f64,
    /// AdamW's two moments.
    pub(crate) moments: f64,
    /// What one micro-batch's forward pass leaves for its backward pass.
    pub(crate) activations: f64,
}

impl Memory {
    /// All of it.
    pub(crate) fn total(&self) -> f64 {
        self.weights + self.gradients + self.moments + self.activations
    }
}

/// Elements of the tensors of `parts`: the sum over the name table, so that no formula can differ
/// from what is saved.
pub(crate) fn num_parameters(shape: &Dimensions, parts: &[Part]) -> u64 {
    let tensors = expected_tensors(shape).into_iter();
    let counted = tensors.filter(|tensor| parts.contains(&tensor.part));
    counted.map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum()
}

/// The parameters of a model in pretraining: encoder, pooler and both heads.
pub(crate) fn all_parameters(shape: &Dimensions) -> u64 {
    num_parameters(shape, &[Part::Encoder, Part::Pooler, Part::MlmHead, Part::NspHead])
}

/// Those of them that `config` trains: without the next-sentence task, neither its head nor the
/// pooler.
pub(crate) fn trained_parameters(shape: &Dimensions, config: &PretrainConfig) -> u64 {
    match config.next_sentence {
        true => all_parameters(shape),
        false => num_parameters(shape, &[Part::Encoder, Part::MlmHead]),
    }
}

/// Floating-point operations of the linear layers of the encoder for one token, forward alone: two
/// for each weight.
///
/// Source: Kaplan et al. 2020, "Scaling Laws for Neural Language Models", §2.1.
fn encoder_forward(shape: &Dimensions, attended: f64) -> f64 {
    let (hidden, inner) = (shape.hidden_size as f64, shape.intermediate_size as f64);
    let weights = 4.0 * hidden * hidden + 2.0 * hidden * inner;
    // Scores and their use: two products of `attended` by `hidden` a token.
    shape.num_hidden_layers as f64 * (2.0 * weights + 4.0 * attended * hidden)
}

/// Floating-point operations of the masked-word head for one token, forward alone. Only the share
/// `mask_prob` of the tokens reaches it.
fn head_forward(shape: &Dimensions, mask_prob: f64) -> f64 {
    let (hidden, vocab) = (shape.hidden_size as f64, shape.vocab_size as f64);
    mask_prob * 2.0 * (hidden * hidden + hidden * vocab)
}

/// Floating-point operations a token of pretraining, the backward pass taken as twice the forward
/// one: 6·N of the weights that multiply, and 12·layers·hidden·length of the attention. Embedding
/// rows are read, not multiplied; what is computed again in the backward pass is not counted.
///
/// Source: Chowdhery et al. 2022 (PaLM), appendix B. Differs from it: the decoder counts for masked
/// tokens alone; a sample is as long as a bin, which is the most it can be.
pub(crate) fn flops_per_token(shape: &Dimensions, config: &PretrainConfig) -> f64 {
    let attended = config.sequence_length as f64;
    3.0 * (encoder_forward(shape, attended) + head_forward(shape, config.mask_prob))
}

/// As [`flops_per_token`], for the training of a head over a frozen body: the body has no backward
/// pass.
pub(crate) fn head_flops_per_token(shape: &Dimensions, config: &PretrainConfig) -> f64 {
    let attended = config.sequence_length as f64;
    encoder_forward(shape, attended) + 3.0 * head_forward(shape, config.mask_prob)
}

/// As [`flops_per_token`], for the fine-tuning of an encoder on samples of `length` tokens; the
/// task's head is left out.
pub(crate) fn tuning_flops_per_token(shape: &Dimensions, length: f64) -> f64 {
    3.0 * encoder_forward(shape, length)
}

/// What a training holds at a time, in bytes.
///
/// Weights, gradients and moments are f32: 4·P + 4·T (8·T with several micro-batches a step) + 8·T,
/// P all parameters and T the trained ones. Activations of one token: 8·hidden + 2·intermediate
/// elements a layer (inputs of the linear layers, of both norms and of GELU), 2·hidden of the
/// embeddings, and 2·heads·length a layer where scores are kept; of a masked token, 3·hidden and its
/// logits in f32, twice more where burn's own operations make them.
///
/// Source: Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models",
/// §4.1: 34·s·b·h + 5·a·s²·b bytes a layer at 16 bits. Differs from it: dropout masks are drawn
/// again, not kept.
pub(crate) fn memory(shape: &Dimensions, config: &PretrainConfig, scores: Scores) -> Memory {
    let (all, trained) = (all_parameters(shape) as f64, trained_parameters(shape, config) as f64);
    let several = config.tokens_per_step > config.micro_batch_tokens;
    let element = match config.precision {
        Precision::F32 => F32,
        Precision::Bf16 => F32 / 2.0,
    };
    let (hidden, inner) = (shape.hidden_size as f64, shape.intermediate_size as f64);
    let (kept, logits) = match scores {
        Scores::Recomputed => (0.0, 1.0),
        Scores::Kept => {
            (2.0 * shape.num_attention_heads as f64 * config.sequence_length as f64, 3.0)
        }
    };
    let layer = 8.0 * hidden + 2.0 * inner + kept;
    let token = element * (shape.num_hidden_layers as f64 * layer + 2.0 * hidden);
    let masked = element * 3.0 * hidden + F32 * logits * shape.vocab_size as f64;
    let length = config.sequence_length - config.num_specials();
    let predicted = num_predicted(length, config.mask_prob) * config.bins_per_micro_batch();
    Memory {
        weights: F32 * all,
        gradients: F32 * trained * if several { 2.0 } else { 1.0 },
        moments: F32 * MOMENTS * trained,
        activations: token * config.micro_batch_tokens as f64 + masked * predicted as f64,
    }
}

/// Bytes of a checkpoint that a run can go on from: all weights, and the moments of the trained ones.
pub(crate) fn checkpoint_bytes(shape: &Dimensions, config: &PretrainConfig) -> f64 {
    weights_bytes(shape) + F32 * MOMENTS * trained_parameters(shape, config) as f64
}

/// Bytes of a model directory's weights.
pub(crate) fn weights_bytes(shape: &Dimensions) -> f64 {
    F32 * all_parameters(shape) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bert_base(vocab_size: usize) -> Dimensions {
        Dimensions {
            vocab_size,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            num_labels: None,
        }
    }

    /// Two layers, 4 wide, one head, 8 inside, 10 rows.
    fn tiny() -> Dimensions {
        Dimensions {
            vocab_size: 10,
            hidden_size: 4,
            num_hidden_layers: 2,
            num_attention_heads: 1,
            intermediate_size: 8,
            max_position_embeddings: 16,
            type_vocab_size: 2,
            num_labels: None,
        }
    }

    /// Bins of 10 tokens, 8 of text; two a micro-batch, two micro-batches a step.
    fn config() -> PretrainConfig {
        PretrainConfig {
            sequence_length: 10,
            micro_batch_tokens: 20,
            tokens_per_step: 40,
            mask_prob: 0.25,
            ..PretrainConfig::default()
        }
    }

    /// The counts that are published for the study's models, or follow from its vocabularies.
    #[test]
    fn parameters_are_those_of_the_published_models() {
        let counts = |vocab_size| {
            let shape = bert_base(vocab_size);
            [
                num_parameters(&shape, &[Part::Encoder, Part::Pooler]),
                all_parameters(&shape),
                trained_parameters(&shape, &PretrainConfig::default()),
            ]
        };
        assert_eq!(counts(16_424), [98_654_976, 99_265_066, 98_672_936], "KM-BERT");
        assert_eq!(counts(26_986), [106_766_592, 107_387_244, 106_795_114], "KM-BERT-vocab");
        assert_eq!(counts(28_996), [108_310_272, 108_932_934, 108_340_804], "BioBERT");
        assert_eq!(counts(119_547), [177_853_440, 178_566_653, 177_974_523], "M-BERT");
        assert_eq!(counts(45_000), [120_601_344, 121_240_010, 120_647_880], "the bilingual ones");
    }

    #[test]
    fn operations_are_counted_as_by_hand() {
        // A layer: 4·16 + 2·4·8 = 128 weights, 256 operations, and 4·10·4 = 160 of attention.
        // The head: a quarter of 2·(16 + 40) = 28.
        let forward = 2.0 * (256.0 + 160.0);
        assert_eq!(flops_per_token(&tiny(), &config()), 3.0 * (forward + 28.0));
        assert_eq!(head_flops_per_token(&tiny(), &config()), forward + 3.0 * 28.0);
        let at_five = 2.0 * (256.0 + 80.0);
        assert_eq!(tuning_flops_per_token(&tiny(), 5.0), 3.0 * at_five);
    }

    #[test]
    fn memory_is_counted_as_by_hand() {
        let (all, trained) = (532.0, 502.0);
        assert_eq!(all_parameters(&tiny()) as f64, all);
        assert_eq!(trained_parameters(&tiny(), &config()) as f64, trained);
        // A token: 2 layers of 8·4 + 2·8 = 48, and 8; 104 elements. 2 of 8 are predicted in each of
        // two bins: 4 masked tokens of 12 elements and 10 logits.
        let fused = memory(&tiny(), &config(), Scores::Recomputed);
        let expected = Memory {
            weights: 4.0 * all,
            gradients: 8.0 * trained,
            moments: 8.0 * trained,
            activations: 4.0 * (20.0 * 104.0 + 4.0 * 22.0),
        };
        assert_eq!(fused, expected);
        // Scores: 2·1·10 more a layer and token; logits three times.
        let kept = memory(&tiny(), &config(), Scores::Kept);
        assert_eq!(kept.activations, 4.0 * (20.0 * 144.0 + 4.0 * 42.0));
        let one = PretrainConfig { tokens_per_step: 20, ..config() };
        assert_eq!(memory(&tiny(), &one, Scores::Recomputed).gradients, 4.0 * trained);
        let half = PretrainConfig { precision: Precision::Bf16, ..config() };
        let half = memory(&tiny(), &half, Scores::Recomputed).activations;
        assert_eq!(half, 2.0 * 20.0 * 104.0 + 4.0 * (2.0 * 12.0 + 4.0 * 10.0));
    }

    #[test]
    fn a_checkpoint_holds_weights_and_two_moments() {
        assert_eq!(weights_bytes(&tiny()), 4.0 * 532.0);
        assert_eq!(checkpoint_bytes(&tiny(), &config()), 4.0 * 532.0 + 8.0 * 502.0);
    }
}
