//! A function of numbers, made one of 32 lanes.

use crate::program::Op;
use crate::warp::{LANES, Warp};

/// Puts `value(lane)` in the lanes of a mask.
#[inline(always)]
pub fn put<D: Copy>(w: &Warp, row: u32, mask: u32, value: impl Fn(usize) -> D) {
    let d = w.row::<D>(row);
    if mask == !0 {
        for (lane, d) in d.iter_mut().enumerate() {
            *d = value(lane);
        }
    } else {
        for (lane, d) in d.iter_mut().enumerate() {
            *d = if mask >> lane & 1 == 1 { value(lane) } else { *d };
        }
    }
}

#[inline(always)]
pub fn map1<A: Copy, D: Copy>(w: &Warp, o: &Op, mask: u32, f: impl Fn(A) -> D) {
    let a: [A; LANES] = *w.row(o.a);
    put(w, o.d, mask, |lane| f(a[lane]));
}

#[inline(always)]
pub fn map2<A: Copy, D: Copy>(w: &Warp, o: &Op, mask: u32, f: impl Fn(A, A) -> D) {
    let (a, b): ([A; LANES], [A; LANES]) = (*w.row(o.a), *w.row(o.b));
    put(w, o.d, mask, |lane| f(a[lane], b[lane]));
}

/// As `map2`, the second operand of 32 bits: a shift.
#[inline(always)]
pub fn shift<A: Copy>(w: &Warp, o: &Op, mask: u32, f: impl Fn(A, u32) -> A) {
    let (a, b): ([A; LANES], [u32; LANES]) = (*w.row(o.a), *w.row(o.b));
    put(w, o.d, mask, |lane| f(a[lane], b[lane]));
}

/// The third operand has the result's type, which `mad.wide` makes wider.
#[inline(always)]
pub fn map3<A: Copy, D: Copy>(w: &Warp, o: &Op, mask: u32, f: impl Fn(A, A, D) -> D) {
    let (a, b, c): ([A; LANES], [A; LANES], [D; LANES]) = (*w.row(o.a), *w.row(o.b), *w.row(o.c));
    put(w, o.d, mask, |lane| f(a[lane], b[lane], c[lane]));
}

/// The bits of a comparison.
#[inline(always)]
pub fn test<A: Copy>(w: &Warp, o: &Op, f: impl Fn(A, A) -> bool) -> u32 {
    let (a, b): (&[A; LANES], &[A; LANES]) = (w.row(o.a), w.row(o.b));
    (0..LANES).fold(0, |bits, lane| bits | u32::from(f(a[lane], b[lane])) << lane)
}

/// A float of 16 or 32 bits.
pub trait Small: Copy {
    fn up(self) -> f32;
    fn down(value: f32) -> Self;
}

impl Small for f32 {
    #[inline(always)]
    fn up(self) -> f32 {
        self
    }
    #[inline(always)]
    fn down(value: f32) -> Self {
        value
    }
}

/// bfloat16.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Small for Bf16 {
    #[inline(always)]
    fn up(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
    #[inline(always)]
    fn down(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = (bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16) as u16;
        Bf16(if value.is_nan() { 0x7FFF } else { rounded })
    }
}

/// binary16.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct F16(pub u16);

impl Small for F16 {
    #[inline(always)]
    fn up(self) -> f32 {
        let (sign, rest) = (u32::from(self.0 & 0x8000) << 16, u32::from(self.0 & 0x7FFF));
        // The exponent is moved by a product, which also makes subnormals normal.
        let magnitude = if rest >= 0x7C00 {
            f32::from_bits(0x7F80_0000 | (rest & 0x3FF) << 13)
        } else {
            f32::from_bits(rest << 13) * f32::from_bits(0x7780_0000)
        };
        f32::from_bits(magnitude.to_bits() | sign)
    }
    #[inline(always)]
    fn down(value: f32) -> Self {
        let bits = value.to_bits();
        let (sign, rest) = ((bits >> 16 & 0x8000) as u16, bits & 0x7FFF_FFFF);
        let magnitude = if rest > 0x7F80_0000 {
            0x7FFF
        } else if rest >= 0x477F_F000 {
            0x7C00
        } else if rest < 0x3880_0000 {
            // Subnormal: the sum with one half rounds at the last place that binary16 has.
            ((f32::from_bits(rest) + 0.5).to_bits() - 0.5f32.to_bits()) as u16
        } else {
            ((rest - 0x3800_0000 + 0xFFF + (rest >> 13 & 1)) >> 13) as u16
        };
        F16(sign | magnitude)
    }
}

/// A function of two floats on the halves of a word.
#[inline(always)]
pub fn pair2<T: Small + From16>(a: u32, b: u32, f: impl Fn(f32, f32) -> f32) -> u32 {
    let low = T::down(f(T::of(a as u16).up(), T::of(b as u16).up())).bits();
    let high = T::down(f(T::of((a >> 16) as u16).up(), T::of((b >> 16) as u16).up())).bits();
    u32::from(low) | u32::from(high) << 16
}

/// A float of 16 bits, as bits.
pub trait From16 {
    fn of(bits: u16) -> Self;
    fn bits(self) -> u16;
}

impl From16 for Bf16 {
    fn of(bits: u16) -> Self {
        Bf16(bits)
    }
    fn bits(self) -> u16 {
        self.0
    }
}

impl From16 for F16 {
    fn of(bits: u16) -> Self {
        F16(bits)
    }
    fn bits(self) -> u16 {
        self.0
    }
}
