"""Records the pictures of the documentation: `make pictures`, or `python -m docs.pictures.record NAME… [--png DIR]`.

Each scenario is typed into the real shell. What is seen goes to docs/pictures/NAME.svg, moving; with `--png` the last
frame goes to DIR/NAME.png, too, and with `--every` each of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from docs.pictures.scenarios import SCENARIOS
from docs.pictures.screens import screens
from docs.pictures.svg import animated

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    known = {scenario.name: scenario for scenario in SCENARIOS}
    parser = argparse.ArgumentParser(description="Record pictures of the shell.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all without one")
    parser.add_argument("--png", type=Path, metavar="DIR", help="write the last frame to DIR, too")
    parser.add_argument("--every", action="store_true", help="write every frame that is looked at for a second")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    for name in arguments.names or known:
        frames = screens(known[name])
        (FOLDER / f"{name}.svg").write_text(animated(frames))
        if arguments.png:
            from docs.pictures.png import png  # Pillow is for those who want PNG

            arguments.png.mkdir(parents=True, exist_ok=True)
            for number, frame in enumerate(frames):
                if frame is frames[-1] or (arguments.every and frame.seconds >= 1):
                    end = f"-{number:03}" if arguments.every else ""
                    (arguments.png / f"{name}{end}.png").write_bytes(png(frame))
        print(f"{name}: {len(frames)} frames, {sum(frame.seconds for frame in frames):.0f} s")


if __name__ == "__main__":
    main()
