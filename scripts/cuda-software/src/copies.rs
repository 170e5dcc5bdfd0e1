//! Copies that go on while the program does: `cp.async`, the barriers that count them, and boxes of tensors.

use std::collections::HashMap;

use crate::program::{Address, Builder, Kind, Op};
use crate::ptx::Statement;
use crate::warp::{Copy, LANES, SHARED, Warp};

/// An `mbarrier`.
#[derive(Clone, Copy)]
struct Barrier {
    count: i64,
    pending: i64,
    bytes: i64,
    phase: u64,
}

/// The barriers of a block, by their address.
#[derive(Default)]
pub struct Barriers(HashMap<u64, Barrier>);

impl Barriers {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Arrivals and bytes; the phase before them.
    fn change(&mut self, at: u64, arrivals: i64, bytes: i64) -> Option<u64> {
        let barrier = self.0.get_mut(&at)?;
        let phase = barrier.phase;
        barrier.bytes += bytes;
        barrier.pending -= arrivals;
        if barrier.pending == 0 && barrier.bytes == 0 {
            barrier.phase += 1;
            barrier.pending = barrier.count;
        }
        Some(phase)
    }
}

fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |lane| mask >> lane & 1 == 1)
}

fn issue(w: &mut Warp, o: &Op, mask: u32) {
    let (targets, sources) = (w.addresses(o.at), w.addresses(o.from));
    let size = o.imm as usize;
    for lane in lanes(mask) {
        let bytes = if o.c == u32::MAX { size } else { w.row::<u32>(o.c)[lane] as usize };
        // Whoever still reads what is overwritten is found now, who reads too early when it is done.
        if w.reach(targets[lane], size, lane, true, size).is_none() {
            return;
        }
        w.copies.push(Copy { target: targets[lane], source: sources[lane], bytes, size, lane });
    }
}

/// Does what was issued.
fn complete(w: &mut Warp, copies: Vec<Copy>) {
    for Copy { target, source, bytes, size, lane } in copies {
        let Some(to) = w.reach(target, size, lane, true, size) else { return };
        // SAFETY: `reach` found `size` bytes.
        unsafe { to.write_bytes(0, size) };
        if bytes > 0 {
            let Some(from) = w.reach(source, bytes, lane, false, 1) else { return };
            // SAFETY: as above.
            unsafe { std::ptr::copy_nonoverlapping(from, to, bytes.min(size)) };
        }
    }
}

/// Waits until no more than `imm` groups are under way; -1 for all that was issued.
fn wait(w: &mut Warp, o: &Op, _: u32) {
    while w.committed.len() as i64 > o.imm.max(0) {
        let group = w.committed.pop_front().expect("there is one");
        complete(w, group);
    }
    if o.imm < 0 {
        let rest = std::mem::take(&mut w.copies);
        complete(w, rest);
    }
}

fn copy(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let has = |part: &str| s.opcode.iter().any(|found| found == part);
    if has("bulk") {
        return bulk(b, s);
    }
    if has("mbarrier") {
        // The copies so far are done, and the lane arrives.
        let mut op = Op::new(|w, o, m| {
            let done: Vec<_> =
                w.committed.drain(..).flatten().chain(std::mem::take(&mut w.copies)).collect();
            complete(w, done);
            if o.imm == 1 {
                arrive(w, o, m);
            }
        });
        // Without `.noinc` the arrival was not counted before, and changes nothing.
        op.imm = i64::from(has("noinc"));
        op.at = b.address(&s.operands[0], "shared")?;
        return Ok(Some(op));
    }
    if has("commit_group") {
        return Ok(Some(Op::new(|w, _, _| {
            let group = std::mem::take(&mut w.copies);
            w.committed.push_back(group);
        })));
    }
    if has("wait_group") || has("wait_all") {
        let mut op = Op::new(wait);
        op.imm = if has("wait_all") {
            -1
        } else {
            s.operands[0].parse().map_err(|_| "how many groups?")?
        };
        return Ok(Some(op));
    }
    let mut op = Op::new(issue);
    op.at = b.address(&s.operands[0], "shared")?;
    op.from = b.address(&s.operands[1], "global")?;
    op.imm = s.operands[2].parse().map_err(|_| "how many bytes?")?;
    if let Some(bytes) = s.operands.get(3) {
        op.c = b.any(bytes, 32)?.0;
    }
    Ok(Some(op))
}

fn arrive(w: &mut Warp, o: &Op, mask: u32) {
    let addresses = w.addresses(o.at);
    for lane in lanes(mask) {
        let count = if o.b == u32::MAX { 1 } else { i64::from(w.row::<u32>(o.b)[lane]) };
        let bytes = if o.c == u32::MAX { 0 } else { i64::from(w.row::<u32>(o.c)[lane]) };
        match w.block().barriers.change(addresses[lane], count, bytes) {
            Some(phase) if o.d != u32::MAX => w.row::<u64>(o.d)[lane] = phase,
            Some(_) => {}
            None => w.fails(format!("no barrier at {:#x}", addresses[lane])),
        }
    }
}

/// Whether the phase is over: by its parity or by what `arrive` gave.
fn waits(w: &mut Warp, o: &Op, mask: u32) -> bool {
    let addresses = w.addresses(o.at);
    let mut over = 0u32;
    for lane in lanes(mask) {
        let Some(barrier) = w.block().barriers.0.get(&addresses[lane]).copied() else {
            w.fails(format!("no barrier at {:#x}", addresses[lane]));
            return true;
        };
        let done = if o.imm == 1 {
            barrier.phase & 1 != u64::from(w.row::<u32>(o.b)[lane] & 1)
        } else {
            barrier.phase > w.row::<u64>(o.b)[lane]
        };
        over |= u32::from(done) << lane;
    }
    crate::integers::set(w, o, mask, over);
    over == mask
}

fn mbarrier(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let has = |part: &str| s.opcode.iter().any(|found| found == part);
    let mut op = Op::new(arrive);
    match s.opcode[1].as_str() {
        "init" => {
            op = Op::new(|w, o, m| {
                let addresses = w.addresses(o.at);
                for lane in lanes(m) {
                    let count = i64::from(w.row::<u32>(o.b)[lane]);
                    let barrier = Barrier { count, pending: count, bytes: 0, phase: 0 };
                    w.block().barriers.0.insert(addresses[lane], barrier);
                }
            });
            op.at = b.address(&s.operands[0], "shared")?;
            op.b = b.value(&s.operands[1], 32)?;
        }
        "inval" => {
            op = Op::new(|w, o, m| {
                let addresses = w.addresses(o.at);
                for lane in lanes(m) {
                    w.block().barriers.0.remove(&addresses[lane]);
                }
            });
            op.at = b.address(&s.operands[0], "shared")?;
        }
        "expect_tx" => {
            op.at = b.address(&s.operands[0], "shared")?;
            (op.b, op.c) = (b.constant(32, 0), b.value(&s.operands[1], 32)?);
        }
        "arrive" => {
            if s.operands[0] != "_" {
                op.d = b.result(&s.operands[0], 64)?;
            }
            op.at = b.address(&s.operands[1], "shared")?;
            match s.operands.get(2) {
                Some(bytes) if has("expect_tx") => op.c = b.value(bytes, 32)?,
                Some(count) => op.b = b.value(count, 32)?,
                None => {}
            }
        }
        "try_wait" | "test_wait" => {
            op.kind = Kind::Yield(waits);
            op.d = b.result(&s.operands[0], 1)?;
            op.at = b.address(&s.operands[1], "shared")?;
            op.imm = i64::from(has("parity"));
            op.b = b.value(&s.operands[2], if has("parity") { 32 } else { 64 })?;
        }
        _ => return Ok(None),
    }
    Ok(Some(op))
}

/// What `cuTensorMapEncodeTiled` writes into the 128 bytes of a map.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TensorMap {
    pub base: u64,
    pub sizes: [u64; 5],
    /// Bytes between elements of each axis but the first.
    pub strides: [u32; 4],
    pub boxes: [u16; 5],
    pub rank: u8,
    pub element: u8,
    /// Bits of a row's number that are added to the place of its 16 bytes: 0, 1, 2, 3.
    pub swizzle: u8,
    pub magic: u8,
}

/// Says that a map is ours.
pub const MAGIC: u8 = 0xB1;

impl TensorMap {
    /// Calls `each` with every element of a box: its bytes from the box's begin, and its address if inside.
    fn visit(&self, corner: &[i64], mut each: impl FnMut(u64, Option<u64>)) {
        let rank = self.rank as usize;
        let count: u64 = self.boxes[..rank].iter().map(|&size| u64::from(size)).product();
        for element in 0..count {
            let (mut rest, mut address, mut inside) = (element, self.base, true);
            for (axis, &begin) in corner.iter().enumerate() {
                let size = u64::from(self.boxes[axis]);
                let index = begin + (rest % size) as i64;
                rest /= size;
                inside &= index >= 0 && (index as u64) < self.sizes[axis];
                let stride = if axis == 0 {
                    u64::from(self.element)
                } else {
                    u64::from(self.strides[axis - 1])
                };
                address = address.wrapping_add((index as u64).wrapping_mul(stride));
            }
            each(element * u64::from(self.element), inside.then_some(address));
        }
    }
}

/// A box of a tensor to shared memory, or from it.
fn boxed(w: &mut Warp, o: &Op, mask: u32) {
    let (maps, shared, barriers) = (w.addresses(o.from), w.addresses(o.at), [o.c; 1]);
    for lane in lanes(mask) {
        let Some(at) = w.reach(maps[lane], 128, lane, false, 64) else { return };
        // SAFETY: 128 bytes are there, and any bytes make a `TensorMap`.
        let map: TensorMap = unsafe { at.cast::<TensorMap>().read_unaligned() };
        if map.magic != MAGIC || map.rank as usize != o.rows.len() {
            return w.fails("this is no tensor map of so many axes".into());
        }
        let corner: Vec<i64> =
            o.rows.iter().map(|&row| i64::from(w.row::<i32>(row)[lane])).collect();
        let (loads, size) = (o.imm == 0, map.element as usize);
        let mut moves = Vec::new();
        map.visit(&corner, |offset, address| {
            let place = shared[lane] + offset;
            let swizzled = place ^ (place >> 7 & ((1 << map.swizzle) - 1)) << 4;
            moves.push((swizzled, address));
        });
        let bytes = (moves.len() * size) as i64;
        for (place, address) in moves {
            let Some(here) = w.reach(place, size, lane, loads, size) else { return };
            let there = match address {
                Some(address) => match w.reach(address, size, lane, !loads, 1) {
                    Some(there) => there,
                    None => return,
                },
                None => std::ptr::null_mut(),
            };
            // SAFETY: both were found.
            unsafe {
                match (loads, there.is_null()) {
                    (true, true) => here.write_bytes(0, size),
                    (true, false) => std::ptr::copy_nonoverlapping(there, here, size),
                    (false, true) => {}
                    (false, false) => std::ptr::copy_nonoverlapping(here, there, size),
                }
            }
        }
        if loads {
            let base = barriers[0];
            let at = address_of(w, base, o.e == 1, lane, o.extra as i64);
            if w.block().barriers.change(at, 0, -bytes).is_none() {
                return w.fails(format!("no barrier at {at:#x}"));
            }
        }
    }
}

fn address_of(w: &Warp, row: u32, narrow: bool, lane: usize, offset: i64) -> u64 {
    w.addresses(Address { row, narrow, offset })[lane]
}

fn bulk(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let has = |part: &str| s.opcode.iter().any(|found| found == part);
    if has("commit_group") || has("wait_group") || has("prefetch") {
        return Ok(Some(Op::new(|_, _, _| {})));
    }
    if !has("tensor")
        || has("im2col")
        || s.opcode.iter().any(|part| part.starts_with("multicast") || part == "reduce")
    {
        return Ok(None);
    }
    let mut op = Op::new(boxed);
    let loads = s.opcode.iter().position(|part| part.starts_with("shared"))
        < s.opcode.iter().position(|part| part == "global");
    let (shared, map) = if loads { (0, 1) } else { (1, 0) };
    op.imm = i64::from(!loads);
    op.at = b.address(&s.operands[shared], "shared")?;
    let inner = s.operands[map].trim_start_matches('[').trim_end_matches(']');
    let (base, corner) = inner.split_once(',').ok_or("a map without a corner")?;
    op.from = b.address(base, "")?;
    op.rows = b.values(corner.trim(), 32)?;
    if loads {
        let barrier = b.address(&s.operands[2], "shared")?;
        (op.c, op.e, op.extra) = (barrier.row, u32::from(barrier.narrow), barrier.offset as usize);
    }
    Ok(Some(op))
}

pub fn decode(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    match (s.opcode[0].as_str(), s.opcode.get(1).map_or("", String::as_str)) {
        ("cp", "async") => copy(b, s),
        ("mbarrier", _) => mbarrier(b, s),
        _ => Ok(None),
    }
}

const _: () = assert!(size_of::<TensorMap>() <= 128);
const _: () = assert!(SHARED > 0);
