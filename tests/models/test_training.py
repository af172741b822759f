# SPDX-License-Identifier: Apache-2.0
"""Training: its results, exact resuming, and refusals."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import PRESETS, fit_weight_formats, network_spec, with_formats
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation import memory
from zynq_lstm.models.evaluation.memory import Memory
from zynq_lstm.models.keras.quiet import import_tensorflow
from zynq_lstm.models.store import load_tensors
from zynq_lstm.models.texts import corpus
from zynq_lstm.scripts.main import main

tf = import_tensorflow()
import keras  # noqa: E402

from zynq_lstm.models.keras import float_lstm  # noqa: E402
from zynq_lstm.models.training import bptt  # noqa: E402
from zynq_lstm.models.training.options import PLAIN_START, Start  # noqa: E402
from zynq_lstm.models.training.recipe import _initial_weights, _remedy, _warning  # noqa: E402

TEXT = "the quick brown fox jumps over the lazy dog. " * 400
TEXT_20 = "abcdefghijklmnopqrst"
TINY = [
    "--units",
    "8",
    "--batch",
    "4",
    "--steps",
    "16",
    "--epochs",
    "2",
    "--further-epochs",
    "1",
    "--seed",
    "3",
]


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@dataclass(frozen=True)
class Run:
    text_file: Path
    folder: Path
    printed: str


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run of the command, without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    text_file = folder / "text.txt"
    text_file.write_text(TEXT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["train", "--text-file", str(text_file), *TINY, "--run-dir", str(folder / "run")]) == 0
    return Run(text_file, folder / "run", printed.getvalue())


def small_trainer(epochs: float = 1.0, content: str = TEXT, **options: object) -> bptt.Trainer:
    text = corpus.from_text("t", content)
    model = float_lstm.build_float(2, 8, len(text.vocabulary))
    bptt.initialise(model, 3)
    chosen = bptt.TrainingOptions(epochs=epochs, batch=4, steps=16, warm_up=10, seed=3, **options)
    return bptt.Trainer(model, text.codes, chosen, {"network": "small"})


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[bptt.Trainer, Path]:
    """A trainer, whose first update compiles it, and its state before that update."""
    start = tmp_path_factory.mktemp("compiled") / "start.safetensors"
    trainer = small_trainer()
    trainer.save(start)
    return trainer, start


@pytest.fixture
def trainer(compiled: tuple[bptt.Trainer, Path]) -> bptt.Trainer:
    """A trainer before its first step, for one epoch."""
    trainer, start = compiled
    trainer.restore(start)
    trainer.total = trainer.plan.steps_per_epoch
    return trainer


def test_the_float_network_is_keras_lstm(rng):
    """Same logits and same gradients as stock Keras, up to float32 rounding."""
    ours = float_lstm.build_float(2, 16, 10)
    bptt.initialise(ours, 3)
    codes = rng.integers(0, 10, (7, 5))
    inputs = keras.Input((7, 10))
    x = inputs
    for _ in range(2):
        x = keras.layers.LSTM(16, return_sequences=True)(x)
    stock = keras.Model(inputs, keras.layers.Dense(10)(x))
    stock.set_weights(ours.get_weights())
    targets = tf.constant(rng.integers(0, 10, 35))

    def gradients(model, run):
        weights = [w.value for w in model.trainable_weights]
        with tf.GradientTape() as tape:
            logits = run()
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, tf.reshape(logits, (-1, 10)))
        return logits, tape.gradient(loss, weights)

    a, da = gradients(
        ours,
        lambda: float_lstm.forward(ours, tf.constant(codes, tf.int32), float_lstm.zero_state(ours, 5))[0],
    )
    b, db = gradients(stock, lambda: tf.transpose(stock(tf.one_hot(codes.T, 10)), (1, 0, 2)))
    assert np.abs(a - b).max() < 1e-6
    for x, y in zip(da, db, strict=True):
        assert np.abs(x - y).max() < 1e-5
    assert np.array_equal(ours(codes.T), tf.transpose(a, (1, 0, 2)))


def test_no_thread_outlives_a_run(trainer):
    """True for every end of a run: the interpreter would wait for remaining threads when it ends."""

    def threads():
        return {thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")}

    trainer.total = 20
    before = threads()
    trainer.update(0, 0.01)
    assert threads() == before
    during = []
    trainer.run(report=lambda _: during.append(threads() - before))
    assert {len(new) for new in during} == {bptt.GROUPS}  # the same threads for all updates
    assert len(set.union(*during)) == bptt.GROUPS
    assert threads() == before

    def interrupted(_):
        raise KeyboardInterrupt

    trainer.total += 1
    with pytest.raises(KeyboardInterrupt):
        trainer.run(report=interrupted)
    assert threads() == before


def test_state_is_carried(rng):
    """Two halves of a text with the state carried give the logits of the whole."""
    model = float_lstm.build_float(2, 8, 5)
    bptt.initialise(model, 1)
    codes = tf.constant(rng.integers(0, 5, (20, 3)), tf.int32)
    whole, end = float_lstm.forward(model, codes, float_lstm.zero_state(model, 3))
    first, state = float_lstm.forward(model, codes[:11], float_lstm.zero_state(model, 3))
    second, state = float_lstm.forward(model, codes[11:], state)
    assert np.abs(whole - tf.concat([first, second], 0)).max() < 1e-6
    assert np.abs(end[1][0] - state[1][0]).max() < 1e-6


def test_forget_gates_start_open():
    model = float_lstm.build_float(1, 8, 5)
    bptt.initialise(model, 1)
    bias = model.get_layer("lstm1").get_weights()[2]
    assert bias.tolist() == [0] * 8 + [1] * 8 + [0] * 16


@pytest.mark.parametrize("cell", catalogue.names())
def test_the_start_of_every_cell(cell):
    codes = np.repeat(np.arange(4, dtype=np.uint8), [1, 3, 0, 7])
    model = float_lstm.build_float(2, 64, 5, cell=cell)
    bptt.initialise(model, 1, Start(), codes)
    weights = float_lstm.read_weights(model)
    shares = np.exp(weights["output.b"]) / np.exp(weights["output.b"]).sum()
    assert np.allclose(shares, np.array([2, 4, 1, 8, 1]) / 16)
    assert abs(weights["output.b"].max() + weights["output.b"].min()) < 1e-6
    assert abs(weights["layers.0.W"].std() - 1) < 0.1
    assert weights["layers.1.W"].std() < 0.2
    bptt.initialise(model, 1, Start("zero", "glorot"))
    plain = float_lstm.read_weights(model)
    assert not plain["output.b"].any() and plain["layers.0.W"].std() < 0.3
    bptt.initialise(model, 1)
    for name, array in float_lstm.read_weights(model).items():
        assert np.array_equal(array, plain[name])


def test_an_illegal_start_is_refused():
    with pytest.raises(UserError, match=r"output_bias is 'one'; legal are frequencies, zero"):
        Start("one")
    with pytest.raises(ValueError, match="needs the training text"):
        bptt.initialise(float_lstm.build_float(1, 4, 3), 1, Start())


@pytest.fixture(scope="module")
def shakespeare() -> corpus.Corpus:
    return corpus.load_corpus("shakespeare")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_start_fits_the_formats_of_every_preset(preset, shakespeare):
    """With the characters of the default corpus, from the seed."""
    vocabulary, codes = shakespeare.vocabulary, shakespeare.split().train
    spec = network_spec(preset, vocabulary=len(vocabulary), units=16)
    like = Checkpoint(vocabulary, {n: np.zeros(s, np.float32) for n, s in spec.weight_shapes().items()})
    weights = _initial_weights(like, spec, 1, Start(), codes)
    fmt, bias = spec.output.b, weights["output.b"]
    assert 5 < bias.max() < 8
    assert np.abs(fmt.to_real(fmt.quantize(bias)) - bias).max() <= float(fmt.to_real(1)) / 2
    kernel = spec.weight_formats()["layers.0.W"]
    rounded = kernel.to_real(kernel.quantize(weights["layers.0.W"]))
    assert 0.5 < rounded.std() < 1.3
    narrow = dataclasses.replace(fmt, integer=2)
    limited = _initial_weights(like, with_formats(spec, {"b": narrow}), 1, Start(), codes)["output.b"]
    assert (limited.min(), limited.max()) == tuple(narrow.to_real([narrow.min_raw, narrow.max_raw]))


@pytest.mark.slow
def test_the_start_keeps_units_from_getting_stuck(shakespeare):
    """300 updates on 100,000 characters: the plain start loses most of the units, and half a bit."""
    text = corpus.from_text("small", shakespeare.text[1_000_000:1_100_000])
    split = text.split()
    found = {}
    for start in (Start(), PLAIN_START):
        model = float_lstm.build_float(2, 32, len(text.vocabulary))
        bptt.initialise(model, 2, start, split.train)
        options = bptt.TrainingOptions(epochs=20, batch=16, steps=32, warm_up=50, seed=2)
        trainer = bptt.Trainer(model, split.train, options, {})
        with trainer.threads():
            losses = [trainer.update(step, trainer.learning_rate(step))[0] for step in range(300)]
        units = memory.measure(memory.keras_source(model), split.validation)
        found[start] = sum(units.stuck), np.mean(losses[-50:]) / math.log(2)
    assert found[Start()][0] == 0
    assert found[PLAIN_START][0] > 32
    assert found[Start()][1] < found[PLAIN_START][1] - 0.3


def test_runs_from_another_start_are_not_continued(tmp_path):
    """A run of a version without that choice had the plain start."""
    path = tmp_path / "c.safetensors"
    before, plain, now = (small_trainer() for _ in range(3))
    plain.identity["start"] = dataclasses.asdict(PLAIN_START)
    now.identity["start"] = dataclasses.asdict(Start())
    before.save(path)
    plain.restore(path)
    with pytest.raises(UserError, match=r"start\.first_kernel: 'glorot' there, 'normal' here"):
        now.restore(path)


def test_the_warning_of_stuck_units_says_what_to_do():
    units = Memory((8, 8), (1, 4), (0, 0), 50_000)
    old = {"base": {"start": dataclasses.asdict(PLAIN_START)}}
    assert _warning(units, _remedy(old)) == (
        "5 of 16 units are stuck: they remember nothing, and hardly ever come back; train the base anew with "
        "--output-bias frequencies and --first-kernel normal (docs/training.md, Stuck units)"
    )
    assert _remedy({"base": {}}) == _remedy(old)  # a record without a start
    assert _remedy({"start": {"output_bias": "zero", "first_kernel": "normal"}}) == (
        "start anew with --output-bias frequencies"
    )
    assert _remedy({"start": dataclasses.asdict(Start())}).startswith("start anew with another --seed or")


def test_the_plan_reads_every_stream_in_order():
    plan = bptt.Plan(length=1000, batch=4, steps=16, seed=1)
    assert plan.steps_per_epoch == 250 // 16
    first, second = plan.indices(0), plan.indices(1)
    assert first.shape == (17, 4)
    assert first[0].tolist() == [0, 250, 500, 750]
    assert np.array_equal(first[-1], second[0])  # the next chunk starts with the last target of this one
    assert np.array_equal(np.diff(first, axis=0), np.ones((16, 4)))
    later = plan.indices(plan.steps_per_epoch)
    assert later[0, 0] != 0  # another epoch starts at another place
    assert np.array_equal(later, plan.indices(plan.steps_per_epoch))


def test_a_text_shorter_than_one_batch_is_refused():
    with pytest.raises(UserError, match=r"100 characters, shorter than one batch .* = 8256"):
        bptt.Plan(length=100, batch=64, steps=128, seed=1)


def test_learning_rate_warms_up_and_falls():
    trainer = small_trainer(epochs=2)
    rates = [trainer.learning_rate(k) for k in range(trainer.total + 1)]
    top = int(np.argmax(rates))
    assert top == 10
    assert rates[top] == trainer.options.learning_rate
    assert all(np.diff(rates[:top]) > 0)
    assert all(np.diff(rates[top:]) < 0)
    assert math.isclose(rates[-1], trainer.options.final_learning_rate)


def test_training_learns_and_carries_the_state(trainer):
    trainer.total *= 3
    seen = []
    trainer.run(report=seen.append)
    assert seen[-1].step == trainer.total
    assert seen[-1].loss < 0.6 * seen[0].loss
    assert all(np.abs(np.asarray(h)).max() > 0 for h, _ in trainer.states)


def test_stopping_and_resuming_changes_nothing(tmp_path):
    """This is with dropout, whose masks must be the same; the killed run below is without."""
    options = {"epochs": 1.5, "content": TEXT[:4000], "dropout": 0.2}
    path = tmp_path / "c.safetensors"
    whole = small_trainer(**options)
    whole.run(report=lambda progress: whole.save(path) if progress.step == 61 else None)
    rest = small_trainer(**options)
    rest.restore(path)
    assert rest.step == 61 < rest.plan.steps_per_epoch < rest.total == whole.total == whole.step
    rest.run()
    for a, b in zip(whole.weights, rest.weights, strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(whole.second, rest.second, strict=True):
        assert np.array_equal(a, b)


def test_another_run_s_checkpoint_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    trainer = small_trainer()
    trainer.save(path)
    with pytest.raises(UserError, match=r"options\.learning_rate: '0\.01' there, '0\.02' here"):
        small_trainer(learning_rate=0.02).restore(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="truncated"):
        trainer.restore(path)


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(trainer, tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    real = trainer.update
    calls = []

    def update(*arguments):
        calls.append(1)
        loss, norm = real(*arguments)
        return (loss * math.nan if len(calls) == 6 else loss), norm

    monkeypatch.setattr(trainer, "update", update)
    with pytest.raises(bptt.TrainingDiverged, match=r"at step 6: loss nan.*lower --learning") as caught:
        trainer.run(path, seconds_between=0.0)
    assert f"{path} holds the last good step" in str(caught.value)
    assert load_tensors(path)[1]["step"] == 5


def test_a_real_divergence_stops_with_its_step_and_keeps_what_was_before(tmp_path):
    """Here the loss stays finite, but far above the loss of guessing."""
    path = tmp_path / "c.safetensors"
    wild = small_trainer(epochs=2, learning_rate=10.0)
    seen = []
    with pytest.raises(bptt.TrainingDiverged, match=r"diverged at step \d+: loss \d.* likely") as caught:
        wild.run(path, seconds_between=0.0, report=seen.append)
    assert "a lower --learning-rate than 6.4" in str(caught.value)
    tensors, metadata = load_tensors(path)
    assert all(np.isfinite(array).all() for array in tensors.values())
    assert 0 < metadata["step"] < wild.step
    assert all(p.loss < 1.2 * math.log(28) for p in seen[: metadata["step"]])


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        ([math.nan], "the initial weights"),
        ([1.0] * 10 + [9.0, math.inf], r"rose from 1 to 9 .*exploded.*0\.5, or a --clip below 2"),
        ([1.0] * 10 + [2.0, math.nan], r"was 1 before.*too long.*lower --learning-rate than 0\.5"),
    ],
)
def test_the_likely_cause(norms, message):
    assert re.search(message, bptt._likely_cause(norms, 0.5, 2.0))


def test_no_checkpoint_while_the_loss_is_suspicious(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    trainer = small_trainer()
    trainer.total = 60
    monkeypatch.setattr(trainer, "update", lambda step, _: (1.0 if step < 20 else 4.0, 0.5))
    steps = []
    monkeypatch.setattr(trainer, "save", lambda _: steps.append(trainer.step))
    trainer.run(path, seconds_between=0.0)
    waited = [step for step in range(1, 61) if step not in steps]
    assert steps[:20] == list(range(1, 21))
    assert waited == list(range(21, 60))
    assert steps[-1] == 60


def test_a_full_disk_loses_nothing(text_file, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    arguments = ["train", "--text-file", str(text_file), *TINY, "--stage", "base", "--run-dir", str(run)]
    arguments += ["--epochs", "0.05", "--checkpoint-seconds", "0", "--resume"]
    state = run / "text-base" / "training.safetensors"
    real, written = Path.write_bytes, []

    def write_bytes(path, data):
        if state.parent == path.parent:
            written.append(path)
            if len(written) == 4:
                real(path, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "holds no checkpoint to resume from; starts at the beginning" in " ".join(said.out.split())
    message = said.err
    assert message == f"zynq-lstm: error: {state}: No space left on device\n"
    assert load_tensors(state)[1]["step"] == 3
    assert sorted(p.name for p in state.parent.iterdir()) == ["logs", "training.safetensors"]
    assert main(arguments) == 0
    assert "resumed at step 3" in capsys.readouterr().out


def test_no_matrix_starts_dead(rng):
    """In coarse formats, the initial weights of a float network may all round to 0, and never learn."""
    from zynq_lstm.models.training.recipe import ALIVE

    base = network_spec("w2a8", vocabulary=20, units=32)
    weights = {n: rng.normal(0, 2.0, s).astype(np.float32) for n, s in base.weight_shapes().items()}
    spec = fit_weight_formats(base, weights)
    initial = _initial_weights(Checkpoint(TEXT_20, weights), spec, seed=1)
    plain = float_lstm.build_float(2, 32, 20)
    bptt.initialise(plain, 1)
    shares = {}
    for name, array in float_lstm.read_weights(plain).items():
        fmt = spec.weight_formats()[name]
        before, after = ((fmt.quantize(a) != 0).mean() for a in (array, initial[name]))
        if name.endswith(("U", "output.W", "layers.1.W")):
            assert before < ALIVE < after + 0.02
            shares[name] = after
        else:
            assert np.array_equal(array, initial[name])
    assert len(shares) == 4


def test_a_run_with_another_text_or_spec_is_not_continued(whole, text_file, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(whole.folder, run)
    arguments = ["train", "--text-file", str(text_file), *TINY, "--run-dir", str(run)]

    def refused(message, *more):
        before = {p: p.read_bytes() for p in run.rglob("*.safetensors")}
        assert main([*arguments, "--resume", *more]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert before == {p: p.read_bytes() for p in run.rglob("*.safetensors")}

    refused("is of another run (network.units: '8' there, '9' here)", "--stage", "base", "--units", "9")
    quantized = run / "text-w8a8.safetensors"
    refused("is a quantized network; this takes a float one", "--stage", "float", "--base", str(quantized))
    # The state of another preset is in the folder, as if files had been moved.
    (run / "text-w4a8").mkdir()
    shutil.copy(run / "text-w8a8" / "training.safetensors", run / "text-w4a8")
    refused("is of another run (spec.", "--stage", "quantized", "--preset", "w4a8")
    text_file.write_text(TEXT[:-1] + "!")
    refused("is of another run (corpus", "--stage", "base")
    refused("was trained with another vocabulary", "--stage", "float")


@pytest.mark.parametrize(
    ("field", "value"), [("epochs", -1.0), ("batch", 0), ("dropout", 1.0), ("clip", math.nan)]
)
def test_options_out_of_range_are_refused(field, value):
    with pytest.raises(UserError, match=f"{field} is"):
        bptt.TrainingOptions(**{field: value})


def start(text_file: Path, run_dir: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "zynq_lstm.scripts", "train", "--text-file", str(text_file)]
    command += [*TINY, "--run-dir", str(run_dir), "--checkpoint-seconds", "0", *more]
    return subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_weights(whole, text_file, tmp_path, seed, capsys):
    """kill -9 in the float stage, and in the quantized one, each at a random moment."""
    draw = random.Random(seed)
    killed = tmp_path / "killed"
    for name in ("text-base", "text-float", "text-w8a8"):
        process = start(text_file, killed, "--resume")
        checkpoint = killed / name / "training.safetensors"
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.4))
        assert process.poll() is None, process.communicate()[0]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        step = load_tensors(checkpoint)[1]["step"]  # complete, whenever the run was killed
        assert 0 < step < 2 * (len(TEXT) * 9 // 10 // 4 // 16), "killed too late to mean anything"
    # The last part runs in this process, as the whole run did.
    assert main(["train", "--text-file", str(text_file), *TINY, "--run-dir", str(killed), "--resume"]) == 0
    assert "resumed at step" in capsys.readouterr().out
    for name in ("text-base", "text-float", "text-w8a8"):
        a = Checkpoint.load(whole.folder / f"{name}.safetensors")
        b = Checkpoint.load(killed / f"{name}.safetensors")
        assert a.sha256 == b.sha256, name
        whole_state, _ = load_tensors(whole.folder / name / "training.safetensors")
        killed_state, _ = load_tensors(killed / name / "training.safetensors")
        for key, value in whole_state.items():
            assert np.array_equal(value, killed_state[key]), key


@pytest.mark.slow
def test_the_command_leaves_results_records_and_logs(whole, capsys):
    run = whole.folder
    arguments = ["train", "--text-file", str(whole.text_file), *TINY, "--run-dir", str(run)]
    printed = " ".join(whole.printed.split())
    assert "state carried through from zero" in printed
    assert re.search(
        r"base: epoch 2, validation .*?; stuck \d \+ \d, saturated \d \+ \d of 8 \+ 8 units", printed
    )
    assert "(452 characters), all that the validation split has" in printed
    for name in ("base", "float", "w8a8"):
        checkpoint = Checkpoint.load(run / f"text-{name}.safetensors")
        record = json.loads((run / f"text-{name}.json").read_text())
        assert record["stage"] == name
        assert record["bits_per_character"] == checkpoint.record["bits_per_character"]
        assert set(record["versions"]) >= {"python", "tensorflow", "keras", "qkeras-v3"}
        assert record["options"]["seed"] == 3
        assert record.get("start") == (dataclasses.asdict(Start()) if name == "base" else None)
        assert record.get("base", record)["start"] == dataclasses.asdict(Start())
        assert record["memory"]["units"] == [8, 8] and record["memory"]["characters"] == 452
        assert checkpoint.record["memory"] == record["memory"]
        assert record["command"] == (
            f"zynq-lstm train --text-file {whole.text_file.name} --units 8 --epochs 2.0 "
            "--further-epochs 1.0 --batch 4 --steps 16 --seed 3"
        )
        assert list((run / f"text-{name}" / "logs").glob("events.*"))
    assert main(arguments) == 2
    assert "holds a training run; continue it with --resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        (b"", [], "the file is empty"),
        (b"too short" * 5, [], "shorter than one batch of sequences"),
        (b"ab" * 15, ["--batch", "1", "--steps", "1"], "the validation split has 1 character(s)"),
        (b"caf\xe9" * 5000, [], "not UTF-8: byte 0xE9 at offset 3"),
        (TEXT.encode(), ["--stage", "quantized"], "run 'zynq-lstm train --stage base' first"),
        (TEXT.encode(), ["--dropout", "2"], "'--dropout': 2.0 is not in the range 0.0<=x<=0.9"),
        (TEXT.encode(), ["--units", "0"], "units"),
        (TEXT.encode(), ["--layers", "9"], "layers"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, capsys, content, more, message):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    run = tmp_path / "run"
    assert main(["train", "--text-file", str(path), "--run-dir", str(run), *more]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert not run.exists()


def test_another_network_s_vocabulary_is_refused_with_place(tmp_path, capsys):
    model = float_lstm.build_float(2, 8, 3)
    bptt.initialise(model, 1)
    checkpoint = tmp_path / "abc.safetensors"
    Checkpoint("abc", float_lstm.read_weights(model)).save(checkpoint)
    text = tmp_path / "text.txt"
    text.write_text("abcab\ncab")
    for arguments in (
        ["evaluate", "--checkpoint", str(checkpoint), "--text-file", str(text)],
        ["sample", "--checkpoint", str(checkpoint), "--prime", "abcab\n"],
    ):
        assert main(arguments) == 2
        message = capsys.readouterr().err
        assert r"character '\n' (U+000A) at offset 5" in message
        assert message.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"text.txt", "abc.safetensors"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-50], "truncated"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "content does not match its hash"),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path, capsys, damage, message):
    model = float_lstm.build_float(1, 4, 3)
    path = tmp_path / "c.safetensors"
    Checkpoint("abc", float_lstm.read_weights(model)).save(path)
    path.write_bytes(damage(path.read_bytes()))
    assert main(["sample", "--checkpoint", str(path), "--prime", "a"]) == 2
    assert message in capsys.readouterr().err
