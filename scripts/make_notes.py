"""Notes for measuring the corpus builder: JSON lines made of a text of lines.

    python3 scripts/make_notes.py LINES OUT BYTES

LINES is what `cargo run --release -p bimed-vocab --example generate` writes; notes are stretches of 8 to
39 of its lines, up to BYTES of text. Of 20 notes one repeats an earlier one to the letter and one with
a tenth of its lines exchanged. The same arguments give the same bytes; no real person is in it.
"""

import json
import random
import sys


def main() -> None:
    source, out, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
    draw = random.Random(7)
    earlier: list[list[str]] = []
    written = number = 0
    with open(source, encoding="utf-8") as lines, open(out, "w", encoding="utf-8") as notes:
        while written < limit:
            kind = draw.random()
            if kind < 0.10 and len(earlier) > 100:
                note = list(draw.choice(earlier))
                if kind < 0.05:
                    for _ in range(max(1, len(note) // 10)):
                        note[draw.randrange(len(note))] = next(lines, "").rstrip("\n")
            else:
                note = [next(lines, "").rstrip("\n") for _ in range(draw.randrange(8, 40))]
                if not any(note):
                    break
                # A fixed number, so that memory does not grow with the text.
                if len(earlier) < 20_000:
                    earlier.append(note)
                else:
                    earlier[draw.randrange(20_000)] = note
            text = "\n".join(note)
            patient = f"p{number // 5:07}"
            time = f"21{number % 80 + 10}-{number % 12 + 1:02}-{number % 28 + 1:02} 08:{number % 60:02}"
            record = {"id": f"n{number:08}", "patient": patient, "time": time, "text": text}
            notes.write(json.dumps(record, ensure_ascii=False) + "\n")
            written += len(text.encode())
            number += 1
    print(f"{number} notes, {written} bytes of text")


if __name__ == "__main__":
    main()
