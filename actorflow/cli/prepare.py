"""From the words of `actorflow train` to what is trained; mistakes are found before it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actorflow import random
from actorflow.cli.curve import check_curve
from actorflow.cli.job import Job
from actorflow.cli.sources import find_source
from actorflow.device import cpu
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
    import argparse

    from actorflow.cli.sources import Source
    from actorflow.symbol import Symbol

__all__ = ["prepare"]

_WITH_MOMENTUM: Final = {"sgd", "ccsgd", "nag"}
_DEFAULTS: Final = {"learning_rate": 0.05, "momentum": 0.9}  # of those


def prepare(parsed: argparse.Namespace) -> Job:
    """Check what the command line says, and make what it names.

    Raises:
      ParameterError: a word is none of those that are known, or does not go with another.
      OSError, FormatError: a file or a folder is not there, or holds something else.
      MissingExtraError: something is needed that is not installed.
    """
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
    return Job(
        module=module,
        data=data,
        held_out=held_out,
        rule=rule,
        begin_epoch=begin_epoch,
        writer=writer,
        style=_style(parsed),
        options=parsed,
    )


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
