"""Short records for measuring the corpus builder's memory: JSON lines of six words and a number.

    python3 scripts/make_records.py OUT COUNT

About 80 bytes a record, each with an `id` of its own; no real person is in it.
"""

import json
import random
import sys

KOREAN = "환자 폐렴 의심 흉부 시행 소견 결절 관찰 처방 경과 호전 퇴원 수술 항생제 투여 혈압 체온 검사 결과 정상".split()
ENGLISH = "chest CT MRI lesion pneumonia effusion nodule follow-up acute chronic lung liver renal mild severe".split()


def main() -> None:
    out, count = sys.argv[1], int(sys.argv[2])
    draw = random.Random(5)
    with open(out, "w", encoding="utf-8") as records:
        for number in range(count):
            words = draw.choices(KOREAN, k=4) + draw.choices(ENGLISH, k=2) + [str(draw.getrandbits(40))]
            records.write(json.dumps({"text": " ".join(words), "id": str(number)}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
