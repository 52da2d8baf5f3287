"""From what a voice renders to what a telephone plays: 8 kHz, mono, mu-law, in a WAV file; and the checks of it."""

import struct
import subprocess

import numpy as np

RATE = 8_000
PEAK_DBFS = -3.0
HIGH_PASS_HZ = 200
# Below this, relative to the loudest part, is silence before and after speech.
SILENCE_DB = -45.0
KEPT_AROUND_S = 0.04
FADE_S = 0.004
LONGEST_S = 12.0
# Changes whenever this file changes what it makes: everything is rendered anew then.
VERSION = 1


def processed(audio: np.ndarray, rate: int) -> np.ndarray:
    """High-pass, 8 kHz, trimmed, loudest sample at -3 dBFS."""
    raw = np.clip(audio, -1, 1).astype("<f4").tobytes()
    command = ["sox", "-D", "-t", "f32", "-r", str(rate), "-c", "1", "-", "-t", "f32", "-c", "1", "-"]
    effects = ["gain", "-6", "highpass", str(HIGH_PASS_HZ), "rate", "-h", str(RATE)]
    out = subprocess.run(command + effects, input=raw, check=True, capture_output=True).stdout
    audio = np.frombuffer(out, dtype="<f4").astype(np.float64)
    audio = trimmed(audio)
    peak = np.max(np.abs(audio)) if len(audio) else 0.0
    if peak <= 0:
        raise ValueError("the voice said nothing")
    audio = audio * (10 ** (PEAK_DBFS / 20) / peak)
    fade = int(FADE_S * RATE)
    audio[:fade] *= np.linspace(0, 1, fade)
    audio[-fade:] *= np.linspace(1, 0, fade)
    return audio


def trimmed(audio: np.ndarray) -> np.ndarray:
    window = RATE // 100
    frames = len(audio) // window
    power = np.sqrt(np.mean(audio[: frames * window].reshape(frames, window) ** 2, axis=1))
    loud = np.where(power > np.max(power) * 10 ** (SILENCE_DB / 20))[0]
    kept = int(KEPT_AROUND_S * RATE)
    return audio[max(0, loud[0] * window - kept) : min(len(audio), (loud[-1] + 1) * window + kept)].copy()


def to_mulaw(audio: np.ndarray) -> np.ndarray:
    """ITU-T G.711 mu-law of samples between -1 and 1."""
    pcm = np.round(audio * 32767).astype(np.int32)
    sign = np.where(pcm < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(pcm), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)


def from_mulaw(code: np.ndarray) -> np.ndarray:
    code = ~code.astype(np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << ((code >> 4) & 7)) - 132
    return np.where(code & 0x80, -magnitude, magnitude) / 32768


def wav(mulaw: np.ndarray) -> bytes:
    """A WAV file of mu-law samples (format tag 7)."""
    data = mulaw.tobytes() + b"\xff" * (len(mulaw) % 2)
    form = struct.pack("<HHIIHHH", 7, 1, RATE, RATE, 1, 8, 0)
    fact = struct.pack("<I", len(mulaw))
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + b"fact" + struct.pack("<I", 4) + fact
    body += b"data" + struct.pack("<I", len(mulaw)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def measured(mulaw: np.ndarray) -> dict:
    """Duration, peak, and how loud it is where it is loud."""
    audio = from_mulaw(mulaw)
    frames = len(audio) // 160
    power = np.sqrt(np.mean(audio[: frames * 160].reshape(frames, 160) ** 2, axis=1))
    speech = power[power > max(np.max(power) * 0.05, 1e-6)]
    decibel = lambda x: round(20 * float(np.log10(max(x, 1e-9))), 1)  # noqa: E731
    return {
        "duration_ms": round(len(mulaw) * 1000 / RATE),
        "peak_dbfs": decibel(np.max(np.abs(audio))),
        "speech_dbfs": decibel(np.sqrt(np.mean(speech**2))) if len(speech) else -90.0,
        "speech_ms": int(len(speech) * 20),
    }


def faults(mulaw: np.ndarray) -> list[str]:
    """What is wrong with a clip, if anything."""
    found, values = [], measured(mulaw)
    if values["duration_ms"] > LONGEST_S * 1000:
        found.append(f"longer than {LONGEST_S:.0f} s")
    if values["peak_dbfs"] > -0.5:
        found.append("clipped")
    if values["speech_ms"] < 60 or values["speech_dbfs"] < -35:
        found.append("silent")
    return found
