# SPDX-License-Identifier: Apache-2.0
"""Truncated back-propagation through time over one long text, exactly resumable.

The training text is read as B parallel streams. A step takes T characters of each, starts from the
state that the previous step left, and stops the gradient there. An epoch is one pass over the text.
It starts from a zero state, and at a different place in the (circular) text than the previous epoch,
so that the cuts between streams and chunks move.

Everything a step does follows from its number, the seed and the checkpoint. So a run that was
killed and resumed ends with the same weights, bit for bit, as one that was not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.keras import float_lstm
from zynq_lstm.models.keras.float_lstm import tf
from zynq_lstm.models.store import load_tensors, save_tensors
from zynq_lstm.models.training.options import PLAIN_START, Start, TrainingOptions, require_length

CHECKPOINT_KIND = "training checkpoint"
#: The streams of a batch are computed in this many groups, with a thread each. The number is fixed, and not
#: the machine's number of cores, because the grouping of sums decides how they are rounded. Half a batch also
#: fits the cache better: two halves one after the other take 20 % less time than the whole.
GROUPS = 2
#: Training has diverged if the loss reaches this multiple of an even guess's loss, though it is still finite.
DIVERGED = 2.0
#: No regular checkpoint is written while the loss exceeds this multiple of the lowest average: the last one
#: then dates from before the rise.
SUSPICIOUS = 1.3
MEMORY = 20  # last updates in which the likely cause of a divergence is looked for
ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON = 0.9, 0.999, 1e-8


class TrainingDiverged(UserError):
    """The loss or the gradient is no longer finite, or the loss rose far above that of a guess."""


@dataclass(frozen=True)
class Plan:
    """The characters that each step sees."""

    length: int  # characters of the training text
    batch: int
    steps: int
    seed: int

    def __post_init__(self) -> None:
        require_length(self.length, self.batch, self.steps)

    @property
    def steps_per_epoch(self) -> int:
        """Steps until every stream has reached the next one's start."""
        return max(1, self.length // self.batch // self.steps)

    def indices(self, step: int) -> NDArray[np.int64]:
        """Return the positions in the text of the characters of ``step``, and of the next one: (T + 1, B)."""
        epoch, chunk = divmod(step, self.steps_per_epoch)
        shift = int(np.random.default_rng((self.seed, epoch)).integers(self.length)) if epoch else 0
        starts = np.arange(self.batch) * (self.length // self.batch)
        position = chunk * self.steps + np.arange(self.steps + 1)
        return (shift + position[:, None] + starts) % self.length


@dataclass(frozen=True)
class Progress:
    """The report of a training run after each step."""

    step: int
    total: int
    loss: float  # of this step, in nats per character
    smooth: float  # the loss averaged over the last steps
    learning_rate: float
    gradient_norm: float
    characters_per_second: float
    seconds_left: float

    @property
    def bits_per_character(self) -> float:
        """The averaged training loss in bits."""
        return self.smooth / math.log(2)


def output_bias(codes: NDArray[np.integer], vocabulary: int) -> NDArray[np.float64]:
    """Return the logarithm of the characters' frequencies in a text, minus its mid-range: (V,).

    Each character counts once more than it occurs, so that no logarithm is infinite. The softmax does not see
    the mid-range; without it, the lowest values would be below what the formats of the presets have.
    """
    counts = np.bincount(codes, minlength=vocabulary) + 1.0
    bias = np.log(counts / counts.sum())
    return bias - (bias.max() + bias.min()) / 2


def initialise(
    model: Any, seed: int, start: Start = PLAIN_START, codes: NDArray[np.integer] | None = None
) -> None:
    """Set a float model's weights from the seed: orthogonal U, bias 1 of the gate that keeps the state.

    W is uniform as Glorot and Bengio (2010) have it, with the first one as ``start`` says. All else is 0, but
    for the output bias, if ``start`` says so.

    Args:
        codes: the training text, whose characters' frequencies give the output bias.
    """
    frequencies = start.output_bias == "frequencies"
    if frequencies and codes is None:
        raise ValueError("an output bias from frequencies needs the training text")
    rng = np.random.default_rng(seed)

    def glorot(rows: int, columns: int) -> NDArray[np.float64]:
        limit = math.sqrt(6 / (rows + columns))
        return rng.uniform(-limit, limit, (rows, columns))

    for layer in float_lstm.recurrent_layers(model):
        units = layer.units
        gates = []
        for _ in layer.gates:
            q, r = np.linalg.qr(rng.standard_normal((units, units)))
            gates.append(q * np.sign(np.diag(r)))
        width = len(gates) * units
        bias = np.zeros(width)
        if layer.keeps is not None:  # f starts open (Gers, Schmidhuber, Cummins 2000)
            k = layer.gates.index(layer.keeps)
            bias[k * units : (k + 1) * units] = 1
        normal = start.first_kernel == "normal" and layer.one_hot
        kernel = rng.standard_normal((layer.input_size, width)) if normal else glorot(layer.input_size, width)
        rest = [np.zeros(weight.shape) for weight in layer.weights[3:]]
        layer.set_weights([kernel, np.concatenate(gates, axis=1), bias, *rest])
    dense = model.get_layer("logits")
    rows, columns = dense.kernel.shape
    bias = output_bias(codes, columns) if frequencies and codes is not None else np.zeros(columns)
    dense.set_weights([glorot(rows, columns), bias])


def weight_names(model: Any) -> list[str]:
    """Return the names of the model's trainable weights, in order: ``lstm1.kernel`` and so on."""
    return [f"{layer.name}.{weight.name}" for layer in model.layers for weight in layer.trainable_weights]


class Trainer:
    """Trains a float or a quantized model.

    Args:
        model: from ``build_float`` (weights already set) or ``build_quantized``.
        codes: the training text.
        options: the training options.
        identity: network and corpus of the run, kept in its checkpoint; a resumed run must have the same.
        teacher: a trained model whose prediction makes up the share ``options.distill`` of the target
            (Hinton, Vinyals, Dean 2015, at temperature 1). It reads the same text as the model.
    """

    def __init__(
        self,
        model: Any,
        codes: NDArray[np.uint8],
        options: TrainingOptions,
        identity: Mapping[str, Any],
        teacher: Any = None,
    ) -> None:
        if (teacher is not None) != (options.distill > 0):
            raise ValueError("distillation needs a teacher and a share above 0")
        self.model = model
        self.teacher = teacher
        self.codes = codes
        self.options = options
        self.identity = {**identity, "options": dataclasses.asdict(options)}
        self.plan = Plan(len(codes), options.batch, options.steps, options.seed)
        self.total = max(1, round(options.epochs * self.plan.steps_per_epoch))
        self.step = 0
        self.seconds = 0.0  # total training time, over all resumed runs
        self.names = weight_names(model)
        self.weights = [weight.value for weight in model.trainable_weights]
        self.first = [tf.Variable(tf.zeros_like(w)) for w in self.weights]
        self.second = [tf.Variable(tf.zeros_like(w)) for w in self.weights]
        self.states = self._zero_states()
        self._threads: ThreadPoolExecutor | None = None
        self.groups = GROUPS if options.batch % GROUPS == 0 else 1
        self._gradients = tf.function(self._gradients_eagerly, jit_compile=True)
        self._apply = tf.function(self._apply_eagerly, jit_compile=True)

    def _zero_states(self) -> list[float_lstm.State]:
        """Return the model's state before the first character, then the teacher's."""
        models = [self.model] if self.teacher is None else [self.model, self.teacher]
        return [state for model in models for state in float_lstm.zero_state(model, self.options.batch)]

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: linear warm-up, then half a cosine down to the final rate."""
        o = self.options
        if step < o.warm_up:
            return o.learning_rate * (step + 1) / (o.warm_up + 1)
        done = min(1.0, (step - o.warm_up) / max(1, self.total - o.warm_up))
        low = min(o.final_learning_rate, o.learning_rate)
        return low + (o.learning_rate - low) * 0.5 * (1 + math.cos(math.pi * done))

    def _gradients_eagerly(self, codes: Any, states: Any, seed: Any) -> Any:
        """Compute loss, gradients and states after the step, for one group of streams."""
        weights, o = self.weights, self.options
        own = len(float_lstm.recurrent_layers(self.model))
        teacher_after: list[float_lstm.State] = []
        if self.teacher is not None:
            taught, teacher_after = float_lstm.forward(self.teacher, codes[:-1], states[own:])
        with tf.GradientTape() as tape:
            logits, after = float_lstm.forward(self.model, codes[:-1], states[:own], o.dropout, seed)
            loss = objective = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    tf.reshape(codes[1:], (-1,)), tf.reshape(logits, (-1, logits.shape[2]))
                )
            )
            if self.teacher is not None:
                soft = tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(taught), logits)
                objective = (1 - o.distill) * loss + o.distill * tf.reduce_mean(soft)
        return loss, tape.gradient(objective, weights), after + teacher_after

    def _apply_eagerly(self, grouped: Any, rate: Any, number: Any) -> Any:
        """Apply Adam's update (Kingma and Ba 2015) with the groups' mean gradient; return its norm.

        ``number`` is the number of this update, from 1, as float32.
        """
        gradients = [tf.add_n(parts) / len(parts) for parts in zip(*grouped, strict=True)]
        norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(g)) for g in gradients]))
        scale = tf.minimum(1.0, self.options.clip / (norm + 1e-12))
        correction1 = 1 - tf.pow(ADAM_BETA1, number)
        correction2 = 1 - tf.pow(ADAM_BETA2, number)
        for weight, gradient, m, v in zip(self.weights, gradients, self.first, self.second, strict=True):
            gradient = gradient * scale
            m.assign(ADAM_BETA1 * m + (1 - ADAM_BETA1) * gradient)
            v.assign(ADAM_BETA2 * v + (1 - ADAM_BETA2) * tf.square(gradient))
            weight.assign_sub(rate * (m / correction1) / (tf.sqrt(v / correction2) + ADAM_EPSILON))
        return norm

    @contextlib.contextmanager
    def threads(self) -> Iterator[ThreadPoolExecutor]:
        """Keep one set of threads for all updates inside the block; a single update makes its own."""
        if self._threads is not None:
            yield self._threads
            return
        with ThreadPoolExecutor(GROUPS) as self._threads:
            try:
                yield self._threads
            finally:
                self._threads = None

    def update(self, step: int, rate: float) -> tuple[float, float]:
        """Do one update with the characters of ``step``; return the loss in nats, and the gradient's norm.

        The weights, Adam's moments and the carried states change. If loss or norm is not finite, the states
        stay as they are, and :meth:`run` stops.
        """
        codes = np.split(self.codes[self.plan.indices(step)].astype(np.int32), self.groups, axis=1)
        states = self.states

        def work(group: int) -> Any:
            own = tf.nest.map_structure(lambda s: tf.split(s, self.groups)[group], states)
            seed = tf.constant([self.options.seed, step * self.groups + group], tf.int32)
            return self._gradients(tf.constant(codes[group]), own, seed)

        with self.threads() as threads:
            losses, gradients, after = zip(*threads.map(work, range(self.groups)), strict=True)
        loss = sum(map(float, losses)) / self.groups
        norm = self._apply(list(gradients), tf.constant(rate, tf.float32), tf.constant(step + 1, tf.float32))
        if math.isfinite(loss) and math.isfinite(norm):
            self.states = tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *after)
        return loss, float(norm)

    def run(
        self,
        checkpoint: Path | None = None,
        seconds_between: float = 60.0,
        report: Callable[[Progress], None] | None = None,
        each_epoch: Callable[[int], None] | None = None,
    ) -> None:
        """Train from the current step to the last.

        Args:
            checkpoint: file to save to, every ``seconds_between`` seconds and at the end.
            report: called after each step.
            each_epoch: called after each epoch, with the number of epochs done.

        Raises:
            TrainingDiverged: gives the step and the likely cause; the last good checkpoint stays.
        """
        with self.threads():
            self._run(checkpoint, seconds_between, report, each_epoch)

    def _run(
        self,
        checkpoint: Path | None,
        seconds_between: float,
        report: Callable[[Progress], None] | None,
        each_epoch: Callable[[int], None] | None,
    ) -> None:
        started = saved = last = time.monotonic()
        first = self.step
        smooth = None
        lowest = math.inf
        norms: deque[float] = deque(maxlen=MEMORY)
        guess = math.log(self.model.get_layer("logits").units)
        per_step = self.options.batch * self.options.steps
        while self.step < self.total:
            step = self.step
            if step % self.plan.steps_per_epoch == 0:
                self.states = self._zero_states()
            rate = self.learning_rate(step)
            loss, norm = self.update(step, rate)
            norms.append(norm)
            if not (math.isfinite(norm) and loss < DIVERGED * guess):
                kept = (
                    f"; {checkpoint} holds the last good step" if checkpoint and checkpoint.exists() else ""
                )
                raise TrainingDiverged(
                    f"training diverged at step {step + 1}: loss {loss:.4g}, gradient norm {norm:.4g}: "
                    f"{_likely_cause(list(norms), rate, self.options.clip)}{kept}"
                )
            self.step = step + 1
            smooth = loss if smooth is None else smooth + 0.02 * (loss - smooth)
            lowest = min(lowest, smooth)
            now = time.monotonic()
            self.seconds += now - last
            last = now
            if report:
                speed = (self.step - first) * per_step / (now - started)
                left = (self.total - self.step) * per_step / speed
                report(Progress(self.step, self.total, loss, smooth, rate, norm, speed, left))
            due = now - saved >= seconds_between and max(loss, smooth) <= SUSPICIOUS * lowest
            if checkpoint and (due or self.step == self.total):
                self.save(checkpoint)
                saved = now
            if each_epoch and self.step % self.plan.steps_per_epoch == 0:
                each_epoch(self.step // self.plan.steps_per_epoch)

    def save(self, path: Path) -> None:
        """Write weights, Adam's moments, the carried state and the step, atomically."""
        tensors: dict[str, NDArray[Any]] = {}
        for name, weight, m, v in zip(self.names, self.weights, self.first, self.second, strict=True):
            tensors[f"weights.{name}"] = weight.numpy()
            tensors[f"first.{name}"] = m.numpy()
            tensors[f"second.{name}"] = v.numpy()
        for index, (h, c) in enumerate(self.states):
            tensors[f"state.{index}.h"] = np.asarray(h)
            tensors[f"state.{index}.c"] = np.asarray(c)
        epoch, chunk = divmod(self.step, self.plan.steps_per_epoch)
        metadata = {
            "kind": CHECKPOINT_KIND,
            "step": self.step,
            "seconds": self.seconds,
            "epoch": epoch,
            "position": chunk * self.options.steps,
            "identity": self.identity,
        }
        save_tensors(path, tensors, metadata)

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint that :meth:`save` wrote.

        Raises:
            UserError: the file is damaged, or belongs to a run with another network, corpus or options.
        """
        tensors, metadata = load_tensors(path)
        if metadata.get("kind") != CHECKPOINT_KIND:
            raise UserError(f"{path}: holds a {metadata.get('kind')!r}, not a {CHECKPOINT_KIND}")
        identity = metadata["identity"]
        if "start" in self.identity:  # runs of versions without that choice have no such entry
            identity = {"start": dataclasses.asdict(PLAIN_START), **identity}
        difference = _first_difference(identity, self.identity)
        if difference:
            raise UserError(
                f"{path}: is of another run ({difference}); "
                "resume with the same options, or start anew without --resume"
            )
        for name, weight, m, v in zip(self.names, self.weights, self.first, self.second, strict=True):
            weight.assign(tensors[f"weights.{name}"])
            m.assign(tensors[f"first.{name}"])
            v.assign(tensors[f"second.{name}"])
        self.states = [
            (tf.constant(tensors[f"state.{k}.h"]), tf.constant(tensors[f"state.{k}.c"]))
            for k in range(len(self.states))
        ]
        self.step = metadata["step"]
        self.seconds = metadata["seconds"]


def _likely_cause(norms: list[float], rate: float, clip: float) -> str:
    """Say why a run probably diverged, judging by the last updates' gradient norms, and what to do."""
    before = [norm for norm in norms[:-1] if math.isfinite(norm)]
    lower = f"use a lower --learning-rate than {rate:.2g}"
    if not before:
        return "at the first update, so the initial weights or the text are the likely cause"
    usual = sorted(before)[len(before) // 2]
    if max(before[-3:]) > 4 * usual:
        return (
            f"the gradient's norm rose from {usual:.2g} to {max(before[-3:]):.2g} in the last updates, so "
            f"the gradient is likely to have exploded; {lower}, or a --clip below {clip:g}"
        )
    return f"the gradient's norm was {usual:.2g} before, so single steps are likely to be too long; {lower}"


def _first_difference(old: Any, new: Any, where: str = "") -> str | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            found = _first_difference(old.get(key), new.get(key), f"{where}.{key}" if where else key)
            if found:
                return found
        return None
    return None if old == new else f"{where}: {str(old)[:40]!r} there, {str(new)[:40]!r} here"
