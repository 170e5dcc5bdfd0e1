"""Chest-CT reports with labels, of two hospitals."""

from sample.language import fill
from sample.sources import csv_bytes, read_sections, rng_for

NUM_CT_PATIENTS = 330


def ct_report(bank, labels, hospital, rng):
    slots = {"mm": rng.randint(14, 62), "sm": rng.randint(3, 8), "n": rng.randint(0, 6)}
    lobes = rng.sample(bank["lobe"], 2)
    sentences = []
    for name, present in labels.items():
        if not present and rng.random() < 0.25:
            continue
        lines = bank[f"{name}.{present}"]
        used = [lines[rng.randrange(len(lines))]]
        if rng.random() < (0.3 if present else 0.2):
            used.append(rng.choice([line for line in lines if line not in used]))
        for line in used:
            lobe, second = lobes if rng.random() < 0.6 else rng.sample(bank["lobe"], 2)
            values = dict(slots, lobe=lobe, lobe2=second, pa=rng.choice(bank["pa"]))
            sentences.append(fill(line, values, rng, "ko"))
    for line in rng.sample(bank["other"], rng.randint(1, 3)):
        sentences.append(fill(line, dict(slots, lobe=lobes[0]), rng, "ko"))
    rng.shuffle(sentences)
    sentences = list(dict.fromkeys(sentences))
    recommendation = rng.choice(bank["rec"])
    if hospital == "internal":
        titles = ["Chest CT (contrast)", "Pulmonary embolism CT"]
        if not labels["em"]:
            titles += ["LDCT, chest", "Chest CT without contrast"]
        title = rng.choice(titles)
        body = "\n".join(f"- {sentence}" for sentence in sentences)
        return f"[{title}]\n{body}\n{recommendation}"
    return "CT, CHEST\nFinding & Conclusion:\n" + " ".join(sentences + [recommendation])


def make_ct_reports():
    rng, bank = rng_for("ct"), read_sections("ct.txt")
    rows = []
    for patient in range(1, NUM_CT_PATIENTS + 1):
        hospital = "external" if patient % 10 in (3, 6, 9) else "internal"
        split = "test"
        if hospital == "internal":
            split = rng.choices(["train", "val", "test"], [70, 12, 18])[0]
        for _ in range(rng.choice([1, 1, 2, 2, 3])):
            labels = {
                "pn": int(rng.random() < 0.38),
                "em": int(rng.random() < 0.26),
                "ca": int(rng.random() < 0.36),
            }
            text = ct_report(bank, labels, hospital, rng)
            rows.append(
                [f"CT{len(rows) + 1:05}", f"P{patient:05}", hospital, split, text, *labels.values()]
            )
    header = ["report_id", "patient_id", "hospital", "split", "text", "pn", "em", "ca"]
    return {"ct_reports.csv": csv_bytes(header, rows)}
