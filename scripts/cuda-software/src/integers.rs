//! Integers, bits and predicates.

use crate::lanes::{map1, map2, map3, put, shift};
use crate::program::{Builder, Exec, Op};
use crate::ptx::{Statement, bits, literal};
use crate::warp::{LANES, Warp};

/// A function of one type, made a statement's.
macro_rules! exec {
    ($map:ident, $a:ty, $d:ty, $f:expr) => {{
        let execute: crate::program::Exec = |w, o, m| $map::<$a, $d>(w, o, m, $f);
        execute
    }};
    ($map:ident, $a:ty, $f:expr) => {{
        let execute: crate::program::Exec = |w, o, m| $map::<$a>(w, o, m, $f);
        execute
    }};
}
pub(crate) use exec;

/// The same function for each type of integer.
macro_rules! each {
    ($ty:expr, $map:ident, $f:expr) => {
        match $ty {
            "u16" => exec!($map, u16, u16, $f),
            "s16" => exec!($map, i16, i16, $f),
            "u32" => exec!($map, u32, u32, $f),
            "s32" => exec!($map, i32, i32, $f),
            "u64" => exec!($map, u64, u64, $f),
            "s64" => exec!($map, i64, i64, $f),
            _ => return Ok(None),
        }
    };
}

/// The same function for each width.
macro_rules! bitwise {
    ($ty:expr, $map:ident, $f:expr) => {
        match bits($ty) {
            Some(16) => exec!($map, u16, u16, $f),
            Some(32) => exec!($map, u32, u32, $f),
            Some(64) => exec!($map, u64, u64, $f),
            _ => return Ok(None),
        }
    };
}

macro_rules! shifts {
    ($ty:expr, $f:expr) => {
        match $ty {
            "b16" | "u16" => exec!(shift, u16, $f),
            "s16" => exec!(shift, i16, $f),
            "b32" | "u32" => exec!(shift, u32, $f),
            "s32" => exec!(shift, i32, $f),
            "b64" | "u64" => exec!(shift, u64, $f),
            "s64" => exec!(shift, i64, $f),
            _ => return Ok(None),
        }
    };
}

fn wide(ty: &str, kind: &str, adds: bool) -> Option<Exec> {
    macro_rules! product {
        ($t:ty, $w:ty) => {
            match (kind, adds) {
                ("lo", false) => exec!(map2, $t, $t, |a, b| a.wrapping_mul(b)),
                ("lo", true) => exec!(map3, $t, $t, |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
                ("hi", false) => exec!(map2, $t, $t, |a, b| ((<$w>::from(a) * <$w>::from(b))
                    >> <$t>::BITS) as $t),
                ("hi", true) => exec!(map3, $t, $t, |a, b, c| (((<$w>::from(a) * <$w>::from(b))
                    >> <$t>::BITS) as $t)
                    .wrapping_add(c)),
                ("wide", false) => {
                    exec!(map2, $t, $w, |a, b| <$w>::from(a).wrapping_mul(<$w>::from(b)))
                }
                ("wide", true) => exec!(map3, $t, $w, |a, b, c| <$w>::from(a)
                    .wrapping_mul(<$w>::from(b))
                    .wrapping_add(c)),
                _ => return None,
            }
        };
    }
    Some(match ty {
        "u16" => product!(u16, u32),
        "s16" => product!(i16, i32),
        "u32" => product!(u32, u64),
        "s32" => product!(i32, i64),
        "u64" => product!(u64, u128),
        "s64" => product!(i64, i128),
        _ => return None,
    })
}

/// With a carry, in or out.
fn carries(s: &Statement) -> bool {
    matches!(s.opcode[0].as_str(), "addc" | "subc" | "madc")
        || s.opcode.iter().any(|part| part == "cc")
}

fn carried(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    fn run(w: &mut Warp, o: &Op, mask: u32) {
        let (kind, takes, width) =
            (o.imm & 7, o.imm & 8 != 0, if o.imm & 16 != 0 { 64 } else { 32 });
        for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
            let read = |row: u32| {
                if width == 64 {
                    w.row::<u64>(row)[lane]
                } else {
                    u64::from(w.row::<u32>(row)[lane])
                }
            };
            let carry = u128::from(takes && w.carry >> lane & 1 == 1);
            let (a, b) = (u128::from(read(o.a)), u128::from(read(o.b)));
            let sum = match kind {
                0 => a + b + carry,
                1 => a.wrapping_sub(b).wrapping_sub(carry),
                2 => (a * b & ((1 << width) - 1)) + u128::from(read(o.c)) + carry,
                _ => (a * b >> width) + u128::from(read(o.c)) + carry,
            };
            let out = u32::from(sum >> width != 0) << lane;
            w.carry = w.carry & !(1 << lane) | out;
            if width == 64 {
                w.row::<u64>(o.d)[lane] = sum as u64;
            } else {
                w.row::<u32>(o.d)[lane] = sum as u32;
            }
        }
    }
    let ty = s.opcode.last().expect("split gives one");
    let width = bits(ty).ok_or("no type")?;
    let has = |part: &str| s.opcode.iter().any(|found| found == part);
    let kind = match (&s.opcode[0][..3], has("hi")) {
        ("add", _) => 0,
        ("sub", _) => 1,
        ("mad", false) => 2,
        _ => 3,
    };
    let mut op = operands(b, s, Op::new(run), width, width)?;
    op.imm = kind | i64::from(s.opcode[0].ends_with('c')) << 3 | i64::from(width == 64) << 4;
    Ok(Some(op))
}

/// `d, a, b, c`: the sources of one width, a third source as wide as the result.
fn operands(
    b: &mut Builder,
    s: &Statement,
    mut op: Op,
    width: u32,
    result: u32,
) -> Result<Op, String> {
    op.d = b.result(&s.operands[0], result)?;
    for (place, text) in s.operands.iter().enumerate().skip(1) {
        match place {
            1 => op.a = b.value(text, width)?,
            2 => op.b = b.value(text, width)?,
            3 => op.c = b.value(text, result)?,
            _ => return Err("too many operands".into()),
        }
    }
    Ok(op)
}

fn lop3(a: u32, b: u32, c: u32, table: u32) -> u32 {
    (0..8).filter(|term| table >> term & 1 == 1).fold(0, |out, term| {
        let pick = |value: u32, bit: u32| if term >> bit & 1 == 1 { value } else { !value };
        out | pick(a, 2) & pick(b, 1) & pick(c, 0)
    })
}

fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    (0..4).fold(0, |out, place| {
        let pick = selector >> (4 * place) & 15;
        let byte = (bytes >> (8 * (pick & 7))) as u8;
        let byte = if pick & 8 == 0 { byte } else { (byte as i8 >> 7) as u8 };
        out | u32::from(byte) << (8 * place)
    })
}

/// Statements whose operands do not all have the statement's type.
fn unusual(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let ty = s.opcode.last().expect("split gives one").as_str();
    let width = bits(ty).unwrap_or(0);
    let mut op = match (s.opcode[0].as_str(), ty) {
        ("lop3", "b32") => {
            Op::new(|w, o, m| map3::<u32, u32>(w, o, m, |a, b, c| lop3(a, b, c, o.imm as u32)))
        }
        ("prmt", "b32") if s.opcode.len() == 2 => Op::new(exec!(map3, u32, u32, permute)),
        ("shf", "b32") => Op::new(match (s.opcode[1].as_str(), s.opcode[2].as_str()) {
            ("l", "wrap") => exec!(map3, u32, u32, |a, b, c| ((u64::from(b) << 32 | u64::from(a))
                << (c & 31)
                >> 32) as u32),
            ("l", _) => exec!(map3, u32, u32, |a, b, c| ((u128::from(b) << 32 | u128::from(a))
                << c.min(32)
                >> 32) as u32),
            ("r", "wrap") => exec!(map3, u32, u32, |a, b, c| ((u64::from(b) << 32 | u64::from(a))
                >> (c & 31)) as u32),
            _ => {
                exec!(map3, u32, u32, |a, b, c| ((u64::from(b) << 32 | u64::from(a)) >> c.min(32))
                    as u32)
            }
        }),
        ("bfe", _) => Op::new(match ty {
            "u32" => |w, o, m| {
                field(w, o, m, |a: u32, place, length| {
                    extract(u64::from(a), place, length, 32, false) as u32
                })
            },
            "s32" => |w, o, m| {
                field(w, o, m, |a: u32, place, length| {
                    extract(i64::from(a as i32) as u64, place, length, 32, true) as u32
                })
            },
            "u64" => |w, o, m| {
                field(w, o, m, |a: u64, place, length| extract(a, place, length, 64, false))
            },
            "s64" => |w, o, m| {
                field(w, o, m, |a: u64, place, length| extract(a, place, length, 64, true))
            },
            _ => return Ok(None),
        }),
        ("bfi", "b32") => Op::new(|w, o, m| {
            insert::<u32>(w, o, m, |a, b, mask, place| {
                b & !(mask as u32) | a.checked_shl(place).unwrap_or(0) & mask as u32
            })
        }),
        ("bfi", "b64") => Op::new(|w, o, m| {
            insert::<u64>(w, o, m, |a, b, mask, place| {
                b & !mask | a.checked_shl(place).unwrap_or(0) & mask
            })
        }),
        ("popc", "b32") => Op::new(exec!(map1, u32, u32, |a| a.count_ones())),
        ("popc", "b64") => Op::new(exec!(map1, u64, u32, |a| a.count_ones())),
        ("clz", "b32") => Op::new(exec!(map1, u32, u32, |a| a.leading_zeros())),
        ("clz", "b64") => Op::new(exec!(map1, u64, u32, |a| a.leading_zeros())),
        ("bfind", "u32") if s.opcode[1] == "shiftamt" => {
            Op::new(exec!(map1, u32, u32, |a| if a == 0 { !0 } else { a.leading_zeros() }))
        }
        ("bfind", "u32") if s.opcode.len() == 2 => {
            Op::new(exec!(map1, u32, u32, |a| 31u32.wrapping_sub(a.leading_zeros())))
        }
        ("bfind", "u64") if s.opcode.len() == 2 => {
            Op::new(exec!(map1, u64, u32, |a| 63u32.wrapping_sub(a.leading_zeros())))
        }
        ("dp4a", _) => return Ok(None),
        _ => return Ok(None),
    };
    let count = matches!(s.opcode[0].as_str(), "popc" | "clz" | "bfind");
    op.d = b.result(&s.operands[0], if count { 32 } else { width })?;
    op.a = b.value(&s.operands[1], width)?;
    match s.opcode[0].as_str() {
        "bfe" => (op.b, op.c) = (b.value(&s.operands[2], 32)?, b.value(&s.operands[3], 32)?),
        "bfi" => {
            op.b = b.value(&s.operands[2], width)?;
            (op.c, op.e) = (b.value(&s.operands[3], 32)?, b.value(&s.operands[4], 32)?);
        }
        "lop3" | "prmt" | "shf" => {
            (op.b, op.c) = (b.value(&s.operands[2], 32)?, b.value(&s.operands[3], 32)?);
            if let Some(table) = s.operands.get(4) {
                op.imm = literal(table, 32)? as i64;
            }
        }
        _ => {}
    }
    Ok(Some(op))
}

fn field<T: Copy>(w: &mut Warp, o: &Op, mask: u32, f: impl Fn(T, u32, u32) -> T) {
    let (a, place, length): ([T; LANES], [u32; LANES], [u32; LANES]) =
        (*w.row(o.a), *w.row(o.b), *w.row(o.c));
    put(w, o.d, mask, |lane| f(a[lane], place[lane] & 255, length[lane] & 255));
}

/// `length` bits at `place`; signed fields repeat the last bit there is.
fn extract(a: u64, place: u32, length: u32, width: u32, signed: bool) -> u64 {
    if length == 0 {
        return 0;
    }
    if signed {
        let top = (place + length - 1).min(width - 1);
        let shifted = (a << (63 - top)) as i64 >> (63 - top);
        (shifted >> place.min(63)) as u64
    } else {
        let kept = if length >= 64 { !0 } else { (1 << length) - 1 };
        a.checked_shr(place).unwrap_or(0) & kept
    }
}

fn insert<T: Copy>(w: &mut Warp, o: &Op, mask: u32, f: impl Fn(T, T, u64, u32) -> T) {
    let (a, b): ([T; LANES], [T; LANES]) = (*w.row(o.a), *w.row(o.b));
    let (place, length): ([u32; LANES], [u32; LANES]) = (*w.row(o.c), *w.row(o.e));
    put(w, o.d, mask, |lane| {
        let (place, length) = (place[lane] & 255, length[lane] & 255);
        let ones = if length >= 64 { !0 } else { (1u64 << length) - 1 };
        f(a[lane], b[lane], ones.checked_shl(place).unwrap_or(0), place)
    });
}

fn predicates(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let mut op = Op::new(match s.opcode[0].as_str() {
        "and" => |w, o, m| set(w, o, m, *w.bits(o.a) & *w.bits(o.b)),
        "or" => |w, o, m| set(w, o, m, *w.bits(o.a) | *w.bits(o.b)),
        "xor" => |w, o, m| set(w, o, m, *w.bits(o.a) ^ *w.bits(o.b)),
        "not" => |w, o, m| set(w, o, m, !*w.bits(o.a)),
        "mov" => |w, o, m| set(w, o, m, *w.bits(o.a)),
        _ => return Ok(None),
    });
    op.d = b.result(&s.operands[0], 1)?;
    op.a = b.value(&s.operands[1], 1)?;
    if let Some(second) = s.operands.get(2) {
        op.b = b.value(second, 1)?;
    }
    Ok(Some(op))
}

/// Writes the lanes of a mask of a predicate.
pub fn set(w: &Warp, o: &Op, mask: u32, bits: u32) {
    let d = w.bits(o.d);
    *d = *d & !mask | bits & mask;
}

pub fn decode(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let ty = s.opcode.last().expect("split gives one").as_str();
    if ty == "pred" {
        return predicates(b, s);
    }
    if let Some(op) = unusual(b, s)? {
        return Ok(Some(op));
    }
    if carries(s) {
        return carried(b, s);
    }
    let width = bits(ty).unwrap_or(0);
    let mut result = width;
    let execute = match s.opcode[0].as_str() {
        "add" if s.opcode.len() == 2 => each!(ty, map2, |a, b| a.wrapping_add(b)),
        "sub" if s.opcode.len() == 2 => each!(ty, map2, |a, b| a.wrapping_sub(b)),
        "mul" | "mad" => {
            let Some(execute) = wide(ty, &s.opcode[1], s.opcode[0] == "mad") else {
                return Ok(None);
            };
            if s.opcode[1] == "wide" {
                result = 2 * width;
            }
            execute
        }
        "div" => each!(ty, map2, |a, b| if b == 0 { !0 } else { a.wrapping_div(b) }),
        "rem" => each!(ty, map2, |a, b| if b == 0 { a } else { a.wrapping_rem(b) }),
        "min" => each!(ty, map2, |a, b| a.min(b)),
        "max" => each!(ty, map2, |a, b| a.max(b)),
        "abs" => match ty {
            "s16" => exec!(map1, i16, i16, |a| a.wrapping_abs()),
            "s32" => exec!(map1, i32, i32, |a| a.wrapping_abs()),
            "s64" => exec!(map1, i64, i64, |a| a.wrapping_abs()),
            _ => return Ok(None),
        },
        "neg" => each!(ty, map1, |a| a.wrapping_neg()),
        "and" => bitwise!(ty, map2, |a, b| a & b),
        "or" => bitwise!(ty, map2, |a, b| a | b),
        "xor" => bitwise!(ty, map2, |a, b| a ^ b),
        "not" => bitwise!(ty, map1, |a| !a),
        "cnot" => bitwise!(ty, map1, |a| if a == 0 { 1 } else { 0 }),
        "brev" => bitwise!(ty, map1, |a| a.reverse_bits()),
        "shl" => shifts!(ty, |a, n| a.checked_shl(n).unwrap_or(0)),
        // A shift by more than there is leaves what the last place says.
        "shr" => match ty {
            "s16" => exec!(shift, i16, |a, n| a >> n.min(15)),
            "s32" => exec!(shift, i32, |a, n| a >> n.min(31)),
            "s64" => exec!(shift, i64, |a, n| a >> n.min(63)),
            _ => shifts!(ty, |a, n| a.checked_shr(n).unwrap_or(0)),
        },
        "sad" => match ty {
            "u32" => exec!(map3, u32, u32, |a, b, c| a.abs_diff(b).wrapping_add(c)),
            "s32" => exec!(map3, i32, i32, |a, b, c| (a.abs_diff(b) as i32).wrapping_add(c)),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let mut op = Op::new(execute);
    if matches!(s.opcode[0].as_str(), "shl" | "shr") {
        op.d = b.result(&s.operands[0], width)?;
        op.a = b.value(&s.operands[1], width)?;
        op.b = b.value(&s.operands[2], 32)?;
        return Ok(Some(op));
    }
    operands(b, s, op, width, result).map(Some)
}
