"""Install what the benchmarks compare with: `python benchmarks/setup_peers.py [names]`.

Each peer gets an environment of its own under benchmarks/.peers/ (ignored by git). Run it again at
will: what works already is left alone. A peer that cannot be had is reported as missing, and so
are its figures later; the others still run.
"""

import argparse
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE / ".peers"


class MissingError(Exception):
    """A peer, or something it needs, cannot be had here."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with a peer in it."""

    name: str
    requirements: tuple[str, ...]  # pip's arguments
    check: str  # a program that ends well, and prints the version, where the peer works
    python: str = "3.11"
    debian: tuple[str, ...] = ()  # packages to try if `check` fails

    @property
    def folder(self) -> Path:
        return PEERS / self.name

    @property
    def interpreter(self) -> Path:
        return self.folder / "bin" / "python"


def peers(pythons: Sequence[str]) -> list[Environment]:
    """All environments, ours among them."""
    ours = [
        Environment(
            f"actorflow-{python}",
            ("-e", str(HERE.parent), "trio"),
            "import actorflow.nd, importlib.metadata as m; print(m.version('actorflow'))",
            python,
        )
        for python in pythons
    ]
    return [
        *ours,
        Environment(
            "mxnet",
            ("mxnet==1.9.1", "numpy==1.23.5"),  # the last release, and the last NumPy it works with
            "import mxnet; mxnet.nd.ones((2,)).asnumpy(); print(mxnet.__version__)",
            debian=("libgomp1", "libquadmath0"),
        ),
        Environment(
            "torch",
            ("torch==2.13.0", "numpy"),
            "import torch; print(torch.__version__)",
            debian=("libgomp1",),
        ),
        Environment("pillow", ("pillow",), "import PIL; print(PIL.__version__)"),
        Environment(
            "dask", ("dask", "numpy"), "import dask.threaded, numpy; print(dask.__version__)"
        ),
    ]


def install(peer: Environment) -> str:
    """Make `peer` work; return its version.

    Raises:
      MissingError: it does not work here; the message says why.
    """
    if not peer.interpreter.exists():
        shutil.rmtree(peer.folder, ignore_errors=True)
        run(find_python(peer.python), "-m", "venv", peer.folder)
    try:
        version = run(peer.interpreter, "-c", peer.check, show=False)
    except MissingError:
        run(peer.interpreter, "-m", "pip", "install", "--quiet", *peer.requirements)
    else:
        return f"{version} (was there)"
    try:
        return run(peer.interpreter, "-c", peer.check)
    except MissingError:
        if not peer.debian:
            raise
        apt_install(*peer.debian)
        return run(peer.interpreter, "-c", peer.check)


def install_starpu() -> str:
    """Compile our StarPU program, with Debian's package of StarPU; return StarPU's version.

    Raises:
      MissingError: no package, or no compiler.
    """
    package = "starpu-1.3"
    try:
        run("pkg-config", "--exists", package, show=False)
    except MissingError:
        apt_install("libstarpu-dev", "pkg-config", "gcc", "libc6-dev")
    source, program = HERE / "sides" / "starpu_engine.c", PEERS / "starpu_engine"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        flags = run("pkg-config", "--cflags", "--libs", package, show=False).split()
        run("gcc", "-O2", "-Wall", source, "-o", program, *flags)
    return run("pkg-config", "--modversion", package, show=False)


def find_python(version: str) -> str:
    """An interpreter of `version`.

    Raises:
      MissingError: there is none.
    """
    try:
        return run(HERE.parent / ".ci" / "find-python", version, show=False)
    except MissingError as error:
        raise MissingError(f"no Python {version} on this machine") from error


def apt_install(*packages: str) -> None:
    """Install Debian packages, where this is Debian and we may."""
    if not shutil.which("apt-get"):
        raise MissingError(f"needs {' '.join(packages)}, and there is no apt-get here")
    if os.geteuid() != 0:
        raise MissingError(f"needs root: apt-get install {' '.join(packages)}")
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)


def run(*command: str | Path, show: bool = True) -> str:
    """Run `command`, after printing it if `show`; return the last line of what it prints.

    Raises:
      MissingError: it cannot be started, or fails.
    """
    words = [str(word) for word in command]
    if show:
        print("  $", shlex.join(words), flush=True)
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise MissingError(str(error)) from error
    if done.returncode:
        complaint = (done.stderr or done.stdout).strip().splitlines()
        raise MissingError(complaint[-1] if complaint else f"{shlex.join(words)} failed")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Install what the benchmarks compare with.")
    parser.add_argument("names", nargs="*", help="only these; else all")
    parser.add_argument(
        "--pythons", default="", help="further Pythons to measure ours on, as in 3.12,3.13"
    )
    parsed = parser.parse_args()
    pythons = [version for version in parsed.pythons.split(",") if version]
    jobs: dict[str, Callable[[], str]] = {
        peer.name: partial(install, peer) for peer in peers(pythons)
    }
    jobs["starpu"] = install_starpu
    unknown = set(parsed.names) - set(jobs)
    if unknown:
        parser.error(f"no peer {', '.join(sorted(unknown))}; there are {', '.join(jobs)}")
    PEERS.mkdir(exist_ok=True)
    outcome = {}
    for name in parsed.names or jobs:
        print(name, flush=True)
        try:
            outcome[name] = f"ready    {jobs[name]()}"
        except MissingError as error:
            outcome[name] = f"MISSING  {error}"
    print()
    for name, text in outcome.items():
        print(f"{name:16} {text}")
    return 1 if any(text.startswith("MISSING") for text in outcome.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
