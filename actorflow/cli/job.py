"""A run of `actorflow train`: epochs in a task, which Ctrl-C ends between two messages."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from actorflow.callback import module_checkpoint
from actorflow.cli.curve import draw_curve
from actorflow.cli.display import Display
from actorflow.training.initializer import Xavier

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from actorflow.cli.sources import Source
    from actorflow.io import DataIter
    from actorflow.training.module import Module
    from actorflow.training.report import Report

__all__ = ["Job", "run_job"]

_INTERRUPTED: Final = 130  # what shells give for Ctrl-C


@attrs.define
class Job:
    """What is trained, and what became of it.

    Attributes:
      module: the network.
      data, held_out: where batches come from.
      rule: what the optimizer is made with.
      begin_epoch: the first epoch.
      writer: of event files; None for none.
      style: how it is shown, see `Display`.
      options: the command line.
      reports: those of the epochs that have ended.
      saved: the epoch behind which the last checkpoint was written; 0 without one.
      interrupted: whether somebody pressed Ctrl-C.
    """

    module: Module
    data: Source
    held_out: Source | None
    rule: dict[str, Any]
    begin_epoch: int
    writer: Any
    style: str
    options: argparse.Namespace
    reports: list[Report] = attrs.field(factory=list)
    saved: int = attrs.field(init=False)
    interrupted: bool = False

    def __attrs_post_init__(self) -> None:
        self.saved = self.begin_epoch

    def note_saved(self, epoch: int, *_parameters: object) -> None:
        """Be called behind what has written a checkpoint, with the epoch, from 0 on."""
        self.saved = epoch + 1


def run_job(job: Job) -> int:
    """Train, say how it went, and draw the curve; return the exit status."""
    failure = trio.run(_watched, job)
    if job.options.curve is not None and job.reports:
        draw_curve(job.options.curve, _title(job), job.reports)
    if failure is not None:
        raise failure
    if job.interrupted:
        epoch = job.begin_epoch + len(job.reports) + 1
        print(f"actorflow train: interrupted in epoch {epoch}; {_kept(job)}", file=sys.stderr)
        return _INTERRUPTED
    if job.style == "json":
        files = {"checkpoint": _last_checkpoint(job), "curve": job.options.curve}
        print(json.dumps({"done": True, "epochs": job.options.epochs, **files}), flush=True)
    elif job.style != "quiet":
        for what, path in (("checkpoint", _last_checkpoint(job)), ("curve", job.options.curve)):
            if path is not None:
                print(f"{what}: {path}")
    return 0


async def _watched(job: Job) -> Exception | None:
    """Train until it is over or somebody presses Ctrl-C; return what went wrong."""
    failure = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch, job, nursery.cancel_scope)
        try:
            await _train(job)
        except Exception as error:  # noqa: BLE001 -- raised by the caller, without a group around
            failure = error
        nursery.cancel_scope.cancel()
    return failure


async def _watch(job: Job, scope: trio.CancelScope, task_status: Any = None) -> None:  # noqa: ANN401
    """End the run at the first Ctrl-C. The next one ends the process, whatever it does."""
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            job.interrupted = True
            break
    scope.cancel()


async def _train(job: Job) -> None:
    options = job.options
    data = job.data.open(options.batch_size, True, options.seed)  # noqa: FBT003 -- shuffled
    held_out = None
    if job.held_out is not None:
        held_out = job.held_out.open(options.batch_size, False, options.seed)  # noqa: FBT003
    try:
        for _ in range(job.begin_epoch):
            data.reset()  # the number of the epoch decides the order
        await _epochs(job, data, held_out)
    finally:
        data.close()
        if held_out is not None:
            held_out.close()
        if job.writer is not None:
            job.writer.close()


async def _epochs(job: Job, data: DataIter, held_out: DataIter | None) -> None:
    options = job.options
    num_batches = None
    if job.data.num_rows is not None:
        num_batches = -(-job.data.num_rows // options.batch_size)
    save: list[Callable[..., object]] = []
    if options.checkpoint is not None:
        write = module_checkpoint(job.module, options.checkpoint, save_optimizer_states=True)
        save = [write, job.note_saved]
    with Display(options.epochs, job.begin_epoch, num_batches, job.style) as display:
        if job.begin_epoch:
            display.say(f"goes on from {_checkpoint(job, job.begin_epoch)}")
        run = job.module.fit_async(
            data,
            eval_data=held_out,
            eval_metric=options.metric,
            validation_metric=options.metric,
            epoch_end_callback=save,
            batch_end_callback=display,
            kvstore=options.kvstore,
            optimizer=options.optimizer,
            optimizer_params=job.rule,
            initializer=Xavier(factor_type="in", magnitude=2.34),
            begin_epoch=job.begin_epoch,
            num_epoch=options.epochs,
        )
        try:
            async for report in run:
                job.reports.append(report)
                display.epoch(report)
                _write_events(job, report)
        finally:
            await run.aclose()


def _write_events(job: Job, report: Report) -> None:
    if job.writer is None:
        return
    values = {f"training/{name}": value for name, value in report.metric}
    values |= {f"held_out/{name}": value for name, value in report.validation}
    values |= {
        "speed/samples_per_second": report.speed,
        "starved/data": report.data,
        "starved/communication": report.communication,
        "starved/engine": report.engine,
    }
    for name, value in values.items():
        job.writer.add_scalar(name, value, report.epoch + 1)
    job.writer.flush()


def _checkpoint(job: Job, epoch: int) -> str:
    return f"{job.options.checkpoint}-{epoch:04d}.params"


def _last_checkpoint(job: Job) -> str | None:
    return _checkpoint(job, job.saved) if job.saved else None


def _kept(job: Job) -> str:
    if job.options.checkpoint is None:
        return "nothing was kept: --checkpoint PREFIX writes what --resume goes on from"
    last = _last_checkpoint(job)
    if last is None:
        return "no epoch has ended, so there is no checkpoint yet"
    return f"the last checkpoint is {last}: the same command with --resume goes on"


def _title(job: Job) -> str:
    name = job.options.network or job.options.checkpoint
    return f"{Path(name).name} on {job.options.data}"
