"""Medical terms and conditions, and the slots that templates are filled with."""

from sample.sources import read, read_sections


class Terms:
    """The term lists: `term[kind]` is a list of (english, korean, mixed)."""

    def __init__(self):
        self.lists = {}
        self.by_english = {}
        for kind, lines in read_sections("terms.txt").items():
            rows = [tuple(part.strip() for part in line.split("|")) for line in lines]
            self.lists[kind] = rows
            self.by_english.update({row[0]: row for row in rows})
        self.conditions = []
        for line in read("conditions.txt").splitlines():
            if not line or line.startswith("#"):
                continue
            part = [value.strip() for value in line.split("|")]
            self.conditions.append(
                {
                    "name": part[0:3],
                    "symptoms": [self.by_english[s] for s in part[3].split("; ")],
                    "cause": part[4:6],
                    "tests": [self.by_english[s] for s in part[6].split("; ")],
                    "drugs": [self.by_english[s] for s in part[7].split("; ")],
                    "finding": part[8:11],
                    "advice": part[11:13],
                }
            )

    def history(self, rng, condition, male):
        """Two past illnesses that this patient can have."""
        excluded = {condition["name"][0], "breast cancer" if male else "benign prostatic hyperplasia"}
        return rng.sample([row for row in self.lists["history"] if row[0] not in excluded], 2)


def clinical_slots(terms, condition, rng, column):
    """Slots that every template may use; `column` is 0 English, 1 Korean, 2 mixed."""
    symptoms = condition["symptoms"][:]
    rng.shuffle(symptoms)
    known = set(symptoms)
    spare = [row for row in terms.lists["symptom"] if row not in known]
    symptoms = (symptoms + rng.sample(spare, 3))[:3]
    # The first test is the one that shows the condition's finding.
    spare = [row for row in terms.lists["test"] if row not in condition["tests"]]
    tests = condition["tests"][:1] + [rng.choice(condition["tests"][1:] or spare)]
    drugs = condition["drugs"][:]
    rng.shuffle(drugs)
    others = [row for row in terms.lists["drug"] if row not in drugs]
    drugs = (drugs + rng.sample(others, 1))[:2]
    male = rng.random() < 0.5
    history = terms.history(rng, condition, male)
    oxygen = rng.choice(["RA", "2L NC", "4L NC", "6L NC", "NRB"])
    slots = {
        "c": condition["name"][column],
        "C": condition["name"][0][:1].upper() + condition["name"][0][1:],
        "cm": condition["name"][2],
        "cause": condition["cause"][min(column, 1)],
        "finding": condition["finding"][column],
        "fm": condition["finding"][2],
        "advice": condition["advice"][min(column, 1)],
        "age": rng.randint(19, 92),
        "sex": "man" if male else "woman",
        "sexabbr": "M" if male else "F",
        "sexko": "남자" if male else "여자",
        "He": "He" if male else "She",
        "he": "he" if male else "she",
        "His": "His" if male else "Her",
        "his": "his" if male else "her",
        "days": rng.choice([1, 2, 3, 3, 4, 5, 7, 10, 14]),
        "n": rng.randint(2, 7),
        "mm": rng.randint(12, 58),
        "sm": rng.randint(3, 8),
        "temp": f"{rng.uniform(36.2, 39.4):.1f}",
        "hr": rng.randint(56, 138),
        "sbp": rng.randint(84, 182),
        "dbp": rng.randint(48, 104),
        "rr": rng.randint(12, 32),
        "spo2": rng.randint(84, 99),
        "oxygen": oxygen,
        "oxko": {"RA": "room air"}.get(oxygen, oxygen),
        "wbc": f"{rng.uniform(3.1, 22.4):.1f}",
        "hgb": f"{rng.uniform(7.1, 15.6):.1f}",
        "hiwbc": f"{rng.uniform(11.2, 24.0):.1f}",
        "lowhgb": f"{rng.uniform(7.4, 10.9):.1f}",
        "peak": f"{rng.uniform(1.8, 4.8):.1f}",
        "lowna": rng.randint(121, 132),
        "plt": rng.randint(60, 420),
        "cr": f"{rng.uniform(0.5, 4.2):.1f}",
        "bun": rng.randint(8, 64),
        "na": rng.randint(121, 147),
        "k": f"{rng.uniform(2.8, 6.1):.1f}",
        "crp": f"{rng.uniform(0.3, 24.0):.1f}",
        "ph": rng.randint(21, 52),
        "co2": rng.randint(26, 68),
        "o2": rng.randint(48, 98),
        "bic": rng.randint(14, 33),
        "kg": rng.randint(2, 9),
        "kg2": rng.randint(41, 92),
        "uo": rng.randint(4, 32) * 100,
    }
    for index, row in enumerate(symptoms, 1):
        slots[f"s{index}"], slots[f"m{index}"] = row[column], row[2]
    for index, row in enumerate(tests, 1):
        slots[f"t{index}"], slots[f"z{index}"] = row[column], row[2]
        slots[f"T{index}"] = row[0][:1].upper() + row[0][1:]
    for index, row in enumerate(drugs, 1):
        slots[f"d{index}"], slots[f"y{index}"] = row[column], row[2]
    for index, row in enumerate(history, 1):
        slots[f"h{index}"], slots[f"x{index}"] = row[column], row[2]
        home = terms.by_english[row[3]]
        slots[f"hd{index}"], slots[f"hx{index}"] = home[column], home[2]
    return slots
