use super::*;
use crate::pair_regression::EpochRecord;

fn run(learning_rate: f64, dev_pearson: Option<f64>) -> PairRun {
    PairRun {
        learning_rate,
        seed: 1,
        steps: 1,
        epochs: vec![EpochRecord { epoch: 1, train_loss: 0.1, dev_pearson }],
        selected_epoch: 1,
        num_truncated: BTreeMap::new(),
        started_at_random: Vec::new(),
        answers: BTreeMap::new(),
    }
}

#[test]
fn the_rate_with_the_best_mean_on_dev_is_chosen() {
    let rate = |rate, of_seeds: [Option<f64>; 2]| of_seeds.map(|dev| run(rate, dev)).to_vec();
    let by_rate = [
        rate(2e-5, [Some(0.80), Some(0.84)]),
        rate(3e-5, [Some(0.99), None]),
        rate(4e-5, [Some(0.70), Some(0.96)]),
        rate(5e-5, [Some(0.83), Some(0.83)]),
    ];
    assert_eq!(best_rate(&by_rate), 2);
    assert_eq!(best_rate(&[rate(2e-5, [None, None]), rate(3e-5, [Some(-0.1), Some(0.0)])]), 1);
    assert_eq!(best_rate(&[rate(2e-5, [None, None])]), 0);
}
