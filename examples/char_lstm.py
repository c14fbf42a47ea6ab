"""A recurrent network that writes like the Python reference, one character after the other.

    python examples/char_lstm.py [--epochs 10] [--workers 2] [--seed 1] [--quick]

The text is real: Python ships its reference manual as `pydoc_data.topics`, for `help()`. Its
lines are of different lengths, so a `BucketingModule` has an unrolled network for each of a few
lengths, all with the same weights. The layer is the long short-term memory of Hochreiter and
Schmidhuber (1997) with a forget gate (Gers, Schmidhuber and Cummins, 2000), built of fully
connected layers. A tenth of the lines is held out: perplexity says among how many characters the
network hesitates. At the end one step of the network, which takes its states as data, writes.
"""

import argparse
import re
import sys
from pydoc_data.topics import topics

import numpy as np
import trio

import actorflow as af
from actorflow import io, nd, sym

try:
    from rich.console import Console
except ImportError as error:
    sys.exit(
        f"examples/char_lstm.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

BATCH = 32  # lines per step
BUCKETS = (36, 54, 72)  # characters
LETTERS = 24  # numbers that stand for a character
HIDDEN = 128
RATE = 0.005
NOTHING = 0  # stands where a line has ended

States = tuple[sym.Symbol, sym.Symbol]


def lines_of_text() -> list[str]:
    """The lines of the Python reference that are no more than text, with a line break behind."""
    lines = {line.strip() for text in topics.values() for line in text.splitlines()}
    plain = re.compile(r"[\w ,.:;'\"()-]{20,}", re.ASCII)
    return [f"{each}\n" for each in sorted(lines) if plain.fullmatch(each)]


class Layer:
    """The layer: its weights, which all steps share."""

    def __init__(self) -> None:
        names = "lstm_i2h_weight", "lstm_h2h_weight", "lstm_i2h_bias"
        self.of_letters, self.of_outputs, self.bias = map(sym.Variable, names)

    def step(self, letter: sym.Symbol, states: States | None) -> States:
        """The next output and memory, each (n, HIDDEN).

        Args:
          letter: the vectors of the characters, (n, LETTERS).
          states: the last output and memory; None for zeros.
        """
        size = {"num_hidden": 4 * HIDDEN}
        gates = sym.FullyConnected(letter, self.of_letters, self.bias, **size)
        if states is not None:
            gates = gates + sym.FullyConnected(states[0], self.of_outputs, no_bias=True, **size)
        parts = sym.SliceChannel(gates, num_outputs=4)
        take, forget, new, give = (
            sym.Activation(part, act_type=kind)
            for part, kind in zip(parts, ("sigmoid", "sigmoid", "tanh", "sigmoid"), strict=True)
        )
        memory = take * new if states is None else forget * states[1] + take * new
        return give * sym.Activation(memory, act_type="tanh"), memory


def scores(outputs: sym.Symbol, letters: int) -> sym.Symbol:
    """How likely each character is to follow, (n, letters), before the softmax."""
    return sym.FullyConnected(outputs, num_hidden=letters, name="scores")


def unrolled(length: int, letters: int) -> sym.Symbol:
    """The network for whole lines; its data and its labels are (length, lines)."""
    data, label = sym.Variable("data"), sym.Variable("softmax_label")
    vectors = sym.Embedding(data, input_dim=letters, output_dim=LETTERS, name="letters")
    each = sym.SliceChannel(vectors, num_outputs=length, axis=0, squeeze_axis=True)
    layer, states, outputs = Layer(), None, []
    for letter in each:
        states = layer.step(letter, states)
        outputs.append(states[0])
    return sym.SoftmaxOutput(
        scores(sym.Concat(*outputs, dim=0), letters),
        sym.Reshape(label, shape=(-1,)),
        use_ignore=True,
        ignore_label=NOTHING,
        normalization="valid",
        name="softmax",
    )


def writer(letters: int) -> sym.Symbol:
    """The network for one character, which gives its states, and takes them as data."""
    vector = sym.Embedding(
        sym.Variable("data"), input_dim=letters, output_dim=LETTERS, name="letters"
    )
    states = Layer().step(vector, (sym.Variable("output"), sym.Variable("memory")))
    return sym.Group([sym.softmax(scores(states[0], letters)), *states])


class Writer:
    """Writes lines with the weights of a trained module."""

    def __init__(self, trained: af.mod.BaseModule, numbers: dict[str, int]) -> None:
        self.numbers = numbers
        self.letters = {number: letter for letter, number in numbers.items()}
        self.module = af.mod.Module(writer(len(numbers)), ("data", "output", "memory"))
        states = [(name, (1, HIDDEN)) for name in ("output", "memory")]
        self.module.bind([("data", (1,)), *states], for_training=False)
        self.module.set_params(*trained.get_params())

    async def write(self, begin: str, draw: np.random.Generator, warmth: float = 0.6) -> str:
        """A line.

        Args:
          begin: how it begins.
          draw: where chance comes from.
          warmth: 0 for the most likely characters, 1 for as much chance as in the text.
        """
        text, states = begin, [nd.zeros((1, HIDDEN)), nd.zeros((1, HIDDEN))]
        read = 0
        while not text.endswith("\n") and len(text) < 2 * max(BUCKETS):
            for letter in text[read:]:
                batch = io.DataBatch([nd.array([self.numbers[letter]]), *states])
                self.module.forward(batch)
                chances, *states = (each.copy() for each in self.module.get_outputs())
            read = len(text)
            found = (await chances)[0].astype(np.float64) ** (1 / warmth)
            found[NOTHING] = 0
            text += self.letters[int(draw.choice(len(found), p=found / found.sum()))]
        return text.strip()


async def main(options: argparse.Namespace) -> None:
    """Read, train, and write."""
    console = Console()
    text = lines_of_text()
    np.random.default_rng(options.seed).shuffle(text)
    text = text[:1000] if options.quick else text
    coded, numbers = io.encode_sentences(
        text, invalid_label=NOTHING, invalid_key="", start_label=NOTHING + 1
    )
    cut = len(coded) // 10
    wanted = {"buckets": BUCKETS, "invalid_label": NOTHING, "layout": "TN"}
    train = io.BucketSentenceIter(coded[cut:], BATCH, seed=options.seed, **wanted)
    held_out = io.BucketSentenceIter(coded[:cut], BATCH, **wanted)
    console.print(
        f"{len(text)} lines of {len(numbers) - 1} different characters, {cut} of them held out"
    )
    af.random.seed(options.seed)
    draw = np.random.default_rng(options.seed)
    async with af.Engine(options.workers):
        module = af.mod.BucketingModule(
            lambda length: unrolled(length, len(numbers)), train.default_bucket_key
        )
        run = module.fit_async(
            train,
            eval_data=held_out,
            eval_metric=af.metric.Perplexity(ignore_label=NOTHING),
            num_epoch=options.epochs,
            initializer=af.init.Xavier(magnitude=2),
            optimizer="adam",
            optimizer_params={"learning_rate": RATE, "rescale_grad": 1, "clip_gradient": 1},
        )
        async for report in run:
            ((_, learned),), ((_, tested),) = report.metric, report.validation
            console.print(
                f"epoch {report.epoch + 1:2}: perplexity {learned:.2f}, held out {tested:.2f}, "
                f"{report.speed:.0f} lines a second"
            )
        author = Writer(module, numbers)
        for begin in ("The ", "If ", "This "):
            console.out(await author.write(begin, draw), highlight=False)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10, help="times through all lines")
    parser.add_argument("--workers", type=int, default=2, help="operations that run at a time")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 1,000 of the lines")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.workers) < 1:
        parser.error("--epochs and --workers must be at least 1")
    return options


if __name__ == "__main__":
    trio.run(main, parse())
