//! Floats, and comparisons of every type.

use crate::integers::exec;
use crate::lanes::{Bf16, F16, Small, map1, map2, map3, pair2, put, test};
use crate::program::{Builder, Exec, Op};
use crate::ptx::{Statement, bits};
use crate::warp::{LANES, Warp};

/// A function of floats for each type; what has 16 bits is computed in f32 and rounded.
macro_rules! unary {
    ($ty:expr, $f:expr) => {
        match $ty {
            "f32" => exec!(map1, f32, f32, $f),
            "f64" => exec!(map1, f64, f64, $f),
            "f16" => exec!(map1, F16, F16, |a| F16::down(small($f)(a.up()))),
            "bf16" => exec!(map1, Bf16, Bf16, |a| Bf16::down(small($f)(a.up()))),
            "f16x2" => exec!(map1, u32, u32, |a| pair2::<F16>(a, 0, |x, _| small($f)(x))),
            "bf16x2" => exec!(map1, u32, u32, |a| pair2::<Bf16>(a, 0, |x, _| small($f)(x))),
            _ => return Ok(None),
        }
    };
}

macro_rules! binary {
    ($ty:expr, $f:expr) => {
        match $ty {
            "f32" => exec!(map2, f32, f32, $f),
            "f64" => exec!(map2, f64, f64, $f),
            "f16" => exec!(map2, F16, F16, |a, b| F16::down(small2($f)(a.up(), b.up()))),
            "bf16" => exec!(map2, Bf16, Bf16, |a, b| Bf16::down(small2($f)(a.up(), b.up()))),
            "f16x2" => exec!(map2, u32, u32, |a, b| pair2::<F16>(a, b, small2($f))),
            "bf16x2" => exec!(map2, u32, u32, |a, b| pair2::<Bf16>(a, b, small2($f))),
            _ => return Ok(None),
        }
    };
}

/// Says that a closure is of f32.
fn small<F: Fn(f32) -> f32>(f: F) -> F {
    f
}

fn small2<F: Fn(f32, f32) -> f32>(f: F) -> F {
    f
}

/// A product of 16-bit floats is exact in f64, and so their sum nearly always.
fn fused<T: Small>(a: T, b: T, c: T) -> T {
    T::down((f64::from(a.up()) * f64::from(b.up()) + f64::from(c.up())) as f32)
}

fn fused_pair<T: Small + crate::lanes::From16>(a: u32, b: u32, c: u32) -> u32 {
    let half = |at: u32| {
        fused(T::of((a >> at) as u16), T::of((b >> at) as u16), T::of((c >> at) as u16)).bits()
    };
    u32::from(half(0)) | u32::from(half(16)) << 16
}

/// The f32 at or beyond `value` in a direction: -1 down, 1 up, 0 towards zero.
fn directed(value: f64, direction: i32) -> f32 {
    let nearest = value as f32;
    let down = direction < 0 || direction == 0 && value > 0.0;
    if down && f64::from(nearest) > value {
        nearest.next_down()
    } else if !down && f64::from(nearest) < value {
        nearest.next_up()
    } else {
        nearest
    }
}

fn wide(f: impl Fn(f64, f64, f64) -> f64, direction: i32) -> impl Fn(f32, f32, f32) -> f32 {
    move |a, b, c| directed(f(f64::from(a), f64::from(b), f64::from(c)), direction)
}

/// Sums and products that do not round to the nearest.
fn rounded(s: &Statement) -> Option<Exec> {
    let mode = s.opcode.iter().find_map(|part| match part.as_str() {
        "rm" => Some(-1),
        "rp" => Some(1),
        "rz" => Some(0),
        _ => None,
    })?;
    macro_rules! by_mode {
        ($map:ident, $apply:expr) => {
            match mode {
                -1 => exec!($map, f32, f32, |a, b, c| wide($apply, -1)(a, b, c)),
                1 => exec!($map, f32, f32, |a, b, c| wide($apply, 1)(a, b, c)),
                _ => exec!($map, f32, f32, |a, b, c| wide($apply, 0)(a, b, c)),
            }
        };
    }
    fn map2c(w: &Warp, o: &Op, m: u32, f: impl Fn(f32, f32, f32) -> f32) {
        map2::<f32, f32>(w, o, m, |a, b| f(a, b, 0.0));
    }
    macro_rules! two {
        ($apply:expr) => {
            match mode {
                -1 => |w: &mut Warp, o: &Op, m: u32| map2c(w, o, m, wide($apply, -1)),
                1 => |w: &mut Warp, o: &Op, m: u32| map2c(w, o, m, wide($apply, 1)),
                _ => |w: &mut Warp, o: &Op, m: u32| map2c(w, o, m, wide($apply, 0)),
            }
        };
    }
    Some(match s.opcode[0].as_str() {
        "fma" => by_mode!(map3, |a, b, c| a * b + c),
        "add" => two!(|a, b, _| a + b),
        "sub" => two!(|a, b, _| a - b),
        "mul" => two!(|a, b, _| a * b),
        _ => return None,
    })
}

fn saturated(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

/// Of two numbers the smaller; of a number and none, the number.
fn least<T: Float>(a: T, b: T) -> T {
    if a.none() || b.below(a) || (b.same(a) && b.negative()) { b } else { a }
}

fn most<T: Float>(a: T, b: T) -> T {
    if a.none() || a.below(b) || (b.same(a) && a.negative()) { b } else { a }
}

trait Float: Copy {
    fn none(self) -> bool;
    fn below(self, other: Self) -> bool;
    fn same(self, other: Self) -> bool;
    fn negative(self) -> bool;
}

macro_rules! float {
    ($t:ty) => {
        impl Float for $t {
            fn none(self) -> bool {
                self.is_nan()
            }
            fn below(self, other: Self) -> bool {
                self < other
            }
            fn same(self, other: Self) -> bool {
                self == other
            }
            fn negative(self) -> bool {
                self.is_sign_negative()
            }
        }
    };
}
float!(f32);
float!(f64);

/// A comparison of floats; `u` and a name are true too where one is not a number.
macro_rules! compared {
    ($name:expr, $t:ty, $up:expr) => {{
        macro_rules! test_of {
            ($f:expr) => {{
                let compare: Compare = |w, o| test::<$t>(w, o, |a, b| $f($up(a), $up(b)));
                compare
            }};
        }
        match $name {
            "eq" => test_of!(|a, b| a == b),
            "ne" => test_of!(|a, b| a < b || a > b),
            "lt" => test_of!(|a, b| a < b),
            "le" => test_of!(|a, b| a <= b),
            "gt" => test_of!(|a, b| a > b),
            "ge" => test_of!(|a, b| a >= b),
            "equ" => test_of!(|a, b| !(a < b || a > b)),
            "neu" => test_of!(|a, b| a != b),
            "ltu" => test_of!(|a, b| !(a >= b)),
            "leu" => test_of!(|a, b| !(a > b)),
            "gtu" => test_of!(|a, b| !(a <= b)),
            "geu" => test_of!(|a, b| !(a < b)),
            "num" => test_of!(|a, b| a == a && b == b),
            "nan" => test_of!(|a, b| a != a || b != b),
            other => return Err(format!("the comparison `{other}`")),
        }
    }};
}

macro_rules! ordered {
    ($name:expr, $t:ty) => {{
        macro_rules! test_of {
            ($f:expr) => {{
                let compare: Compare = |w, o| test::<$t>(w, o, $f);
                compare
            }};
        }
        match $name {
            "eq" => test_of!(|a, b| a == b),
            "ne" => test_of!(|a, b| a != b),
            "lt" | "lo" => test_of!(|a, b| a < b),
            "le" | "ls" => test_of!(|a, b| a <= b),
            "gt" | "hi" => test_of!(|a, b| a > b),
            "ge" | "hs" => test_of!(|a, b| a >= b),
            other => return Err(format!("the comparison `{other}`")),
        }
    }};
}

type Compare = fn(&Warp, &Op) -> u32;

fn comparison(name: &str, ty: &str) -> Result<Compare, String> {
    Ok(match ty {
        "u16" | "b16" => ordered!(name, u16),
        "s16" => ordered!(name, i16),
        "u32" | "b32" => ordered!(name, u32),
        "s32" => ordered!(name, i32),
        "u64" | "b64" => ordered!(name, u64),
        "s64" => ordered!(name, i64),
        "f32" => compared!(name, f32, |a: f32| a),
        "f64" => compared!(name, f64, |a: f64| a),
        "f16" => compared!(name, F16, |a: F16| a.up()),
        "bf16" => compared!(name, Bf16, |a: Bf16| a.up()),
        other => return Err(format!("a comparison of `{other}`")),
    })
}

/// `setp.lt.and.f32 p|q, a, b, c`: the comparison, joined with a predicate; `q` has its opposite.
fn set_predicate(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    fn run(w: &mut Warp, o: &Op, mask: u32) {
        // SAFETY: it was made of a `Compare` below.
        let compare: Compare = unsafe { std::mem::transmute::<usize, Compare>(o.extra) };
        let found = compare(w, o);
        let third = match o.rows[1] {
            0 => 0,
            1 => *w.bits(o.c),
            _ => !*w.bits(o.c),
        };
        let join = |bits: u32| match o.rows[0] {
            0 => bits,
            1 => bits & third,
            2 => bits | third,
            _ => bits ^ third,
        };
        let (first, second) = (join(found), join(!found));
        let d = w.bits(o.d);
        *d = *d & !mask | first & mask;
        if o.e != u32::MAX {
            let e = w.bits(o.e);
            *e = *e & !mask | second & mask;
        }
    }
    let parts: Vec<&str> =
        s.opcode.iter().map(String::as_str).filter(|part| *part != "ftz").collect();
    let (name, ty) = (parts[1], parts[parts.len() - 1]);
    let join = match parts.get(2).filter(|_| parts.len() == 4) {
        None => 0,
        Some(&"and") => 1,
        Some(&"or") => 2,
        Some(&"xor") => 3,
        Some(other) => return Err(format!("a comparison joined by `{other}`")),
    };
    let width = bits(ty).ok_or("no type")?;
    let mut op = Op::new(run);
    op.extra = comparison(name, ty)? as usize;
    let (first, second) = s.operands[0].split_once('|').unwrap_or((&s.operands[0], ""));
    op.d = b.result(first, 1)?;
    if !second.is_empty() {
        op.e = b.result(second, 1)?;
    }
    op.a = b.value(&s.operands[1], width)?;
    op.b = b.value(&s.operands[2], width)?;
    let mut third = 0;
    if let Some(text) = s.operands.get(3) {
        third = 1 + u32::from(text.starts_with('!'));
        op.c = b.value(text.trim_start_matches('!'), 1)?;
    }
    op.rows = Box::new([join, third]);
    Ok(Some(op))
}

/// `set.eq.f16.f16 d, a, b`: one where it holds, all ones for integers.
fn set_number(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    fn run(w: &mut Warp, o: &Op, mask: u32) {
        // SAFETY: it was made of a `Compare` below.
        let compare: Compare = unsafe { std::mem::transmute::<usize, Compare>(o.extra) };
        let found = compare(w, o);
        if o.imm <= 0xFFFF {
            put(w, o.d, mask, |lane| if found >> lane & 1 == 1 { o.imm as u16 } else { 0 });
        } else {
            put(w, o.d, mask, |lane| if found >> lane & 1 == 1 { o.imm as u32 } else { 0 });
        }
    }
    let parts: Vec<&str> = s.opcode.iter().map(String::as_str).filter(|p| *p != "ftz").collect();
    let [_, name, to, from] = parts[..] else { return Ok(None) };
    let mut op = Op::new(run);
    op.imm = match to {
        "u32" | "s32" => 0xFFFF_FFFF,
        "f32" => 0x3F80_0000,
        "f16" => 0x3C00,
        "bf16" => 0x3F80,
        _ => return Ok(None),
    };
    op.extra = comparison(name, from)? as usize;
    let (to, from) = (bits(to).ok_or("no type")?, bits(from).ok_or("no type")?);
    op.d = b.result(&s.operands[0], to)?;
    (op.a, op.b) = (b.value(&s.operands[1], from)?, b.value(&s.operands[2], from)?);
    Ok(Some(op))
}

fn select(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    fn run<T: Copy>(w: &mut Warp, o: &Op, mask: u32) {
        let (a, b): ([T; LANES], [T; LANES]) = (*w.row(o.a), *w.row(o.b));
        let c = *w.bits(o.c);
        put(w, o.d, mask, |lane| if c >> lane & 1 == 1 { a[lane] } else { b[lane] });
    }
    let width = s.opcode.last().and_then(|ty| bits(ty)).ok_or("no type")?;
    let mut op = Op::new(match width {
        16 => run::<u16>,
        32 => run::<u32>,
        64 => run::<u64>,
        _ => return Ok(None),
    });
    op.d = b.result(&s.operands[0], width)?;
    (op.a, op.b) = (b.value(&s.operands[1], width)?, b.value(&s.operands[2], width)?);
    op.c = b.value(&s.operands[3], 1)?;
    Ok(Some(op))
}

fn is_finite_and(s: &Statement) -> Option<Exec> {
    macro_rules! tests {
        ($($name:literal => $f:expr),*) => {
            match s.opcode[1].as_str() {
                $($name => |w: &mut Warp, o: &Op, m: u32| {
                    let a: &[f32; LANES] = w.row(o.a);
                    let found = (0..LANES).fold(0, |bits, lane| bits | u32::from($f(a[lane])) << lane);
                    crate::integers::set(w, o, m, found);
                },)*
                _ => return None,
            }
        };
    }
    Some(tests!(
        "finite" => |a: f32| a.is_finite(),
        "infinite" => |a: f32| a.is_infinite(),
        "number" => |a: f32| !a.is_nan(),
        "notanumber" => |a: f32| a.is_nan(),
        "normal" => |a: f32| a.is_normal(),
        "subnormal" => |a: f32| a.is_subnormal()
    ))
}

/// Sign bits alone change, as for a NaN.
fn signs(s: &Statement, ty: &str) -> Option<Exec> {
    macro_rules! by_width {
        ($w16:expr, $w32:expr, $pair:expr, $w64:expr) => {
            match ty {
                "f16" | "bf16" => exec!(map1, u16, u16, $w16),
                "f32" => exec!(map1, u32, u32, $w32),
                "f16x2" | "bf16x2" => exec!(map1, u32, u32, $pair),
                "f64" => exec!(map1, u64, u64, $w64),
                _ => return None,
            }
        };
    }
    Some(match s.opcode[0].as_str() {
        "neg" => by_width!(|a| a ^ 0x8000, |a| a ^ 1 << 31, |a| a ^ 0x8000_8000, |a| a ^ 1 << 63),
        "abs" => {
            by_width!(|a| a & 0x7FFF, |a| a & !(1 << 31), |a| a & 0x7FFF_7FFF, |a| a & !(1 << 63))
        }
        _ => return None,
    })
}

fn arithmetic(s: &Statement, ty: &str) -> Result<Option<Exec>, String> {
    let has = |part: &str| s.opcode.iter().any(|found| found == part);
    let name = s.opcode[0].as_str();
    if has("relu") || has("xorsign") {
        return Err("`.relu` or `.xorsign`".into());
    }
    if has("sat") {
        return Ok(Some(match (name, ty) {
            ("fma", "f32") => exec!(map3, f32, f32, |a, b, c| saturated(a.mul_add(b, c))),
            ("add", "f32") => exec!(map2, f32, f32, |a, b| saturated(a + b)),
            ("mul", "f32") => exec!(map2, f32, f32, |a, b| saturated(a * b)),
            _ => return Err("`.sat`".into()),
        }));
    }
    if let Some(execute) = rounded(s) {
        return if ty == "f32" { Ok(Some(execute)) } else { Err("this rounding".into()) };
    }
    if let Some(execute) = signs(s, ty) {
        return Ok(Some(execute));
    }
    Ok(Some(match name {
        "add" => binary!(ty, |a, b| a + b),
        "sub" => binary!(ty, |a, b| a - b),
        "mul" => binary!(ty, |a, b| a * b),
        "div" => binary!(ty, |a, b| a / b),
        "min" if has("NaN") => {
            binary!(ty, |a, b| if a.is_nan() || b.is_nan() { a + b } else { least(a, b) })
        }
        "max" if has("NaN") => {
            binary!(ty, |a, b| if a.is_nan() || b.is_nan() { a + b } else { most(a, b) })
        }
        "min" => binary!(ty, |a, b| least(a, b)),
        "max" => binary!(ty, |a, b| most(a, b)),
        "fma" | "mad" => match ty {
            "f32" => exec!(map3, f32, f32, |a, b, c| a.mul_add(b, c)),
            "f64" => exec!(map3, f64, f64, |a, b, c| a.mul_add(b, c)),
            "f16" => exec!(map3, F16, F16, fused),
            "bf16" => exec!(map3, Bf16, Bf16, fused),
            "f16x2" => exec!(map3, u32, u32, fused_pair::<F16>),
            "bf16x2" => exec!(map3, u32, u32, fused_pair::<Bf16>),
            _ => return Ok(None),
        },
        "rcp" => unary!(ty, |a| 1.0 / a),
        "sqrt" => unary!(ty, |a| a.sqrt()),
        "rsqrt" => match ty {
            "f32" => exec!(map1, f32, f32, |a| (1.0 / f64::from(a).sqrt()) as f32),
            _ => unary!(ty, |a| 1.0 / a.sqrt()),
        },
        "ex2" => unary!(ty, |a| a.exp2()),
        "lg2" => unary!(ty, |a| a.log2()),
        "sin" => unary!(ty, |a| a.sin()),
        "cos" => unary!(ty, |a| a.cos()),
        "tanh" => unary!(ty, |a| a.tanh()),
        "copysign" => match ty {
            "f32" => exec!(map2, f32, f32, |sign, a| a.copysign(sign)),
            "f64" => exec!(map2, f64, f64, |sign, a| a.copysign(sign)),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

pub fn decode(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    match s.opcode[0].as_str() {
        "setp" => return set_predicate(b, s),
        "selp" => return select(b, s),
        "set" => return set_number(b, s),
        _ => {}
    }
    let ty = s.opcode.last().expect("split gives one").as_str();
    let width = bits(ty).unwrap_or(0);
    if s.opcode[0] == "testp" && ty == "f32" {
        let mut op = Op::new(is_finite_and(s).ok_or("this test")?);
        (op.d, op.a) = (b.result(&s.operands[0], 1)?, b.value(&s.operands[1], 32)?);
        return Ok(Some(op));
    }
    if !matches!(ty, "f16" | "bf16" | "f16x2" | "bf16x2" | "f32" | "f64") || s.opcode.len() < 2 {
        return Ok(None);
    }
    let Some(execute) = arithmetic(s, ty)? else { return Ok(None) };
    let mut op = Op::new(execute);
    op.d = b.result(&s.operands[0], width)?;
    op.a = b.value(&s.operands[1], width)?;
    if let Some(second) = s.operands.get(2) {
        op.b = b.value(second, width)?;
    }
    if let Some(third) = s.operands.get(3) {
        op.c = b.value(third, width)?;
    }
    Ok(Some(op))
}
