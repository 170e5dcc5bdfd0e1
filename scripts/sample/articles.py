"""Health articles: those written by hand and those composed of clauses."""

import json

from sample.language import Deck, capitalise, fill
from sample.sources import read, rng_for
from sample.terms import clinical_slots

NUM_ARTICLES = 110  # composed articles in each language, beside the hand-written ones
ARTICLE_PARAGRAPHS = [
    ("open", "cause", "symptom", "risk"),
    ("test", "treat"),
    ("advice", "alarm", "close"),
]


def written_articles(language):
    articles = []
    for line in read(f"articles_{language}.txt").splitlines():
        if line.startswith("# "):
            articles.append((line[2:], []))
        elif line.strip():
            articles[-1][1].append(line)
    return [(title, "\n\n".join(body)) for title, body in articles]


def composed_articles(terms, bank, language, rng):
    decks = {name: Deck(lines, rng) for name, lines in bank.items() if name.startswith("article.")}
    conditions = Deck(terms.conditions, rng)
    for _ in range(NUM_ARTICLES):
        slots = clinical_slots(terms, conditions.draw(), rng, 0 if language == "en" else 1)

        def write(name):
            text = fill(decks[f"article.{name}"].draw(), slots, rng, language)
            return capitalise(text) if language == "en" else text

        title = write("title")
        paragraphs = []
        for names in ARTICLE_PARAGRAPHS:
            sentences = [write(name) for name in names]
            if "treat" in names and rng.random() < 0.5:
                sentences.append(write("treat"))
            paragraphs.append(" ".join(dict.fromkeys(sentences)))
        yield title, "\n\n".join(paragraphs)


def make_articles(terms, banks):
    rows = []
    for language in ("en", "ko"):
        rng = rng_for(f"articles-{language}")
        articles = written_articles(language)
        articles += composed_articles(terms, banks[language], language, rng)
        # Syndicated copies: what duplicate removal is for.
        articles += articles[:3]
        rows += [(language, title, body) for title, body in articles]
    rng_for("articles-order").shuffle(rows)
    lines = [
        json.dumps(
            {"id": f"article-{index:04}", "title": title, "body": body, "lang": language},
            ensure_ascii=False,
        )
        for index, (language, title, body) in enumerate(rows, 1)
    ]
    return {"articles.jsonl": ("\n".join(lines) + "\n").encode()}
