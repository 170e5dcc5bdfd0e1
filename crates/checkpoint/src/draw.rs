//! Random numbers as functions of their place: no state, so that threads and order change nothing.

/// A standard normal number of the place (`row`, `column`) under `seed`.
///
/// Source: Box and Muller 1958, over two uniform numbers of 53 bits.
pub fn standard_normal(seed: u64, row: u64, column: u64) -> f64 {
    let place = scramble(scramble(scramble(seed) ^ row) ^ column);
    let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) * (-53_f64).exp2();
    let radius = (-2.0 * uniform(scramble(place)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(scramble(place ^ u64::MAX))).cos()
}

/// Source: the SplitMix64 step of Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
/// generators".
fn scramble(value: u64) -> u64 {
    let mut bits = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
