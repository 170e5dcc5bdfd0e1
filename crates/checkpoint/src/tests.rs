//! Whole directories, against the golden model that `transformers` wrote.

use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Map, Value, json};

use crate::{
    Dimensions, Error, HostTensor, ModelCard, Part, UnusedReason, Weights, expected_tensors,
    load_model_dir, read_safetensors, save_model_dir, write_safetensors,
};

/// The config of a model of a few hundred parameters.
pub(crate) fn tiny_config() -> Map<String, Value> {
    let config = json!({
        "vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 4, "max_position_embeddings": 5, "type_vocab_size": 2,
    });
    config.as_object().unwrap().clone()
}

/// Weights of every tensor of `config`, each element its own.
fn tiny_weights(config: &Map<String, Value>) -> Weights {
    let mut weights = Weights::default();
    let mut next = 0.0;
    for tensor in expected_tensors(&Dimensions::from_config(config).unwrap()) {
        let count = tensor.shape.iter().product();
        let data = std::iter::repeat_with(|| {
            next += 0.25;
            next
        })
        .take(count)
        .collect();
        weights.insert(tensor.name, HostTensor::new(tensor.shape, data));
    }
    weights
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bert/fixtures/model")
}

/// Writes a directory as another program would: no checks.
fn write_dir(dir: &Path, config: &Map<String, Value>, weights: &Weights) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("config.json"), serde_json::to_vec(config).unwrap()).unwrap();
    write_safetensors(&dir.join("model.safetensors"), weights).unwrap();
}

/// Loads the tiny model after `change`.
fn load_changed(
    change: impl FnOnce(&mut Map<String, Value>, &mut Weights),
) -> Result<crate::ModelDir, Error> {
    let mut config = tiny_config();
    let mut weights = tiny_weights(&config);
    change(&mut config, &mut weights);
    let dir = tempfile::tempdir().unwrap();
    write_dir(dir.path(), &config, &weights);
    load_model_dir(dir.path())
}

/// The error of [`load_changed`], without the directory.
fn refused(change: impl FnOnce(&mut Map<String, Value>, &mut Weights)) -> String {
    let text = load_changed(change).unwrap_err().to_string();
    text.rsplit_once(".safetensors: ").or(text.rsplit_once(".json: ")).unwrap().1.to_owned()
}

#[test]
fn the_golden_model_loads_whole_and_saves_back_bit_for_bit() {
    let model = load_model_dir(&golden()).unwrap();
    assert_eq!(model.weights.tensors.len(), 16 * 2 + 14);
    assert_eq!(model.accounting.applied.len(), 46);
    assert_eq!((model.accounting.missing.len(), model.accounting.unused.len()), (0, 0));
    assert!(model.accounting.applied.iter().all(|t| t.found_as.is_none() && t.num_non_finite == 0));

    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("내보낸 model");
    save_model_dir(&out, &model.config, &model.weights, &ModelCard::default()).unwrap();
    let again = load_model_dir(&out).unwrap();
    assert_eq!(again.weights, model.weights);
    assert_eq!(again.config["architectures"], json!(["BertForPreTraining"]));
    let mut names: Vec<_> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["README.md", "config.json", "model.safetensors"]);
}

#[test]
fn names_of_other_writers_are_understood_and_accounted_for() {
    let model = load_changed(|_, weights| {
        let mut renamed = Weights::default();
        for (name, tensor) in std::mem::take(&mut weights.tensors) {
            if name.starts_with("cls.") {
                continue;
            }
            let name = name.strip_prefix("bert.").unwrap();
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            renamed.insert(name.replace("LayerNorm.bias", "LayerNorm.beta"), tensor);
        }
        renamed.insert("embeddings.position_ids", HostTensor::new([1, 5], vec![0.0; 5]));
        *weights = renamed;
    })
    .unwrap();
    let expected = tiny_weights(&tiny_config());
    for (name, tensor) in &model.weights.tensors {
        assert_eq!(Some(tensor), expected.get(name), "{name}");
    }
    let accounting = &model.accounting;
    assert_eq!(accounting.applied.len(), 16 + 7);
    assert!(accounting.applied.iter().all(|tensor| tensor.found_as.is_some()));
    assert_eq!(accounting.unused[0].reason, UnusedReason::Buffer);
    assert_eq!(accounting.missing.len(), 7);
    let has = [Part::Encoder, Part::Pooler, Part::MlmHead, Part::NspHead]
        .map(|part| accounting.has(part));
    assert_eq!(has, [true, true, false, false]);
}

#[test]
fn a_tied_decoder_is_dropped_stands_in_or_is_refused_when_it_differs() {
    let decoder = "cls.predictions.decoder.weight";
    let tied = load_changed(|_, weights| {
        let embeddings = weights.tensors[crate::WORD_EMBEDDINGS].clone();
        weights.insert(decoder, embeddings);
        let bias = weights.tensors.remove(crate::DECODER_BIAS).unwrap();
        weights.insert("cls.predictions.decoder.bias", bias);
    })
    .unwrap();
    assert_eq!(tied.weights, tiny_weights(&tiny_config()));
    assert_eq!(tied.accounting.unused.len(), 1);
    assert_eq!(tied.accounting.unused[0].reason, UnusedReason::Tied);
    let error = refused(|_, weights| {
        let mut embeddings = weights.tensors[crate::WORD_EMBEDDINGS].clone();
        embeddings.data[3] += 1.0;
        weights.insert(decoder, embeddings);
    });
    assert_eq!(
        error,
        "`cls.predictions.decoder.weight` differs from `bert.embeddings.word_embeddings.weight`, expected them to be tied"
    );
}

#[test]
fn tensors_that_do_not_fit_are_refused_by_name() {
    let unexplained =
        refused(|_, weights| weights.insert("bert.환자.weight", HostTensor::new([1], vec![0.0])));
    assert_eq!(
        unexplained,
        "tensors that a BERT of this config does not have: `bert.환자.weight` [1]"
    );
    let layers = refused(|config, _| {
        config.insert("num_hidden_layers".into(), 2.into());
    });
    assert!(
        layers.starts_with(
            "tensors missing: `bert.encoder.layer.1.attention.self.query.weight` [8, 8]; "
        ),
        "{layers}"
    );
    assert!(layers.ends_with("; and 8 more"), "{layers}");
    let rows = refused(|config, _| {
        config.insert("vocab_size".into(), 7.into());
    });
    assert_eq!(
        rows,
        "`bert.embeddings.word_embeddings.weight` is [6, 8], expected [7, 8]; `cls.predictions.bias` is [6], expected [7]"
    );
    let half_a_head = refused(|_, weights| {
        weights.tensors.remove("cls.seq_relationship.bias");
    });
    assert_eq!(half_a_head, "tensors missing: `cls.seq_relationship.bias` [2]");
    let twice = refused(|_, weights| {
        let pooler = weights.tensors["bert.pooler.dense.bias"].clone();
        weights.insert("pooler.dense.bias", pooler);
    });
    assert_eq!(
        twice,
        "`bert.pooler.dense.bias` and `pooler.dense.bias` both mean `bert.pooler.dense.bias`"
    );
    let activation = refused(|config, _| {
        config.insert("hidden_act".into(), "relu".into());
    });
    assert_eq!(activation, "hidden_act is `relu`, expected `gelu`");
}

#[test]
fn a_directory_without_its_files_says_what_is_there_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let message = |error: Error| {
        let text = error.to_string();
        (text.rsplit_once(": ").unwrap().1.to_owned(), error.hint().unwrap())
    };
    let (found, _) = message(load_model_dir(dir.path()).unwrap_err());
    assert_eq!(found, "found nothing of its kind, expected `config.json`");
    fs::write(dir.path().join("config.json"), serde_json::to_vec(&tiny_config()).unwrap()).unwrap();
    fs::write(dir.path().join("tf_model.h5"), b"").unwrap();
    let (found, hint) = message(load_model_dir(dir.path()).unwrap_err());
    assert_eq!(found, "found `tf_model.h5`, expected `model.safetensors`");
    assert!(hint.contains("safe_serialization=True"));
    for name in ["a.ckpt-1.index", "a.ckpt-2.index"] {
        fs::write(dir.path().join(name), b"").unwrap();
    }
    let (found, hint) = message(load_model_dir(dir.path()).unwrap_err());
    let two = "found `a.ckpt-1.index`; `a.ckpt-2.index`, expected one TensorFlow checkpoint";
    assert_eq!((&*found, &*hint), (two, "leave the one that is meant, or rename it"));
    fs::write(dir.path().join("config.json"), "{\"vocab_size\": 이름 홍길동}").unwrap();
    let error = load_model_dir(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("config.json:1:16: the JSON does not parse"), "{error}");
}

#[test]
fn shards_are_merged_by_their_index_which_cannot_reach_outside() {
    let config = tiny_config();
    let weights = tiny_weights(&config);
    let dir = tempfile::tempdir().unwrap();
    write_dir(dir.path(), &config, &Weights::default());
    fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    let (mut shards, mut map) = ([Weights::default(), Weights::default()], Map::new());
    for (index, (name, tensor)) in weights.tensors.iter().enumerate() {
        shards[index % 2].insert(name.clone(), tensor.clone());
        map.insert(name.clone(), format!("part-{}.safetensors", index % 2).into());
    }
    for (index, shard) in shards.iter().enumerate() {
        write_safetensors(&dir.path().join(format!("part-{index}.safetensors")), shard).unwrap();
    }
    let index = dir.path().join("model.safetensors.index.json");
    let write_index = |map: &Map<String, Value>| {
        fs::write(&index, json!({ "metadata": {}, "weight_map": map }).to_string()).unwrap();
    };
    write_index(&map);
    assert_eq!(load_model_dir(dir.path()).unwrap().weights, weights);

    let refused = |changed: &str, to: &str| {
        let mut map = map.clone();
        map.insert(changed.into(), to.into());
        write_index(&map);
        load_model_dir(dir.path())
            .unwrap_err()
            .to_string()
            .rsplit_once(".json: ")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(
        refused("x", "../part-0.safetensors"),
        "found the shard `../part-0.safetensors`, expected a file name"
    );
    assert_eq!(
        refused("bert.embeddings.LayerNorm.bias", "part-1.safetensors"),
        "`bert.embeddings.LayerNorm.bias` is in `part-0.safetensors`, where the index does not have it"
    );
    assert_eq!(refused("x", "part-1.safetensors"), "`x` is not in `part-1.safetensors`");
}

#[test]
fn what_would_not_load_is_not_written() {
    let config = tiny_config();
    let mut weights = tiny_weights(&config);
    weights.insert("loss.history", HostTensor::new([1], vec![0.5]));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    assert!(matches!(
        save_model_dir(&out, &config, &weights, &ModelCard::default()),
        Err(Error::Unexplained { .. })
    ));
    assert!(!out.exists());
}

#[test]
fn a_saved_config_names_the_class_of_its_parts_and_nothing_of_the_writers_machine() {
    for (dropped, labels, expected) in [
        ("-", None, "BertForPreTraining"),
        ("cls.seq_relationship", None, "BertForMaskedLM"),
        ("cls.", None, "BertModel"),
        ("cls.", Some(3), "BertForSequenceClassification"),
    ] {
        let mut config = tiny_config();
        config.insert("_name_or_path".into(), "/home/누군가/model".into());
        config.insert("torch_dtype".into(), "float16".into());
        if let Some(labels) = labels {
            config.insert("num_labels".into(), labels.into());
        }
        let mut weights = tiny_weights(&config);
        weights.tensors.retain(|name, _| !name.starts_with(dropped));
        let dir = tempfile::tempdir().unwrap();
        save_model_dir(dir.path(), &config, &weights, &ModelCard::default()).unwrap();
        let saved = load_model_dir(dir.path()).unwrap();
        assert_eq!(saved.config["architectures"], json!([expected]));
        assert_eq!(saved.weights, weights);
        assert!(
            !saved.config.contains_key("_name_or_path")
                && !saved.config.contains_key("torch_dtype")
        );
    }
}

#[test]
fn the_golden_tensors_read_as_plain_files() {
    let golden = read_safetensors(&golden().join("../golden.safetensors")).unwrap();
    assert_eq!(golden.weights.tensors["prediction_logits"].shape, [4, 24, 120]);
    let ids = &golden.weights.tensors["input_ids"];
    assert_eq!((ids.row(0)[0], ids.row(1)[23]), (2.0, 0.0));
}
