"""Sentence pairs with scores, and everyday sentences."""

from sample.language import Deck, capitalise, fill
from sample.sources import read, rng_for

NUM_GENERAL = 260  # sentences in each language
STS_COUNTS = {"train": 140, "dev": 40, "test": 60}


def read_frames(name):
    frames = []
    for block in read(name).strip().split("\n\n"):
        frame = {"t": []}
        for line in block.splitlines():
            key, value = line.split(": ", 1)
            if key == "t":
                frame["t"].append(value)
            else:
                frame[key] = value.split("; ") if key in "xy" else value
        frames.append(frame)
    return frames


class PairWriter:
    """Pairs whose score follows from how they are made: 5 the same meaning, 0 unrelated."""

    def __init__(self, language, rng):
        self.language, self.rng = language, rng
        self.frames = read_frames(f"sts_{language}.txt")
        self.general = [line for line in read(f"general_{language}.txt").splitlines() if line]

    def say(self, template, x, y, detail=None):
        if detail and self.language == "en":
            template = f"{template[:-1]} {detail}."
        elif detail:
            template = f"{detail} {template}"
        text = fill(template, {"x": x, "y": y}, self.rng, self.language)
        return capitalise(text) if self.language == "en" else text

    def pair(self, level):
        rng = self.rng
        frame = rng.choice(self.frames)
        x, y = rng.choice(frame["x"]), rng.choice(frame["y"])
        first, second = rng.sample(frame["t"], 2)
        one = self.say(first, x, y)
        other_x = rng.choice([value for value in frame["x"] if value != x])
        other_y = rng.choice([value for value in frame["y"] if value != y])
        if level == 5:
            return one, self.say(second, x, y)
        if level == 4:
            return one, self.say(second, x, y, frame["d"])
        if level == 3:
            swap = rng.random() < 0.5
            return one, self.say(second, other_x if swap else x, y if swap else other_y)
        if level == 2:
            if rng.random() < 0.5:
                return one, self.say(frame["n"], x, y)
            return one, self.say(second, other_x, other_y)
        if level == 1:
            other = rng.choice([item for item in self.frames if item is not frame])
            return one, self.say(rng.choice(other["t"]), rng.choice(other["x"]), rng.choice(other["y"]))
        general = fill(rng.choice(self.general), {}, rng, self.language)
        return one, capitalise(general) if self.language == "en" else general


def make_pairs(language):
    rng = rng_for(f"sts-{language}")
    writer, owner, rows = PairWriter(language, rng), {}, []
    for split, count in STS_COUNTS.items():
        made = 0
        while made < count:
            level = made % 6
            one, two = writer.pair(level)
            if one == two or any(owner.get(text, split) != split for text in (one, two)):
                continue
            if rng.random() < 0.5:
                one, two = two, one
            owner[one] = owner[two] = split
            # Annotators never agree entirely: the mean of five votes near the level.
            votes = [min(5, max(0, level + rng.choice([0, 0, 0, 0, -1, 1]))) for _ in range(5)]
            rows.append([split, sum(votes) / 5, one, two])
            made += 1
    rng.shuffle(rows)
    lines = ["id\tsplit\tscore\ts1\ts2"]
    lines += [
        f"{language}-{index:04}\t{split}\t{score:.1f}\t{one}\t{two}"
        for index, (split, score, one, two) in enumerate(rows, 1)
    ]
    return {f"sts_{language}.tsv": ("\n".join(lines) + "\n").encode()}


def make_general(language):
    rng = rng_for(f"general-{language}")
    deck = Deck([line for line in read(f"general_{language}.txt").splitlines() if line], rng)
    sentences = {}
    while len(sentences) < NUM_GENERAL:
        text = fill(deck.draw(), {}, rng, language)
        sentences[capitalise(text) if language == "en" else text] = None
    return {f"general_{language}.txt": ("\n".join(sentences) + "\n").encode()}
