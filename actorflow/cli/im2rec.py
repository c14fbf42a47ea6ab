"""`actorflow im2rec`: images to record files, with the options of MXNet's program of that name."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

from actorflow.cli.listing import make_lists
from actorflow.cli.packing import Packing, pack_list
from actorflow.errors import FormatError

__all__ = ["add_parser"]

_EPILOG: Final = """\
First `actorflow im2rec --list --recursive data/cats photos/` writes data/cats.lst, then
`actorflow im2rec --resize 256 data/cats photos/` writes data/cats.rec and data/cats.idx. Killed or
interrupted, the same command goes on where it was. The exit status is 1 if an image could not be
read, and was left out.
"""
_DEFAULT_QUALITY: Final = {".jpg": 95, ".png": 3}
_QUALITIES: Final = {".jpg": range(1, 101), ".png": range(10)}


def add_parser(commands: Any) -> None:  # noqa: ANN401 -- argparse has no public type for it
    """Add the subcommand to those of argparse."""
    parser = commands.add_parser(
        "im2rec",
        help="make lists of images, and record files from lists",
        description="Make a list of images, or a record file from a list.",
        epilog=_EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("prefix", help="PREFIX.lst is the list, PREFIX.rec and .idx the result")
    parser.add_argument("root", help="the folder with the images")
    _add_list_options(parser.add_argument_group("making lists"))
    _add_record_options(parser.add_argument_group("making record files"))


def run(parsed: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status."""
    if parsed.list:
        for path, count in make_lists(
            parsed.prefix,
            parsed.root,
            recursive=parsed.recursive,
            exts=parsed.exts,
            shuffle=parsed.shuffle,
            seed=parsed.seed,
            chunks=parsed.chunks,
            train_ratio=parsed.train_ratio,
            test_ratio=parsed.test_ratio,
        ):
            print(f"{path}: {count} images")
        return 0
    options = _packing(parsed)
    parts = range(parsed.nsplit) if parsed.part is None else [parsed.part]
    skipped = 0
    for path in _lists(parsed.prefix):
        for part in parts:
            skipped += pack_list(
                path,
                options,
                threads=parsed.num_thread,
                nsplit=parsed.nsplit,
                part=part,
                progress=parsed.progress,
            )
    return 1 if skipped else 0


def _packing(parsed: argparse.Namespace) -> Packing:
    """The options that decide what a record holds, checked."""
    allowed = _QUALITIES[parsed.encoding]
    quality = _DEFAULT_QUALITY[parsed.encoding] if parsed.quality is None else parsed.quality
    if quality not in allowed:
        raise ValueError(
            f"--quality {quality} with --encoding {parsed.encoding}; "
            f"needs {allowed[0]} to {allowed[-1]}"
        )
    if parsed.part is not None and not 0 <= parsed.part < parsed.nsplit:
        raise ValueError(f"--part {parsed.part} of --nsplit {parsed.nsplit}; needs 0 to nsplit - 1")
    remote = "://" in parsed.root
    if not remote and not Path(parsed.root).is_dir():
        raise ValueError(f"the root {parsed.root} is no folder")
    return Packing(
        root=parsed.root if remote else os.path.abspath(parsed.root),  # noqa: PTH100 -- keeps links
        resize=parsed.resize,
        center_crop=parsed.center_crop,
        quality=quality,
        color=parsed.color,
        encoding=parsed.encoding,
        pass_through=parsed.pass_through,
        reencode=parsed.reencode,
        pack_label=parsed.pack_label,
    )


def _lists(prefix: str) -> list[Path]:
    """The lists that `--list` made with this prefix, or else all in the folder of that name."""
    path = Path(prefix)
    if path.suffix == ".lst":
        found = [path] if path.exists() else []
    else:
        name = re.compile(re.escape(path.name) + r"(_\d+)?(_(train|val|test))?\.lst")
        found = sorted(p for p in path.parent.glob("*.lst") if name.fullmatch(p.name))
        found = found or sorted(path.glob("*.lst"))
    if not found:
        raise FormatError(f"no list for the prefix {prefix}; `--list` makes one")
    return found


def _add_list_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--list", action="store_true", help="make a list of the images below ROOT, no record file")
    add(
        "--exts",
        nargs="+",
        type=_extension,
        default=[".jpeg", ".jpg", ".png"],
        help="how the names of images end, in small or capital letters",
    )
    add("--chunks", type=_positive, default=1, help="how many lists to make: PREFIX_0.lst, ...")
    add("--train-ratio", type=_ratio, default=1.0, help="share of the images in PREFIX_train.lst")
    add("--test-ratio", type=_ratio, default=0.0, help="share of the images in PREFIX_test.lst")
    add(
        "--recursive",
        action="store_true",
        help="go into folders; each is a label. Otherwise images in ROOT itself, with label 0",
    )
    add(
        "--shuffle",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the list is in a random order",
    )
    add("--seed", type=int, default=100, help="decides the random order")


def _add_record_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    how = group.add_mutually_exclusive_group()
    how.add_argument(
        "--pass-through",
        "--unchanged",
        action="store_true",
        help="take the files as they are, whatever they are",
    )
    how.add_argument(
        "--reencode",
        action="store_true",
        help="encode every image again, also a JPEG that is already as the options ask for",
    )
    add(
        "--resize",
        type=_not_negative,
        default=0,
        help="pixels of the shorter side in the result; 0 leaves the size",
    )
    add("--center-crop", action="store_true", help="cut out the square in the middle, then resize")
    add(
        "--quality", type=int, help="JPEG: 1 to 100, usually 95; PNG: compression 0 to 9, usually 3"
    )
    add(
        "--num-thread",
        "--num_thread",
        type=_positive,
        default=len(os.sched_getaffinity(0)),
        help="how many images to work on at a time; the result does not depend on it",
    )
    add(
        "--color",
        type=int,
        default=1,
        choices=[-1, 0, 1],
        help="1: colour, 0: grey, -1: as it is, with transparency",
    )
    add("--encoding", default=".jpg", choices=[".jpg", ".png"], help="of the images in the result")
    add("--pack-label", action="store_true", help="keep all labels of a line, not just the first")
    add("--nsplit", type=_positive, default=1, help="into how many record files to split each list")
    add("--part", type=int, help="make only this one of them, from 0")
    add(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=sys.stderr.isatty(),
        help="whether to show how far it is",
    )


def _extension(text: str) -> str:
    """As `find_images` compares them, whether `jpg`, `.jpg` or `.JPG` was given."""
    return "." + text.lower().removeprefix(".")


def _positive(text: str) -> int:
    return _at_least(text, 1)


def _not_negative(text: str) -> int:
    return _at_least(text, 0)


def _at_least(text: str, least: int) -> int:
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(f"{value}; needs {least} at least")
    return value


def _ratio(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{value}; needs 0 to 1")
    return value
