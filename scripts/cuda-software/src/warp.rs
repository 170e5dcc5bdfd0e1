//! Blocks and warps: 32 lanes go through a program together, those at the lowest statement first.

use crate::memory::Ranges;
use crate::program::{Address, Kind, Program, Special};

/// Lanes of a warp.
pub const LANES: usize = 32;
/// What an address in the high bits says: whose memory it is.
pub const SHARED: u64 = 1 << 60;
pub const LOCAL: u64 = 2 << 60;
pub const PARAM: u64 = 3 << 60;
const TAG: u64 = 7 << 60;

/// One launch of a kernel.
pub struct Launch<'a> {
    pub program: &'a Program,
    pub params: &'a [u8],
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic_shared: usize,
    pub memory: Ranges,
}

/// Lanes at one statement.
#[derive(Clone, Copy)]
struct Group {
    pc: usize,
    mask: u32,
    /// At a barrier, whose next statement is `pc`.
    waits: bool,
}

/// A copy that was issued and may still be under way: `bytes` from `source`, zeros up to `size`.
#[derive(Clone, Copy)]
pub struct Copy {
    pub target: u64,
    pub source: u64,
    pub bytes: usize,
    pub size: usize,
    pub lane: usize,
}

/// What the warps of a block share.
pub struct Block {
    pub shared: Vec<u8>,
    /// Who wrote and who read each grain of `shared` last, and in which stretch between barriers.
    writers: Vec<u32>,
    readers: Vec<u32>,
    stretch: u32,
    pub index: [u32; 3],
    pub barriers: crate::copies::Barriers,
}

/// 32 lanes.
pub struct Warp<'a> {
    registers: *mut u8,
    pub launch: &'a Launch<'a>,
    pub block: *mut Block,
    local: Vec<u8>,
    pub number: u32,
    live: u32,
    groups: Vec<Group>,
    /// The allocation that was found last.
    recent: (u64, u64),
    pub carry: u32,
    /// Copies since the last commit, and the groups committed.
    pub copies: Vec<Copy>,
    pub committed: std::collections::VecDeque<Vec<Copy>>,
    pub fault: Option<String>,
}

/// Why a warp stops for now.
#[derive(PartialEq, Eq)]
enum Stop {
    Done,
    Barrier,
    /// Waits for other warps.
    Yields,
}

impl Warp<'_> {
    /// A register's 32 values.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn row<T>(&self, row: u32) -> &mut [T; LANES] {
        // SAFETY: rows are laid out by `Program` within this warp's registers, each for its type's width.
        unsafe { &mut *self.registers.add(row as usize).cast::<[T; LANES]>() }
    }

    /// A predicate's 32 bits.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn bits(&self, row: u32) -> &mut u32 {
        // SAFETY: as `row`.
        unsafe { &mut *self.registers.add(row as usize).cast::<u32>() }
    }

    /// What the warps of the block share.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn block(&self) -> &mut Block {
        // SAFETY: the block outlives its warps, which run one after another on one thread.
        unsafe { &mut *self.block }
    }

    #[cold]
    pub fn fails(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    /// The addresses of an operand `[base+offset]`.
    #[inline(always)]
    pub fn addresses(&self, of: Address) -> [u64; LANES] {
        let Address { row, narrow, offset } = of;
        let mut out = [0; LANES];
        if narrow {
            for (out, base) in out.iter_mut().zip(self.row::<u32>(row)) {
                *out = u64::from(*base).wrapping_add(offset as u64);
            }
        } else {
            for (out, base) in out.iter_mut().zip(self.row::<u64>(row)) {
                *out = base.wrapping_add(offset as u64);
            }
        }
        out
    }

    /// Whether these bytes are all there, in the device's memory or the block's.
    #[inline(always)]
    pub fn holds(&self, address: u64, size: usize) -> bool {
        let end = address.wrapping_add(size as u64);
        match address & TAG {
            0 => {
                address >= self.recent.0 && end <= self.recent.1
                    || self.launch.memory.find(address, size as u64).is_some()
            }
            SHARED => (address & !TAG) as usize + size <= self.block().shared.len(),
            _ => true,
        }
    }

    /// Where `size` bytes at `address` lie for a lane, if they are its to touch.
    #[inline(always)]
    pub fn reach(
        &mut self,
        address: u64,
        size: usize,
        lane: usize,
        writes: bool,
        align: usize,
    ) -> Option<*mut u8> {
        if address & (align as u64 - 1) != 0 {
            self.fails(format!("misaligned address {address:#x} of {size} bytes, lane {lane}"));
            return None;
        }
        match address & TAG {
            0 => self.reach_global(address, size, lane),
            SHARED => self.reach_shared((address & !TAG) as usize, size, lane, writes),
            LOCAL => {
                let bytes = self.launch.program.local;
                let place = (address & !TAG) as usize;
                if place + size > bytes {
                    self.fails(format!(
                        "local memory has {bytes} bytes, lane {lane} reaches {}",
                        place + size
                    ));
                    return None;
                }
                // SAFETY: `local` has `bytes` for each lane.
                Some(unsafe { self.local.as_mut_ptr().add(lane * bytes + place) })
            }
            _ => {
                let place = (address & !TAG) as usize;
                if writes || place + size > self.launch.params.len() {
                    self.fails(format!(
                        "the arguments have {} bytes, {} reached",
                        self.launch.params.len(),
                        place + size
                    ));
                    return None;
                }
                Some(self.launch.params[place..].as_ptr().cast_mut())
            }
        }
    }

    #[inline(always)]
    fn reach_global(&mut self, address: u64, size: usize, lane: usize) -> Option<*mut u8> {
        if address < self.recent.0 || address + size as u64 > self.recent.1 {
            match self.launch.memory.find(address, size as u64) {
                Some(range) => self.recent = range,
                None => {
                    let near = self.launch.memory.nearest(address);
                    self.fails(format!(
                        "illegal address {address:#x} of {size} bytes, lane {lane}; {near}"
                    ));
                    return None;
                }
            }
        }
        Some(address as *mut u8)
    }

    #[inline(always)]
    fn reach_shared(
        &mut self,
        place: usize,
        size: usize,
        lane: usize,
        writes: bool,
    ) -> Option<*mut u8> {
        let (number, grain) = (self.number, self.launch.program.grain);
        let block = self.block();
        if place + size > block.shared.len() {
            let have = block.shared.len();
            self.fails(format!(
                "shared memory has {have} bytes, lane {lane} reaches {}",
                place + size
            ));
            return None;
        }
        if grain != 0 && !block.touch(place, size, number, writes, grain) {
            let verb = if writes { "writes" } else { "reads" };
            self.fails(format!(
                "a race in shared memory: warp {number} {verb} byte {place}, which another warp touches \
                 with no barrier between"
            ));
            return None;
        }
        // SAFETY: within `shared`.
        Some(unsafe { block.shared.as_mut_ptr().add(place) })
    }

    /// As `reach`, for an atomic operation: no race, whoever else is there.
    pub fn reach_atomic(&mut self, address: u64, size: usize, lane: usize) -> Option<*mut u8> {
        let place = (address & !TAG) as usize;
        if address & TAG == SHARED && place + size <= self.block().shared.len() {
            return Some(self.block().shared[place..].as_mut_ptr());
        }
        self.reach(address, size, lane, true, size)
    }

    /// Every lane that `.sync` names must be here.
    #[inline(always)]
    pub fn expects(&mut self, named: u32, here: u32) {
        if named & self.live & !here != 0 {
            self.fails(format!("lanes {named:#x} are to meet, {here:#x} are here"));
        }
    }

    fn start(&mut self, number: u32, threads: u32, block: &mut Block) {
        self.number = number;
        self.block = block;
        let lanes = (threads - number * LANES as u32).min(LANES as u32);
        self.live = if lanes == 32 { !0 } else { (1 << lanes) - 1 };
        self.groups.clear();
        self.groups.push(Group { pc: 0, mask: self.live, waits: false });
        self.copies.clear();
        self.committed.clear();
        let [bx, by, _] = self.launch.block;
        for &(row, special) in &self.launch.program.specials {
            let base = number * LANES as u32;
            let of = |f: &dyn Fn(u32) -> u32| std::array::from_fn(|lane| f(base + lane as u32));
            let grid = self.launch.grid;
            *self.row::<u32>(row) = match special {
                Special::Thread(0) => of(&|t| t % bx),
                Special::Thread(1) => of(&|t| t / bx % by),
                Special::Thread(_) => of(&|t| t / bx / by),
                Special::Block(axis) => [block.index[axis]; LANES],
                Special::BlockSize(axis) => [self.launch.block[axis]; LANES],
                Special::Grid(axis) => [grid[axis]; LANES],
                Special::Lane => std::array::from_fn(|lane| lane as u32),
                Special::Warp => [number; LANES],
                Special::LanesBelow => std::array::from_fn(|lane| (1u32 << lane) - 1),
                Special::LanesUpTo => {
                    std::array::from_fn(|lane| (((2u64 << lane) - 1) & 0xFFFF_FFFF) as u32)
                }
                Special::LanesAbove => std::array::from_fn(|lane| !(((2u64 << lane) - 1) as u32)),
                Special::LaneBit => std::array::from_fn(|lane| 1u32 << lane),
                Special::DynamicShared => [self.launch.dynamic_shared as u32; LANES],
                Special::Value(value) => [value; LANES],
            };
        }
    }

    /// Runs until all lanes are done, or none can go on without other warps.
    fn run(&mut self) -> Stop {
        let program = self.launch.program;
        loop {
            let Some(at) = (0..self.groups.len())
                .filter(|&g| !self.groups[g].waits)
                .min_by_key(|&g| self.groups[g].pc)
            else {
                return if self.groups.is_empty() { Stop::Done } else { Stop::Barrier };
            };
            let Group { mut pc, mut mask, .. } = self.groups.swap_remove(at);
            let mut limit = self.next_group();
            loop {
                let op = &program.ops[pc];
                let here = match op.guard {
                    u32::MAX => mask,
                    row => mask & if op.guard_not { !*self.bits(row) } else { *self.bits(row) },
                };
                match op.kind {
                    Kind::Lanes(execute) => {
                        if here != 0 {
                            execute(self, op, here);
                            if self.fault.is_some() {
                                self.groups.push(Group { pc, mask, waits: false });
                                return Stop::Done;
                            }
                        }
                        pc += 1;
                    }
                    Kind::Jump(target) => {
                        if here == mask {
                            pc = target;
                        } else {
                            if here != 0 {
                                self.groups.push(Group { pc: target, mask: here, waits: false });
                                mask &= !here;
                                limit = limit.min(target);
                            }
                            pc += 1;
                        }
                    }
                    Kind::Table => {
                        for lane in 0..LANES {
                            if here >> lane & 1 == 1 {
                                let index = self.row::<u32>(op.a)[lane] as usize;
                                let target = op.rows[index] as usize;
                                self.groups.push(Group {
                                    pc: target,
                                    mask: 1 << lane,
                                    waits: false,
                                });
                            }
                        }
                        self.merge();
                        break;
                    }
                    Kind::Exit => {
                        mask &= !here;
                        self.live &= !here;
                        if mask == 0 {
                            break;
                        }
                        pc += 1;
                    }
                    Kind::Barrier => {
                        self.groups.push(Group { pc: pc + 1, mask, waits: true });
                        self.merge();
                        break;
                    }
                    Kind::Yield(ready) => {
                        let yields = here != 0 && !ready(self, op, here);
                        pc += 1;
                        if yields || self.fault.is_some() {
                            self.groups.push(Group { pc, mask, waits: false });
                            return if self.fault.is_some() { Stop::Done } else { Stop::Yields };
                        }
                    }
                }
                if pc >= limit {
                    self.groups.push(Group { pc, mask, waits: false });
                    self.merge();
                    break;
                }
            }
        }
    }

    fn next_group(&self) -> usize {
        self.groups
            .iter()
            .filter(|group| !group.waits)
            .map(|group| group.pc)
            .min()
            .unwrap_or(usize::MAX)
    }

    /// Lanes at the same statement go on together.
    fn merge(&mut self) {
        self.groups.sort_by_key(|group| (group.pc, group.waits));
        self.groups.dedup_by(|next, kept| {
            let same = next.pc == kept.pc && next.waits == kept.waits;
            if same {
                kept.mask |= next.mask;
            }
            same
        });
    }
}

impl Block {
    /// Notes who reads or writes, by grains of `1 << (grain - 1)` bytes; false where two warps meet and one
    /// of them writes.
    #[inline(always)]
    fn touch(&mut self, place: usize, size: usize, warp: u32, writes: bool, grain: u32) -> bool {
        let (stretch, me) = (self.stretch, self.stretch << 8 | (warp + 1));
        let (first, last) = (place >> (grain - 1), (place + size - 1) >> (grain - 1));
        let free = |who: &u32| *who == me || *who >> 8 != stretch;
        let (writers, readers) = (&mut self.writers[first..=last], &mut self.readers[first..=last]);
        let mut fine = true;
        for (writer, reader) in writers.iter_mut().zip(readers) {
            fine &= free(writer) & (!writes | free(reader));
            if writes {
                *writer = me;
            } else {
                // 255 is more than one.
                *reader = if free(reader) { me } else { stretch << 8 | 255 };
            }
        }
        fine
    }

    fn barrier(&mut self) {
        self.stretch += 1;
    }
}

/// The registers and warps of one host thread, used for one block after another.
pub struct Worker<'a> {
    block: Block,
    warps: Vec<Warp<'a>>,
    _registers: Vec<u64>,
}

impl<'a> Worker<'a> {
    pub fn new(launch: &'a Launch<'a>) -> Self {
        let threads = launch.block.iter().product::<u32>();
        let program = launch.program;
        let count = threads.div_ceil(LANES as u32) as usize;
        let stride = program.registers.next_multiple_of(64);
        let mut registers = vec![0u64; (count * stride + 64) / 8];
        let base = registers.as_mut_ptr().cast::<u8>();
        let base = base.wrapping_add(base.align_offset(64));
        let warps = (0..count)
            .map(|index| Warp {
                registers: base.wrapping_add(index * stride),
                launch,
                block: std::ptr::null_mut(),
                local: vec![0xFF; program.local * LANES],
                number: 0,
                live: 0,
                groups: Vec::new(),
                recent: (0, 0),
                carry: 0,
                copies: Vec::new(),
                committed: Default::default(),
                fault: None,
            })
            .collect::<Vec<_>>();
        for warp in &warps {
            for &(row, width, value) in &program.constants {
                match width {
                    1 => *warp.bits(row) = if value == 0 { 0 } else { !0 },
                    16 => *warp.row(row) = [value as u16; LANES],
                    32 => *warp.row(row) = [value as u32; LANES],
                    _ => *warp.row(row) = [value; LANES],
                }
            }
        }
        let shared = program.shared + launch.dynamic_shared;
        let block = Block {
            shared: vec![0; shared],
            writers: vec![0; shared + 1],
            readers: vec![0; shared + 1],
            stretch: 1,
            index: [0; 3],
            barriers: Default::default(),
        };
        Worker { block, warps, _registers: registers }
    }

    /// Runs one block to its end.
    pub fn run(&mut self, index: [u32; 3]) -> Result<(), String> {
        let launch = self.warps[0].launch;
        let threads = launch.block.iter().product::<u32>();
        self.block.index = index;
        // What was never written is not a number.
        self.block.shared.fill(0xFF);
        self.block.barriers.clear();
        self.block.barrier();
        if self.block.stretch >= 1 << 23 {
            self.block.stretch = 1;
            self.block.writers.fill(0);
            self.block.readers.fill(0);
        }
        for (number, warp) in self.warps.iter_mut().enumerate() {
            warp.start(number as u32, threads, &mut self.block);
        }
        let mut idle = 0;
        loop {
            let (mut done, mut barrier) = (0, 0);
            for warp in &mut self.warps {
                let stop = warp.run();
                if let Some(fault) = warp.fault.take() {
                    let at = warp.groups.last().map_or("", |group| &launch.program.texts[group.pc]);
                    return Err(format!(
                        "{fault}; block {index:?}, warp {}, at `{at}`",
                        warp.number
                    ));
                }
                match stop {
                    Stop::Done => done += 1,
                    Stop::Barrier => barrier += 1,
                    Stop::Yields => {}
                }
            }
            if done == self.warps.len() {
                return Ok(());
            }
            if done + barrier == self.warps.len() {
                self.block.barrier();
                for group in self.warps.iter_mut().flat_map(|warp| &mut warp.groups) {
                    group.waits = false;
                }
                idle = 0;
            } else {
                idle += 1;
                if idle > 100_000 {
                    return Err(format!(
                        "deadlock: {barrier} warps at a barrier, {done} done; block {index:?}"
                    ));
                }
            }
        }
    }
}
