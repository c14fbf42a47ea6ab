"""`actorflow train`: train a network on data, from the command line."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actorflow import random
from actorflow.cli.curve import check_curve
from actorflow.cli.job import Job, run_job
from actorflow.cli.sources import find_source
from actorflow.device import Context, cpu, gpu
from actorflow.errors import ParameterError
from actorflow.kvstore import create as create_store
from actorflow.ops import meant
from actorflow.optimizer import FactorScheduler, MultiFactorScheduler, create as create_optimizer
from actorflow.symbol import load_symbol
from actorflow.training import metric as metrics
from actorflow.training.module import Module
from actorflow.training.networks import NETWORKS
from actorflow.training.tensorboard import summary_writer

if TYPE_CHECKING:
    from actorflow.cli.sources import Source
    from actorflow.symbol import Symbol

__all__ = ["add_parser"]

_EPILOG: Final = """\
`actorflow train --network lenet --data digits` trains on handwritten digits that come with the
extra `examples`. With --checkpoint PREFIX, the same command with --resume goes on behind the last
epoch that was finished. The exit status is 2 for mistakes, 130 after Ctrl-C.
"""
_WITH_MOMENTUM: Final = {"sgd", "ccsgd", "nag"}
_DEFAULTS: Final = {"learning_rate": 0.05, "momentum": 0.9}  # of those


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
    rule = _rule(parsed)
    metrics.create(parsed.metric)
    if parsed.curve is not None:
        check_curve(parsed.curve)
    if not parsed.kvstore.startswith("dist"):  # those meet others when they are made
        create_store(parsed.kvstore)
    begin_epoch = _begin_epoch(parsed)
    data = find_source("--data", parsed.data, parsed.shape)
    held_out = data.held_out
    if parsed.eval is not None:
        held_out = find_source("--eval", parsed.eval, parsed.shape)
    random.seed(parsed.seed)
    module = _module(parsed, data, begin_epoch)
    writer = None
    if parsed.tensorboard is not None:
        writer = summary_writer("--tensorboard", parsed.tensorboard)
    job = Job(
        module=module,
        data=data,
        held_out=held_out,
        rule=rule,
        begin_epoch=begin_epoch,
        writer=writer,
        style=_style(parsed),
        options=parsed,
    )
    return run_job(job)


def _module(parsed: argparse.Namespace, data: Source, begin_epoch: int) -> Module:
    """The network, new or from a checkpoint."""
    contexts = parsed.contexts or parsed.gpus or [cpu()]
    if parsed.resume is not None:
        return Module.load(
            parsed.checkpoint, begin_epoch, load_optimizer_states=True, context=contexts
        )
    return Module(_network(parsed, data), context=contexts)


def _network(parsed: argparse.Namespace, data: Source) -> Symbol:
    name = parsed.network
    if name is None:
        raise ParameterError("--network is missing; needs a name or a symbol .json file")
    if name.endswith(".json"):
        return load_symbol(name)
    if name not in NETWORKS:
        hint = meant(name, sorted(NETWORKS))
        raise ParameterError(f"--network: there is none called {name!r}; {hint}")
    if name != "mlp" and len(data.shape) != 3:  # noqa: PLR2004 -- channels, height, width
        raise ParameterError(
            f"--network {name} needs images, --data {parsed.data} has examples of shape "
            f"{data.shape}; --shape CHANNELS,HEIGHT,WIDTH says how they are images"
        )
    classes = parsed.num_classes or data.num_classes
    if classes is None:
        raise ParameterError(f"--data {parsed.data} needs --num-classes with --network {name}")
    return NETWORKS[name](classes)


def _rule(parsed: argparse.Namespace) -> dict[str, Any]:
    """What the optimizer is made with, checked."""
    rule: dict[str, Any] = {
        "learning_rate": parsed.lr,
        "momentum": parsed.momentum,
        "wd": parsed.wd,
    }
    rule = {name: value for name, value in rule.items() if value is not None}
    if parsed.optimizer.lower() in _WITH_MOMENTUM:
        rule = _DEFAULTS | rule
    if parsed.lr_step is not None:
        make: Any = FactorScheduler if len(parsed.lr_step) == 1 else MultiFactorScheduler
        step = parsed.lr_step[0] if len(parsed.lr_step) == 1 else parsed.lr_step
        rule["lr_scheduler"] = make(step=step, factor=parsed.lr_factor)
    elif parsed.lr_factor is not None:
        raise ParameterError(f"--lr-factor {parsed.lr_factor} needs --lr-step: after what?")
    create_optimizer(parsed.optimizer, **rule)
    return rule


def _begin_epoch(parsed: argparse.Namespace) -> int:
    """Behind which epoch to go on; 0 for a new run."""
    if parsed.checkpoint is None:
        if parsed.resume is not None:
            raise ParameterError("--resume needs --checkpoint PREFIX: the files to go on from")
        return 0
    prefix = Path(parsed.checkpoint)
    if not prefix.absolute().parent.is_dir():
        raise NotADirectoryError(20, "--checkpoint: no such folder", str(prefix.parent))
    found = _checkpoints(prefix)
    if parsed.resume is None:
        if found:
            # Else an interrupted run would go on from the last epoch of another one.
            raise ParameterError(
                f"--checkpoint {prefix}: there are checkpoints up to epoch {found[-1]}; "
                "--resume goes on from them, another prefix leaves them alone"
            )
        return 0
    if not found:
        raise FileNotFoundError(2, "--resume: no checkpoint to go on from", f"{prefix}-0001.states")
    epoch: int = parsed.resume or found[-1]
    if epoch not in found:
        said = ", ".join(map(str, found))
        raise ParameterError(f"--resume {epoch}: no checkpoint of that epoch; there are {said}")
    if epoch >= parsed.epochs:
        raise ParameterError(
            f"--resume: {prefix}-{epoch:04d}.params has {epoch} epochs behind it, "
            f"and --epochs {parsed.epochs} asks for no more"
        )
    return epoch


def _checkpoints(prefix: Path) -> list[int]:
    """The epochs whose files are there; that of the optimizer's states is written last."""
    name = re.compile(re.escape(prefix.name) + r"-(\d{4,})\.states")
    return sorted(
        int(match[1])
        for path in prefix.parent.glob("*.states")
        if (match := name.fullmatch(path.name)) and path.with_suffix(".params").exists()
    )


def _style(parsed: argparse.Namespace) -> str:
    if parsed.json:
        return "json"
    if parsed.quiet:
        return "quiet"
    return "live" if sys.stderr.isatty() else "plain"


def _add_what(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    names = ", ".join(NETWORKS)
    add(
        "--network",
        metavar="NAME",
        help=f"{names}, or a symbol file that ends in .json; --resume takes that of the checkpoint",
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
