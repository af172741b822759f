# SPDX-License-Identifier: Apache-2.0
"""Networks and flows beyond what an engine can be built for, and files of pictures that can't be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.networks import small_spec
from tests.prepared import Prepare, both, checkpoint, flow, save, text, written
from tests.situations import Situation
from zynq_lstm.models.description.spec import NetworkSpec

TEXT = "abba cab dad fed bead face " * 40
STEPS = 20  # characters that the imported models read at once


def two_widths(folder: Path) -> None:
    """Writes net.safetensors: the second layer's gates have fewer bits."""
    wide, narrow = small_spec("w8a8", 5, (4,)), small_spec("w8a8", 5, (4,), gate="ap_ufixed<4,0>")
    save(NetworkSpec("mine", 5, (*wide.layers, *narrow.layers), wide.output), folder)


def qkeras_model(*layers: dict[str, Any], bits: int = 8, integer: int = 0) -> Prepare:
    """Writes net.keras, QKeras layers with random weights of ``bits`` bits, and text.txt.

    Args:
        layers: more arguments of each QLSTM.
    """

    def prepare(folder: Path) -> None:
        from zynq_lstm.models.keras.quiet import import_qkeras

        import_qkeras()
        import keras
        from qkeras import QLSTM, QDense, quantized_bits

        def quantizer() -> Any:
            return quantized_bits(bits, integer, 1, alpha=1)

        size, rng = len(set(TEXT)), np.random.default_rng(1)
        names = ("kernel_quantizer", "recurrent_quantizer", "bias_quantizer")
        rounded = [
            QLSTM(4, return_sequences=True, **{name: quantizer() for name in names}, **more)
            for more in layers
        ]
        dense = QDense(size, kernel_quantizer=quantizer(), bias_quantizer=quantized_bits(8, 0, 1, alpha=1))
        model = keras.Sequential([keras.Input((STEPS, size)), *rounded, dense])
        model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
        model.save(folder / "net.keras")
        (folder / "text.txt").write_text(TEXT, encoding="utf-8")

    return prepare


def activations(bits: int) -> dict[str, Any]:
    """Return the arguments of a QLSTM that rounds its gates to ``bits`` bits."""
    from zynq_lstm.models.keras.quiet import import_qkeras

    import_qkeras()
    from qkeras import quantized_sigmoid, quantized_tanh

    return {
        "activation": quantized_tanh(bits, use_real_tanh=True),
        "recurrent_activation": quantized_sigmoid(bits, use_real_sigmoid=True),
    }


def model_of_two_widths(folder: Path) -> None:
    qkeras_model(activations(8), activations(4))(folder)


def _copy_float(folder: Path) -> None:
    from shutil import copyfile

    from zynq_lstm.models.description.checkpoint import shipped

    copyfile(shipped("float"), folder / "net.safetensors")


FILE = '[corpus]\nfile = "text.txt"\n'
FOREIGN = "Ein schöner Tag, sagte der Fuß. " * 2000
WIDE = "ap_fixed<20,7,AP_RND_CONV,AP_SAT_SYM>"
IMPORT = "import-keras net.keras --vocabulary-file text.txt --characters 400 -o new.safetensors"
DRY = "run flow.toml --dry-run"
TOO_WIDE = r"format of layers\.0\.U: the RTL multiplies weights of at most 16 bits, got ap_fixed<20,7,"
UNEQUAL = r"layers\[1\] has gate in ap_ufixed<4,0,.*, layers\[0\] in .*: all layers of a cell share its gate"

SITUATIONS = {
    # Layers of 12, 20 and 7 units: a default reuse factor was refused.
    "f03": Situation(
        "convert --checkpoint net.safetensors --backend openrtl --output out",
        "project  out",
        0,
        checkpoint((12, 20, 7)),
        written("out/rtl/zynq_lstm.sv"),
        imports=True,
        case=True,
    ),
    "any units, HLS": Situation(
        "convert --checkpoint net.safetensors --output out",
        "lstm2    reuse factor 80",
        0,
        checkpoint((12, 20, 7)),
        written("out/firmware/char_lstm.cpp"),
        imports=True,
    ),
    # Weights of 20 bits: imported with a note, and then a traceback of the RTL.
    "f04": Situation(
        IMPORT,
        f"not for the RTL: {TOO_WIDE}",
        0,
        qkeras_model({}, bits=20, integer=6),
        written("new.safetensors"),
        imports=True,
        case=True,
    ),
    "wide weights, estimate": Situation(
        "estimate --network net.safetensors", TOO_WIDE, prepare=checkpoint(U=WIDE)
    ),
    "wide weights, IP": Situation(
        "ip --checkpoint net.safetensors --output out", TOO_WIDE, prepare=checkpoint(U=WIDE)
    ),
    "wide weights, convert": Situation(
        "convert --checkpoint net.safetensors --backend openrtl --output out",
        TOO_WIDE,
        prepare=checkpoint(U=WIDE),
    ),
    "wide weights, simulate": Situation(
        "simulate --checkpoint net.safetensors --text abc", TOO_WIDE, prepare=checkpoint(U=WIDE)
    ),
    "wide weights, synth": Situation(
        "synth --checkpoint net.safetensors --output out", TOO_WIDE, prepare=checkpoint(U=WIDE)
    ),
    "wide weights, schedule": Situation(
        "schedule --network net.safetensors", TOO_WIDE, prepare=checkpoint(U=WIDE)
    ),
    "wide weights, compare": Situation(
        "compare reference rtl --checkpoint net.safetensors --text abc", TOO_WIDE, prepare=checkpoint(U=WIDE)
    ),
    "wide weights, HLS": Situation(
        "convert --checkpoint net.safetensors --output out",
        "project  out",
        0,
        checkpoint(U=WIDE),
        written("out/firmware/char_lstm.cpp"),
        imports=True,
    ),
    # Activations of another width in each layer: 'estimate' said that it fits, 'convert' refused.
    "f10": Situation("estimate --network net.safetensors", UNEQUAL, prepare=two_widths, case=True),
    "unequal layers, import": Situation(
        IMPORT, "not for the RTL: layers.1. has gate in ", 0, model_of_two_widths, imports=True
    ),
    "unequal layers, convert": Situation(
        "convert --checkpoint net.safetensors --backend openrtl --output out", UNEQUAL, prepare=two_widths
    ),
    "weights without zero, HLS project": Situation(
        "hls-project --checkpoint net.safetensors --output out",
        r"layers\.0\.U: a weight format has at least 2 bits",
        prepare=checkpoint(U="ap_fixed<1,1,AP_RND_CONV,AP_SAT_SYM>"),
    ),
    "weights wider than float32, convert": Situation(
        "convert --checkpoint net.safetensors --output out",
        r"layers\.0\.U: a weight format has at most 25 bits",
        prepare=checkpoint(U="ap_fixed<26,6,AP_RND_CONV,AP_SAT_SYM>"),
    ),
    "a reuse factor that is not possible": Situation(
        "convert --checkpoint net.safetensors --reuse-factor 9 --output out",
        "layer lstm1: reuse factor 9 is not possible; it must be a multiple of 4 up to 64, or a divisor of 4",
        prepare=checkpoint(),
    ),
    # Pictures.
    "schedule as BMP": Situation(
        "schedule --output x.bmp", r"--plot x\.bmp: \.bmp is unknown; legal are \.svg, \.pdf, \.png"
    ),
    "ladder as nothing known": Situation(
        "ladder --plot x.foo", r"--plot x\.foo: \.foo is unknown; legal are \.svg"
    ),
    "upset as JPEG": Situation("upset --plot x.jpg", r"--plot x\.jpg: \.jpg is unknown; legal are \.svg"),
    "an ending in capitals": Situation(
        "schedule --units 4 --layers 1 --output x.SVG",
        "drawn to x.SVG",
        0,
        check=written("x.SVG"),
        imports=True,
    ),
    # Flows.
    "shipped network, foreign text": Situation(
        DRY,
        r"flow\.toml:2: corpus\.file: text\.txt: .* not in the vocabulary of 78 .* of 2 kinds: 'ß'.*'ö'",
        prepare=both(flow(f'{FILE}[training]\ncheckpoint = "shipped"\n'), text(FOREIGN, "text.txt")),
    ),
    "shipped network, foreign text, run": Situation(
        "run flow.toml",
        r"corpus\.file: text\.txt: .* is not in the vocabulary of 78 characters",
        prepare=both(flow(f'{FILE}[training]\ncheckpoint = "shipped"\n'), text(FOREIGN, "text.txt")),
    ),
    "network of another corpus": Situation(
        DRY,
        r"training\.checkpoint: shakespeare: .* is not in the vocabulary of 5 characters",
        prepare=both(flow('[training]\ncheckpoint = "net.safetensors"\n'), checkpoint()),
    ),
    "too short a text": Situation(
        DRY,
        r"corpus\.file: text\.txt: the validation split has 1 character",
        prepare=both(flow(FILE), text("abcdefghij" * 2, "text.txt")),
    ),
    "formats that the RTL lacks": Situation(
        DRY,
        r"flow\.toml:2: formats\.h: format h: the RTL has signed formats",
        prepare=flow('[formats]\nh = "ap_ufixed<8,1>"\n'),
    ),
    "formats that the RTL lacks, init": Situation(
        f"init flow.toml --preset train --set 'formats.U={WIDE}'",
        r"--set formats\.U=.*: formats\.U: .*at most 16 bits",
    ),
    "weights that Keras lacks": Situation(
        DRY,
        r"formats\.W: layers\.0\.W: a weight format must be signed with AP_RND_CONV",
        prepare=flow('[formats]\nW = "ap_fixed<8,2>"\n'),
    ),
    "a given network beyond the RTL": Situation(
        DRY,
        rf"training\.checkpoint: {TOO_WIDE}",
        prepare=both(
            flow(f'{FILE}[training]\ncheckpoint = "net.safetensors"\n'),
            text('!"#$%' * 9000, "text.txt"),
            checkpoint(U=WIDE),
        ),
    ),
    "a float network as the quantized one": Situation(
        DRY,
        r"training\.checkpoint: .*is a float network; this takes a quantized one",
        prepare=both(flow('[training]\ncheckpoint = "net.safetensors"\n'), _copy_float),
    ),
    "a reuse factor that the flow can't have": Situation(
        DRY,
        r"flow\.toml:4: engine\.reuse_factor: layer lstm1: reuse factor 9 is not possible",
        prepare=flow('[training]\ncheckpoint = "shipped"\n[engine]\nreuse_factor = 9\n'),
    ),
    "a part that is too small": Situation(
        DRY,
        r"note: no engine fits the xc7z007s: too much .*To make it fit, one of: ",
        0,
        flow('[model]\nunits = 512\n[engine]\npart = "xc7z007s"\n'),
    ),
}
