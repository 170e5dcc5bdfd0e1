//! Conversions between types.

use crate::integers::exec;
use crate::lanes::{Bf16, F16, Small, map1};
use crate::program::{Builder, Exec, Op};
use crate::ptx::{Statement, bits};
use crate::warp::{LANES, Warp};

const TYPES: [&str; 13] =
    ["u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f16", "bf16", "f32", "f64", "tf32"];

/// A value on its way: exact, whatever it was.
#[derive(Clone, Copy)]
enum Value {
    Integer(i128),
    Float(f64),
}

fn read(ty: usize, bits: u64) -> Value {
    match TYPES[ty] {
        "u8" => Value::Integer(i128::from(bits as u8)),
        "s8" => Value::Integer(i128::from(bits as i8)),
        "u16" => Value::Integer(i128::from(bits as u16)),
        "s16" => Value::Integer(i128::from(bits as i16)),
        "u32" => Value::Integer(i128::from(bits as u32)),
        "s32" => Value::Integer(i128::from(bits as i32)),
        "u64" => Value::Integer(i128::from(bits)),
        "s64" => Value::Integer(i128::from(bits as i64)),
        "f16" => Value::Float(f64::from(F16(bits as u16).up())),
        "bf16" => Value::Float(f64::from(Bf16(bits as u16).up())),
        "f32" | "tf32" => Value::Float(f64::from(f32::from_bits(bits as u32))),
        _ => Value::Float(f64::from_bits(bits)),
    }
}

/// To an integer: to the nearest even, towards zero, down, up.
fn whole(value: f64, mode: char) -> f64 {
    match mode {
        'n' => value.round_ties_even(),
        'z' => value.trunc(),
        'm' => value.floor(),
        'p' => value.ceil(),
        _ => value,
    }
}

fn write_integer(ty: usize, value: i128, saturates: bool) -> u64 {
    let (low, high): (i128, i128) = match TYPES[ty] {
        "u8" => (0, u8::MAX.into()),
        "s8" => (i8::MIN.into(), i8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "s16" => (i16::MIN.into(), i16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "s32" => (i32::MIN.into(), i32::MAX.into()),
        "u64" => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    if saturates {
        return value.clamp(low, high) as u64;
    }
    match TYPES[ty] {
        "u8" => u64::from(value as u8),
        "s8" => value as i8 as u64,
        "u16" => u64::from(value as u16),
        "s16" => value as i16 as u64,
        "u32" => u64::from(value as u32),
        "s32" => value as i32 as u64,
        _ => value as u64,
    }
}

/// An f32 that keeps, as its last bit, whether anything was lost: rounding it again rounds once.
fn odd(value: f64) -> f32 {
    let nearest = value as f32;
    if f64::from(nearest) == value || !nearest.is_finite() || nearest == 0.0 {
        return nearest;
    }
    let below = if f64::from(nearest).abs() > value.abs() {
        f32::from_bits(nearest.to_bits() - 1)
    } else {
        nearest
    };
    f32::from_bits(below.to_bits() | 1)
}

fn write_float(ty: usize, value: f64, mode: char) -> u64 {
    match TYPES[ty] {
        "f16" => u64::from(F16::down(odd(value)).0),
        "bf16" if mode == 'z' => u64::from((odd(value).to_bits() >> 16) as u16),
        "bf16" => u64::from(Bf16::down(odd(value)).0),
        "f32" => u64::from(
            match mode {
                'z' if f64::from(value as f32).abs() > value.abs() => {
                    f32::from_bits((value as f32).to_bits() - 1)
                }
                _ => value as f32,
            }
            .to_bits(),
        ),
        // Ten bits are kept, ties go away from zero.
        "tf32" => u64::from((value as f32).to_bits().wrapping_add(0x1000) & !0x1FFF),
        _ => value.to_bits(),
    }
}

/// Any conversion: `imm` holds both types, the rounding and whether it saturates, and the registers' widths.
fn general(w: &mut Warp, o: &Op, mask: u32) {
    let (to, from) = ((o.imm & 15) as usize, (o.imm >> 4 & 15) as usize);
    let (mode, saturates) = ((o.imm >> 8 & 127) as u8 as char, o.imm >> 15 & 1 == 1);
    let (wide_to, wide_from) = (o.imm >> 16 & 255, o.imm >> 24 & 255);
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let bits = match wide_from {
            16 => u64::from(w.row::<u16>(o.a)[lane]),
            32 => u64::from(w.row::<u32>(o.a)[lane]),
            _ => w.row::<u64>(o.a)[lane],
        };
        let to_float = to >= 8;
        let bits = match (read(from, bits), to_float) {
            (Value::Integer(value), false) => write_integer(to, value, saturates),
            (Value::Integer(value), true) => write_float(to, value as f64, mode),
            (Value::Float(value), false) => {
                let value = if value.is_nan() { 0.0 } else { whole(value, mode) };
                write_integer(to, value as i128, true)
            }
            (Value::Float(value), true) => {
                let value = if o.imm >> 32 & 1 == 1 { whole(value, mode) } else { value };
                let value = match saturates {
                    true if value.is_nan() => 0.0,
                    true => value.clamp(0.0, 1.0),
                    false => value,
                };
                write_float(to, value, mode)
            }
        };
        match wide_to {
            16 => w.row::<u16>(o.d)[lane] = bits as u16,
            32 => w.row::<u32>(o.d)[lane] = bits as u32,
            _ => w.row::<u64>(o.d)[lane] = bits,
        }
    }
}

/// What kernels do most.
fn quick(to: &str, from: &str, mode: &str) -> Option<Exec> {
    Some(match (to, from, mode) {
        ("u64", "u32", "") | ("s64", "u32", "") => exec!(map1, u32, u64, u64::from),
        ("s64", "s32", "") => exec!(map1, i32, i64, i64::from),
        ("u32" | "s32", "u64" | "s64", "") => exec!(map1, u64, u32, |a| a as u32),
        ("f32", "bf16", "") => exec!(map1, Bf16, f32, Bf16::up),
        ("f32", "f16", "") => exec!(map1, F16, f32, F16::up),
        ("bf16", "f32", "rn") => exec!(map1, f32, Bf16, Bf16::down),
        ("f16", "f32", "rn") => exec!(map1, f32, F16, F16::down),
        ("f32", "s32", "rn") => exec!(map1, i32, f32, |a| a as f32),
        ("f32", "u32", "rn") => exec!(map1, u32, f32, |a| a as f32),
        ("s32", "f32", "rzi") => exec!(map1, f32, i32, |a| a as i32),
        ("u32", "f32", "rzi") => exec!(map1, f32, u32, |a| a as u32),
        _ => return None,
    })
}

/// `cvt.rn.bf16x2.f32 d, a, b`: `a` is the upper half.
fn packed(b: &mut Builder, s: &Statement, to: &str) -> Result<Option<Op>, String> {
    let relu = s.opcode.iter().any(|part| part == "relu");
    let mut op = Op::new(match (to, relu) {
        ("bf16x2", false) => exec!(map2, f32, u32, |a, b| u32::from(Bf16::down(a).0) << 16
            | u32::from(Bf16::down(b).0)),
        ("f16x2", false) => exec!(map2, f32, u32, |a, b| u32::from(F16::down(a).0) << 16
            | u32::from(F16::down(b).0)),
        _ => return Ok(None),
    });
    op.d = b.result(&s.operands[0], 32)?;
    (op.a, op.b) = (b.value(&s.operands[1], 32)?, b.value(&s.operands[2], 32)?);
    Ok(Some(op))
}

use crate::lanes::map2;

pub fn decode(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    if s.opcode[0] != "cvt" {
        return Ok(None);
    }
    let [.., to, from] = s.opcode.as_slice() else { return Ok(None) };
    if to.ends_with("x2") {
        return if from == "f32" { packed(b, s, to) } else { Ok(None) };
    }
    let mut mode = "";
    let mut saturates = false;
    for part in &s.opcode[1..s.opcode.len() - 2] {
        match part.as_str() {
            "rn" | "rz" | "rm" | "rp" | "rna" | "rni" | "rzi" | "rmi" | "rpi" => mode = part,
            "sat" => saturates = true,
            "ftz" => {}
            _ => return Ok(None),
        }
    }
    let place = |ty: &str| {
        TYPES.iter().position(|known| *known == ty).ok_or_else(|| format!("the type `{ty}`"))
    };
    let of = |ty: &str| if ty == "tf32" { 32 } else { bits(ty).unwrap_or(0) };
    let (source, from_width) = b.any(&s.operands[1], of(from).max(16))?;
    let (target, to_width) = b.any(&s.operands[0], of(to).max(16))?;
    let fits = from_width == of(from) && to_width == of(to) && !saturates;
    let execute = quick(to, from, mode).filter(|_| fits).unwrap_or(general);
    let mut op = Op::new(execute);
    (op.d, op.a) = (target, source);
    let letter = mode.as_bytes().get(1).copied().unwrap_or(b' ');
    op.imm = place(to)? as i64
        | (place(from)? as i64) << 4
        | i64::from(letter) << 8
        | i64::from(saturates) << 15
        | i64::from(to_width) << 16
        | i64::from(from_width) << 24
        | i64::from(mode.ends_with('i')) << 32;
    Ok(Some(op))
}
