#!/usr/bin/env python3
"""Write data/sample from the prose and clause banks beside this script.

The output is a function of the sources and of SEED alone: no clock, no
environment, standard library only. `--check` compares instead of writing.
"""

import argparse
import csv
import gzip
import html
import io
import json
import random
import re
import sys
import zlib
from pathlib import Path

SEED = 20250211
ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "scripts" / "sample_sources"
OUTPUT = ROOT / "data" / "sample"

NUM_ARTICLES = 110  # composed articles in each language, beside the hand-written ones
NUM_PATIENTS = 400
NUM_CT_PATIENTS = 330
NUM_GENERAL = 260  # sentences in each language
STS_COUNTS = {"train": 140, "dev": 40, "test": 60}
GENERATED = (
    "textbook-en",
    "textbook-ko",
    "articles.jsonl",
    "notes.csv.gz",
    "ct_reports.csv",
    "sts_ko.tsv",
    "sts_en.tsv",
    "general_ko.txt",
    "general_en.txt",
)


def rng_for(name):
    """A generator of its own for every file, so that changing one leaves the others alone."""
    return random.Random(SEED ^ zlib.crc32(name.encode()))


def read(name):
    return (SOURCES / name).read_text(encoding="utf-8")


def read_sections(name):
    """`[section]` headers followed by one entry per line; what stands before the first is comment."""
    sections, current = {}, None
    for line in read(name).splitlines():
        if re.fullmatch(r"\[[a-z0-9.]+\]", line):
            current = sections.setdefault(line[1:-1], [])
        elif current is not None and line.strip():
            current.append(line.replace("\\n", "\n"))
    return sections


# --- Language -----------------------------------------------------------------

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


# --- Medical terms ------------------------------------------------------------


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


# --- Textbooks ----------------------------------------------------------------

CHROME = {
    "en": {
        "book": "An Open Primer of Medicine",
        "menu": ["Home", "Contents", "Glossary", "Search", "Sign in"],
        "related": "Related chapters",
        "banner": "We use cookies to remember the font size you prefer.",
        "footer": "Written for the bimed sample data. MIT OR Apache-2.0.",
        "next": "Next chapter",
    },
    "ko": {
        "book": "열린 의학 입문",
        "menu": ["처음으로", "차례", "용어집", "검색", "로그인"],
        "related": "관련 단원",
        "banner": "선택하신 글자 크기를 기억하기 위해 쿠키를 사용합니다.",
        "footer": "bimed 예제 데이터를 위해 새로 쓴 글입니다. MIT OR Apache-2.0.",
        "next": "다음 단원",
    },
}


def read_chapters(language):
    chapters = []
    for line in read(f"textbook_{language}.txt").splitlines():
        if line.startswith("# "):
            slug, title = line[2:].split(" | ")
            chapters.append({"slug": slug, "title": title, "blocks": []})
        elif line.startswith("## "):
            chapters[-1]["blocks"].append(("h2", line[3:]))
        elif line.startswith("- "):
            chapters[-1]["blocks"].append(("li", line[2:]))
        elif line.strip():
            chapters[-1]["blocks"].append(("p", line))
    return chapters


def chapter_page(chapter, number, chapters, language):
    chrome = CHROME[language]
    menu = "".join(f'<li><a href="#">{html.escape(item)}</a></li>' for item in chrome["menu"])
    related = "".join(
        f'<li><a href="{place:02}-{other["slug"]}.html">{html.escape(other["title"])}</a></li>'
        for place, other in enumerate(chapters, 1)
        if other is not chapter
    )
    body, in_list = [], False
    for kind, text in chapter["blocks"]:
        if kind == "li" and not in_list:
            body.append("<ul>")
        if kind != "li" and in_list:
            body.append("</ul>")
        in_list = kind == "li"
        body.append(f"<{kind}>{html.escape(text, quote=False)}</{kind}>")
    if in_list:
        body.append("</ul>")
    article = "\n".join(body)
    place = number % len(chapters)
    following = f"{place + 1:02}-{chapters[place]['slug']}.html"
    return f"""<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<title>{html.escape(chapter["title"])} - {chrome["book"]}</title>
<style>nav ul {{ display: flex; }} .banner {{ position: fixed; }}</style>
<script>window.pageviews = (window.pageviews || 0) + 1;</script>
</head>
<body>
<div class="cookie-banner" role="dialog">{chrome["banner"]}</div>
<header class="site-header"><a href="index.html">{chrome["book"]}</a>
<nav class="menu"><ul>{menu}</ul></nav></header>
<main>
<article>
<h1>{number}. {html.escape(chapter["title"])}</h1>
{article}
</article>
</main>
<aside class="sidebar"><h3>{chrome["related"]}</h3><ul>{related}</ul></aside>
<footer class="site-footer"><a href="{following}">{chrome["next"]}</a>
<p>{chrome["footer"]}</p></footer>
</body>
</html>
"""


def make_textbooks():
    files = {}
    for language in ("en", "ko"):
        chapters = read_chapters(language)
        for number, chapter in enumerate(chapters, 1):
            path = f"textbook-{language}/{number:02}-{chapter['slug']}.html"
            files[path] = chapter_page(chapter, number, chapters, language).encode()
    return files


# --- Articles -----------------------------------------------------------------

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


# --- Notes --------------------------------------------------------------------


class NoteWriter:
    def __init__(self, terms, banks, rng):
        self.terms, self.rng = terms, rng
        self.decks = {
            language: {name: Deck(lines, rng) for name, lines in bank.items()}
            for language, bank in banks.items()
        }

    def clauses(self, language, name, slots, count=1):
        lines = [self.decks[language][name].draw() for _ in range(count)]
        texts = [fill(line, slots, self.rng, language) for line in dict.fromkeys(lines)]
        return [capitalise(text) for text in texts] if language == "en" else texts

    def discharge(self, condition):
        slots = clinical_slots(self.terms, condition, self.rng, 0)
        take = lambda name, count=1: self.clauses("en", f"ds.{name}", slots, count)
        given = [row for row in self.terms.lists["drug"] if row[3] != "-"]
        medications = [self.terms.by_english[slots[name]] for name in ("d1", "d2", "hd1", "hd2")]
        medications += self.rng.sample(given, self.rng.randint(0, 2))
        medications = [row for row in dict.fromkeys(medications) if row in given]
        listed = "\n".join(
            f"{index}. {row[0][:1].upper() + row[0][1:]} {row[3]}"
            for index, row in enumerate(medications, 1)
        )
        examination = [
            line for part in ("gen", "heent", "cv", "lung", "abd", "ext") for line in take(f"pe.{part}")
        ]
        parts = [
            f"Name: ___    Unit No: ___\nAdmission Date: ___    Discharge Date: ___\n"
            f"Date of Birth: ___    Sex: {slots['sexabbr']}\nService: "
            f"{self.rng.choice(['MEDICINE', 'CARDIOLOGY', 'NEUROLOGY', 'SURGERY', 'PULMONARY'])}\n"
            f"Allergies: {self.rng.choice(['No Known Allergies', 'Penicillins', 'Sulfa', 'Codeine'])}\n"
            f"Attending: ___.",
            "Chief Complaint:\n" + take("cc")[0],
            "History of Present Illness:\n"
            + " ".join(
                take("hpi.open") + take("hpi.mid", self.rng.randint(2, 4)) + take("hpi.ed") + take("hpi.ed2", 2)
            ),
            f"Past Medical History:\n- {capitalise(slots['h1'])}\n- {capitalise(slots['h2'])}",
            f"Physical Exam:\nVS: T {slots['temp']} BP {slots['sbp']}/{slots['dbp']} HR {slots['hr']} "
            f"RR {slots['rr']} SpO2 {slots['spo2']}% {slots['oxygen']}\n" + "\n".join(examination),
            "Brief Hospital Course:\n"
            + "\n".join(take("course") + take("course2", self.rng.randint(1, 3))),
            "Discharge Medications:\n" + listed,
            "Discharge Disposition:\n" + take("dispo")[0],
            f"Discharge Diagnosis:\n{slots['C']}",
            "Discharge Condition:\n" + take("cond")[0],
            "Discharge Instructions:\n" + take("instr")[0],
        ]
        return "\n\n".join(parts)

    def radiology(self, condition):
        slots = clinical_slots(self.terms, condition, self.rng, 0)
        take = lambda name, count=1: self.clauses("en", f"rr.{name}", slots, count)
        normal = self.rng.random() < 0.4
        findings = take("lung.0") if normal else take("lung.1", self.rng.randint(1, 3))
        findings += take("find.pleura") + take("find.heart")
        findings += take("find.other", self.rng.randint(0, 2)) if self.rng.random() < 0.7 else []
        return "\n\n".join(
            take("exam")
            + take("ind")
            + [f"COMPARISON: {self.rng.choice(['None', 'Chest radiograph from ___', 'CT from ___'])}."]
            + ["FINDINGS:\n" + " ".join(findings), "IMPRESSION:\n" + take(f"imp.{int(not normal)}")[0]]
        )

    def admission(self, condition):
        slots = clinical_slots(self.terms, condition, self.rng, 2)
        take = lambda name, count=1: self.clauses("ko", f"an.{name}", slots, count)
        return "\n".join(
            ["C.C> " + take("cc")[0], "P.I>"]
            + take("pi.open")
            + take("pi.mid", self.rng.randint(2, 4))
            + ["Hx>"] + take("hx") + take("soc")
            + ["P/E>", f"V/S: {slots['sbp']}/{slots['dbp']} - {slots['hr']} - {slots['rr']} - {slots['temp']}"]
            + take("pe", self.rng.randint(3, 5))
            + ["Lab & Image>"] + take("lab", self.rng.randint(2, 4))
            + ["A/P>"] + take("plan") + sorted(take("plan2", self.rng.randint(1, 3)))
            + [self.rng.choice(["담당의 ___", "작성자: ___ / 지도전문의: ___", "Dr. ___"])]
        )

    def progress(self, condition):
        slots = clinical_slots(self.terms, condition, self.rng, 2)
        day = self.rng.randint(2, 12)
        lines = [f"HD#{day}"]
        for part in "soap":
            lines += self.clauses("ko", f"pn.{part}", slots)
        return "\n".join(lines)


def make_notes(terms, banks):
    rng = rng_for("notes")
    writer = NoteWriter(terms, banks, rng)
    conditions = Deck(terms.conditions, rng)
    imaged = {"chest radiograph", "computed tomography of the chest"}
    thoracic = Deck([item for item in terms.conditions if item["tests"][0][0] in imaged], rng)
    rows = []
    for patient in range(NUM_PATIENTS):
        subject = 90000000 + patient * 37 + rng.randint(0, 36)
        condition, visit = conditions.draw(), 20000000 + rng.randint(0, 9999999)
        year, month, day = rng.randint(2110, 2199), rng.randint(1, 12), rng.randint(1, 20)
        if patient % 2:
            kinds = ["AN"] + ["PN"] * rng.randint(1, 3)
        else:
            kinds = ["RR"] * rng.randint(1, 3) + (["DS"] if rng.random() < 0.75 else [])
        numbers = {}
        for offset, kind in enumerate(kinds):
            numbers[kind] = sequence = numbers.get(kind, 1) + rng.randint(1, 3)
            write = {
                "AN": writer.admission,
                "PN": writer.progress,
                "RR": writer.radiology,
                "DS": writer.discharge,
            }[kind]
            # As in MIMIC-IV-Note, a radiology note may belong to no admission.
            admission = "" if kind == "RR" and rng.random() < 0.3 else visit
            clock = "00:00:00" if kind == "DS" else f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:00"
            rows.append(
                [
                    f"{subject}-{kind}-{sequence}",
                    subject,
                    admission,
                    kind,
                    sequence,
                    f"{year}-{month:02}-{day + offset:02} {clock}",
                    write(thoracic.draw() if kind == "RR" else condition),
                ]
            )
    header = ["note_id", "subject_id", "hadm_id", "note_type", "note_seq", "charttime", "text"]
    data = csv_bytes(header, rows)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0, compresslevel=9) as stream:
        stream.write(data)
    return {"notes.csv.gz": packed.getvalue()}


def csv_bytes(header, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


# --- Chest-CT reports ---------------------------------------------------------


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


# --- Sentence pairs -----------------------------------------------------------


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


# --- General sentences --------------------------------------------------------


def make_general(language):
    rng = rng_for(f"general-{language}")
    deck = Deck([line for line in read(f"general_{language}.txt").splitlines() if line], rng)
    sentences = {}
    while len(sentences) < NUM_GENERAL:
        text = fill(deck.draw(), {}, rng, language)
        sentences[capitalise(text) if language == "en" else text] = None
    return {f"general_{language}.txt": ("\n".join(sentences) + "\n").encode()}


# --- All ----------------------------------------------------------------------


def make_all():
    terms = Terms()
    banks = {language: read_sections(f"clauses_{language}.txt") for language in ("en", "ko")}
    files = make_textbooks()
    files |= make_articles(terms, banks) | make_notes(terms, banks) | make_ct_reports()
    for language in ("ko", "en"):
        files |= make_pairs(language) | make_general(language)
    return files


def existing():
    found = set()
    for name in GENERATED:
        path = OUTPUT / name
        if path.is_dir():
            found |= {item.relative_to(OUTPUT).as_posix() for item in path.iterdir()}
        elif path.exists():
            found.add(name)
    return found


def check(files):
    """Names the files that differ; gzip files are compared by what they hold."""
    wrong = sorted(existing() - files.keys())
    for name, data in files.items():
        path = OUTPUT / name
        if not path.exists():
            wrong.append(name)
            continue
        found = path.read_bytes()
        if name.endswith(".gz"):
            found, data = gzip.decompress(found), gzip.decompress(data)
        if found != data:
            wrong.append(name)
    for name in wrong:
        print(f"differs: {name}", file=sys.stderr)
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with data/sample, write nothing")
    arguments = parser.parse_args()
    files = make_all()
    if arguments.check:
        return check(files)
    for name in existing() - files.keys():
        (OUTPUT / name).unlink()
    for name, data in files.items():
        path = OUTPUT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes in {OUTPUT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
