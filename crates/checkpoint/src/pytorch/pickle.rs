//! A pickle, read as data: the objects that `torch.save` makes of named tensors, and no others.
//!
//! Owns the stack machine. Nothing is called and no class is loaded: the globals that a pickle may
//! name are a list, and any other is refused by its name wherever it stands.
//!
//! Invariant: what a pickle takes in memory is bounded by its length, which has a limit. Objects lie
//! in one arena and refer to each other by number, so that cycles, shared parts and deep nesting
//! cost nothing to build or to drop.
//!
//! Differs from the crate `pytorch-reader` 0.22.1, which reads a file that calls `os.system` and drops
//! the result as if nothing were there, and takes 87 bytes for each byte of a pickle of up to 100 MiB,
//! which a compressed archive of 100 KB may hold.
//!
//! Source: `pickletools.py` and `_pickle.c` of CPython 3.11; `torch/serialization.py` and
//! `torch/_utils.py` of PyTorch 1.2 to 2.15.

use std::collections::HashMap;
use std::io::Read;

use super::PytorchFault as Fault;
use super::objects::{GLOBALS, Global, Heap, Storage, Value, View, span};
use crate::elements::Dtype;
use crate::error::clipped;

/// The longest pickle that is read, in bytes: some 200 times that of BERT with its optimizer.
pub(super) const MAX_PICKLE_BYTES: u64 = 8 << 20;

/// The longest key of a storage.
const MAX_KEY_BYTES: usize = 256;
/// The most axes of a tensor, and arguments of a function.
const MAX_SHORT: usize = 16;

type Result<T> = std::result::Result<T, Fault>;

/// Reads one pickle from `reader`, which is left after it.
pub(super) fn read(reader: &mut impl Read, heap: &mut Heap) -> Result<Value> {
    let bytes = Bytes { reader, read: 0 };
    let mut machine = Machine { bytes, heap, stack: Vec::new(), memo: HashMap::new() };
    loop {
        if machine.step()? {
            return machine.pop();
        }
    }
}

/// The bytes of one pickle, counted.
struct Bytes<'r, R> {
    reader: &'r mut R,
    read: u64,
}

impl<R: Read> Bytes<'_, R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.count(N as u64)?;
        self.reader.read_exact(&mut bytes).map_err(Fault::read)?;
        Ok(bytes)
    }

    /// A length of `N` bytes and as many bytes as it says.
    fn counted<const N: usize>(&mut self) -> Result<Vec<u8>> {
        let mut length = [0; 8];
        length[..N].copy_from_slice(&self.array::<N>()?);
        let length = u64::from_le_bytes(length);
        self.count(length)?;
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes).map_err(Fault::read)?;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            match self.array::<1>()?[0] {
                b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                byte => line.push(byte),
            }
        }
    }

    fn count(&mut self, bytes: u64) -> Result<()> {
        self.read = self.read.saturating_add(bytes);
        if self.read > MAX_PICKLE_BYTES {
            return Err(Fault::PickleTooLong);
        }
        Ok(())
    }
}

struct Machine<'h, 'r, R> {
    bytes: Bytes<'r, R>,
    heap: &'h mut Heap,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl<R: Read> Machine<'_, '_, R> {
    fn wrong<T>(&self, reason: &'static str) -> Result<T> {
        Err(Fault::Pickle { offset: self.bytes.read, reason })
    }

    fn pop(&mut self) -> Result<Value> {
        match self.stack.pop() {
            None | Some(Value::Mark) => self.wrong("an operation finds no object"),
            Some(value) => Ok(value),
        }
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn push_text(&mut self, text: Vec<u8>) {
        self.heap.texts.push(String::from_utf8_lossy(&text).into_owned());
        self.push(Value::Text(self.heap.texts.len() - 1));
    }

    fn push_items(&mut self, kind: fn(usize) -> Value, items: Vec<Value>) {
        self.heap.items.push(items);
        self.push(kind(self.heap.items.len() - 1));
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        let Some(mark) = self.stack.iter().rposition(|value| *value == Value::Mark) else {
            return self.wrong("an operation finds no mark");
        };
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    /// Does one operation; true after the last.
    fn step(&mut self) -> Result<bool> {
        let [opcode] = self.bytes.array()?;
        match opcode {
            b'.' => return Ok(true),
            0x80 => drop(self.bytes.array::<1>()?), // PROTO
            0x95 => drop(self.bytes.array::<8>()?), // FRAME
            b'(' => self.push(Value::Mark),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'h' | b'j' | b'q' | b'r' | 0x94 => self.memo(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'Q' => self.persistent()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b']' | b'}' | b')' | b't' | b'l' | b'd' | 0x85..=0x87 => self.container(opcode)?,
            b'a' | b'e' | b's' | b'u' => self.fill(opcode)?,
            _ => self.scalar(opcode)?,
        }
        Ok(false)
    }

    fn scalar(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'N' => Value::Other,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i32::from_le_bytes(self.bytes.array()?).into()),
            b'K' => Value::Int(self.bytes.array::<1>()?[0].into()),
            b'M' => Value::Int(u16::from_le_bytes(self.bytes.array()?).into()),
            0x8a => integer(&self.bytes.counted::<1>()?),
            b'G' => {
                self.bytes.array::<8>()?;
                Value::Other
            }
            b'C' => {
                self.bytes.counted::<1>()?;
                Value::Other
            }
            b'B' => {
                self.bytes.counted::<4>()?;
                Value::Other
            }
            b'X' | b'T' | 0x8c | b'U' | 0x8d => {
                let text = match opcode {
                    b'X' | b'T' => self.bytes.counted::<4>()?,
                    0x8d => self.bytes.counted::<8>()?,
                    _ => self.bytes.counted::<1>()?,
                };
                self.push_text(text);
                return Ok(());
            }
            _ => return Err(Fault::Opcode { offset: self.bytes.read - 1, opcode }),
        };
        self.push(value);
        Ok(())
    }

    fn memo(&mut self, opcode: u8) -> Result<()> {
        let key = match opcode {
            b'h' | b'q' => u32::from(self.bytes.array::<1>()?[0]),
            0x94 => self.memo.len() as u32,
            _ => u32::from_le_bytes(self.bytes.array()?),
        };
        if matches!(opcode, b'h' | b'j') {
            let Some(&value) = self.memo.get(&key) else {
                return self.wrong("an object is recalled that was not kept");
            };
            self.push(value);
        } else {
            let value = self.pop()?;
            self.memo.insert(key, value);
            self.push(value);
        }
        Ok(())
    }

    fn container(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b']' => self.push_items(Value::List, Vec::new()),
            b')' => self.push_items(Value::Tuple, Vec::new()),
            b't' | b'l' => {
                let items = self.pop_to_mark()?;
                self.push_items(if opcode == b't' { Value::Tuple } else { Value::List }, items);
            }
            b'}' | b'd' => {
                self.heap.dicts.push(Vec::new());
                let number = self.heap.dicts.len() - 1;
                if opcode == b'd' {
                    let items = self.pop_to_mark()?;
                    self.set_items(number, &items)?;
                }
                self.push(Value::Dict(number));
            }
            _ => {
                let length = usize::from(opcode - 0x84);
                let mut items = Vec::with_capacity(length);
                for _ in 0..length {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push_items(Value::Tuple, items);
            }
        }
        Ok(())
    }

    fn fill(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        match (opcode, self.stack.last()) {
            (b'a' | b'e', Some(&Value::List(number))) => self.heap.items[number].extend(items),
            (b's' | b'u', Some(&Value::Dict(number))) => self.set_items(number, &items)?,
            _ => return self.wrong("items are put into what does not take them"),
        }
        Ok(())
    }

    fn set_items(&mut self, number: usize, items: &[Value]) -> Result<()> {
        if !items.len().is_multiple_of(2) {
            return self.wrong("a key has no value");
        }
        self.heap.dicts[number].extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        Ok(())
    }

    fn global(&mut self, opcode: u8) -> Result<()> {
        let (module, name);
        let (module, name) = if opcode == b'c' {
            (module, name) = (self.bytes.line()?, self.bytes.line()?);
            (module.as_str(), name.as_str())
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            let (Value::Text(name), Value::Text(module)) = (name, module) else {
                return self.wrong("a global is named by what is no text");
            };
            (self.heap.texts[module].as_str(), self.heap.texts[name].as_str())
        };
        let Some(known) = GLOBALS.iter().find(|known| (known.0, known.1) == (module, name)) else {
            let name = format!("{}.{}", clipped(module), clipped(name));
            return Err(Fault::Global { name });
        };
        self.push(Value::Global(known.2));
        Ok(())
    }

    /// `('storage', torch.FloatStorage, key, location, number of elements[, None])`.
    fn persistent(&mut self) -> Result<()> {
        let Value::Tuple(id) = self.pop()? else {
            return self.wrong("a storage's description is no tuple");
        };
        let (kind, class, key, size) = match self.heap.items[id][..] {
            [kind, class, key, _, size] | [kind, class, key, _, size, Value::Other] => {
                (kind, class, key, size)
            }
            _ => return self.wrong("a storage's description is of another form"),
        };
        let is_storage = matches!(kind, Value::Text(text) if self.heap.texts[text] == "storage");
        let (true, Value::Global(Global::Storage(dtype)), Value::Text(key), Value::Int(size)) =
            (is_storage, class, key, size)
        else {
            return self.wrong("a storage's description is of another form");
        };
        let (Some(dtype), Ok(num_elements)) = (Dtype::parse(dtype), u64::try_from(size)) else {
            return self.wrong("a storage has a negative size");
        };
        if self.heap.texts[key].len() > MAX_KEY_BYTES {
            return self.wrong("a storage has a key that is too long");
        }
        self.heap.storages.push(Storage { key, dtype, num_elements });
        self.push(Value::Storage(self.heap.storages.len() - 1));
        Ok(())
    }

    fn reduce(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let (Value::Global(callable), Value::Tuple(arguments)) = (callable, arguments) else {
            return self.wrong("something is called that is no function");
        };
        if self.heap.items[arguments].len() > MAX_SHORT {
            return self.wrong("a function is called with too many arguments");
        }
        let arguments = self.heap.items[arguments].clone();
        let value = match (callable, arguments.as_slice()) {
            (Global::OrderedDict, items) => self.ordered_dict(items)?,
            (Global::RebuildTensor, &[Value::Storage(storage), offset, shape, strides, ..]) => {
                self.tensor(storage, offset, shape, strides)?
            }
            (Global::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => *tensor,
            (Global::Plain, _) => Value::Other,
            _ => return self.wrong("a function is called with other arguments than its own"),
        };
        self.push(value);
        Ok(())
    }

    /// `OrderedDict()`, or of a list of pairs, as Python 2 writes it.
    fn ordered_dict(&mut self, arguments: &[Value]) -> Result<Value> {
        let pairs = match *arguments {
            [] => Vec::new(),
            [Value::List(list)] => {
                // A copy, which must not be free of charge.
                self.bytes.count(self.heap.items[list].len() as u64 * 8)?;
                self.heap.items[list].clone()
            }
            _ => return self.wrong("a dictionary is made of no list"),
        };
        let mut entries = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let (Value::List(pair) | Value::Tuple(pair)) = pair else {
                return self.wrong("a dictionary is made of no pairs");
            };
            let [key, value] = self.heap.items[pair][..] else {
                return self.wrong("a dictionary is made of no pairs");
            };
            entries.push((key, value));
        }
        self.heap.dicts.push(entries);
        Ok(Value::Dict(self.heap.dicts.len() - 1))
    }

    fn tensor(
        &mut self,
        storage: usize,
        offset: Value,
        shape: Value,
        strides: Value,
    ) -> Result<Value> {
        let (Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides)) =
            (offset, shape, strides)
        else {
            return self.wrong("a tensor's description is of another form");
        };
        let sizes = |values: &[Value]| -> Option<Vec<usize>> {
            let size = |value: &Value| match value {
                Value::Int(size) => usize::try_from(*size).ok(),
                _ => None,
            };
            if values.len() > MAX_SHORT {
                return None;
            }
            values.iter().map(size).collect()
        };
        let (Ok(offset), Some(shape), Some(strides)) = (
            u64::try_from(offset),
            sizes(&self.heap.items[shape]),
            sizes(&self.heap.items[strides]),
        ) else {
            return self.wrong("a tensor's description holds what is no size");
        };
        let Some(span) = span(&shape, &strides) else {
            return self.wrong("a tensor repeats elements of its storage, or has no end");
        };
        let reaches = offset.checked_add(span);
        if reaches.is_none_or(|end| end > self.heap.storages[storage].num_elements) {
            return self.wrong("a tensor reaches past its storage");
        }
        self.heap.tensors.push(View { storage, offset, shape, strides, span });
        Ok(Value::Tensor(self.heap.tensors.len() - 1))
    }

    /// Attributes of a dictionary, such as the versions of its modules: not weights.
    fn build(&mut self) -> Result<()> {
        self.pop()?;
        match self.stack.last() {
            Some(Value::Dict(_)) => Ok(()),
            _ => self.wrong("attributes are given to what is no dictionary"),
        }
    }
}

/// A little-endian number in two's complement; one that does not fit is of no use here.
fn integer(bytes: &[u8]) -> Value {
    let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut number = [if is_negative { 0xff } else { 0 }; 8];
    match number.get_mut(..bytes.len()) {
        Some(low) => low.copy_from_slice(bytes),
        None => return Value::Other,
    }
    Value::Int(i64::from_le_bytes(number))
}
