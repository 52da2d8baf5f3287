"""`make prompts`: renders what has changed, and removes what nobody says any more.

    render.py [--only LANGUAGE,…] [--list]
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import sound
import texts
import voices

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "callflows" / "audio"
LARGEST_BYTES = 12_000_000


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--only", default="", help="languages, separated by commas")
    arguments.add_argument("--list", action="store_true", help="say what would be rendered")
    arguments.add_argument("--cache", type=Path, default=ROOT / "target" / "prompts")
    options = arguments.parse_args()
    only = set(filter(None, options.only.split(",")))
    wanted = texts.all_pieces(ROOT, voices.COMPLETE)
    by_language = voices.voices(options.cache)
    if unknown := [language for language in wanted if language not in by_language]:
        print(f"no voice for {', '.join(unknown)}: add one to scripts/prompts/voices.py", file=sys.stderr)
        return 1
    broken = 0
    for language, pieces in wanted.items():
        if not only or language in only:
            broken += render(language, pieces, by_language[language], options.list)
    if not options.list and not only:
        for folder in OUT.iterdir():
            if folder.is_dir() and folder.name not in wanted:
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()
    if not options.list:
        embed(sorted(wanted))
    size = sum(path.stat().st_size for path in OUT.rglob("*.wav"))
    print(f"{size / 1e6:.1f} MB in all")
    if size > LARGEST_BYTES:
        print(f"more than {LARGEST_BYTES / 1e6:.0f} MB", file=sys.stderr)
        broken += 1
    return 1 if broken else 0


def render(language: str, pieces: list[texts.Piece], voice, only_list: bool) -> int:
    folder = OUT / language
    manifest = folder / "manifest.json"
    known = {}
    if manifest.exists():
        known = {clip["file"]: clip for clip in json.loads(manifest.read_text(encoding="utf-8"))["clips"]}
    clips, broken = [], 0
    for piece in pieces:
        file = f"{piece.name}.wav"
        source = "\n".join([piece.spoken, voice.voice, voice.engine, str(sound.VERSION)])
        source = hashlib.sha256(source.encode()).hexdigest()[:16]
        clip = known.get(file)
        path = folder / file
        if not (clip and clip["source"] == source and clip["text"] == piece.key and intact(path, clip["sha256"])):
            if only_list:
                print(f"{language}/{file}: {piece.spoken}")
                continue
            audio, rate = voice.say(piece.spoken)
            mulaw = sound.to_mulaw(sound.processed(audio, rate))
            if faults := sound.faults(mulaw):
                print(f"{language}/{file}: {', '.join(faults)}: {piece.spoken}", file=sys.stderr)
                broken += 1
            wav = sound.wav(mulaw)
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wav)
            clip = {
                "file": file, "text": piece.key, "spoken": piece.spoken, "source": source,
                "duration_ms": sound.measured(mulaw)["duration_ms"], "sha256": hashlib.sha256(wav).hexdigest(),
            }
            print(f"{language}/{file} {clip['duration_ms'] / 1000:.1f} s", flush=True)
        clips.append(clip)
        if not only_list:
            write(manifest, language, voice, clips + [c for f, c in known.items() if f not in {c["file"] for c in clips}])
    if only_list:
        return broken
    write(manifest, language, voice, clips)
    keep = {clip["file"] for clip in clips} | {"manifest.json"}
    for path in folder.iterdir():
        if path.name not in keep:
            path.unlink()
    return broken


def write(manifest: Path, language: str, voice, clips: list[dict]) -> None:
    head = {"language": language, "voice": voice.voice, "engine": voice.engine}
    lines = ",\n".join("    " + json.dumps(clip, ensure_ascii=False) for clip in clips)
    text = json.dumps(head, ensure_ascii=False, indent=2)[:-2] + f',\n  "clips": [\n{lines}\n  ]\n}}\n'
    manifest.write_text(text, encoding="utf-8")


def embed(languages: list[str]) -> None:
    """The table that is compiled into the program."""
    rows = ["// Made by `make prompts`: what is compiled in, by language and file name.", "&["]
    for language in languages:
        files = sorted(path.name for path in (OUT / language).glob("*.wav"))
        rows.append(f'    ("{language}", include_str!("{language}/manifest.json"), &[')
        rows += [f'        ("{file}", include_bytes!("{language}/{file}")),' for file in files]
        rows.append("    ]),")
    (OUT / "embedded.in").write_text("\n".join([*rows, "]", ""]), encoding="utf-8")


def intact(path: Path, checksum: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == checksum


if __name__ == "__main__":
    sys.exit(main())
