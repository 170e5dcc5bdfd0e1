"""Korean particles, alternatives, capitals, and drawing without repeats."""

import re

LATIN_WITH_FINAL = re.compile(r"(ng|[mnl]|le|ne|me|ck|ic|[pb]lock|RN|[LMNR])$")
LATIN_ENDING_IN_L = re.compile(r"(l|le|L|R)$")
DIGIT_FINAL = {"0": True, "1": True, "3": True, "6": True, "7": True, "8": True}


def final_consonant(text):
    """(has a final consonant, that consonant is rieul) of the last sound of `text`."""
    text = re.sub(r"\([^()]*\)$", "", text).rstrip(" \"')]%.")
    if not text:
        return False, False
    last = text[-1]
    if "가" <= last <= "힣":
        final = (ord(last) - 0xAC00) % 28
        return final != 0, final == 8
    if last.isdigit():
        return DIGIT_FINAL.get(last, False), last in "178"
    word = re.split(r"[^A-Za-z]", text)[-1]
    return bool(LATIN_WITH_FINAL.search(word)), bool(LATIN_ENDING_IN_L.search(word))


PARTICLE = re.compile(r"\((이|은|을|와|으로|이나|이며|이면|이라는)/(가|는|를|과|로|나|며|면|라는)\)")


def join_particles(text):
    """Resolves `환자(은/는)` by the final consonant of the word before it."""
    while True:
        match = PARTICLE.search(text)
        if not match:
            return text
        final, rieul = final_consonant(text[: match.start()])
        with_final, without = match.group(1), match.group(2)
        if with_final == "와":
            with_final, without = "과", "와"
        if with_final == "으로" and rieul:
            final = False
        text = text[: match.start()] + (with_final if final else without) + text[match.end() :]


def choose_alternatives(text, rng):
    """Resolves `<a|b|c>`."""
    return re.sub(r"<([^<>]*\|[^<>]*)>", lambda m: rng.choice(m.group(1).split("|")), text)


def capitalise(text):
    """An upper-case letter at the start and after each full stop; `an 84-year-old`."""
    text = re.sub(r"\ba (?=[aeio]|(?:8\d?|11|18)\b)", "an ", text)
    return re.sub(
        r"(^|[.!?] +|\n|# )([a-z])", lambda m: m.group(1) + m.group(2).upper(), text
    )


def fill(template, slots, rng, language):
    text = choose_alternatives(template, rng).format(**slots)
    return join_particles(text) if language != "en" else text


class Deck:
    """Draws from a list without repeats until it is used up."""

    def __init__(self, items, rng):
        self.items, self.rng, self.left = list(items), rng, []

    def draw(self):
        if not self.left:
            self.left = self.items[:]
            self.rng.shuffle(self.left)
        return self.left.pop()
