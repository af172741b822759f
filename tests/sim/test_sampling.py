# SPDX-License-Identifier: Apache-2.0
"""Temperature sampling in integers: generator, noise, distribution, and one text on every engine."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import fitting_array
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import PRESETS, NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers import choice
from zynq_lstm.models.integers.choice import NOISE, TEMPERATURE, Sampler, Xorshift128, temperature_to_raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.integers.text import generate, stream
from zynq_lstm.scripts.main import main
from zynq_lstm.sim.bench.model import EngineModel
from zynq_lstm.sim.simulation.rtl import Rtl

DRAWS = 50_000
SAMPLING_TESTS = (
    "register_map",
    "sample_with_temperature",
    "sample_again",
    "seed_right_before",
    "temperature_while_generating",
)


# ---- the generator


def reference_outputs(seed: int, count: int) -> list[int]:
    """Marsaglia's C code, with his names."""
    x, y, z, w = 123456789 ^ seed, 362436069, 521288629, 88675123
    outputs = []
    for _ in range(count):
        t = x ^ (x << 11) & 0xFFFFFFFF
        x, y, z = y, z, w
        w = (w ^ (w >> 19)) ^ (t ^ (t >> 8))
        outputs.append(w)
    return outputs


def test_outputs_are_marsaglias() -> None:
    # The first outputs of the paper's own state.
    assert reference_outputs(0, 4) == [3701687786, 458299110, 2500872618, 3633119408]
    for seed in (0, 1, 123456789, 0xFFFFFFFF):
        expected = reference_outputs(seed, 64 + 500)[64:]
        assert list(islice(Xorshift128(seed), 500)) == expected


def step_matrix() -> list[int]:
    """Return the step as a matrix over GF(2): column k is the step of the state with only bit k set."""
    columns = []
    for bit in range(128):
        generator = Xorshift128(0)
        generator.state = tuple((1 << bit) >> 32 * n & 0xFFFFFFFF for n in range(4))
        next(generator)
        columns.append(sum(word << 32 * n for n, word in enumerate(generator.state)))
    return columns


def product(a: list[int], b: list[int]) -> list[int]:
    result = []
    for column in b:
        value = 0
        while column:
            low = column & -column
            value ^= a[low.bit_length() - 1]
            column ^= low
        result.append(value)
    return result


def power(matrix: list[int], exponent: int) -> list[int]:
    result = [1 << bit for bit in range(128)]
    while exponent:
        if exponent & 1:
            result = product(result, matrix)
        matrix = product(matrix, matrix)
        exponent >>= 1
    return result


def test_period_is_all_states_but_zero() -> None:
    """The step's order is 2**128 - 1: the order divides that, but none of its quotients by a prime factor."""
    order, identity = 2**128 - 1, [1 << bit for bit in range(128)]
    factors = (3, 5, 17, 257, 641, 65537, 274177, 6700417, 67280421310721)
    assert math.prod(factors) == order
    matrix = step_matrix()
    assert power(matrix, order) == identity
    assert all(power(matrix, order // factor) != identity for factor in factors)
    assert math.gcd(order, choice.WORD_LOGITS) == 1  # four outputs at once go through all states, too


def test_every_bit_of_the_seed_has_spread() -> None:
    """Sequences of neighbouring seeds differ as much as any two sequences."""
    first = Xorshift128(0)
    words = list(islice(first, 256))
    for bit in range(32):
        others = list(islice(Xorshift128(1 << bit), 256))
        differing = sum((a ^ b).bit_count() for a, b in zip(words, others, strict=True))
        assert abs(differing - 256 * 16) < 6 * math.sqrt(256 * 32) / 2  # six standard deviations
        assert all(a != b for a, b in zip(words[:8], others[:8], strict=True))


@pytest.mark.parametrize("seed_value", [0, 1, 0xFFFFFFFF])
def test_bits_are_fair_and_independent_of_their_neighbours(seed_value: int) -> None:
    words = np.array(list(islice(Xorshift128(seed_value), 40_000)), np.uint32)
    bits = (words[:, np.newaxis] >> np.arange(32, dtype=np.uint32)) & 1
    limit = 5 * 0.5 / math.sqrt(len(words))
    assert np.abs(bits.mean(axis=0) - 0.5).max() < limit
    for lag in (
        1,
        2,
        3,
        4,
        8,
        80,
    ):  # within a word of logits, from one to the next, from character to character
        assert np.abs((bits[lag:] == bits[:-lag]).mean(axis=0) - 0.5).max() < 1.01 * limit
    octets = np.bincount((words & 255).astype(int), minlength=256)
    expected = len(words) / 256
    assert ((octets - expected) ** 2 / expected).sum() < 255 + 5 * math.sqrt(2 * 255)


@pytest.mark.parametrize("seed_value", [-1, 1 << 32])
def test_seeds_out_of_range_are_refused(seed_value: int) -> None:
    with pytest.raises(UserError, match=f"the seed must be 0 to 4294967295, got {seed_value}"):
        Xorshift128(seed_value)


# ---- the noise


def test_tables_are_the_contracts() -> None:
    """The tables are fixed: another platform's logarithm must not change the text of a seed."""
    table, tail = choice.noise_table(), choice.noise_tail()
    digest = hashlib.sha256(table.astype("<i2").tobytes() + tail.astype("<i2").tobytes()).hexdigest()
    assert digest == "2e4e6e04f10c97be8b72016ef4b41319d1e2e33755dc188a7b3726cd4a2372c9"
    assert (table[0], table[255], table[-1], tail[8], tail[24]) == (372, -1983, 4965, 710, 12066)
    assert choice.noise_bounds() == (-1983, 17740)
    assert np.array_equal(np.sign(np.diff(table.reshape(8, 256), axis=1)), np.full((8, 255), -1))
    assert not table.flags.writeable and not tail.flags.writeable


def test_noise_of_words() -> None:
    """The noise depends on the leading zeros and the low byte, and on nothing else."""
    table, tail = choice.noise_table(), choice.noise_tail()
    words = {
        0xFFFFFFFF: table[255],
        0x80000000: table[0],
        0x7FFFFF00: table[256],
        0x0100FF07: table[7 * 256 + 7],
        0x00FF0080: table[7 * 256 + 128] + tail[8],
        0x00000100: table[7 * 256] + tail[23],
        0x000000FF: table[7 * 256 + 255] + tail[24],
        0x00000000: table[7 * 256] + tail[24],
    }
    assert np.array_equal(choice.noise(np.array(list(words))), list(words.values()))


def test_noise_is_gumbels() -> None:
    """Compare with -ln(-ln u) in the middle of each cell, within the table's rounding and cut tail."""
    octave, cell = np.divmod(np.arange(24 * 256), 256)
    v = 2.0 ** -(octave + 1.0) * (1 + (cell + 0.5) / 256)
    raw = choice.noise((1 << (31 - octave)) | cell)
    error = np.abs(raw * NOISE.lsb + np.log(-np.log1p(-v)))
    assert error[octave < 8].max() <= NOISE.lsb / 2
    assert error.max() < NOISE.lsb + 2.0**-8


# ---- the choice


def spec(vocabulary: int, logits: str = "ap_fixed<16,6>") -> NetworkSpec:
    return small_spec("w8a8", vocabulary, [3], logits=logits)


def trained_like(vocabulary: int, seed: int) -> tuple[NetworkSpec, np.ndarray]:
    """Return raw logits like a trained network's: a few likely characters, and many unlikely ones."""
    shape = spec(vocabulary)
    real = np.random.default_rng(seed).normal(0, 3, vocabulary)
    return shape, shape.output.logits.quantize(real)


def softmax(shape: NetworkSpec, logits: np.ndarray, temperature_raw: int) -> np.ndarray:
    real = shape.output.logits.to_real(logits) / (temperature_raw * TEMPERATURE.lsb)
    weights = np.exp(real - real.max())
    return weights / weights.sum()


def chi_squared(drawn: np.ndarray, chance: np.ndarray) -> tuple[float, int]:
    """Return statistic and degrees of freedom; values expected fewer than five times count as one."""
    expected = chance * drawn.sum()
    common = expected >= 5
    observed = np.append(drawn[common], drawn[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    if expected[-1] < 1:  # too few even together
        observed, expected = observed[:-1], expected[:-1]
    return float(((observed - expected) ** 2 / expected).sum()), len(expected) - 1


@functools.cache
def drawn_of(temperature_raw: int, seed: int) -> np.ndarray:
    """Return how often each code of a trained-like network is drawn."""
    shape, logits = trained_like(78, 1)
    sampler = Sampler(shape, temperature_raw, seed)
    return np.bincount([sampler.choose(logits) for _ in range(DRAWS)], minlength=78)


@pytest.mark.slow
@pytest.mark.parametrize(
    "temperature, seed_value", [(0.4, 0), (0.7, 0), (0.7, 20150331), (1.0, 0), (2.0, 0), (15.99, 0)]
)
def test_draws_are_from_the_softmax(temperature: float, seed_value: int) -> None:
    shape, logits = trained_like(78, 1)
    raw = temperature_to_raw(temperature)
    statistic, freedom = chi_squared(drawn_of(raw, seed_value), softmax(shape, logits, raw))
    # Mean and deviation of the chi-squared distribution; 4 deviations is about one in ten thousand.
    assert freedom >= 4
    assert statistic < freedom + 4 * math.sqrt(2 * freedom), (statistic, freedom)


def test_chi_squared_would_notice() -> None:
    """The test above fails for a temperature that is wrong by 2 %."""
    shape, logits = trained_like(78, 1)
    statistic, freedom = chi_squared(drawn_of(256, 0), softmax(shape, logits, 270))
    assert statistic > freedom + 4 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("temperature", [0.1, 0.4, 0.7, 1.0, 2.0, 15.99])
@pytest.mark.parametrize("network", range(2))
def test_bias_of_the_tables_is_bounded(temperature: float, network: int) -> None:
    """For fair bits, the bias is exactly within the bounds that docs/numerics.md states."""
    shape, logits = trained_like(78, network)
    raw = temperature_to_raw(temperature)
    chance, wanted = choice.probabilities(logits, raw, shape.output.logits), softmax(shape, logits, raw)
    assert abs(chance.sum() - 1) < 1e-9
    assert np.abs(chance - wanted).sum() / 2 < 5e-4
    ratio = chance / wanted
    assert np.abs(ratio - 1)[wanted > 1e-4].max() < 0.005
    assert np.abs(ratio - 1)[wanted > 1e-6].max() < 0.05


def test_bias_of_a_tie() -> None:
    """Two codes of equal logit sometimes share a cell, and then the lower code wins."""
    chance = choice.probabilities(np.zeros(2, np.int64), 256, PRESETS["w8a8"][1].logits)
    assert 0.5 < chance[0] < 0.501
    assert abs(chance[0] - 0.5 - 1 / (6 * 256)) < 1e-4


def test_probabilities_are_those_of_the_sampler() -> None:
    """Check the exact distribution above itself, where the bias is large: few draws, few codes."""
    shape = spec(3)
    logits = np.array([0, 0, -2048])
    raw, seeds = 256, 4
    chance = choice.probabilities(logits, raw, shape.output.logits)
    drawn = np.zeros(3)
    for k in range(seeds):
        sampler = Sampler(shape, raw, k)
        drawn += np.bincount([sampler.choose(logits) for _ in range(DRAWS)], minlength=3)
    statistic, freedom = chi_squared(drawn, chance)
    assert freedom == 2
    assert statistic < 18.4  # one in ten thousand


def test_zero_is_greedy_and_ties_go_to_the_lowest_code() -> None:
    shape = spec(9)
    logits = np.array([3, 7, -2, 7, 7, 0, 1, 2, 3])
    for seed in range(20):
        assert Sampler(shape, 0, seed).choose(logits) == 1
    assert Sampler(shape, 0, 5).choose(np.full(9, shape.output.logits.min_raw)) == 0


def test_scores_are_exact_integers() -> None:
    """Compare with logit + T noise in fractions, for logits finer and coarser than the noise."""
    from fractions import Fraction

    rng = np.random.default_rng(3)
    for text in ("ap_fixed<16,6>", "ap_fixed<16,16>", "ap_fixed<16,-4>", "ap_fixed<8,4>"):
        fmt = FixedFormat.parse(text)
        logits = rng.integers(fmt.min_raw, fmt.max_raw + 1, 50)
        noise = rng.integers(-1983, 17741, 50)
        for raw in (0, 1, 256, 4095):
            values = choice.scores(logits, noise, raw, fmt)
            frac = max(fmt.frac, TEMPERATURE.frac + NOISE.frac)
            for k in range(50):
                exact = Fraction(int(logits[k])) * Fraction(2) ** -fmt.frac + Fraction(
                    raw * int(noise[k]), 1 << (TEMPERATURE.frac + NOISE.frac)
                )
                assert Fraction(int(values[k]), 1) / Fraction(2) ** frac == exact


def test_generator_moves_by_whole_words_of_four() -> None:
    """True for any number of codes, and at any temperature."""
    for vocabulary, used in ((2, 4), (4, 4), (5, 8), (78, 80)):
        for raw in (0, 300):
            sampler = Sampler(spec(vocabulary), raw, 9)
            for _ in range(3):
                sampler.choose(np.zeros(vocabulary, np.int64))
            after = list(islice(sampler._random, 4))
            assert after == reference_outputs(9, 64 + 3 * used + 4)[-4:]


def test_arguments_are_checked() -> None:
    with pytest.raises(UserError, match="the raw temperature must be 0 to 4095, got 4096"):
        Sampler(spec(5), 4096)
    with pytest.raises(UserError, match="the seed must be"):
        Sampler(spec(5), 1, -1)
    for value in (-0.1, 16, math.nan, math.inf):
        with pytest.raises(UserError, match=r"temperature is .*; the hardware has 0 to 15\.9961"):
            temperature_to_raw(value)
    assert [temperature_to_raw(t) for t in (0, 0.7, 1, 15.996)] == [0, 179, 256, 4095]
    with pytest.raises(ValueError, match=r"logits must be of shape \(5,\), got \(4,\)"):
        Sampler(spec(5)).choose(np.zeros(4, np.int64))


# ---- text


@pytest.fixture(scope="module")
def network(seed: int) -> IntegerNetwork:
    return with_weights(small_spec("w8a8", 11, (6, 5)), np.random.default_rng(seed))


def test_generate_is_the_bench_s_model(network: IntegerNetwork) -> None:
    for raw, seed in ((0, 0), (256, 0), (100, 7)):
        model = EngineModel(network)
        model.configure(generate=True, auto_reset=False, length=40)
        model.set_temperature(raw)
        model.reseed(seed)
        for k, code in enumerate((1, 5, 3)):
            model.accept(code, k == 2)
        text = generate(network, [1, 5, 3], 40, raw, seed)
        model.take(model.characters)
        assert [values for values, _ in model.beats] == [(code,) for code in text]
        assert list(stream(network, [1, 5, 3], 40, raw, seed)) == text.tolist()


def test_generate_checks_its_arguments(network: IntegerNetwork) -> None:
    for arguments, message in (
        (([], 3), "the priming text is empty"),
        (([1], -1), "length is -1; it must be 0 or more"),
        (([1], 3, 5000), "the raw temperature must be 0 to 4095, got 5000"),
        (([1], 3, 1, -3), "the seed must be 0 to 4294967295, got -3"),
        (([11], 3), "character code 11 at step 0 is outside 0..10"),
    ):
        with pytest.raises(UserError, match=message):
            generate(network, *arguments)
    assert len(generate(network, [1], 0)) == 0


def test_same_seed_same_text(network: IntegerNetwork) -> None:
    first = generate(network, [1], 100, 256, 5)
    assert np.array_equal(first, generate(network, [1], 100, 256, 5))
    assert not np.array_equal(first, generate(network, [1], 100, 256, 6))
    assert np.array_equal(first[:60], generate(network, [1], 60, 256, 5))


# ---- RTL, C++ and Keras


@pytest.fixture(scope="module")
def rtl(network: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Rtl:
    return Rtl.build(Design(network, fitting_array(network.spec)), tmp_path_factory.mktemp("rtl"))


@pytest.mark.rtl
@pytest.mark.parametrize("test", SAMPLING_TESTS)
def test_protocol(rtl: Rtl, test: str, seed: int) -> None:
    rtl.protocol(test, seed)


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize(
    "preset, vocabulary, units, array, logits",
    [
        ("q8.8", 2, (1,), Array(1, 1, 1, 1), "ap_fixed<12,10>"),
        ("w8a8", 6, (3, 4), Array(2, 2, 1, 2), "ap_fixed<16,-4>"),  # finer than the noise
        ("w4a8", 40, (9,), Array(4, 4, 2, 2), "ap_fixed<16,6>"),  # words in several groups
    ],
)
def test_shapes_and_formats(
    preset: str, vocabulary: int, units: tuple[int, ...], array: Array, logits: str, tmp_path: Path, seed: int
) -> None:
    """Two of the last word's codes are missing, or none; one unit; words in several groups."""
    shape = small_spec(preset, vocabulary, units, logits=logits)
    network = with_weights(shape, np.random.default_rng(seed))
    rtl = Rtl.build(Design(network, array), tmp_path)
    rtl.protocol("sample_with_temperature", seed)
    rtl.protocol("generate_closed_loop", seed)
    run = rtl.generate([0], 30, temperature_raw=300, seed=1)
    assert run.report["generated"] == generate(network, [0], 30, 300, 1).tolist()


@pytest.mark.rtl
def test_rtl_streams_what_it_generates(rtl: Rtl, network: IntegerNetwork) -> None:
    text = generate(network, [3, 1], 50, 256, 77).tolist()
    run = rtl.generate([3, 1], 50, temperature_raw=256, seed=77)
    assert run.report["generated"] == text
    assert list(rtl.stream([3, 1], 50, temperature_raw=256, seed=77)) == text
    timing = rtl.design.schedule.timing("generate")
    assert run.report["cycles_per_character"] == timing.cycles_per_character


def with_ties(network: IntegerNetwork) -> IntegerNetwork:
    """Return a network in which several codes share each logit, within the RTL's words and across them."""
    weights = {name: network.arrays[name].copy() for name in network.spec.weight_formats()}
    for name in ("output.W", "output.b"):
        weights[name] = weights[name][..., [0, 0, 2, 2, 0, 5, 5, 2, 0, 5, 10]]
    return IntegerNetwork.from_weights(network.spec, network.vocabulary, weights)


def equal_scores(network: IntegerNetwork, text: list[int], temperature_raw: int, seed: int) -> int:
    """Return how many characters of a text after code 1 were chosen among several with the highest score."""
    reference, sampler = Reference(network), Sampler(network.spec, temperature_raw, seed)
    ties = 0
    for code in [1, *text[:-1]]:
        values = choice.scores(
            reference.run([code])[-1], sampler.noise(), temperature_raw, network.spec.output.logits
        )
        ties += int((values == values.max()).sum() > 1)
    return ties


@dataclass(frozen=True)
class Tied:
    """A network with ties on every engine."""

    network: IntegerNetwork
    model: Any
    graph: Any
    rtl: Rtl

    def texts(self, prime: list[int], length: int, temperature_raw: int, seed: int) -> list[list[int]]:
        """Return the text that each engine writes: C++ twice, RTL, Keras."""
        from zynq_lstm.hls.hls4ml import simulate
        from zynq_lstm.models.keras import text as keras_sampling

        run = self.rtl.generate(prime, length, temperature_raw=temperature_raw, seed=seed)
        keras = keras_sampling.generate(self.model, np.array(prime), length, temperature_raw / 256, seed)
        return [
            simulate.generate(self.graph, prime, length, temperature_raw, seed).tolist(),
            list(simulate.stream(self.graph, prime, length, temperature_raw, seed)),
            run.report["generated"],
            list(keras),
        ]


@pytest.fixture(scope="module")
def tied(network: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Tied:
    from tests.hls.hls4ml_networks import keras_model
    from zynq_lstm.hls.hls4ml.convert import compile_model, convert

    tied, folder = with_ties(network), tmp_path_factory.mktemp("tied")
    model = keras_model(tied)
    graph = convert(model, folder / "hls")
    compile_model(graph)
    return Tied(tied, model, graph, Rtl.build(Design(tied, fitting_array(tied.spec)), folder, quick=True))


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.hls
def test_one_text_on_every_engine(tied: Tied) -> None:
    """Texts with temperatures; the greedy one is below."""
    from zynq_lstm.hls.hls4ml import simulate

    for raw, seed, length in ((256, 0, 200), (179, 12345, 200), (4095, 0xFFFFFFFF, 200)):
        text = generate(tied.network, [2, 7, 1], length, raw, seed).tolist()
        assert len(set(text)) > 5
        assert tied.texts([2, 7, 1], length, raw, seed) == [text] * 4
    assert len(simulate.generate(tied.graph, [1], 0)) == 0
    with pytest.raises(UserError, match="the seed must be"):
        simulate.generate(tied.graph, [1], 5, 1, -1)


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.hls
def test_ties_go_to_the_lowest_code_on_every_engine(tied: Tied) -> None:
    """In greedy mode every choice is a tie; with a temperature, the noise makes some ties."""
    for raw, seed, length, ties in ((0, 0, 60, 60), (1, 3, 300, 1)):
        text = generate(tied.network, [1], length, raw, seed).tolist()
        assert equal_scores(tied.network, text, raw, seed) >= ties
        assert tied.texts([1], length, raw, seed) == [text] * 4


# ---- the verb


@pytest.fixture(scope="module")
def checkpoints(network: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("checkpoints")
    weights = {n: f.to_real(network.arrays[n]) for n, f in network.spec.weight_formats().items()}
    floats = {"layers.0.U": np.zeros((6, 24)), "layers.0.W": np.zeros((11, 24)), "layers.0.b": np.zeros(24)}
    floats |= {"output.W": np.zeros((6, 11)), "output.b": np.arange(11.0)}
    Checkpoint(network.vocabulary, weights, network.spec).save(folder / "quantized")
    Checkpoint(network.vocabulary, floats).save(folder / "float")
    return {name: str(folder / name) for name in ("quantized", "float")}


def arguments(checkpoint: str, *more: str) -> list[str]:
    sample = ["sample", "--checkpoint", checkpoint, "--prime", "$&", "--length", "40", "--seed", "4294967295"]
    return [*sample, *more]


@pytest.mark.rtl
@pytest.mark.parametrize("engine", ["reference", "quantized", "rtl"])
def test_verb_writes_the_reference_s_text(
    engine: str,
    network: IntegerNetwork,
    checkpoints: dict[str, str],
    rtl: Rtl,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = generate(network, [3, 5], 40, 384, 0xFFFFFFFF)
    output = ["--output", str(rtl.network_file.parent)] if engine == "rtl" else []
    given = arguments(checkpoints["quantized"], "--temperature", "1.5", "--engine", engine, *output)
    assert main(given) == 0
    assert capsys.readouterr().out == "$&" + "".join(network.vocabulary[code] for code in text) + "\n"


def test_verb_runs_a_float_network_in_float(
    checkpoints: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(checkpoints["float"], "--temperature", "0")) == 0
    assert capsys.readouterr().out == "$&" + "+" * 40 + "\n"


@pytest.mark.parametrize(
    "kind, more, message",
    [
        ("float", ["--engine", "reference"], "--engine reference can't run a float network"),
        ("quantized", ["--engine", "float"], "--engine float can't run a quantized network"),
        ("quantized", ["--output", "x"], "--output is an option of --engine hls and rtl, not of reference"),
        ("quantized", ["--temperature", "16"], "temperature is 16.0; the hardware has 0 to 15.9961"),
        (
            "quantized",
            ["--temperature", "-1", "--engine", "quantized"],
            "'--temperature': -1.0 is not in the range x>=0",
        ),
        ("quantized", ["--seed", "-1"], "'--seed': -1 is not in the range 0<=x<=4294967295"),
        ("float", ["--seed", "-1"], "'--seed': -1 is not in the range 0<=x<=4294967295"),
        ("quantized", ["--length", "-1"], "length is -1; it must be 0 or more"),
        ("quantized", ["--prime", ""], "the priming text is empty"),
        ("quantized", ["--engine", "x"], "'x' is not one of 'float', 'quantized', 'reference', 'hls', 'rtl'"),
    ],
)
def test_verb_refuses(
    kind: str,
    more: list[str],
    message: str,
    checkpoints: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(arguments(checkpoints[kind], *more)) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""
