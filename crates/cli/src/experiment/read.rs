//! A serde reader over the tree whose errors say where, what was found and what was expected.
//!
//! Paths (`PathBuf` in a config) that are relative are taken from the experiment file's directory.

use std::fmt;
use std::path::Path;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::layers::resolve;
use super::tree::{KeyPath, Node, Segment, Value};

/// Why a config could not be read.
#[derive(Debug)]
pub(crate) struct ReadError {
    /// Where, from the node that was read, innermost segment first.
    reversed: Vec<Segment>,
    /// What.
    pub(crate) kind: ReadErrorKind,
}

/// What was wrong.
#[derive(Debug)]
pub(crate) enum ReadErrorKind {
    /// A key that the table does not have.
    UnknownKey {
        /// The key.
        key: String,
        /// Those that it has.
        known: &'static [&'static str],
    },
    /// A required key that is not there.
    MissingKey(&'static str),
    /// A word that is none of the choices.
    UnknownWord {
        /// The word.
        word: String,
        /// The choices.
        known: &'static [&'static str],
    },
    /// A value of the wrong type or out of range.
    Value(String),
}

impl ReadError {
    /// Where, from the node that was read.
    pub(crate) fn path(&self) -> KeyPath {
        KeyPath(self.reversed.iter().rev().cloned().collect())
    }

    fn inside(mut self, segment: Segment) -> Self {
        self.reversed.push(segment);
        self
    }
}

impl From<ReadErrorKind> for ReadError {
    fn from(kind: ReadErrorKind) -> Self {
        Self { reversed: Vec::new(), kind }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {:?}", self.path(), self.kind)
    }
}

impl std::error::Error for ReadError {}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ReadErrorKind::Value(message.to_string()).into()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        ReadErrorKind::Value(format!("found {}, expected {}", show(found), name(expected))).into()
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        ReadErrorKind::UnknownKey { key: field.to_owned(), known: expected }.into()
    }

    fn missing_field(field: &'static str) -> Self {
        ReadErrorKind::MissingKey(field).into()
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        ReadErrorKind::UnknownWord { word: variant.to_owned(), known: expected }.into()
    }
}

fn show(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("the string `{text}`"),
        Unexpected::Map => "a table".into(),
        Unexpected::Seq => "an array".into(),
        Unexpected::Signed(number) => format!("`{number}`"),
        Unexpected::Unsigned(number) => format!("`{number}`"),
        Unexpected::Float(number) => format!("`{number}`"),
        Unexpected::Bool(flag) => format!("`{flag}`"),
        other => other.to_string(),
    }
}

/// A Rust type's name means nothing to the writer of a config.
fn name(expected: &dyn Expected) -> String {
    let name = expected.to_string();
    match name.as_str() {
        "u8" => "an integer from 0 to 255".into(),
        "u16" => "an integer from 0 to 65535".into(),
        "u32" | "u64" | "usize" => "an integer of 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "an integer".into(),
        "f32" | "f64" => "a number".into(),
        "path string" => "a path".into(),
        _ => match name.strip_prefix("struct ").or_else(|| name.strip_prefix("enum ")) {
            Some(_) if name.starts_with("enum") => "one of its words".into(),
            Some(_) => "a table".into(),
            None => name,
        },
    }
}

/// Reads a node as whatever serde asks for.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// What is read.
    pub(crate) node: &'a Node,
    /// Where relative paths begin.
    pub(crate) directory: &'a Path,
}

impl<'a> Reader<'a> {
    fn at(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }
}

macro_rules! absent_as {
    ($($method:ident $visit:ident $default:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.node.value {
                Value::Absent => visitor.$visit($default),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Absent => visitor.visit_unit(),
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Array(items) => visitor.visit_seq(Items { reader: self, items, next: 0 }),
            Value::Table(entries) => visitor.visit_map(Entries { reader: self, entries, next: 0 }),
        }
    }

    absent_as! {
        deserialize_bool visit_bool false;
        deserialize_i8 visit_i8 0;
        deserialize_i16 visit_i16 0;
        deserialize_i32 visit_i32 0;
        deserialize_i64 visit_i64 0;
        deserialize_u8 visit_u8 0;
        deserialize_u16 visit_u16 0;
        deserialize_u32 visit_u32 0;
        deserialize_u64 visit_u64 0;
        deserialize_f32 visit_f32 0.0;
        deserialize_f64 visit_f64 0.0;
        deserialize_char visit_char ' ';
        deserialize_str visit_str "";
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Value::String(text) = &self.node.value else { return self.deserialize_str(visitor) };
        // serde hands every `PathBuf` in with this expectation: the one sign that a string is a path.
        let is_path = (&visitor as &dyn Expected).to_string() == "path string";
        if is_path && !text.is_empty() {
            let path = resolve(text, &self.node.origin, self.directory);
            return visitor.visit_string(path.to_string_lossy().into_owned());
        }
        visitor.visit_str(text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value {
            Value::Absent => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value {
            Value::Absent => visitor.visit_seq(Items { reader: self, items: &[], next: 0 }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value {
            Value::Absent => visitor.visit_map(Entries { reader: self, entries: &[], next: 0 }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Absent => {
                let word = variants.first().copied().unwrap_or_default();
                visitor.visit_enum(Variant { word, content: self })
            }
            Value::String(word) => {
                visitor.visit_enum(IntoDeserializer::<ReadError>::into_deserializer(word.as_str()))
            }
            Value::Table(entries) => match entries.as_slice() {
                [(word, node)] => visitor.visit_enum(Variant { word, content: self.at(node) }),
                _ => Err(ReadError::custom(format!(
                    "found a table of {} keys, expected one key out of {}",
                    entries.len(),
                    list(variants)
                ))),
            },
            _ => Err(ReadError::custom(format!(
                "found {}, expected one of {}",
                self.node.kind(),
                list(variants)
            ))),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}

/// `a`, `b` or `c`.
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".into(),
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    items: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some(node) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let value = seed.deserialize(self.reader.at(node));
        value.map(Some).map_err(|error| error.inside(Segment::Index(index)))
    }
}

struct Entries<'a> {
    reader: Reader<'a>,
    entries: &'a [(String, Node)],
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let Some((key, _)) = self.entries.get(self.next) else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some((key, node)) = self.entries.get(self.next) else {
            return Err(ReadError::custom("a value without its key"));
        };
        self.next += 1;
        let value = seed.deserialize(self.reader.at(node));
        value.map_err(|error| error.inside(Segment::Key(key.clone())))
    }
}

struct Variant<'a> {
    word: &'a str,
    content: Reader<'a>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = ReadError;
    type Variant = VariantContent<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, VariantContent<'a>), ReadError> {
        let variant = seed.deserialize(StrDeserializer::<ReadError>::new(self.word))?;
        Ok((variant, VariantContent { word: self.word, content: self.content }))
    }
}

struct VariantContent<'a> {
    word: &'a str,
    content: Reader<'a>,
}

impl VariantContent<'_> {
    fn inside(self, error: ReadError) -> ReadError {
        match self.content.node.value {
            Value::Absent => error,
            _ => error.inside(Segment::Key(self.word.to_owned())),
        }
    }
}

impl<'de> VariantAccess<'de> for VariantContent<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.content.node.value {
            Value::Absent => Ok(()),
            _ => Err(ReadError::custom(format!(
                "found a table, expected the word `{}` alone",
                self.word
            ))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.content).map_err(|error| self.inside(error))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.content.deserialize_seq(visitor).map_err(|error| self.inside(error))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.content.deserialize_map(visitor).map_err(|error| self.inside(error))
    }
}
