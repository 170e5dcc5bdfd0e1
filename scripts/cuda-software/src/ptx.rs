//! PTX as text, read into statements: what NVRTC writes and CubeCL's inline assembly adds to it.

use std::collections::HashMap;

/// Where a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The device's memory.
    Global,
    /// A block's memory.
    Shared,
    /// A thread's memory.
    Local,
    /// A kernel's arguments.
    Param,
}

/// A variable of a module or of a kernel.
#[derive(Clone, Debug)]
pub struct Variable {
    pub name: String,
    pub space: Space,
    pub align: usize,
    /// Bytes; zero where the launch says how many.
    pub size: usize,
    /// Its first bytes, where it has any.
    pub bytes: Vec<u8>,
}

/// One statement of a kernel's body: `@!%p1 opcode.a.b d, a, b`.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The predicate's register, and whether it is negated.
    pub guard: Option<(String, bool)>,
    /// `ld`, `global`, `v4`, `f32`.
    pub opcode: Vec<String>,
    pub operands: Vec<String>,
    pub text: String,
}

/// A kernel.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    pub name: String,
    pub params: Vec<Variable>,
    pub variables: Vec<Variable>,
    /// Registers by name and the bits of each; 1 is a predicate.
    pub registers: HashMap<String, u32>,
    pub body: Vec<Statement>,
    /// Labels, and the statement that each stands before.
    pub labels: HashMap<String, usize>,
    /// Tables of `brx.idx`.
    pub tables: HashMap<String, Vec<String>>,
}

/// What `cuModuleLoadData` is given.
#[derive(Clone, Debug, Default)]
pub struct Module {
    pub variables: Vec<Variable>,
    pub kernels: Vec<Kernel>,
}

/// The bits of a type, `pred` for one bit.
pub fn bits(ty: &str) -> Option<u32> {
    Some(match ty {
        "pred" => 1,
        "b8" | "u8" | "s8" => 8,
        "b16" | "u16" | "s16" | "f16" | "bf16" => 16,
        "b32" | "u32" | "s32" | "f32" | "f16x2" | "bf16x2" | "tf32" => 32,
        "b64" | "u64" | "s64" | "f64" => 64,
        "b128" => 128,
        _ => return None,
    })
}

/// Reads a module.
pub fn parse(text: &str) -> Result<Module, String> {
    let text = without_comments(text);
    let mut module = Module::default();
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(module);
        }
        let word = rest.split(|c: char| c.is_whitespace() || c == '{').next().unwrap_or("");
        match word {
            ".version" | ".target" | ".address_size" | ".file" => rest = after_line(rest),
            ".section" => {
                rest = &rest[matching(rest, rest.find('{').ok_or("`.section` without a body")?)?..]
            }
            ".visible" | ".weak" | ".extern" if !is_variable(rest) => {
                rest = &rest[word.len()..];
            }
            ".entry" => {
                let (kernel, after) = entry(rest)?;
                module.kernels.push(kernel);
                rest = after;
            }
            ".visible" | ".extern" | ".weak" | ".global" | ".const" | ".shared" => {
                let end = rest.find(';').ok_or("a variable without an end")?;
                module.variables.push(variable(&rest[..end])?);
                rest = &rest[end + 1..];
            }
            other => return Err(format!("PTX has `{other}` outside a kernel")),
        }
    }
}

fn is_variable(text: &str) -> bool {
    let second = text.split_whitespace().nth(1).unwrap_or("");
    matches!(second, ".global" | ".const" | ".shared")
}

fn after_line(text: &str) -> &str {
    text.find('\n').map_or("", |end| &text[end..])
}

/// The place after the bracket that closes the one at `open`.
fn matching(text: &str, open: usize) -> Result<usize, String> {
    let mut depth = 0usize;
    for (place, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' => depth += 1,
            b'}' | b')' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(place + 1);
                }
            }
            _ => {}
        }
    }
    Err("a bracket is never closed".into())
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('/') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("//") {
            rest = after_line(rest);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else {
            out.push('/');
            rest = &rest[1..];
        }
    }
    out + rest
}

/// `.extern .shared .align 16 .b8 name[24] = {1, 2}`
fn variable(text: &str) -> Result<Variable, String> {
    let (head, values) = match text.split_once('=') {
        Some((head, values)) => (head, Some(values)),
        None => (text, None),
    };
    let (mut space, mut align, mut unit) = (Space::Param, 1, 1);
    let mut words = head.split_whitespace().peekable();
    let mut name = String::new();
    while let Some(word) = words.next() {
        match word {
            ".global" | ".const" => space = Space::Global,
            ".shared" => space = Space::Shared,
            ".local" => space = Space::Local,
            ".align" => {
                align = words.next().and_then(|n| n.parse().ok()).ok_or("`.align` of what?")?
            }
            ".param" | ".visible" | ".extern" | ".weak" | ".ptr" => {}
            _ if word.starts_with('.') => {
                unit = bits(&word[1..]).ok_or_else(|| format!("the type `{word}`"))? as usize / 8;
                align = align.max(unit);
            }
            _ => name.push_str(word),
        }
    }
    let size = match name.split_once('[') {
        Some((base, count)) => {
            let count = count.trim_end_matches(']').parse().unwrap_or(0usize);
            name = base.to_owned();
            count * unit
        }
        None => unit,
    };
    let mut bytes = Vec::new();
    for value in values
        .unwrap_or("")
        .trim_matches(|c: char| c.is_whitespace() || "{}".contains(c))
        .split(',')
    {
        if !value.trim().is_empty() {
            bytes.extend_from_slice(&literal(value, (unit * 8) as u32)?.to_le_bytes()[..unit]);
        }
    }
    Ok(Variable { name, space, align, size, bytes })
}

/// The bits of `42`, `-1`, `0x7F`, `0f3F800000`, `0dBFF0000000000000`, `1.5`; `width` is for decimals alone.
pub fn literal(text: &str, width: u32) -> Result<u64, String> {
    let text = text.trim();
    let wrong = || format!("the literal `{text}`");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let digits = digits.trim_end_matches('U');
    let value = if let Some(hex) = digits.strip_prefix("0f").or_else(|| digits.strip_prefix("0F")) {
        u64::from_str_radix(hex, 16).map_err(|_| wrong())?
    } else if let Some(hex) = digits.strip_prefix("0d").or_else(|| digits.strip_prefix("0D")) {
        u64::from_str_radix(hex, 16).map_err(|_| wrong())?
    } else if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16).map_err(|_| wrong())?
    } else if digits.contains('.') {
        let value: f64 = digits.parse().map_err(|_| wrong())?;
        if width == 64 { value.to_bits() } else { u64::from((value as f32).to_bits()) }
    } else {
        digits.parse().map_err(|_| wrong())?
    };
    Ok(if negative { value.wrapping_neg() } else { value })
}

fn entry(text: &str) -> Result<(Kernel, &str), String> {
    let open = text.find('(').ok_or("a kernel without arguments")?;
    let name = text[".entry".len()..open].trim().to_owned();
    let close = matching(text, open)?;
    let mut kernel = Kernel { name, ..Kernel::default() };
    for param in text[open + 1..close - 1].split(',').filter(|param| !param.trim().is_empty()) {
        kernel.params.push(variable(param)?);
    }
    let begin = close + text[close..].find('{').ok_or("a kernel without a body")?;
    if text[close..begin].contains("cluster") {
        return Err(format!("kernel `{}` runs in clusters of blocks", kernel.name));
    }
    let end = matching(text, begin)?;
    body(&mut kernel, &text[begin + 1..end - 1])?;
    Ok((kernel, &text[end..]))
}

/// Names that hold within a `{ … }` of the body, and what each stands for.
type Scope = HashMap<String, String>;

fn body(kernel: &mut Kernel, text: &str) -> Result<(), String> {
    let mut scopes: Vec<Scope> = vec![Scope::new()];
    let mut rest = text;
    let mut unique = 0usize;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(()) };
        match first {
            '{' => {
                scopes.push(Scope::new());
                unique += 1;
                rest = &rest[1..];
                labels_of_block(rest, scopes.last_mut().expect("just pushed"), unique)?;
                continue;
            }
            '}' => {
                scopes.pop();
                rest = &rest[1..];
                continue;
            }
            ';' => {
                rest = &rest[1..];
                continue;
            }
            _ => {}
        }
        if [".loc	", ".loc ", ".file"].iter().any(|word| rest.starts_with(word)) {
            rest = after_line(rest);
            continue;
        }
        if let Some((label, after)) = label(rest) {
            let name = renamed(&scopes, label);
            rest = after;
            if let Some(table) = rest.trim_start().strip_prefix(".branchtargets") {
                let end = table.find(';').ok_or("`.branchtargets` without an end")?;
                let targets = table[..end].split(',').map(|t| t.trim().to_owned()).collect();
                kernel.tables.insert(name, targets);
                rest = &table[end + 1..];
            } else {
                kernel.labels.insert(name, kernel.body.len());
            }
            continue;
        }
        let end =
            rest.find(';').ok_or_else(|| format!("no end: {}", &rest[..rest.len().min(80)]))?;
        let statement_text = rest[..end].trim();
        rest = &rest[end + 1..];
        declare_or_push(kernel, &mut scopes, unique, statement_text)?;
    }
}

/// A label at the start of `text`, and what follows it.
fn label(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || "_$%".contains(c)))?;
    let after = text[end..].trim_start();
    (end > 0 && after.starts_with(':') && !after.starts_with("::"))
        .then(|| (&text[..end], &after[1..]))
}

/// The labels of a nested block are its own: inline assembly gives the same ones each time.
fn labels_of_block(text: &str, scope: &mut Scope, unique: usize) -> Result<(), String> {
    let mut end = 0;
    let mut depth = 1;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            end = place;
            break;
        }
    }
    for line in text[..end].split([';', '\n', '{', '}']) {
        if let Some((name, _)) = label(line.trim_start()) {
            scope.insert(name.to_owned(), format!("{name}#{unique}"));
        }
    }
    Ok(())
}

fn renamed(scopes: &[Scope], name: &str) -> String {
    scopes
        .iter()
        .rev()
        .find_map(|scope| scope.get(name))
        .cloned()
        .unwrap_or_else(|| name.to_owned())
}

fn declare_or_push(
    kernel: &mut Kernel,
    scopes: &mut [Scope],
    unique: usize,
    text: &str,
) -> Result<(), String> {
    let word = text.split_whitespace().next().unwrap_or("");
    // CUDA's own headers write `.reg.b16`.
    let word = if word.starts_with(".reg.") { ".reg" } else { word };
    match word {
        ".reg" => {
            let mut words = text[4..].trim_start().splitn(2, char::is_whitespace);
            let ty = words.next().unwrap_or("").trim_start_matches('.');
            let width = bits(ty).ok_or_else(|| format!("the register type `{ty}`"))?;
            let nested = scopes.len() > 1;
            let scope = scopes.last_mut().expect("the body's own");
            for name in words.next().unwrap_or("").split(',').map(str::trim) {
                for register in expanded(name) {
                    let own =
                        if nested { format!("{register}#{unique}") } else { register.clone() };
                    kernel.registers.insert(own.clone(), width);
                    scope.insert(register, own);
                }
            }
        }
        ".shared" | ".local" => kernel.variables.push(variable(text)?),
        ".pragma" => {}
        _ if word.starts_with('.') => return Err(format!("the directive `{word}`")),
        _ => kernel.body.push(statement(scopes, text)?),
    }
    Ok(())
}

/// `%r<3>` is `%r0`, `%r1`, `%r2`.
fn expanded(name: &str) -> Vec<String> {
    match name.split_once('<') {
        Some((base, count)) => {
            let count = count.trim_end_matches('>').parse().unwrap_or(0usize);
            (0..count).map(|index| format!("{base}{index}")).collect()
        }
        None => vec![name.to_owned()],
    }
}

fn statement(scopes: &[Scope], text: &str) -> Result<Statement, String> {
    let mut rest = text;
    let mut guard = None;
    if let Some(after) = rest.strip_prefix('@') {
        let end = after.find(char::is_whitespace).ok_or_else(|| format!("a lone guard: {text}"))?;
        let name = &after[..end];
        let negated = name.starts_with('!');
        guard = Some((renamed(scopes, name.trim_start_matches('!')), negated));
        rest = after[end..].trim_start();
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let opcode = rest[..end].split('.').map(str::to_owned).collect();
    let operands =
        split_operands(&rest[end..]).iter().map(|operand| in_scope(scopes, operand)).collect();
    Ok(Statement { guard, opcode, operands, text: text.to_owned() })
}

/// Splits at commas outside brackets.
pub fn split_operands(text: &str) -> Vec<String> {
    let (mut depth, mut operands, mut current) = (0, Vec::new(), String::new());
    for c in text.chars() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            operands.push(current.trim().to_owned());
            current.clear();
        } else {
            current.push(c);
        }
    }
    if !current.trim().is_empty() {
        operands.push(current.trim().to_owned());
    }
    operands
}

/// The operand with every name replaced by what it stands for here.
fn in_scope(scopes: &[Scope], operand: &str) -> String {
    if scopes.len() == 1 {
        return operand.to_owned();
    }
    let mut out = String::new();
    let mut name = String::new();
    for c in operand.chars().chain([' ']) {
        if c.is_alphanumeric() || "_$%".contains(c) {
            name.push(c);
        } else {
            out.push_str(&renamed(scopes, &name));
            name.clear();
            out.push(c);
        }
    }
    out.trim_end().to_owned()
}
