"""Hospital notes in the columns of MIMIC-IV-Note, English and code-mixed."""

import gzip
import io

from sample.language import Deck, capitalise, fill
from sample.sources import csv_bytes, rng_for
from sample.terms import clinical_slots

NUM_PATIENTS = 400


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
