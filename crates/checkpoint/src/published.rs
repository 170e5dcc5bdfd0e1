//! Published forms of one model, written by the real `torch` and `tensorflow`
//! (`scripts/make_checkpoint_fixtures.py`), and what hostile hands could make of them.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::{
    Dimensions, Error, ExpectedTensor, HostTensor, ModelCard, Part, UnusedReason, WeightFormat,
    Weights, expected_tensors, list_weights, load_model_dir, save_model_dir,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The numbers that every form holds.
fn expected() -> Weights {
    load_model_dir(&fixture("expected")).unwrap().weights
}

fn bits(tensor: &HostTensor) -> Vec<u32> {
    tensor.data.iter().map(|value| value.to_bits()).collect()
}

/// Loads the form `name`, and compares it bit for bit with what it should hold.
fn check(name: &str, format: WeightFormat, num_tensors: usize) -> crate::Accounting {
    let listed = list_weights(&fixture(name)).unwrap();
    assert_eq!((listed.format, listed.tensors.len()), (format, num_tensors), "{name}");
    let (model, expected) = (load_model_dir(&fixture(name)).unwrap(), expected());
    for (tensor, found) in &model.weights.tensors {
        let expected = &expected.tensors[tensor];
        assert_eq!(found.shape, expected.shape, "{name}: {tensor}");
        if name != "zip" || tensor != "bert.embeddings.token_type_embeddings.weight" {
            assert_eq!(bits(found), bits(expected), "{name}: {tensor}");
        }
    }
    assert!(model.vocab_hash.is_some(), "{name}");
    model.accounting
}

#[test]
fn a_legacy_pickle_of_torch_1_2_loads_with_its_old_names_and_its_tied_decoder() {
    let accounting = check("legacy", WeightFormat::Pytorch, 47);
    assert_eq!(accounting.applied.len(), 46);
    let [decoder] = accounting.unused.as_slice() else { panic!("{:?}", accounting.unused) };
    assert_eq!(decoder.name, "cls.predictions.decoder.weight");
    assert_eq!(decoder.reason, UnusedReason::Tied);
    let renamed = accounting.applied.iter().filter(|tensor| tensor.found_as.is_some()).count();
    assert_eq!(renamed, 12);
}

#[test]
fn a_bare_encoder_in_a_zip_loads_with_exchanged_strides_and_half_precision() {
    let accounting = check("zip", WeightFormat::Pytorch, 40);
    assert!(accounting.has(Part::Pooler) && !accounting.has(Part::MlmHead));
    let [buffer] = accounting.unused.as_slice() else { panic!("{:?}", accounting.unused) };
    assert_eq!((&*buffer.name, &*buffer.shape), ("embeddings.position_ids", &[1, 32][..]));
    // The nearest half of each number, widened without loss.
    let types = "bert.embeddings.token_type_embeddings.weight";
    let found = &load_model_dir(&fixture("zip")).unwrap().weights.tensors[types];
    for (half, whole) in found.data.iter().zip(&expected().tensors[types].data) {
        assert!((half - whole).abs() <= whole.abs() / 2048.0 && half.to_bits() << 19 == 0);
    }
}

#[test]
fn shards_of_torch_are_one_model() {
    assert_eq!(check("sharded", WeightFormat::Pytorch, 46).applied.len(), 46);
}

#[test]
fn a_tensorflow_checkpoint_loads_transposed_and_without_its_optimizer() {
    let accounting = check("tensorflow", WeightFormat::Tensorflow, 46 + 2 * 24 + 1);
    assert_eq!(accounting.applied.len(), 46);
    assert_eq!(accounting.unused.len(), 2 * 24 + 1);
    assert!(accounting.unused.iter().all(|tensor| tensor.reason == UnusedReason::Optimizer));
}

#[test]
fn every_form_saves_and_loads_back_bit_for_bit() {
    for name in ["legacy", "zip", "sharded", "tensorflow", "expected"] {
        let model = load_model_dir(&fixture(name)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        save_model_dir(dir.path(), &model.config, &model.weights, &ModelCard::default()).unwrap();
        let again = load_model_dir(dir.path()).unwrap();
        for (tensor, found) in &again.weights.tensors {
            assert_eq!(bits(found), bits(&model.weights.tensors[tensor]), "{name}: {tensor}");
        }
        assert_eq!(again.weights.tensors.len(), model.weights.tensors.len());
    }
}

/// A copy of the form `name`.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

/// The error of loading a copy of the form `name` whose `file` was changed.
fn refused(name: &str, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let dir = copy(name);
    let path = dir.path().join(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let error = load_model_dir(dir.path()).map(drop).unwrap_err();
    error
        .to_string()
        .rsplit_once(&format!("{file}: "))
        .unwrap_or_else(|| panic!("{error}"))
        .1
        .to_owned()
}

/// Where `needle` begins.
fn place(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

const BIN: &str = "pytorch_model.bin";
const INDEX: &str = "model.ckpt-7.index";
const DATA: &str = "model.ckpt-7.data-00000-of-00001";

#[test]
fn damaged_tensorflow_checkpoints_are_refused_by_what_is_wrong() {
    let check = |file, change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        assert_eq!(refused("tensorflow", file, |bytes| change(bytes)), expected);
    };
    let not_an_index =
        "not the index of a TensorFlow checkpoint: it does not end in the number of one";
    check(INDEX, &|bytes| bytes.truncate(20), not_an_index);
    check(INDEX, &|bytes| bytes.truncate(bytes.len() - 1), not_an_index);
    check(INDEX, &|bytes| *bytes.last_mut().unwrap() ^= 1, not_an_index);
    check(
        INDEX,
        &|bytes| bytes[100] ^= 1,
        "the checksum of the block at byte 0 differs: it is damaged",
    );
    let footer = |bytes: &mut Vec<u8>, handle: &[u8]| {
        let start = bytes.len() - 48;
        bytes[start..start + handle.len()].copy_from_slice(handle);
    };
    // The index block is said to begin at byte 2^56 − 1, then to have as many bytes.
    let far = [0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1];
    check(
        INDEX,
        &|bytes| footer(bytes, &far),
        "the block at byte 9223372036854775807 reaches past the end of the file",
    );
    check(INDEX, &|bytes| footer(bytes, &[0xff; 40]), "an entry of the index does not parse");
    let (name, error) = ("bert/embeddings/LayerNorm/beta", "differs: its data is damaged");
    check(DATA, &|bytes| bytes[0] ^= 1, &format!("the checksum of `{name}` {error}"));
    // The index is whole, the data are not.
    let dir = copy("tensorflow");
    let data = fs::read(dir.path().join(DATA)).unwrap();
    fs::write(dir.path().join(DATA), &data[..data.len() - 1]).unwrap();
    let error = load_model_dir(dir.path()).map(drop).unwrap_err().to_string();
    assert!(
        error.ends_with("`global_step` reaches past the end of its file: the data is cut short")
    );
}

#[test]
fn the_optimizers_damage_does_not_hinder_the_model() {
    // `adam_m` of the first variable lies after its 8 elements: skipped, so never read.
    let dir = copy("tensorflow");
    let mut bytes = fs::read(dir.path().join(DATA)).unwrap();
    bytes[32] ^= 1;
    fs::write(dir.path().join(DATA), bytes).unwrap();
    assert_eq!(load_model_dir(dir.path()).unwrap().weights, expected());
}

#[test]
fn damaged_files_of_torch_are_refused_by_what_is_wrong() {
    let not_pytorch =
        "not a file of PyTorch: found neither a zip archive nor the number of older files";
    for name in ["legacy", "zip"] {
        assert_eq!(refused(name, BIN, |bytes| bytes.truncate(3)), not_pytorch);
        assert_eq!(refused(name, BIN, |bytes| bytes[0] ^= 1), not_pytorch);
        assert_eq!(refused(name, BIN, Vec::clear), not_pytorch);
    }
    let cut = refused("legacy", BIN, |bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!(cut, "the file ends before its storages do");
    assert_eq!(
        refused("legacy", BIN, |bytes| bytes.truncate(100)),
        "the file ends before its storages do"
    );
    let cut = refused("zip", BIN, |bytes| bytes.truncate(bytes.len() - 30));
    assert!(cut.starts_with("the zip archive is not sound: "), "{cut}");
    // The first storage of the archive, after its header and padding.
    let flipped = refused("zip", BIN, |bytes| {
        let name = b"pytorch_model/data/0";
        let data = (place(bytes, name) + name.len() + 4).next_multiple_of(64);
        bytes[data] ^= 1;
    });
    assert!(flipped.starts_with("the checksum of `"), "{flipped}");
    let flipped = refused("zip", BIN, |bytes| {
        let name = place(bytes, b"embeddings.word_embeddings");
        bytes[name] ^= 1;
    });
    assert_eq!(flipped, "the checksum of `data.pkl` differs: its bytes are damaged");
}

/// A legacy file whose object is the pickle `body` (of protocol 2, without its head and end), with
/// one storage `0` of `count` elements.
fn legacy(body: &[u8], count: u64) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    bytes.extend(b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.\x80\x02");
    bytes.extend(body);
    let has_storage = body.windows(12).any(|window| window == b"FloatStorage");
    let keys: &[u8] = if has_storage { b"X\x01\x00\x00\x000a" } else { b"" };
    bytes.extend([b".\x80\x02]", keys, b"."].concat());
    bytes.extend(count.to_le_bytes());
    bytes.extend([0; 16]);
    bytes
}

/// A tensor of `shape` and `strides` in a storage of `elements`, as operations.
fn tensor(elements: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let tuple = |items: &[i32]| {
        let items = items.iter().flat_map(|item| [&b"J"[..], &item.to_le_bytes()].concat());
        [b"(".to_vec(), items.collect(), b"t".to_vec()].concat()
    };
    let mut bytes = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage".to_vec();
    bytes.extend(b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ");
    bytes.extend(elements.to_le_bytes());
    bytes.extend(b"NtQK\x00");
    bytes.extend(tuple(shape));
    bytes.extend(tuple(strides));
    bytes.extend(b"\x89NtR");
    bytes
}

/// A dictionary with one entry, the value's operations given.
fn entry(name: &str, value: &[u8]) -> Vec<u8> {
    let length = (name.len() as u32).to_le_bytes();
    [&b"}X"[..], &length, name.as_bytes(), value, b"s"].concat()
}

#[test]
fn hostile_pickles_are_refused_and_nothing_of_them_is_run() {
    let check = |body: &[u8], expected: &str| {
        let file = legacy(body, 4);
        assert_eq!(refused("legacy", BIN, |bytes| *bytes = file), expected);
    };
    let plain = tensor(4, &[2, 2], &[2, 1]);
    check(
        &entry("환자", &plain),
        "tensors that a BERT of this config does not have: `환자` [2, 2]",
    );
    let system = b"cos\nsystem\n(X\x0e\x00\x00\x00touch /tmp/haktR";
    let asks = "its pickle asks for `os.system`, which no tensor needs: nothing of it was run";
    check(&entry("환자", system), asks);
    // As injected into a sound file: called, and its result thrown away.
    check(&[&system[..], b"0", &entry("a", &plain)].concat(), asks);
    check(
        b"X\x08\x00\x00\x00builtinsX\x04\x00\x00\x00eval\x93",
        "its pickle asks for `builtins.eval`, which no tensor needs: nothing of it was run",
    );
    check(b"(ios\nsystem\n", "its pickle has the operation 0x69 at byte 3, which no model needs");
    let unsound = |before: u64, reason: &str| {
        format!("its pickle is not sound before byte {before}: {reason}")
    };
    let reaches = "a tensor reaches past its storage";
    let body = entry("a", &tensor(4, &[2, 3], &[3, 1]));
    check(&body, &unsound(body.len() as u64 + 1, reaches));
    // Ten billion elements out of one.
    let repeats = "a tensor repeats elements of its storage, or has no end";
    let body = entry("a", &tensor(4, &[100_000, 100_000], &[0, 0]));
    check(&body, &unsound(body.len() as u64 + 1, repeats));
    let body = entry("a", &tensor(4, &[i32::MAX; 9], &[1; 9]));
    check(&body, &unsound(body.len() as u64 + 1, repeats));
    let body = entry("a", &tensor(4, &[-1], &[1]));
    let no_size = "a tensor's description holds what is no size";
    check(&body, &unsound(body.len() as u64 + 1, no_size));
    let twice = [b"}(X\x01\x00\x00\x00a", &*plain, b"X\x01\x00\x00\x00a", &*plain, b"u"].concat();
    check(&twice, "tensor `a` is there twice");
    check(b"h\x05", &unsound(4, "an object is recalled that was not kept"));
    check(b"0", &unsound(3, "an operation finds no object"));
    check(&entry("a", &tensor(5, &[5], &[1])), "storage `0` has 4 elements, expected 5");
}

#[test]
fn pickles_that_would_grow_without_end_are_refused_in_no_time() {
    let refused = |body: &[u8]| {
        let file = legacy(body, 4);
        refused("legacy", BIN, |bytes| *bytes = file)
    };
    let nested = "its objects are nested too deep, shared too often or named too long, \
                  expected named tensors";
    let too_long = "its pickle is longer than 8388608 bytes, the most that is read";
    // Two gigabytes of text in a file of 200 bytes.
    assert_eq!(refused(b"X\xff\xff\xff\x7f"), too_long);
    assert_eq!(refused(b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f"), too_long);
    assert_eq!(refused(&[b'N'; 9 << 20]), too_long);
    // A million lists in each other, dropped without recursion.
    assert_eq!(refused(&[vec![b']'; 1 << 20], vec![b'a'; (1 << 20) - 1]].concat()), nested);
    // A list that holds itself.
    assert_eq!(refused(b"]q\x00h\x00a"), nested);
    // Seven storeys of a hundred references each to the storey below.
    let mut storeys = tensor(4, &[4], &[1]);
    for storey in 0..7_u8 {
        let below = [b'q', storey, b'0', b']', b'('];
        storeys.extend(below);
        storeys.extend([b'h', storey].repeat(100));
        storeys.push(b'e');
    }
    assert_eq!(refused(&storeys), nested);
    // A list of 100,000 copied again and again as a dictionary's pairs.
    let mut copies = b"ccollections\nOrderedDict\nq\x00](".to_vec();
    copies.extend([b']'; 100_000]);
    copies.extend(b"e\x85q\x01");
    copies.extend(b"h\x00h\x01R0".repeat(1000));
    let slow = std::time::Instant::now();
    assert!(refused(&copies).starts_with("its pickle is not sound"));
    assert!(slow.elapsed().as_secs() < 5);
}

#[test]
fn an_archive_of_another_making_is_refused() {
    // The method of the first entry becomes deflation, in the directory and before the entry.
    let compressed = refused("zip", BIN, |bytes| {
        for signature in [b"PK\x03\x04", b"PK\x01\x02"] {
            let offset = if signature[2] == 3 { 8 } else { 10 };
            let at = place(bytes, signature) + offset;
            bytes[at] = 8;
        }
    });
    assert!(compressed.ends_with("is compressed, expected it stored as it is"), "{compressed}");
    let big = refused("zip", BIN, |bytes| {
        let at = place(bytes, b"pytorch_model/byteorder");
        let at = at + place(&bytes[at..], b"little");
        bytes[at..at + 6].copy_from_slice(b"big   ");
    });
    assert_eq!(big, "the checksum of `byteorder` differs: its bytes are damaged");
    // The size of the first entry is said to be 4 GiB − 2.
    let huge = refused("zip", BIN, |bytes| {
        let at = place(bytes, b"PK\x01\x02") + 20;
        bytes[at..at + 8].copy_from_slice(&[0xfe, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff]);
    });
    assert!(huge.contains("reaches past the end") || huge.contains("not sound"), "{huge}");
}

#[test]
fn tensors_that_claim_more_than_their_files_hold_are_refused() {
    // Every tensor of the model on one storage: each is sound alone.
    let mut config = crate::tests::tiny_config();
    for size in ["hidden_size", "intermediate_size", "vocab_size", "max_position_embeddings"] {
        config.insert(size.into(), 64.into());
    }
    let mut body = b"}(".to_vec();
    for ExpectedTensor { name, shape, .. } in
        expected_tensors(&Dimensions::from_config(&config).unwrap())
    {
        let shape: Vec<i32> = shape.iter().map(|&axis| axis as i32).collect();
        let strides: &[i32] = if shape.len() == 2 { &[shape[1], 1] } else { &[1] };
        body.extend([b"X", &(name.len() as u32).to_le_bytes()[..], name.as_bytes()].concat());
        body.extend(self::tensor(4096, &shape, strides));
    }
    body.push(b'u');
    let mut file = legacy(&body, 4096);
    file.extend([0; 4 * 4096 - 16]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(BIN), file).unwrap();
    fs::write(dir.path().join("config.json"), serde_json::to_vec(&config).unwrap()).unwrap();
    let error = load_model_dir(dir.path()).map(drop).unwrap_err();
    assert!(matches!(error, Error::Claims { claimed: 160_000.., held: ..40_000, .. }), "{error}");
}
