"""Listens to the English clips with an offline recogniser (PocketSphinx) and says what share of the words it understood.

Its model was made from wide-band speech, so a telephone's 8 kHz cost it words that a person would understand: this
finds a clip that says something else, or nothing, and is no measure of quality. What it makes of the digits, told
apart by a grammar, is printed and decides nothing: without the band above 4 kHz it does not hear an s or an f.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from pocketsphinx import Decoder

AUDIO = Path(__file__).resolve().parents[2] / "callflows" / "audio"
LEAST_UNDERSTOOD = 0.4


def pcm(path: Path) -> bytes:
    """The clip as the recogniser wants it: 16 kHz, 16 bits, with some silence around."""
    command = ["sox", str(path), "-t", "raw", "-r", "16000", "-e", "signed", "-b", "16", "-", "pad", "0.3", "0.3"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def heard(decoder: Decoder, path: Path) -> list[str]:
    decoder.start_utt()
    decoder.process_raw(pcm(path), full_utt=True)
    decoder.end_utt()
    said = decoder.hyp()
    return said.hypstr.lower().split() if said else []


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", " ", text.lower().replace("-", " ")).split()


def common(a: list[str], b: list[str]) -> int:
    """The longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        previous = 0
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], previous + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def main() -> int:
    clips = json.loads((AUDIO / "en" / "manifest.json").read_text(encoding="utf-8"))["clips"]
    free, digits = Decoder(samprate=16000, loglevel="FATAL"), Decoder(samprate=16000, lm=None, loglevel="FATAL")
    names = [clip["spoken"] for clip in clips if re.fullmatch(r"[0-9]", clip["text"])]
    # Often a breath at the end is taken for one digit more; the first is what counts.
    digits.add_jsgf_string("digits", f"#JSGF V1.0;\ngrammar digits;\npublic <digits> = ({' | '.join(names)})+;\n")
    digits.activate_search("digits")
    total = understood = wrong_digits = 0
    for clip in clips:
        path = AUDIO / "en" / clip["file"]
        if clip["spoken"] in names:
            said = heard(digits, path)
            wrong_digits += said[:1] != [clip["spoken"]]
            print(f"{clip['spoken']:>10}: {' '.join(said)}")
            continue
        wanted, said = words(clip["spoken"]), heard(free, path)
        right = common(wanted, said)
        total, understood = total + len(wanted), understood + right
        print(f"{right:2}/{len(wanted):2} {clip['file']}: {' '.join(said)}")
    share = understood / max(total, 1)
    print(f"{understood} of {total} words understood ({share:.0%}); {wrong_digits} digits misheard")
    return 0 if share >= LEAST_UNDERSTOOD else 1


if __name__ == "__main__":
    sys.exit(main())
