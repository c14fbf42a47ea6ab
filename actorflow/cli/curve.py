"""A picture of a run: the metric of training and of held-out data, over epochs and over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from actorflow.errors import MissingExtraError, ParameterError
from actorflow.ops import meant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.training.report import Report

__all__ = ["check_curve", "draw_curve"]


def check_curve(path: str) -> None:
    """Find out before a long run whether its picture could be written.

    Raises:
      MissingExtraError: matplotlib is not installed.
      ParameterError: it writes no pictures of that kind.
      OSError: there is no such folder.
    """
    figure = _figure()
    kinds = figure.canvas.get_supported_filetypes()
    kind = Path(path).suffix.removeprefix(".").lower()
    if kind not in kinds:
        raise ParameterError(f"--curve {path}: no kind of picture; {meant(kind, sorted(kinds))}")
    if not Path(path).absolute().parent.is_dir():
        raise NotADirectoryError(20, "--curve: no such folder", str(Path(path).parent))


def draw_curve(path: str, title: str, reports: Sequence[Report]) -> None:
    """Draw epochs that have ended; replaces the file.

    Args:
      path: the picture; its ending says of which kind.
      title: what stands above it.
      reports: those of the epochs, at least one.

    Raises:
      MissingExtraError: matplotlib is not installed.
      OSError: the file cannot be written.
    """
    figure = _figure()
    epochs = [report.epoch + 1 for report in reports]
    seconds = [sum(each.seconds for each in reports[: end + 1]) for end in range(len(reports))]
    name = reports[0].metric[0][0] if reports[0].metric else ""
    series = {
        "training": [dict(report.metric).get(name) for report in reports],
        "held out": [dict(report.validation).get(name) for report in reports],
    }
    panels = figure.subplots(1, 2, sharey=True)
    for axes, places, unit in zip(panels, (epochs, seconds), ("epoch", "seconds"), strict=True):
        for label, values in series.items():
            if any(value is not None for value in values):
                axes.plot(places, values, marker="o", markersize=3, label=label)
        axes.set_xlabel(unit)
        axes.grid(visible=True, alpha=0.3)
    panels[0].xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_ylabel(name)
    panels[0].legend()
    figure.suptitle(title)
    figure.savefig(path)


def _figure() -> Any:  # noqa: ANN401 -- matplotlib is not checked
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise MissingExtraError(
            "--curve: drawn by matplotlib, which is not installed: pip install 'actorflow[curve]'"
        ) from error
    # A figure of its own, without pyplot, needs no display and leaves no state behind.
    return Figure(figsize=(9, 4), dpi=120, layout="constrained")
