//! Every random choice about data: a function of (seed, purpose, epoch, sample, position).

use bimed_ops::philox4x32;

/// What a draw decides; two purposes never share a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The order of the samples in an epoch.
    Order,
    /// Which positions are predicted.
    Mask,
    /// What a predicted position is replaced by.
    Replace,
    /// Which samples are validated.
    Validate,
    /// Whether and with what a second sentence is exchanged.
    NextSentence,
}

/// The draws of one sample in one epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws {
    key: [u32; 2],
    epoch: u32,
    sample: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64, epoch: u64, sample: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], epoch: epoch as u32, sample }
    }

    /// Four words for `position`.
    pub(crate) fn words(&self, purpose: Purpose, position: usize) -> [u32; 4] {
        let place = (purpose as u32) << 28 | (self.sample >> 32) as u32;
        philox4x32([position as u32, self.sample as u32, place, self.epoch], self.key)
    }

    /// 64 bits for `position`.
    pub(crate) fn word(&self, purpose: Purpose, position: usize) -> u64 {
        let [low, high, ..] = self.words(purpose, position);
        u64::from(high) << 32 | u64::from(low)
    }
}

/// A number below `bound` from 32 random bits (Lemire's multiply and shift; the bias is below
/// `bound` / 2³²).
pub(crate) fn below(bits: u32, bound: u32) -> u32 {
    ((u64::from(bits) * u64::from(bound)) >> 32) as u32
}
