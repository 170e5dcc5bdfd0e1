//! Dropout's counters on the device: the masks of `crate::dropout`, element by element.

use cubecl::prelude::*;

use crate::Dropout;

/// What a mask is a function of, beside the row and the column.
#[derive(CubeLaunch, CubeType)]
pub(crate) struct Draws {
    key_low: u32,
    key_high: u32,
    first_row: u32,
    site: u32,
    step: u32,
    threshold: u32,
    scale: f32,
}

/// `dropout` as a kernel takes it; anything where there is none, as the kernel then draws nothing.
pub(crate) fn draws(dropout: Option<Dropout>, first_row: u64) -> DrawsLaunch {
    let (seed, step, site, threshold, scale) = dropout.map_or((0, 0, 0, 0, 1.0), |dropout| {
        (dropout.seed, dropout.step, dropout.site, dropout.threshold(), dropout.scale())
    });
    DrawsLaunch::new(
        seed as u32,
        (seed >> 32) as u32,
        first_row as u32,
        site,
        step as u32,
        threshold,
        scale,
    )
}

/// Fills `mask`, `[4]`, with the mask of the columns `4 · block ..` of `row`; with ones where nothing
/// is dropped.
#[cube]
pub(crate) fn fill_mask(
    mask: &mut Array<f32>,
    draws: &Draws,
    row: u32,
    block: u32,
    #[comptime] drops: bool,
) {
    if comptime!(drops) {
        let mut first = block;
        let mut second = draws.first_row + row;
        let mut third = draws.site;
        let mut fourth = draws.step;
        let mut key_low = draws.key_low;
        let mut key_high = draws.key_high;
        #[unroll]
        for round in 0..10u32 {
            if comptime!(round > 0) {
                key_low += 0x9E37_79B9u32;
                key_high += 0xBB67_AE85u32;
            }
            let high_0 = first.mul_hi(0xD251_1F53u32);
            let low_0 = first * 0xD251_1F53u32;
            let high_1 = third.mul_hi(0xCD9E_8D57u32);
            let low_1 = third * 0xCD9E_8D57u32;
            first = high_1 ^ second ^ key_low;
            second = low_1;
            third = high_0 ^ fourth ^ key_high;
            fourth = low_0;
        }
        mask[0] = kept(first, draws);
        mask[1] = kept(second, draws);
        mask[2] = kept(third, draws);
        mask[3] = kept(fourth, draws);
    } else {
        #[unroll]
        for lane in 0..4usize {
            mask[lane] = 1.0f32;
        }
    }
}

/// What a kept element is multiplied by.
#[cube]
pub(crate) fn kept_scale(draws: &Draws, #[comptime] drops: bool) -> f32 {
    let mut scale = 1.0f32;
    if comptime!(drops) {
        scale = draws.scale;
    }
    scale
}

#[cube]
fn kept(draw: u32, draws: &Draws) -> f32 {
    select(draw >= draws.threshold, draws.scale, 0.0f32)
}
