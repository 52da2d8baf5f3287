"""What has to be rendered: the texts of the call flows, cut where their placeholders stand, and the words that stand in
no flow: digits, names of keys, who calls when nobody recorded a brand.

src/provider/sip/voice.rs looks clips up by the same keys: a piece of text without what is before its first letter or
digit and without white space at its ends. `make test` fails when a piece of a flow has no clip.
"""

import re
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

NAMESPACE = "{urn:ringproof:callflow:1}"
PLACEHOLDER = re.compile(r"\{[a-z_]+\}")

# The words that no flow holds. "brand" completes every sentence that has {brand} in it.
# Keys are spoken where a code or the last digits of a number are recited.
WORDS = {
    "en": {
        "brand": "your verification service",
        "0": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven",
        "8": "eight", "9": "nine", "*": "star", "#": "pound",
    },
    "en-GB": {"#": "hash"},
    "ja": {
        "brand": "本人確認サービス",
        "0": "ゼロ", "1": "イチ", "2": "ニー", "3": "サン", "4": "ヨン", "5": "ゴー", "6": "ロク", "7": "ナナ",
        "8": "ハチ", "9": "キュー", "*": "米印", "#": "シャープ",
    },
    "de": {
        "brand": "Ihr Bestätigungsdienst",
        "0": "null", "1": "eins", "2": "zwei", "3": "drei", "4": "vier", "5": "fünf", "6": "sechs", "7": "sieben",
        "8": "acht", "9": "neun", "*": "Stern", "#": "Raute",
    },
    "fr": {
        "brand": "votre service de vérification",
        "0": "zéro", "1": "un", "2": "deux", "3": "trois", "4": "quatre", "5": "cinq", "6": "six", "7": "sept",
        "8": "huit", "9": "neuf", "*": "étoile", "#": "dièse",
    },
    "es": {
        "brand": "su servicio de verificación",
        "0": "cero", "1": "uno", "2": "dos", "3": "tres", "4": "cuatro", "5": "cinco", "6": "seis", "7": "siete",
        "8": "ocho", "9": "nueve", "*": "asterisco", "#": "almohadilla",
    },
    "es-419": {"#": "numeral"},
    "pt": {
        "brand": "o seu serviço de verificação",
        "0": "zero", "1": "um", "2": "dois", "3": "três", "4": "quatro", "5": "cinco", "6": "seis", "7": "sete",
        "8": "oito", "9": "nove", "*": "asterisco", "#": "jogo da velha",
    },
    "pt-PT": {"#": "cardinal"},
    "it": {
        "brand": "il suo servizio di verifica",
        "0": "zero", "1": "uno", "2": "due", "3": "tre", "4": "quattro", "5": "cinque", "6": "sei", "7": "sette",
        "8": "otto", "9": "nove", "*": "asterisco", "#": "cancelletto",
    },
    "ko": {
        "brand": "본인 확인 서비스",
        "0": "영", "1": "일", "2": "이", "3": "삼", "4": "사", "5": "오", "6": "육", "7": "칠", "8": "팔", "9": "구",
        "*": "별표", "#": "우물 정자",
    },
    "zh-CN": {
        "brand": "您的身份验证服务",
        "0": "零", "1": "一", "2": "二", "3": "三", "4": "四", "5": "五", "6": "六", "7": "七", "8": "八", "9": "九",
        "*": "星号键", "#": "井号键",
    },
    "hi": {
        "brand": "आपकी सत्यापन सेवा",
        "0": "शून्य", "1": "एक", "2": "दो", "3": "तीन", "4": "चार", "5": "पाँच", "6": "छह", "7": "सात", "8": "आठ",
        "9": "नौ", "*": "तारा", "#": "हैश",
    },
}

FILES = {"*": "key-star", "#": "key-pound", "brand": "brand"}


@dataclass(frozen=True)
class Piece:
    """One thing to be rendered."""

    language: str  # the tag it is kept under
    key: str  # what it is looked up by: the text of a flow, a digit, `*`, `#`, `{brand}`
    spoken: str  # what the voice is given
    name: str  # the name of its file, without extension


def key_of(text: str) -> str:
    """The key of a piece of text; empty for one that says nothing."""
    start = next((i for i, c in enumerate(text) if c.isalnum()), len(text))
    return text[start:].strip()


def of_flows(folder: Path):
    """Language, text and preferred file name of every piece of every prompt of every flow."""
    for path in sorted(folder.glob("*.xml")):
        root = xml.parse(path).getroot()
        if root.tag != NAMESPACE + "callflow":
            continue
        for prompt in root.iter(NAMESPACE + "prompt"):
            name = prompt.get("id", "") + "".join(f".{prompt.get(a)}" for a in ("purpose",) if prompt.get(a))
            for text in prompt.iter(NAMESPACE + "text"):
                pieces = PLACEHOLDER.split(" ".join((text.text or "").split()))
                for number, piece in enumerate(pieces, 1):
                    if key_of(piece):
                        part = f".{number}" if len(pieces) > 1 else ""
                        yield text.get("lang", ""), key_of(piece), (name + part, f"{root.get('id')}.{name}{part}")


def of_apology(source: Path):
    """Language and text of what is said when no flow can be played. It stands in the program, not in a file."""
    table = source.read_text(encoding="utf-8").split("const APOLOGIES", 1)[1].split("];", 1)[0]
    for language, text in re.findall(r'\(\s*"([A-Za-z0-9-]+)",\s*"([^"]+)",?\s*\)', table):
        yield language, key_of(text), ("apology",)


def all_pieces(root: Path, complete: dict[str, str]) -> dict[str, list[Piece]]:
    """Every piece by language, each once. A tag of `complete` has its own clips of everything that the shorter tag
    says; any other longer tag only of what it says differently."""
    wanted: dict[str, dict[str, tuple[str, ...]]] = {}
    for language, key, names in [
        *of_flows(root / "callflows"),
        *of_apology(root / "src/callflow/apology.rs"),
    ]:
        wanted.setdefault(language, {}).setdefault(key, names)
    # A longer tag says what its shorter one says, where it has no text of its own. What the flows say of it is enough:
    # a text of the shorter tag that is never heard in the longer one would only cost room.
    for language, base in complete.items():
        for key, names in said_in(root, language, base).items():
            wanted.setdefault(language, {}).setdefault(key, names)
    result = {}
    for language, texts in wanted.items():
        base = language.split("-")[0]
        shared = wanted.get(base, {}) if base != language and language not in complete else {}
        words = dict(WORDS.get(language, {}))
        if language in complete:
            words = {**WORDS[complete[language]], **words}
        pieces, taken = [], set()
        for word, spoken in words.items():
            name = FILES.get(word, f"digit-{word}")
            taken.add(name)
            pieces.append(Piece(language, "{brand}" if word == "brand" else word, spoken, name))
        for key, names in texts.items():
            if key in shared:
                continue
            name = next((n for n in names if n not in taken), None) or f"{names[-1]}-{len(taken)}"
            taken.add(name)
            pieces.append(Piece(language, key, key, name))
        result[language] = pieces
    return result


def said_in(root: Path, language: str, base: str) -> dict[str, tuple[str, ...]]:
    """What `base` says in prompts that have no text in `language`."""
    said: dict[str, tuple[str, ...]] = {}
    for path in sorted((root / "callflows").glob("*.xml")):
        flow = xml.parse(path).getroot()
        if flow.tag != NAMESPACE + "callflow":
            continue
        for prompt in flow.iter(NAMESPACE + "prompt"):
            texts = {text.get("lang"): " ".join((text.text or "").split()) for text in prompt.iter(NAMESPACE + "text")}
            if language in texts or base not in texts:
                continue
            name = prompt.get("id", "") + (f".{prompt.get('purpose')}" if prompt.get("purpose") else "")
            pieces = PLACEHOLDER.split(texts[base])
            for number, piece in enumerate(pieces, 1):
                if key_of(piece):
                    part = f".{number}" if len(pieces) > 1 else ""
                    said.setdefault(key_of(piece), (name + part, f"{flow.get('id')}.{name}{part}"))
    for tag, key, names in of_apology(root / "src/callflow/apology.rs"):
        if tag == base:
            said.setdefault(key, names)
    return said
