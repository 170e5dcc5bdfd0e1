//! What the lanes of a warp tell each other.

use crate::integers::exec;
use crate::lanes::put;
use crate::program::{Builder, Op};
use crate::ptx::Statement;
use crate::warp::{LANES, Warp};

/// The lanes that a statement names, the same for all.
fn named(w: &Warp, row: u32, mask: u32) -> u32 {
    w.row::<u32>(row)[mask.trailing_zeros() as usize]
}

pub fn sync_warp(b: &mut Builder, s: &Statement) -> Result<Op, String> {
    let mut op = Op::new(|w, o, m| {
        let lanes = named(w, o.a, m);
        w.expects(lanes, m);
    });
    op.a = b.value(&s.operands[0], 32)?;
    Ok(op)
}

fn shuffle(w: &mut Warp, o: &Op, mask: u32) {
    let lanes = named(w, o.e, mask);
    w.expects(lanes, mask);
    let (a, b, c): ([u32; LANES], [u32; LANES], [u32; LANES]) =
        (*w.row(o.a), *w.row(o.b), *w.row(o.c));
    let mut inside = 0u32;
    let from: [usize; LANES] = std::array::from_fn(|lane| {
        let (by, clamp, segment) =
            (b[lane] as usize & 31, c[lane] as usize & 31, (c[lane] >> 8) as usize & 31);
        let last = lane & segment | clamp & !segment;
        let (source, valid) = match o.imm {
            0 => (lane.wrapping_sub(by), lane as i64 - by as i64 >= last as i64),
            1 => (lane + by, lane + by <= last),
            2 => (lane ^ by, lane ^ by <= last),
            _ => (lane & segment | by & !segment, (lane & segment | by & !segment) <= last),
        };
        inside |= u32::from(valid) << lane;
        if valid { source } else { lane }
    });
    // A lane that is not here has nothing to give: what comes is not a number.
    put(w, o.d, mask, |lane| if mask >> from[lane] & 1 == 1 { a[from[lane]] } else { !0u32 });
    if let Some(&row) = o.rows.first() {
        let p = w.bits(row);
        *p = *p & !mask | inside & mask;
    }
}

fn decode_shuffle(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let mut op = Op::new(shuffle);
    op.imm = match s.opcode[2].as_str() {
        "up" => 0,
        "down" => 1,
        "bfly" => 2,
        "idx" => 3,
        other => return Err(format!("a shuffle `{other}`")),
    };
    let (value, valid) = s.operands[0].split_once('|').unwrap_or((&s.operands[0], ""));
    op.d = b.result(value, 32)?;
    if !valid.is_empty() {
        op.rows = Box::new([b.result(valid, 1)?]);
    }
    (op.a, op.b) = (b.value(&s.operands[1], 32)?, b.value(&s.operands[2], 32)?);
    (op.c, op.e) = (b.value(&s.operands[3], 32)?, b.value(&s.operands[4], 32)?);
    Ok(Some(op))
}

fn vote(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    fn bits(w: &mut Warp, o: &Op, mask: u32) -> u32 {
        let lanes = named(w, o.e, mask);
        w.expects(lanes, mask);
        let bits = *w.bits(o.a);
        (if o.imm == 1 { !bits } else { bits }) & mask
    }
    let ballot = s.opcode[2] == "ballot";
    let mut op = Op::new(match s.opcode[2].as_str() {
        "ballot" => |w, o, m| {
            let found = bits(w, o, m);
            put(w, o.d, m, |_| found);
        },
        "all" => |w, o, m| {
            let all = bits(w, o, m) == m;
            crate::integers::set(w, o, m, if all { !0 } else { 0 });
        },
        "any" => |w, o, m| {
            let any = bits(w, o, m) != 0;
            crate::integers::set(w, o, m, if any { !0 } else { 0 });
        },
        "uni" => |w, o, m| {
            let found = bits(w, o, m);
            crate::integers::set(w, o, m, if found == 0 || found == m { !0 } else { 0 });
        },
        other => return Err(format!("a vote `{other}`")),
    });
    op.d = b.result(&s.operands[0], if ballot { 32 } else { 1 })?;
    op.imm = i64::from(s.operands[1].starts_with('!'));
    op.a = b.value(s.operands[1].trim_start_matches('!'), 1)?;
    op.e = b.value(&s.operands[2], 32)?;
    Ok(Some(op))
}

fn redux(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    fn over(w: &mut Warp, o: &Op, mask: u32, f: impl Fn(u32, u32) -> u32) {
        let lanes = named(w, o.e, mask);
        w.expects(lanes, mask);
        let a: [u32; LANES] = *w.row(o.a);
        let found = (0..LANES)
            .filter(|lane| mask >> lane & 1 == 1)
            .map(|lane| a[lane])
            .reduce(f)
            .unwrap_or(0);
        put(w, o.d, mask, |_| found);
    }
    let mut op = Op::new(match (s.opcode[2].as_str(), s.opcode[3].as_str()) {
        ("add", _) => |w, o, m| over(w, o, m, u32::wrapping_add),
        ("and", _) => |w, o, m| over(w, o, m, |a, b| a & b),
        ("or", _) => |w, o, m| over(w, o, m, |a, b| a | b),
        ("xor", _) => |w, o, m| over(w, o, m, |a, b| a ^ b),
        ("min", "u32") => |w, o, m| over(w, o, m, u32::min),
        ("max", "u32") => |w, o, m| over(w, o, m, u32::max),
        ("min", "s32") => |w, o, m| over(w, o, m, |a, b| (a as i32).min(b as i32) as u32),
        ("max", "s32") => |w, o, m| over(w, o, m, |a, b| (a as i32).max(b as i32) as u32),
        _ => return Ok(None),
    });
    op.d = b.result(&s.operands[0], 32)?;
    (op.a, op.e) = (b.value(&s.operands[1], 32)?, b.value(&s.operands[2], 32)?);
    Ok(Some(op))
}

fn elect(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let mut op = Op::new(|w, o, m| {
        let lanes = named(w, o.e, m);
        w.expects(lanes, m);
        let leader = m.trailing_zeros();
        put(w, o.a, m, |_| leader);
        crate::integers::set(w, o, m, 1 << leader);
    });
    let (lane, predicate) = s.operands[0].split_once('|').ok_or("elected, but who hears of it?")?;
    (op.a, op.d) = (b.result(lane, 32)?, b.result(predicate, 1)?);
    op.e = b.value(&s.operands[1], 32)?;
    Ok(Some(op))
}

pub fn decode(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    match s.opcode[0].as_str() {
        "shfl" => decode_shuffle(b, s),
        "vote" => vote(b, s),
        "redux" => redux(b, s),
        "elect" => elect(b, s),
        "activemask" => {
            let mut op = Op::new(|w, o, m| put(w, o.d, m, |_| m));
            op.d = b.result(&s.operands[0], 32)?;
            Ok(Some(op))
        }
        "trap" => Ok(Some(Op::new(|w, _, _| w.fails("trap".into())))),
        "isspacep" => {
            let tag = match crate::moves::space(s) {
                "shared" | "shared::cta" | "shared::cluster" => 1,
                "local" => 2,
                _ => 0,
            };
            let mut op = Op::new(|w, o, m| {
                let a: [u64; LANES] = *w.row(o.a);
                let found = (0..LANES)
                    .fold(0, |bits, lane| bits | u32::from(a[lane] >> 60 == o.imm as u64) << lane);
                crate::integers::set(w, o, m, found);
            });
            op.imm = tag;
            (op.d, op.a) = (b.result(&s.operands[0], 1)?, b.value(&s.operands[1], 64)?);
            Ok(Some(op))
        }
        "mapa" => {
            // A cluster of one block.
            let mut op = Op::new(exec!(map1, u32, u32, |a| a));
            (op.d, op.a) = (b.result(&s.operands[0], 32)?, b.value(&s.operands[1], 32)?);
            Ok(Some(op))
        }
        _ => Ok(None),
    }
}

use crate::lanes::map1;
