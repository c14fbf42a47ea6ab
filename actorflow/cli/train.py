"""`actorflow train`: train a network on data, from the command line."""

from __future__ import annotations

import argparse
from typing import Any, Final

from actorflow.device import Context, cpu, gpu
from actorflow.ops import meant

__all__ = ["add_parser"]

_EPILOG: Final = """\
`actorflow train --network lenet --data digits` trains on handwritten digits that come with the
extra `examples`. With --checkpoint PREFIX, the same command with --resume goes on behind the last
epoch that was finished. The exit status is 2 for mistakes, 130 after Ctrl-C.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401 -- argparse has no public type for it
    """Add the subcommand to those of argparse."""
    parser = commands.add_parser(
        "train",
        help="train a network on data",
        usage="%(prog)s --network NAME --data WHAT [options]",
        description="Train a network, show how it goes, and write checkpoints, curves and numbers.",
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    _add_what(parser.add_argument_group("what to train"))
    _add_how(parser.add_argument_group("how to train"))
    _add_results(parser.add_argument_group("what to show and to write"))


def run(parsed: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status."""
    # Here, since it takes longer to import than other commands take.
    from actorflow.cli.job import run_job  # noqa: PLC0415
    from actorflow.cli.prepare import prepare  # noqa: PLC0415

    return run_job(prepare(parsed))


def _add_what(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--network",
        metavar="NAME",
        help="mlp, lenet, resnet, or a symbol file that ends in .json; --resume takes that of the "
        "checkpoint",
    )
    add(
        "--data",
        required=True,
        metavar="WHAT",
        help="digits; mnist:FOLDER with MNIST's four files; FILE.rec; FILE.csv, whose lines begin "
        "with the class; or FILE.npz with the arrays data and label",
    )
    add("--eval", metavar="WHAT", help="likewise, what is held out; digits and mnist bring some")
    add("--shape", type=_shape, metavar="C,H,W", help="of an example, where the file has rows")
    add("--num-classes", type=_positive, help="if the data does not tell")
    add("--metric", default="acc", help="what is said of the batches (default: acc)")


def _add_how(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--epochs", type=_positive, default=10, help="times through the data (default: 10)")
    add("--batch-size", type=_positive, default=64, help="examples of a step (default: 64)")
    add("--optimizer", default="sgd", help="sgd, adam or another one (default: sgd)")
    add("--lr", type=float, help="learning rate (default: 0.05 of sgd and nag, else its own)")
    add("--momentum", type=float, help="(default: 0.9 of sgd and nag)")
    add("--wd", type=float, help="weight decay")
    add("--lr-factor", type=float, help="what the rate is multiplied by at each --lr-step")
    add(
        "--lr-step",
        type=_counts,
        metavar="N[,N...]",
        help="after every so many updates; or, with several numbers, after each of these",
    )
    where = group.add_mutually_exclusive_group()
    where.add_argument("--gpus", type=_gpus, metavar="0,1", help="numbers of GPUs")
    where.add_argument(
        "--contexts", type=_contexts, metavar="cpu,cpu", help="devices that share each batch"
    )
    add("--kvstore", default="local", help="where gradients of several contexts meet")
    add("--seed", type=int, default=0, help="of all random numbers (default: 0)")


def _add_results(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--checkpoint", metavar="PREFIX", help="write PREFIX-0001.params and so on, an epoch each")
    add(
        "--resume",
        nargs="?",
        const=0,
        type=_positive,
        metavar="EPOCH",
        help="go on behind that epoch, or the last one, of --checkpoint",
    )
    add("--curve", metavar="FILE.png", help="draw the metric over epochs and time (matplotlib)")
    add("--tensorboard", metavar="FOLDER", help="write event files (tensorboardX)")
    how = group.add_mutually_exclusive_group()
    how.add_argument("--quiet", action="store_true", help="say nothing but errors")
    how.add_argument("--json", action="store_true", help="a line of JSON for each epoch")
    add("--debug", action="store_true", help="show where errors come from")


def _positive(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; needs an integer of at least 1")
    return int(text)


def _counts(text: str) -> list[int]:
    return [_positive(each) for each in text.split(",")]


def _shape(text: str) -> tuple[int, ...]:
    return tuple(_counts(text))


def _gpus(text: str) -> list[Context]:
    numbers = [each.strip() for each in text.split(",")]
    if not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r}; needs numbers of GPUs, such as 0,1")
    return [gpu(int(number)) for number in numbers]


def _contexts(text: str) -> list[Context]:
    """`cpu,cpu` is cpu(0) and cpu(1); `cpu:3` is that one."""
    makers = {"cpu": cpu, "gpu": gpu}
    found: list[Context] = []
    for each in text.split(","):
        name, colon, number = each.strip().partition(":")
        if name not in makers or (colon and not number.isdecimal()):
            hint = meant(name, list(makers)) if name not in makers else "needs cpu or cpu:NUMBER"
            raise argparse.ArgumentTypeError(f"{each!r} is no context; {hint}")
        before = sum(context.device_type == name for context in found)
        found.append(makers[name](int(number) if colon else before))
    return found
