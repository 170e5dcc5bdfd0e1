//! Products of small matrices by a whole warp: `mma`, `wmma`, and `ldmatrix` and `stmatrix`, which feed them.

use crate::lanes::{Bf16, F16, Small};
use crate::program::{Builder, Op};
use crate::ptx::Statement;
use crate::warp::{LANES, SHARED, Warp};

/// An element's type in a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Element {
    F16,
    Bf16,
    Tf32,
    F32,
}

impl Element {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "f16" => Element::F16,
            "bf16" => Element::Bf16,
            "tf32" => Element::Tf32,
            "f32" => Element::F32,
            _ => return None,
        })
    }

    /// Elements in a register of 32 bits.
    fn packed(self) -> usize {
        match self {
            Element::F16 | Element::Bf16 => 2,
            _ => 1,
        }
    }

    fn get(self, word: u32, half: usize) -> f32 {
        match self {
            Element::F16 => F16((word >> (16 * half)) as u16).up(),
            Element::Bf16 => Bf16((word >> (16 * half)) as u16).up(),
            // The units do not see the last 13 bits.
            Element::Tf32 => f32::from_bits(word & !0x1FFF),
            Element::F32 => f32::from_bits(word),
        }
    }

    fn put(self, word: &mut u32, half: usize, value: f32) {
        match self {
            Element::F16 => {
                *word =
                    *word & !(0xFFFF << (16 * half)) | u32::from(F16::down(value).0) << (16 * half)
            }
            Element::Bf16 => {
                *word =
                    *word & !(0xFFFF << (16 * half)) | u32::from(Bf16::down(value).0) << (16 * half)
            }
            _ => *word = value.to_bits(),
        }
    }
}

/// Which operand of a product.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    A,
    B,
    C,
}

/// Where the element `half` of register `r` of a lane stands in the 16 x 8 x k product of `mma`.
fn place(side: Side, packed: usize, lane: usize, r: usize, half: usize) -> (usize, usize) {
    let (group, thread) = (lane / 4, lane % 4);
    let across = thread * packed + half;
    match side {
        Side::A => (group + 8 * (r & 1), across + 4 * packed * (r >> 1)),
        Side::B => (across + 4 * packed * r, group),
        Side::C => {
            // Two columns a lane: two registers of one, or one register of two.
            let element = r * packed + half;
            (group + 8 * (element >> 1), thread * 2 + (element & 1))
        }
    }
}

/// 16 x 16, 16 x 8 or 8 x 16 numbers, row by row.
type Tile = [f32; 512];

/// `c += a · b` with N columns, by outer products, each sum in f32 from the first k to the last.
fn multiply<const N: usize>(a: &Tile, b: &Tile, c: &mut Tile, m: usize, k: usize) {
    let (b, c) = (b.as_chunks::<N>().0, c.as_chunks_mut::<N>().0);
    for (row, sums) in c.iter_mut().enumerate().take(m) {
        for (factor, others) in a[row * k..].iter().take(k).zip(b) {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += factor * other;
            }
        }
    }
}

struct Shape {
    m: usize,
    n: usize,
    k: usize,
}

fn shape(s: &Statement) -> Option<Shape> {
    s.opcode.iter().find_map(|part| {
        let (m, rest) = part.strip_prefix('m')?.split_once('n')?;
        let (n, k) = rest.split_once('k')?;
        Some(Shape { m: m.parse().ok()?, n: n.parse().ok()?, k: k.parse().ok()? })
    })
}

/// Where each value of a fragment stands in its tile: by register, lane and half.
struct Layout {
    element: Element,
    /// The tile's columns.
    columns: usize,
    places: Vec<u16>,
}

impl Layout {
    fn new(side: Side, element: Element, registers: usize, shape: &Shape, wmma: bool) -> Self {
        let (rows, columns) = match side {
            Side::A => (shape.m, shape.k),
            Side::B => (shape.k, shape.n),
            Side::C => (shape.m, shape.n),
        };
        let packed = element.packed();
        let mut places = Vec::new();
        for r in 0..registers {
            for lane in 0..LANES {
                for half in 0..packed {
                    let number = r * packed + half;
                    // The fragments of `wmma` are ours to lay out: sums as the two products of 8 columns
                    // that the unit makes, all else value after value, twice where there is room for it.
                    let (row, column) = match side {
                        _ if !wmma => place(side, packed, lane, r, half),
                        Side::C if rows == 16 && columns == 16 => {
                            let (row, column) = place(Side::C, 1, lane, number & 3, 0);
                            (row, column + 8 * (number >> 2))
                        }
                        _ => {
                            let value = (lane + LANES * number) % (rows * columns);
                            (value / columns, value % columns)
                        }
                    };
                    places.push((row * columns + column) as u16);
                }
            }
        }
        Layout { element, columns, places }
    }

    fn gather(&self, w: &Warp, rows: &[u32]) -> Tile {
        let mut tile = [0.0; 512];
        let packed = self.element.packed();
        for (places, &row) in self.places.chunks_exact(LANES * packed).zip(rows) {
            for (places, &word) in places.chunks_exact(packed).zip(w.row::<u32>(row).iter()) {
                for (half, &place) in places.iter().enumerate() {
                    tile[place as usize & 511] = self.element.get(word, half);
                }
            }
        }
        tile
    }

    fn scatter(&self, w: &Warp, rows: &[u32], tile: &Tile) {
        let packed = self.element.packed();
        for (places, &row) in self.places.chunks_exact(LANES * packed).zip(rows) {
            for (places, word) in places.chunks_exact(packed).zip(w.row::<u32>(row).iter_mut()) {
                for (half, &place) in places.iter().enumerate() {
                    self.element.put(word, half, tile[place as usize & 511]);
                }
            }
        }
    }
}

/// What a product's statement says: the layouts of d, a, b, c.
struct Product {
    shape: Shape,
    layouts: [Layout; 4],
    counts: [usize; 4],
}

/// Keeps what a statement says for as long as the process runs.
fn keep<T>(value: T) -> usize {
    Box::into_raw(Box::new(value)) as usize
}

fn product(w: &mut Warp, o: &Op, mask: u32) {
    if mask != !0 {
        return w.fails(format!("a product by a warp of which only {mask:#x} are here"));
    }
    // SAFETY: `keep` made it, and never gives it back.
    let p: &Product = unsafe { &*(o.extra as *const Product) };
    let (d, rest) = o.rows.split_at(p.counts[0]);
    let (a, rest) = rest.split_at(p.counts[1]);
    let (b, c) = rest.split_at(p.counts[2]);
    let left = p.layouts[1].gather(w, a);
    let right = p.layouts[2].gather(w, b);
    let mut sum = p.layouts[3].gather(w, c);
    match p.shape {
        Shape { m, n: 8, k } => multiply::<8>(&left, &right, &mut sum, m, k),
        Shape { m, n: 16, k } => multiply::<16>(&left, &right, &mut sum, m, k),
        Shape { m, k, .. } => multiply::<32>(&left, &right, &mut sum, m, k),
    }
    p.layouts[0].scatter(w, d, &sum);
}

fn decode_product(b: &mut Builder, s: &Statement, wmma: bool) -> Result<Option<Op>, String> {
    let shape = shape(s).ok_or("a product of no shape")?;
    let mut types: Vec<Element> = s.opcode.iter().filter_map(|part| Element::of(part)).collect();
    if types.len() == 2 {
        // `wmma.mma` of f16 names d and c alone.
        types = vec![types[0], Element::F16, Element::F16, types[1]];
    }
    let types: [Element; 4] = types.try_into().map_err(|_| "a product of which types?")?;
    let is_odd =
        |part: &str| part.starts_with("sp") || part == "satfinite" || part.starts_with("kind");
    if s.opcode.iter().any(|part| is_odd(part)) || ![8, 16, 32].contains(&shape.n) {
        return Err("a sparse, scaled or clamped product".into());
    }
    let mut op = Op::new(product);
    let mut rows = Vec::new();
    let mut counts = [0; 4];
    for (count, text) in counts.iter_mut().zip(&s.operands) {
        let part = b.values(text, 32)?;
        *count = part.len();
        rows.extend_from_slice(&part);
    }
    op.rows = rows.into();
    let sides = [Side::C, Side::A, Side::B, Side::C];
    let layouts =
        std::array::from_fn(|at| Layout::new(sides[at], types[at], counts[at], &shape, wmma));
    op.extra = keep(Product { shape, layouts, counts });
    Ok(Some(op))
}

/// A `wmma.load` or `wmma.store`: a fragment from or to memory, `stride` elements between rows.
struct Fragment {
    layout: Layout,
    rows: usize,
    row_major: bool,
    stores: bool,
}

fn fragment(w: &mut Warp, o: &Op, mask: u32) {
    if mask != !0 {
        return w.fails(format!("a fragment of a warp of which only {mask:#x} are here"));
    }
    // SAFETY: as in `product`.
    let f: &Fragment = unsafe { &*(o.extra as *const Fragment) };
    let base = w.addresses(o.at)[0];
    let stride = w.row::<u32>(o.b)[0] as usize;
    let (packed, columns) = (f.layout.element.packed(), f.layout.columns);
    let size = 4 / packed;
    let (lines, length) = if f.row_major { (f.rows, columns) } else { (columns, f.rows) };
    let mut begins = [std::ptr::null_mut::<u8>(); 32];
    for (line, begin) in begins.iter_mut().enumerate().take(lines) {
        let at = base + (line * stride * size) as u64;
        match w.reach(at, length * size, 0, f.stores, size) {
            Some(place) => *begin = place,
            None => return,
        }
    }
    for (places, &row) in f.layout.places.chunks_exact(LANES * packed).zip(&o.rows) {
        for (places, word) in places.chunks_exact(packed).zip(w.row::<u32>(row).iter_mut()) {
            for (half, &place) in places.iter().enumerate() {
                let (i, j) = (place as usize / columns, place as usize % columns);
                let (line, along) = if f.row_major { (i, j) } else { (j, i) };
                let at = begins[line].wrapping_add(along * size);
                // SAFETY: `reach` found all of the line.
                unsafe {
                    match (f.stores, size) {
                        (true, 4) => at.cast::<u32>().write_unaligned(*word),
                        (true, _) => {
                            at.cast::<u16>().write_unaligned((*word >> (16 * half)) as u16)
                        }
                        (false, 4) => *word = at.cast::<u32>().read_unaligned(),
                        (false, _) => {
                            let value = u32::from(at.cast::<u16>().read_unaligned());
                            *word = *word & !(0xFFFF << (16 * half)) | value << (16 * half);
                        }
                    }
                }
            }
        }
    }
}

fn decode_fragment(b: &mut Builder, s: &Statement, stores: bool) -> Result<Option<Op>, String> {
    let side = match s.opcode[2].as_str() {
        "a" => Side::A,
        "b" => Side::B,
        _ => Side::C,
    };
    let element = s.opcode.last().and_then(|ty| Element::of(ty)).ok_or("a fragment of what?")?;
    let row_major = s.opcode.iter().any(|part| part == "row");
    let shape = shape(s).ok_or("a fragment of no shape")?;
    let mut op = Op::new(fragment);
    let (list, address) = if stores { (1, 0) } else { (0, 1) };
    op.rows = b.values(&s.operands[list], 32)?;
    op.at = b.address(&s.operands[address], crate::moves::space(s))?;
    op.b = match s.operands.get(2) {
        Some(stride) => b.value(stride, 32)?,
        None => return Err("a fragment without a stride".into()),
    };
    let rows = if side == Side::B { shape.k } else { shape.m };
    let layout = Layout::new(side, element, op.rows.len(), &shape, true);
    op.extra = keep(Fragment { layout, rows, row_major, stores });
    Ok(Some(op))
}

/// `ldmatrix` and `stmatrix`: 8 x 8 halves, a row from each lane's address.
fn rows_of_halves(w: &mut Warp, o: &Op, mask: u32) {
    if mask != !0 {
        return w.fails(format!("`ldmatrix` by a warp of which only {mask:#x} are here"));
    }
    let (stores, transposed) = (o.e & 1 == 1, o.e & 2 == 2);
    let addresses = w.addresses(o.at);
    for (matrix, &row) in o.rows.iter().enumerate() {
        let mut places = [std::ptr::null_mut::<u8>(); 8];
        for (place, lane) in places.iter_mut().zip(8 * matrix..) {
            match w.reach(addresses[lane], 16, lane, stores, 16) {
                Some(at) => *place = at,
                None => return,
            }
        }
        for (lane, word) in w.row::<u32>(row).iter_mut().enumerate() {
            for half in 0..2 {
                let (i, j) = (lane / 4, lane % 4 * 2 + half);
                let (i, j) = if transposed { (j, i) } else { (i, j) };
                let at = places[i].wrapping_add(2 * j).cast::<u16>();
                // SAFETY: `reach` found 16 bytes in each row.
                unsafe {
                    if stores {
                        at.write_unaligned((*word >> (16 * half)) as u16);
                    } else {
                        *word = *word & !(0xFFFF << (16 * half))
                            | u32::from(at.read_unaligned()) << (16 * half);
                    }
                }
            }
        }
    }
}

fn decode_rows(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    let has = |part: &str| s.opcode.iter().any(|found| found == part);
    if !has("m8n8") || !has("b16") {
        return Err("a matrix of another shape".into());
    }
    let stores = s.opcode[0] == "stmatrix";
    let (list, address) = if stores { (1, 0) } else { (0, 1) };
    let mut op = Op::new(rows_of_halves);
    op.rows = b.values(&s.operands[list], 32)?;
    op.at = b.address(&s.operands[address], "shared")?;
    if !crate::moves::space(s).starts_with("shared") {
        // A generic address has its space's tag already.
        op.at.offset -= SHARED as i64;
    }
    op.e = u32::from(stores) | u32::from(has("trans")) << 1;
    Ok(Some(op))
}

pub fn decode(b: &mut Builder, s: &Statement) -> Result<Option<Op>, String> {
    match (s.opcode[0].as_str(), s.opcode.get(1).map_or("", String::as_str)) {
        ("mma", _) => decode_product(b, s, false),
        ("wmma", "mma") => decode_product(b, s, true),
        ("wmma", "load") => decode_fragment(b, s, false),
        ("wmma", "store") => decode_fragment(b, s, true),
        ("ldmatrix" | "stmatrix", _) => decode_rows(b, s),
        _ => Ok(None),
    }
}
