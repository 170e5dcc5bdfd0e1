"""Writes the golden values that the metrics of `bimed-eval` are tested against.

    python -m venv venv && venv/bin/pip install -r scripts/requirements-eval.txt
    venv/bin/python scripts/make_metric_fixtures.py

SciPy and scikit-learn, at the versions of `requirements-eval.txt`, are the reference. A value that
they leave undefined (NaN, or 0 with a warning where the figure has no meaning) is written as null.
"""

import json
import math
import pathlib
import warnings

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn import metrics

TARGET = pathlib.Path(__file__).parent.parent / "crates/eval/tests/fixtures/metrics.json"
warnings.simplefilter("ignore")
random = np.random.default_rng(20250301)


def number(value):
    value = float(value)
    return value if math.isfinite(value) else None


def correlation(name, x, y):
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    case = {"name": name, "x": x.tolist(), "y": y.tolist(), "pearson": None, "spearman": None}
    if len(x) > 1:
        case["pearson"] = number(stats.pearsonr(x, y).statistic)
        case["spearman"] = number(stats.spearmanr(x, y).statistic)
    if len(x) > 3 and case["pearson"] is not None:
        interval = stats.pearsonr(x, y).confidence_interval(0.95)
        case["fisher"] = [number(interval.low), number(interval.high)]
    case["rmse"] = number(np.sqrt(metrics.mean_squared_error(x, y))) if len(x) else None
    return case


def correlations():
    yield correlation("empty", [], [])
    yield correlation("one pair", [1.0], [2.0])
    yield correlation("two pairs", [1.0, 2.0], [5.0, 3.0])
    yield correlation("constant", [0.1] * 7, [0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0])
    yield correlation("both constant", [0.1] * 4, [3.0] * 4)
    yield correlation("perfect", [0.0, 1.0, 2.5, 5.0], [1.0, 1.2, 1.5, 2.0])
    yield correlation("perfectly inverse", [0.0, 1.0, 2.0, 5.0], [3.0, 2.0, 1.0, -2.0])
    yield correlation("signed zeros tie", [0.0, -0.0, 1.0, 2.0], [1.0, 2.0, 2.0, 5.0])
    yield correlation("one outlier", [0, 0, 0, 0, 1e6], [1, 2, 3, 2, 1])
    offset = random.normal(size=40)
    yield correlation("a large offset", 1e6 + offset, offset * 2 + random.normal(size=40))
    yield correlation("tiny values", offset * 1e-150, random.normal(size=40))
    for index in range(40):
        size = int(random.integers(3, 40))
        gold = random.uniform(0, 5, size)
        predicted = gold + random.normal(scale=random.uniform(0.1, 3), size=size)
        if index % 4 == 1:  # many ties
            gold, predicted = np.round(gold), np.round(predicted)
        if index % 4 == 2:  # ties on one side
            gold = np.round(gold * 2) / 2
        gold, predicted = np.round(gold, 4), np.round(predicted, 4)
        yield correlation(f"random {index}", gold, predicted)


def multilabel(index):
    items, labels = int(random.integers(1, 16)), int(random.integers(1, 5))
    prevalence = random.uniform(0, 0.6, labels)
    gold = random.uniform(size=(items, labels)) < prevalence
    predicted = np.where(random.uniform(size=gold.shape) < 0.75, gold, ~gold)
    if index % 5 == 0:  # a label without positives, and one never predicted
        gold[:, 0] = False
        predicted[:, -1] = False
    if index % 7 == 0:
        predicted[:, 0] = False
    case = {
        "gold": gold.astype(int).ravel().tolist(),
        "predicted": predicted.astype(int).ravel().tolist(),
        "labels": labels,
    }
    gold, predicted = np.column_stack([gold, gold[:, :1]]), np.column_stack(
        [predicted, predicted[:, :1]]
    )  # a doubled first column keeps one label multi-label; it is cut off again below
    cut = list(range(labels))
    for name, value in [("zero", 0), ("one", 1), ("undefined", np.nan)]:
        per_label = metrics.precision_recall_fscore_support(
            gold, predicted, labels=cut, average=None, zero_division=value
        )
        case[name] = {
            "precision": [number(v) for v in per_label[0]],
            "recall": [number(v) for v in per_label[1]],
            "f1": [number(v) for v in per_label[2]],
        }
        for average in ["macro", "micro"]:
            found = metrics.precision_recall_fscore_support(
                gold, predicted, labels=cut, average=average, zero_division=value
            )
            case[name][average] = [number(v) for v in found[:3]]
    return case


def curve(index):
    size = int(random.integers(2, 40))
    gold = random.uniform(size=size) < random.uniform(0.05, 0.95)
    scores = np.round(gold * random.uniform(0, 2) + random.normal(size=size), 4)
    if index % 3 == 1:
        scores = np.round(scores * 2) / 2  # ties
    if index % 10 == 5:
        scores = np.full(size, 0.25)
    if index % 20 == 3:
        gold[:] = False
    if index % 20 == 4:
        gold[:] = True
    both = 0 < gold.sum() < size
    return {
        "gold": gold.astype(int).tolist(),
        "scores": scores.tolist(),
        "auroc": number(metrics.roc_auc_score(gold, scores)) if both else None,
        "average_precision": (
            number(metrics.average_precision_score(gold, scores)) if gold.any() else None
        ),
    }


def quantiles():
    probabilities = [1e-300, 1e-12, 1e-4, 0.025, 0.07, 0.3, 0.5, 0.6, 0.925, 0.975, 0.995, 1 - 1e-9]
    return [[p, float(stats.norm.ppf(p))] for p in probabilities]


def main():
    fixtures = {
        "made_with": {
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "correlations": list(correlations()),
        "multilabel": [multilabel(index) for index in range(200)],
        "curves": [curve(index) for index in range(200)],
        "normal_quantiles": quantiles(),
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(fixtures, separators=(",", ":")) + "\n")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
