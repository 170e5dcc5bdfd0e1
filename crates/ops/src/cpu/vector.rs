//! Elementary functions and sums in a form that compilers vectorise, the same bits on every width.
//!
//! Sums run over sixteen lanes and then over the lanes in order, whatever the machine's vectors are.

/// Declares a function whose body is compiled for the widest vector instructions that the processor
/// has; which, is found at run time.
///
/// What the body calls must be `#[inline(always)]`: only what is inlined has the instructions. A
/// closure handed to the dispatcher would stay a call into code without them, and `mul_add` a call
/// into the mathematics library.
macro_rules! vectorised {
    ($(#[$meta:meta])* fn $name:ident<$life:lifetime>(
        $($argument:ident: $type:ty),* $(,)?
    ) $(-> $output:ty)? $body:block) => {
        $(#[$meta])*
        fn $name<$life>($($argument: $type),*) $(-> $output)? {
            struct Arguments<$life>($($type,)* std::marker::PhantomData<&$life ()>);
            impl<$life> pulp::NullaryFnOnce for Arguments<$life> {
                type Output = vectorised!(@output $($output)?);

                #[inline(always)]
                fn call(self) -> Self::Output {
                    let Self($($argument,)* _) = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Arguments($($argument,)* std::marker::PhantomData))
        }
    };
    (@output) => { () };
    (@output $output:ty) => { $output };
}
pub(crate) use vectorised;

/// Lanes of every sum.
const LANES: usize = 16;

/// `Σ f(values)` over sixteen lanes.
#[inline(always)]
pub(crate) fn sum_of(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f(value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|&value| f(value)).sum::<f32>()
}

/// `Σ aᵢ bᵢ` over sixteen lanes.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = chunks_a.remainder().iter().zip(chunks_b.remainder());
    let rest: f32 = rest.map(|(x, y)| x * y).sum();
    for (x, y) in chunks_a.zip(chunks_b) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The largest of `values`; −∞ of none.
#[inline(always)]
pub(crate) fn maximum(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.into_iter().fold(rest, f32::max)
}

/// eˣ within 2 units in the last place, for x in [−87, 88]; beyond, the value at the end.
///
/// Source: `expf` of the Cephes library (Moshier), with the rounding done by adding 1.5 · 2²³.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let whole = shifted - ROUND;
    let r = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + coefficient;
    }
    (p * r * r + r + 1.0) * f32::from_bits(exponent.wrapping_add(127) << 23)
}

/// The error function within 4e-7.
///
/// Source: the rational approximation of Eigen's `generic_fast_erf_float`.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let mut p = -2.726_142_3e-10;
    for coefficient in [
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_5e-5,
        -7.349_906_4e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ] {
        p = p * square + coefficient;
    }
    let mut q = -1.456_607_2e-5;
    for coefficient in [-2.133_740_5e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        q = q * square + coefficient;
    }
    x * p / q
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its power series in f64, good to 1e-13 below 4.
    fn erf_series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for step in -87_000..=88_000 {
            let x = step as f32 / 1_000.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 2.4e-7, "{x}: {error:e}");
        }
        assert!(exp(-1.0e9) < 1.0e-37);
    }

    #[test]
    fn erf_is_within_its_bound() {
        for step in -4_000..=4_000 {
            let x = step as f32 / 1_000.0;
            let error = (f64::from(erf(x)) - erf_series(f64::from(x))).abs();
            assert!(error < 4.0e-7, "{x}: {error:e}");
        }
    }

    #[test]
    fn sums_count_every_element_once() {
        let values: Vec<f32> = (1..=37).map(|value| value as f32).collect();
        assert_eq!(sum_of(&values, |x| x), 703.0);
        assert_eq!(dot(&values, &[2.0; 37]), 1_406.0);
        assert_eq!(maximum(&values), 37.0);
    }
}
