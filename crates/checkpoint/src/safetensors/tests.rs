use std::sync::LazyLock;

use ::safetensors::tensor::{Dtype as ReferenceDtype, SafeTensors, TensorView};
use fs_err as fs;
use proptest::prelude::*;

use super::*;
use crate::elements::CHUNK_BYTES;
use crate::{Error, list_tensors};

/// A file of `header`, as JSON, and `data`.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn read_bytes(bytes: &[u8]) -> Result<TensorFile> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("모델.safetensors");
    fs::write(&path, bytes).unwrap();
    read_safetensors(&path)
}

fn check(bytes: &[u8], expected: &str) {
    let error = read_bytes(bytes).unwrap_err();
    let Error::Safetensors { path, fault } = &error else { panic!("{error}") };
    assert_eq!(fault.to_string(), expected);
    assert!(path.ends_with("모델.safetensors"));
}

fn sample() -> Weights {
    let mut weights = Weights::default();
    weights.insert("cls.predictions.bias", HostTensor::new([3], vec![0.5, -0.0, f32::NAN]));
    weights.insert("bert.pooler.dense.weight", HostTensor::new([2, 2], vec![1.0, 2.0, 3.0, 4.0]));
    weights.insert("empty", HostTensor::new([0, 7], vec![]));
    weights
}

#[test]
fn what_is_written_reads_back_bit_for_bit_and_the_reference_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write_safetensors(&path, &sample()).unwrap();
    let bytes = fs::read(&path).unwrap();

    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let read = read_safetensors(&path).unwrap();
    assert_eq!(reference.len(), 3);
    assert_eq!(read.metadata["format"], "pt");
    for (name, written) in &sample().tensors {
        let little_endian: Vec<u8> = written.data.iter().flat_map(|v| v.to_le_bytes()).collect();
        let view = reference.tensor(name).unwrap();
        assert_eq!((view.shape(), view.data()), (&*written.shape, &*little_endian), "{name}");
        let read: Vec<u8> =
            read.weights.tensors[name].data.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(read, little_endian, "{name}");
    }
    write_safetensors(&path, &sample()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_file_is_listed_as_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write_safetensors(&path, &sample()).unwrap();
    let listed = list_tensors(&path).unwrap();
    let read = read_safetensors(&path).unwrap().weights.tensors;
    assert_eq!(listed.len(), read.len());
    for (found, (name, tensor)) in listed.iter().zip(&read) {
        assert_eq!((&found.name, &found.shape, found.dtype), (name, &tensor.shape, "F32"));
        assert_eq!(found.bytes, 4 * tensor.data.len() as u64);
    }
    fs::write(&path, &fs::read(&path).unwrap()[..90]).unwrap();
    assert_eq!(
        list_tensors(&path).unwrap_err().to_string(),
        read_safetensors(&path).unwrap_err().to_string()
    );
}

#[test]
fn half_precision_widens_exactly_and_integers_are_listed() {
    let half: Vec<u8> = [0x3c00_u16, 0xc000].iter().flat_map(|v| v.to_le_bytes()).collect();
    let brain: Vec<u8> = [0x3f80_u16, 0xc040].iter().flat_map(|v| v.to_le_bytes()).collect();
    let positions: Vec<u8> = (0..2_i64).flat_map(i64::to_le_bytes).collect();
    let view = |dtype, data| TensorView::new(dtype, vec![1, 2], data).unwrap();
    let tensors = [
        ("half", view(ReferenceDtype::F16, &half)),
        ("brain", view(ReferenceDtype::BF16, &brain)),
        ("embeddings.position_ids", view(ReferenceDtype::I64, &positions)),
    ];
    let read = read_bytes(&::safetensors::serialize(tensors, None).unwrap()).unwrap();
    assert_eq!(read.weights.tensors["half"].data, [1.0, -2.0]);
    assert_eq!(read.weights.tensors["brain"].data, [1.0, -3.0]);
    let name = "embeddings.position_ids".into();
    assert_eq!(read.others, [TensorInfo { name, dtype: "I64", shape: vec![1, 2], bytes: 16 }]);
}

#[test]
fn a_tensor_longer_than_a_chunk_is_read_whole() {
    let values: Vec<f32> = (0..CHUNK_BYTES / 4 * 2 + 5).map(|i| i as f32).collect();
    let mut weights = Weights::default();
    weights.insert("긴", HostTensor::new([values.len()], values));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write_safetensors(&path, &weights).unwrap();
    assert_eq!(read_safetensors(&path).unwrap().weights, weights);
}

#[test]
fn hostile_files_are_refused_with_what_was_found_and_expected() {
    let one = |entry: &str| format!(r#"{{"a":{entry}}}"#);
    let sound = r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    check(b"PK\x03\x04", "not a safetensors file: found 4 bytes, expected at least 8");
    check(
        b"PK\x03\x04\x00\x00\x00\x00\x00\x00",
        "not a safetensors file: its header is said to be 67324752 bytes, expected at most 2",
    );
    check(
        &[[0xff; 8].to_vec(), b"{}".to_vec()].concat(),
        "not a safetensors file: its header is said to be 18446744073709551615 bytes, expected at most 2",
    );
    check(&file("{\"a\"", &[]), "the header does not parse at line 1, column 4");
    check(&file("[1]", &[]), "the header does not parse at line 1, column 0");
    check(&file(&one(sound), &[0; 7]), "found 7 bytes of data, expected 8");
    check(
        &file(&one(sound), &[0; 9]),
        "found 9 bytes of data, expected 8: the rest belongs to no tensor",
    );
    check(&file(&format!(r#"{{"a":{sound},"a":{sound}}}"#), &[0; 8]), "tensor `a` is there twice");
    check(
        &file(&format!(r#"{{"a":{sound},"b":{sound}}}"#), &[0; 8]),
        "tensor `b` begins at byte 0 of the data, expected 8",
    );
    check(
        &file(
            &one(r#"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}"#),
            &[0; 8],
        ),
        "tensor `a` takes 8 bytes, expected more than 2^64 by its shape and type",
    );
    // Four terabytes that the file does not have: refused before anything is allocated.
    check(
        &file(
            &one(r#"{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}"#),
            &[0; 8],
        ),
        "found 8 bytes of data, expected 4398046511104",
    );
    check(
        &file(&one(r#"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#), &[0; 8]),
        "tensor `a` takes 8 bytes, expected 12 by its shape and type",
    );
    check(
        &file(&one(r#"{"dtype":"F31","shape":[2],"data_offsets":[0,8]}"#), &[0; 8]),
        "tensor `a` has an unknown element type",
    );
    check(
        &file(&one(r#"{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}"#), &[0; 8]),
        "the header does not parse at line 1, column 31",
    );
}

static SAMPLE_BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write_safetensors(&path, &sample()).unwrap();
    fs::read(&path).unwrap()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_mutated_file_is_refused_or_read_but_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = SAMPLE_BYTES.clone();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        // Where both accept, both have the same tensors.
        if let (Ok(read), Ok(reference)) = (read_bytes(&bytes), SafeTensors::deserialize(&bytes)) {
            for (name, tensor) in &read.weights.tensors {
                let expected = reference.tensor(name).unwrap();
                prop_assert_eq!(&*tensor.shape, expected.shape());
            }
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(read_bytes(&bytes).is_err());
    }
}
