"""Health articles: those written by hand and those composed of clauses."""

import json

from sample.language import Deck, capitalise, fill
from sample.sources import read, rng_for
from sample.terms import clinical_slots

NUM_ARTICLES = 110  # composed articles in each language, beside the hand-written ones
QUOTED_SENTENCES = 4
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


def quoting_article(language, pairs):
    """An article that repeats sentences which models are scored on: what decontamination is for."""
    tested = [line.split("\t") for line in pairs.decode().splitlines() if "\ttest\t" in line]
    quoted = sorted((row[3] for row in tested), key=len)[-QUOTED_SENTENCES:]
    title = {"en": "Sentences that clinicians write", "ko": "의무기록에 자주 쓰이는 문장"}[language]
    return language, title, "\n\n".join(quoted)


def make_articles(terms, banks, pairs):
    """`pairs` are the sentence pairs' files."""
    rows = []
    for language in ("en", "ko"):
        rng = rng_for(f"articles-{language}")
        articles = written_articles(language)
        articles += composed_articles(terms, banks[language], language, rng)
        # Syndicated copies: what duplicate removal is for.
        articles += articles[:3]
        rows += [(language, title, body) for title, body in articles]
    rng_for("articles-order").shuffle(rows)
    rows += [quoting_article(language, pairs[f"sts_{language}.tsv"]) for language in ("en", "ko")]
    lines = [
        json.dumps(
            {"id": f"article-{index:04}", "title": title, "body": body, "lang": language},
            ensure_ascii=False,
        )
        for index, (language, title, body) in enumerate(rows, 1)
    ]
    return {"articles.jsonl": ("\n".join(lines) + "\n").encode()}
