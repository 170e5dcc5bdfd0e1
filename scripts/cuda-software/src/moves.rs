//! Moves between registers and memory.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use crate::integers::exec;
use crate::lanes::{Bf16, F16, Small, map1, pair2, put};
use crate::program::{Builder, Exec, Op};
use crate::ptx::{Statement, bits};
use crate::warp::{LANES, LOCAL, PARAM, SHARED, Warp};

/// Calls `each` with the place of every lane of a mask, until one has none. Lanes that follow each other in
/// memory, or meet in it, are looked up together.
#[inline(always)]
fn places(
    w: &mut Warp,
    o: &Op,
    mask: u32,
    size: usize,
    writes: bool,
    mut each: impl FnMut(usize, *mut u8),
) {
    let addresses = w.addresses(o.at);
    // Local memory has a place for each lane.
    let shared = addresses[0] >> 60 != LOCAL >> 60;
    let (following, meeting) = if shared { steps(&addresses, mask, size) } else { (0, 0) };
    let mut lane = 0;
    while lane < LANES {
        if mask >> lane & 1 == 0 {
            lane += 1;
            continue;
        }
        let first = addresses[lane];
        let (runs, meets) =
            ((following >> lane).trailing_ones(), (meeting >> lane).trailing_ones());
        let (step, others) = if runs > 0 { (size, runs as usize) } else { (0, meets as usize) };
        let span = others * step + size;
        // Where they do not all fit, each lane says what of it is wrong.
        let fits = others == 0 || first & (size as u64 - 1) == 0 && w.holds(first, span);
        let (others, span) = if fits { (others, span) } else { (0, size) };
        let Some(at) = w.reach(first, span, lane, writes, size) else { return };
        for next in 0..=others {
            each(lane + next, at.wrapping_add(next * step));
        }
        lane += others + 1;
    }
}

/// The lanes whose next lane is here and begins where they end, and those whose next has the same address.
#[inline(always)]
fn steps(addresses: &[u64; LANES], mask: u32, size: usize) -> (u32, u32) {
    let mut apart = [0u64; LANES];
    for (lane, apart) in apart.iter_mut().enumerate().take(LANES - 1) {
        *apart = addresses[lane + 1].wrapping_sub(addresses[lane]);
    }
    apart[LANES - 1] = u64::MAX;
    let here = mask & mask >> 1;
    let bits =
        |step: u64| (0..LANES).fold(0, |bits, lane| bits | u32::from(apart[lane] == step) << lane);
    (bits(size as u64) & here, bits(0) & here)
}

/// A load: `M` in memory, `R` in the register.
fn load<M: Copy, R: Copy>(w: &mut Warp, o: &Op, mask: u32, widen: impl Fn(M) -> R) {
    let size = size_of::<M>();
    let mut rows = [std::ptr::null_mut::<[R; LANES]>(); 8];
    for (pointer, &row) in rows.iter_mut().zip(&o.rows) {
        *pointer = w.row::<R>(row);
    }
    places(w, o, mask, size * o.rows.len(), false, |lane, at| {
        for (part, row) in rows.iter().enumerate().take(o.rows.len()) {
            // SAFETY: the place was found for this lane, the rows are this warp's.
            unsafe { (**row)[lane] = widen(at.add(part * size).cast::<M>().read_unaligned()) };
        }
    });
}

fn store<R: Copy, M: Copy>(w: &mut Warp, o: &Op, mask: u32, narrow: impl Fn(R) -> M) {
    let size = size_of::<M>();
    let mut rows = [std::ptr::null_mut::<[R; LANES]>(); 8];
    for (pointer, &row) in rows.iter_mut().zip(&o.rows) {
        *pointer = w.row::<R>(row);
    }
    places(w, o, mask, size * o.rows.len(), true, |lane, at| {
        for (part, row) in rows.iter().enumerate().take(o.rows.len()) {
            // SAFETY: as for a load.
            unsafe { at.add(part * size).cast::<M>().write_unaligned(narrow((**row)[lane])) };
        }
    });
}

fn loads(ty: &str, register: u32) -> Option<Exec> {
    macro_rules! into {
        ($m:ty) => {
            match register {
                16 => |w: &mut Warp, o: &Op, m: u32| load::<$m, u16>(w, o, m, |value| value as u16),
                32 => |w: &mut Warp, o: &Op, m: u32| load::<$m, u32>(w, o, m, |value| value as u32),
                64 => |w: &mut Warp, o: &Op, m: u32| load::<$m, u64>(w, o, m, |value| value as u64),
                _ => return None,
            }
        };
    }
    Some(match ty {
        "u8" | "b8" => into!(u8),
        "s8" => into!(i8),
        "s16" => into!(i16),
        "s32" => into!(i32),
        _ => match bits(ty)? {
            16 => into!(u16),
            32 => into!(u32),
            64 => into!(u64),
            _ => return None,
        },
    })
}

fn stores(ty: &str, register: u32) -> Option<Exec> {
    macro_rules! from {
        ($m:ty) => {
            match register {
                16 => |w: &mut Warp, o: &Op, m: u32| store::<u16, $m>(w, o, m, |value| value as $m),
                32 => |w: &mut Warp, o: &Op, m: u32| store::<u32, $m>(w, o, m, |value| value as $m),
                64 => |w: &mut Warp, o: &Op, m: u32| store::<u64, $m>(w, o, m, |value| value as $m),
                _ => return None,
            }
        };
    }
    Some(match bits(ty)? {
        8 => from!(u8),
        16 => from!(u16),
        32 => from!(u32),
        64 => from!(u64),
        _ => return None,
    })
}

pub fn space(s: &Statement) -> &str {
    const SPACES: [&str; 8] = [
        "global",
        "shared",
        "local",
        "param",
        "const",
        "shared::cta",
        "shared::cluster",
        "param::entry",
    ];
    s.opcode.iter().map(String::as_str).find(|part| SPACES.contains(part)).unwrap_or("")
}

fn memory(b: &mut Builder, s: &Statement, stores_it: bool) -> Result<Option<Op>, String> {
    let ty = s.opcode.last().expect("split gives one").as_str();
    let (address, registers) = if stores_it { (0, 1) } else { (1, 0) };
    let width = bits(ty).ok_or("no type")?;
    let names = b.list(&s.operands[registers]);
    let mut rows = Vec::new();
    let mut register = 0;
    for name in &names {
        let (row, found) = if name == "_" {
            (b.fresh(width.max(16)), width.max(16))
        } else {
            b.any(name, width.max(16))?
        };
        rows.push(row);
        register = found;
    }
    let execute = if stores_it { stores(ty, register) } else { loads(ty, register) };
    let mut op = Op::new(execute.ok_or_else(|| format!("{register} bits as `{ty}`"))?);
    op.rows = rows.into();
    op.at = b.address(&s.operands[address], space(s))?;
    Ok(Some(op))
}

fn nanoseconds() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGAN.elapsed().as_nanos() as u64
}

/// `mov`, whole, joined from parts, or taken apart.
fn mov(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let width = s.opcode.last().and_then(|ty| bits(ty)).ok_or("no type")?;
    if s.operands[0].starts_with('{') || s.operands[1].starts_with('{') {
        return parts(b, s, width).map(Some);
    }
    if matches!(s.operands[1].as_str(), "%clock" | "%clock64" | "%globaltimer") {
        let mut op = Op::new(match width {
            32 => |w, o, m| put(w, o.d, m, |_| nanoseconds() as u32),
            _ => |w, o, m| put(w, o.d, m, |_| nanoseconds()),
        });
        op.d = b.result(&s.operands[0], width)?;
        return Ok(Some(op));
    }
    let mut op = Op::new(match width {
        16 => exec!(map1, u16, u16, |a| a),
        32 => exec!(map1, u32, u32, |a| a),
        64 => exec!(map1, u64, u64, |a| a),
        _ => return Ok(None),
    });
    op.d = b.result(&s.operands[0], width)?;
    op.a = b.value(&s.operands[1], width)?;
    Ok(Some(op))
}

fn parts(b: &mut Builder, s: &Statement, width: u32) -> Result<Op, String> {
    fn run(w: &mut Warp, o: &Op, mask: u32) {
        let (joins, width) = (o.imm & 1 == 1, (o.imm >> 1) as u32);
        let part = width / o.rows.len() as u32;
        for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
            let mut whole = match width {
                32 => u64::from(w.row::<u32>(o.a)[lane]),
                _ => w.row::<u64>(o.a)[lane],
            };
            if joins {
                whole = 0;
            }
            for (place, &row) in o.rows.iter().enumerate() {
                let shift = place as u32 * part;
                match (joins, part) {
                    (true, 16) => whole |= u64::from(w.row::<u16>(row)[lane]) << shift,
                    (true, _) => whole |= u64::from(w.row::<u32>(row)[lane]) << shift,
                    (false, 16) => w.row::<u16>(row)[lane] = (whole >> shift) as u16,
                    (false, _) => w.row::<u32>(row)[lane] = (whole >> shift) as u32,
                }
            }
            if joins && width == 32 {
                w.row::<u32>(o.a)[lane] = whole as u32;
            } else if joins {
                w.row::<u64>(o.a)[lane] = whole;
            }
        }
    }
    let joins = s.operands[1].starts_with('{');
    let (list, whole) = if joins { (1, 0) } else { (0, 1) };
    let mut op = Op::new(run);
    let names = b.list(&s.operands[list]);
    let part = width / names.len() as u32;
    if width > 64 || part < 16 {
        return Err(format!("{width} bits in {} parts", names.len()));
    }
    op.rows = names.iter().map(|name| b.result(name, part)).collect::<Result<_, _>>()?;
    op.a = b.value(&s.operands[whole], width)?;
    op.imm = i64::from(joins) | i64::from(width) << 1;
    Ok(op)
}

/// `cvta.to.shared` takes the space's tag off an address, `cvta.shared` puts it on.
fn cvta(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let tag = match space(s) {
        "shared" | "shared::cta" | "shared::cluster" => SHARED,
        "local" => LOCAL,
        "param" | "param::entry" => PARAM,
        _ => 0,
    };
    let to = s.opcode[1] == "to";
    let mut op = Op::new(|w, o, m| map1::<u64, u64>(w, o, m, |a| a.wrapping_add(o.imm as u64)));
    op.imm = if to { (tag as i64).wrapping_neg() } else { tag as i64 };
    op.d = b.result(&s.operands[0], 64)?;
    op.a = b.value(&s.operands[1], 64)?;
    Ok(Some(op))
}

type Combine = fn(u64, u64, u64) -> u64;

fn combine(name: &str, ty: &str) -> Option<Combine> {
    macro_rules! float {
        ($f:expr) => {
            match ty {
                "f32" => |a, b, _| {
                    let f: fn(f32, f32) -> f32 = $f;
                    u64::from(f(f32::from_bits(a as u32), f32::from_bits(b as u32)).to_bits())
                },
                "f16" => {
                    |a, b, _| u64::from(F16::down($f(F16(a as u16).up(), F16(b as u16).up())).0)
                }
                "bf16" => {
                    |a, b, _| u64::from(Bf16::down($f(Bf16(a as u16).up(), Bf16(b as u16).up())).0)
                }
                "f16x2" => |a, b, _| u64::from(pair2::<F16>(a as u32, b as u32, $f)),
                "bf16x2" => |a, b, _| u64::from(pair2::<Bf16>(a as u32, b as u32, $f)),
                _ => return None,
            }
        };
    }
    let signed = ty.starts_with('s');
    Some(match name {
        "add" if ty == "f64" => |a, b, _| (f64::from_bits(a) + f64::from_bits(b)).to_bits(),
        "add" if ty.contains('f') => float!(|a: f32, b: f32| a + b),
        "add" => |a, b, _| a.wrapping_add(b),
        "exch" => |_, b, _| b,
        "and" => |a, b, _| a & b,
        "or" => |a, b, _| a | b,
        "xor" => |a, b, _| a ^ b,
        "cas" => |a, b, c| if a == b { c } else { a },
        "inc" => |a, b, _| if a >= b { 0 } else { a + 1 },
        "dec" => |a, b, _| if a == 0 || a > b { b } else { a - 1 },
        // Signed values were widened with their sign.
        "min" if signed => |a, b, _| (a as i64).min(b as i64) as u64,
        "max" if signed => |a, b, _| (a as i64).max(b as i64) as u64,
        "min" => |a, b, _| a.min(b),
        "max" => |a, b, _| a.max(b),
        _ => return None,
    })
}

/// One at a time on the whole device.
static ATOMIC: Mutex<()> = Mutex::new(());

fn atomic(w: &mut Warp, o: &Op, mask: u32) {
    // SAFETY: `atom` made it of a `Combine`.
    let combine: Combine = unsafe { std::mem::transmute::<usize, Combine>(o.extra) };
    let (width, signed) = (o.imm as u32 & 255, o.imm >> 8 & 1 == 1);
    let addresses = w.addresses(o.at);
    let _one = ATOMIC.lock().unwrap_or_else(PoisonError::into_inner);
    let widen = |value: u64| match (width, signed) {
        (16, _) => value & 0xFFFF,
        (32, true) => i64::from(value as i32) as u64,
        (32, false) => value & 0xFFFF_FFFF,
        _ => value,
    };
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let operand = |row: u32| match (row, width) {
            (u32::MAX, _) => 0,
            (_, 16) => u64::from(w.row::<u16>(row)[lane]),
            (_, 32) => u64::from(w.row::<u32>(row)[lane]),
            _ => w.row::<u64>(row)[lane],
        };
        let (b, c) = (widen(operand(o.b)), widen(operand(o.c)));
        let Some(at) = w.reach_atomic(addresses[lane], width as usize / 8, lane) else { return };
        let mut old = [0u8; 8];
        // SAFETY: `reach` found it allocated.
        unsafe { std::ptr::copy_nonoverlapping(at, old.as_mut_ptr(), width as usize / 8) };
        let old = widen(u64::from_le_bytes(old));
        let new = combine(old, b, c).to_le_bytes();
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(new.as_ptr(), at, width as usize / 8) };
        match (o.d, width) {
            (u32::MAX, _) => {}
            (_, 16) => w.row::<u16>(o.d)[lane] = old as u16,
            (_, 32) => w.row::<u32>(o.d)[lane] = old as u32,
            _ => w.row::<u64>(o.d)[lane] = old,
        }
    }
}

fn atom(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    const NAMES: [&str; 11] =
        ["add", "exch", "and", "or", "xor", "cas", "inc", "dec", "min", "max", "async"];
    let ty = s.opcode.last().expect("split gives one").as_str();
    let name = s
        .opcode
        .iter()
        .map(String::as_str)
        .find(|part| NAMES.contains(part))
        .ok_or("which operation?")?;
    if s.opcode.iter().any(|part| part == "v2" || part == "v4" || part == "v8") {
        return Ok(None);
    }
    let Some(combine) = combine(name, ty) else { return Ok(None) };
    let width = bits(ty).ok_or("no type")?;
    let mut op = Op::new(atomic);
    let first = usize::from(s.opcode[0] == "atom");
    if first == 1 {
        op.d = b.result(&s.operands[0], width)?;
    }
    op.at = b.address(&s.operands[first], space(s))?;
    op.b = b.value(&s.operands[first + 1], width)?;
    if let Some(third) = s.operands.get(first + 2) {
        op.c = b.value(third, width)?;
    }
    op.extra = combine as usize;
    op.imm = i64::from(width) | i64::from(ty.starts_with('s')) << 8;
    Ok(Some(op))
}

pub fn decode(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    match s.opcode[0].as_str() {
        "mov" => mov(b, s),
        "ld" | "ldu" => memory(b, s, false),
        "st" => memory(b, s, true),
        "cvta" => cvta(b, s),
        "atom" | "red" => atom(b, s),
        _ => Ok(None),
    }
}
