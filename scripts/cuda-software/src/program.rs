//! A kernel made ready to run: every register a row of 32 values, every statement a function.

use std::collections::HashMap;

use crate::ptx::{self, Kernel, Space, Statement, Variable, literal};
use crate::warp::{LANES, LOCAL, PARAM, SHARED, Warp};

/// Executes a statement for the lanes of a mask.
pub type Exec = fn(&mut Warp, &Op, u32);

/// What a statement does.
#[derive(Clone, Copy)]
pub enum Kind {
    Lanes(Exec),
    Jump(usize),
    /// Jumps by index: `a` says which of `rows`.
    Table,
    Barrier,
    /// Says whether its lanes may go on; if not, other warps come first.
    Yield(fn(&mut Warp, &Op, u32) -> bool),
    Exit,
}

/// One statement: rows of its operands, and what else it needs.
#[derive(Clone)]
pub struct Op {
    pub kind: Kind,
    pub guard: u32,
    pub guard_not: bool,
    pub d: u32,
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub e: u32,
    pub at: Address,
    /// The source of a copy.
    pub from: Address,
    pub imm: i64,
    /// A function, or what was kept of the statement.
    pub extra: usize,
    pub rows: Box<[u32]>,
}

/// `[base+offset]`: the base's row, which may have 32 bits, and the offset with the space's tag.
#[derive(Clone, Copy, Default)]
pub struct Address {
    pub row: u32,
    pub narrow: bool,
    pub offset: i64,
}

impl Op {
    pub fn new(execute: Exec) -> Self {
        let none = u32::MAX;
        let (d, a, b, c, e) = (none, none, none, none, none);
        let kind = Kind::Lanes(execute);
        let (at, from) = Default::default();
        Op {
            kind,
            guard: none,
            guard_not: false,
            d,
            a,
            b,
            c,
            e,
            at,
            from,
            imm: 0,
            extra: 0,
            rows: Box::new([]),
        }
    }
}

/// A register that the launch fills.
#[derive(Clone, Copy, Debug)]
pub enum Special {
    Thread(usize),
    BlockSize(usize),
    Block(usize),
    Grid(usize),
    Lane,
    Warp,
    LanesBelow,
    LanesUpTo,
    LanesAbove,
    LaneBit,
    DynamicShared,
    Value(u32),
}

/// A kernel that can run.
pub struct Program {
    pub name: String,
    pub ops: Vec<Op>,
    pub texts: Vec<String>,
    /// Bytes of a warp's registers.
    pub registers: usize,
    pub constants: Vec<(u32, u32, u64)>,
    pub specials: Vec<(u32, Special)>,
    /// Offset and size of each argument.
    pub params: Vec<(usize, usize)>,
    pub param_bytes: usize,
    /// Bytes of shared memory before what the launch adds, and of local memory.
    pub shared: usize,
    pub local: usize,
    /// The power of two, and one more, of the bytes that races in shared memory are looked for by; 0 for
    /// none.
    pub grain: u32,
}

/// Turns the statements of a kernel into a program.
pub struct Builder<'a> {
    kernel: &'a Kernel,
    symbols: HashMap<String, u64>,
    rows: HashMap<String, (u32, u32)>,
    next: u32,
    constants: Vec<(u32, u32, u64)>,
    specials: Vec<(u32, Special)>,
    texts: HashMap<(u32, u64), u32>,
}

/// Lays variables out one after another, and says how many bytes they need.
fn lay_out<'v>(
    variables: impl Iterator<Item = &'v Variable>,
    symbols: &mut HashMap<String, u64>,
) -> usize {
    let mut end = 0usize;
    for variable in variables {
        end = end.next_multiple_of(variable.align.max(1));
        symbols.insert(variable.name.clone(), end as u64);
        end += variable.size;
    }
    end
}

/// Makes a kernel ready; `globals` are the addresses of the module's variables.
pub fn build(
    module: &ptx::Module,
    kernel: &Kernel,
    globals: &HashMap<String, u64>,
) -> Result<Program, String> {
    let mut symbols = globals.clone();
    let mut params = Vec::new();
    let param_bytes = lay_out(kernel.params.iter(), &mut symbols);
    for param in &kernel.params {
        params.push((symbols[&param.name] as usize, param.size));
    }
    let local = lay_out(kernel.variables.iter().filter(|v| v.space == Space::Local), &mut symbols);
    let all =
        || kernel.variables.iter().chain(&module.variables).filter(|v| v.space == Space::Shared);
    // What the launch sizes comes last.
    let shared = lay_out(all().filter(|v| v.size > 0), &mut symbols).next_multiple_of(16);
    let dynamic = all().filter(|v| v.size == 0).map(|v| v.align).max().unwrap_or(16);
    let shared = shared.next_multiple_of(dynamic);
    for variable in all().filter(|v| v.size == 0) {
        symbols.insert(variable.name.clone(), shared as u64);
    }
    let mut builder = Builder {
        kernel,
        symbols,
        rows: HashMap::new(),
        next: 0,
        constants: Vec::new(),
        specials: Vec::new(),
        texts: HashMap::new(),
    };
    let mut ops = Vec::with_capacity(kernel.body.len() + 1);
    let mut texts = Vec::with_capacity(kernel.body.len() + 1);
    for statement in &kernel.body {
        let op = builder.op(statement).map_err(|why| format!("{why} in `{}`", statement.text))?;
        ops.push(op);
        texts.push(statement.text.clone());
    }
    ops.push(Op { kind: Kind::Exit, ..Op::new(|_, _, _| {}) });
    texts.push("the end".into());
    Ok(Program {
        name: kernel.name.clone(),
        ops,
        texts,
        registers: builder.next as usize,
        constants: builder.constants,
        specials: builder.specials,
        params,
        param_bytes,
        shared,
        local,
        grain: grain(kernel),
    })
}

/// Races are looked for by the bytes of the narrowest store to shared memory, and not where `mbarrier`
/// orders what warps do.
fn grain(kernel: &Kernel) -> u32 {
    let has = |s: &Statement, part: &str| s.opcode.iter().any(|found| found == part);
    if kernel.body.iter().any(|s| s.opcode[0] == "mbarrier")
        || std::env::var_os("CUDA_SOFTWARE_RACES").is_some_and(|said| said == "0")
    {
        return 0;
    }
    let stores =
        kernel.body.iter().filter(|s| s.opcode[0] == "st" && !has(s, "global") && !has(s, "local"));
    let narrowest = stores.filter_map(|s| ptx::bits(s.opcode.last()?)).min().unwrap_or(32);
    (narrowest / 8).clamp(1, 4).ilog2() + 1
}

impl Builder<'_> {
    fn op(&mut self, statement: &Statement) -> Result<Op, String> {
        let mut op = self.unguarded(statement)?;
        if let Some((name, negated)) = &statement.guard {
            op.guard = self.register(name)?.0;
            op.guard_not = *negated;
        }
        Ok(op)
    }

    fn unguarded(&mut self, s: &Statement) -> Result<Op, String> {
        let nothing = Op::new(|_, _, _| {});
        match s.opcode[0].as_str() {
            "bra" => return Ok(Op { kind: Kind::Jump(self.target(&s.operands[0])?), ..nothing }),
            "brx" => {
                let names = self.kernel.tables.get(&s.operands[1]).ok_or("no such table")?.clone();
                let rows = names
                    .iter()
                    .map(|name| self.target(name).map(|t| t as u32))
                    .collect::<Result<_, _>>()?;
                return Ok(Op {
                    kind: Kind::Table,
                    a: self.value(&s.operands[0], 32)?,
                    rows,
                    ..nothing
                });
            }
            "ret" | "exit" => return Ok(Op { kind: Kind::Exit, ..nothing }),
            "bar" | "barrier" if s.opcode[1] == "warp" => return crate::flow::sync_warp(self, s),
            // A cluster is one block.
            "barrier" if s.opcode[1] == "cluster" => {
                let kind = if s.opcode[2] == "wait" { Kind::Barrier } else { nothing.kind };
                return Ok(Op { kind, ..nothing });
            }
            "bar" | "barrier" => {
                let whole = s.opcode.iter().any(|part| part == "sync") && s.operands.len() == 1;
                return if whole {
                    Ok(Op { kind: Kind::Barrier, ..nothing })
                } else {
                    Err("a barrier of some threads".into())
                };
            }
            "membar" | "fence" | "prefetch" | "prefetchu" | "griddepcontrol" | "discard"
            | "applypriority" | "createpolicy" | "nanosleep" => return Ok(nothing),
            _ => {}
        }
        let families: [fn(&mut Builder, &Statement) -> Result<Option<Op>, String>; 6] = [
            crate::moves::decode,
            crate::convert::decode,
            crate::integers::decode,
            crate::floats::decode,
            crate::flow::decode,
            crate::matrix::decode,
        ];
        for family in families {
            if let Some(op) = family(self, s)? {
                return Ok(op);
            }
        }
        crate::copies::decode(self, s)?.ok_or_else(|| "this instruction is not known".into())
    }

    fn target(&self, label: &str) -> Result<usize, String> {
        self.kernel.labels.get(label).copied().ok_or_else(|| format!("no label `{label}`"))
    }

    /// Space for 32 values of `width` bits.
    pub fn fresh(&mut self, width: u32) -> u32 {
        let row = self.next;
        self.next += (width.max(16) * LANES as u32 / 8).next_multiple_of(64);
        row
    }

    /// A declared register's row and width.
    pub fn register(&mut self, name: &str) -> Result<(u32, u32), String> {
        if let Some(&found) = self.rows.get(name) {
            return Ok(found);
        }
        let width =
            *self.kernel.registers.get(name).ok_or_else(|| format!("no register `{name}`"))?;
        let found = (self.fresh(width), width);
        self.rows.insert(name.to_owned(), found);
        Ok(found)
    }

    /// A row that always holds `value`.
    pub fn constant(&mut self, width: u32, value: u64) -> u32 {
        if let Some(&row) = self.texts.get(&(width, value)) {
            return row;
        }
        let row = self.fresh(width);
        self.constants.push((row, width, value));
        self.texts.insert((width, value), row);
        row
    }

    /// The row of an operand of any width, and its width; `wanted` is a literal's.
    pub fn any(&mut self, text: &str, wanted: u32) -> Result<(u32, u32), String> {
        if self.kernel.registers.contains_key(text) {
            return self.register(text);
        }
        if let Some(special) = special(text) {
            let row = self.fresh(32);
            self.specials.push((row, special));
            return Ok((row, 32));
        }
        let (name, offset) = match text.split_once('+') {
            Some((name, offset)) => (name.trim(), literal(offset, 64)?),
            None => (text, 0),
        };
        let value = match self.symbols.get(name) {
            Some(at) => at.wrapping_add(offset),
            None => literal(text, wanted)?,
        };
        Ok((self.constant(wanted, value), wanted))
    }

    /// The row of an operand that has `width` bits.
    pub fn value(&mut self, text: &str, width: u32) -> Result<u32, String> {
        match self.any(text, width)? {
            (row, found) if found == width => Ok(row),
            (_, found) => Err(format!("`{text}` has {found} bits, {width} expected")),
        }
    }

    /// The row that a result of `width` bits goes to; `_` is nowhere.
    pub fn result(&mut self, text: &str, width: u32) -> Result<u32, String> {
        if text == "_" { Ok(self.fresh(width)) } else { self.value(text, width) }
    }

    /// The registers of `{a, b}`, or of `a` alone.
    pub fn list(&mut self, text: &str) -> Vec<String> {
        match text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(inner) => ptx::split_operands(inner),
            None => vec![text.to_owned()],
        }
    }

    /// Rows of `{a, b}`, each of `width` bits.
    pub fn values(&mut self, text: &str, width: u32) -> Result<Box<[u32]>, String> {
        self.list(text).iter().map(|name| self.value(name, width)).collect()
    }

    /// `[base+offset]` in a space.
    pub fn address(&mut self, text: &str, space: &str) -> Result<Address, String> {
        let tag = match space {
            "shared" | "shared::cta" | "shared::cluster" => SHARED,
            "local" => LOCAL,
            "param" | "param::entry" => PARAM,
            "global" | "const" | "" => 0,
            other => return Err(format!("the state space `{other}`")),
        };
        let inner = text.trim().trim_start_matches('[').trim_end_matches(']').trim();
        let (base, offset) = match inner.split_once('+') {
            Some((base, offset)) => (base.trim(), literal(offset, 64)? as i64),
            None => (inner, 0),
        };
        let (row, width) = self.any(base, 64)?;
        Ok(Address { row, narrow: width == 32, offset: offset.wrapping_add(tag as i64) })
    }
}

fn special(text: &str) -> Option<Special> {
    let axis = |suffix: &str| ["x", "y", "z"].iter().position(|axis| *axis == suffix);
    let (name, suffix) = text.split_once('.').unwrap_or((text, ""));
    Some(match name {
        "%tid" => Special::Thread(axis(suffix)?),
        "%ntid" => Special::BlockSize(axis(suffix)?),
        "%ctaid" => Special::Block(axis(suffix)?),
        "%nctaid" => Special::Grid(axis(suffix)?),
        "%laneid" => Special::Lane,
        "%warpid" => Special::Warp,
        "%lanemask_lt" => Special::LanesBelow,
        "%lanemask_le" => Special::LanesUpTo,
        "%lanemask_gt" => Special::LanesAbove,
        "%lanemask_eq" => Special::LaneBit,
        "%dynamic_smem_size" => Special::DynamicShared,
        "WARP_SZ" => Special::Value(LANES as u32),
        "%cluster_ctarank" | "%cluster_ctaid" | "%smid" => Special::Value(0),
        "%cluster_nctaid" | "%cluster_nctarank" | "%nsmid" => Special::Value(1),
        _ => return None,
    })
}
