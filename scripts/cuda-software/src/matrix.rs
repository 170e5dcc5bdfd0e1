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

/// `c += a · b`, by outer products, each sum in f32 from the first k to the last.
fn multiply(a: &Tile, b: &Tile, c: &mut Tile, m: usize, n: usize, k: usize) {
    for row in 0..m {
        for inner in 0..k {
            let factor = a[row * k + inner];
            for column in 0..n {
                c[row * n + column] += factor * b[inner * n + column];
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

/// A place of a fragment: row, column.
type Layout = fn(usize, usize, usize, usize, &Shape) -> (usize, usize);

fn mma_layout(side: Side) -> Layout {
    match side {
        Side::A => |packed, lane, r, half, _| place(Side::A, packed, lane, r, half),
        Side::B => |packed, lane, r, half, _| place(Side::B, packed, lane, r, half),
        Side::C => |packed, lane, r, half, _| place(Side::C, packed, lane, r, half),
    }
}

/// The fragments of `wmma` are ours to lay out: as the 16 x 8 products that the unit makes of them where
/// that fits, else element after element.
fn wmma_layout(side: Side) -> Layout {
    match side {
        Side::A => |packed, lane, r, half, s| straight(packed, lane, r, half, s.m, s.k),
        Side::B => |packed, lane, r, half, s| straight(packed, lane, r, half, s.k, s.n),
        Side::C => |packed, lane, r, half, s| {
            if s.n == 16 && s.m == 16 {
                let element = r * packed + half;
                let (row, column) = place(Side::C, 1, lane, element & 3, 0);
                (row, column + 8 * (element >> 2))
            } else {
                straight(packed, lane, r, half, s.m, s.n)
            }
        },
    }
}

fn straight(
    packed: usize,
    lane: usize,
    r: usize,
    half: usize,
    rows: usize,
    columns: usize,
) -> (usize, usize) {
    // A fragment may have more room than elements: they are there twice.
    let element = (lane + LANES * (r * packed + half)) % (rows * columns);
    (element / columns, element % columns)
}

fn gather(
    w: &Warp,
    rows: &[u32],
    element: Element,
    layout: Layout,
    shape: &Shape,
    columns: usize,
) -> Tile {
    let mut tile = [0.0; 512];
    let packed = element.packed();
    for (r, &row) in rows.iter().enumerate() {
        for (lane, &word) in w.row::<u32>(row).iter().enumerate() {
            for half in 0..packed {
                let (row, column) = layout(packed, lane, r, half, shape);
                tile[row * columns + column] = element.get(word, half);
            }
        }
    }
    tile
}

fn scatter(
    w: &Warp,
    rows: &[u32],
    element: Element,
    layout: Layout,
    shape: &Shape,
    columns: usize,
    tile: &Tile,
) {
    let packed = element.packed();
    for (r, &row) in rows.iter().enumerate() {
        for (lane, word) in w.row::<u32>(row).iter_mut().enumerate() {
            for half in 0..packed {
                let (row, column) = layout(packed, lane, r, half, shape);
                element.put(word, half, tile[row * columns + column]);
            }
        }
    }
}

/// What a product's statement says, beside its rows.
struct Product {
    shape: Shape,
    types: [Element; 4],
    /// Registers of d, a, b, c.
    counts: [usize; 4],
    wmma: bool,
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
    let layout = if p.wmma { wmma_layout } else { mma_layout };
    let Shape { m, n, k } = p.shape;
    let left = gather(w, a, p.types[1], layout(Side::A), &p.shape, k);
    let right = gather(w, b, p.types[2], layout(Side::B), &p.shape, n);
    let mut sum = gather(w, c, p.types[3], layout(Side::C), &p.shape, n);
    multiply(&left, &right, &mut sum, m, n, k);
    scatter(w, d, p.types[0], layout(Side::C), &p.shape, n, &sum);
}

fn decode_product(b: &mut Builder, s: &Statement, wmma: bool) -> Result<Option<Op>, String> {
    let shape = shape(s).ok_or("a product of no shape")?;
    let mut types: Vec<Element> = s.opcode.iter().filter_map(|part| Element::of(part)).collect();
    if types.len() == 2 {
        // `wmma.mma` of f16 names d and c alone.
        types = vec![types[0], Element::F16, Element::F16, types[1]];
    }
    let types: [Element; 4] = types.try_into().map_err(|_| "a product of which types?")?;
    if s.opcode
        .iter()
        .any(|part| part.starts_with("sp") || part == "satfinite" || part.starts_with("kind"))
    {
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
    op.extra = keep(Product { shape, types, counts, wmma });
    Ok(Some(op))
}

/// A `wmma.load` or `wmma.store`: a fragment from or to memory, `stride` elements between rows.
struct Fragment {
    shape: Shape,
    side: Side,
    element: Element,
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
    let size = match f.element {
        Element::F16 | Element::Bf16 => 2,
        _ => 4,
    };
    let packed = f.element.packed();
    let layout = wmma_layout(f.side);
    for (r, &row) in o.rows.iter().enumerate() {
        for lane in 0..LANES {
            for half in 0..packed {
                let (i, j) = layout(packed, lane, r, half, &f.shape);
                let element = if f.row_major { i * stride + j } else { j * stride + i };
                let Some(at) = w.reach(base + (element * size) as u64, size, lane, f.stores, size)
                else {
                    return;
                };
                let word = &mut w.row::<u32>(row)[lane];
                let mut bytes = [0u8; 4];
                // SAFETY: `reach` found `size` bytes there.
                unsafe {
                    if f.stores {
                        bytes = (*word >> (8 * size * half) % 32).to_le_bytes();
                        std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, size);
                    } else {
                        std::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), size);
                        let kept = if size == 4 {
                            0
                        } else {
                            !(((1u32 << (8 * size)) - 1) << (8 * size * half))
                        };
                        *word = *word & kept | u32::from_le_bytes(bytes) << (8 * size * half) % 32;
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
    op.extra = keep(Fragment { shape, side, element, row_major, stores });
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
