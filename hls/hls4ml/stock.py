# SPDX-License-Identifier: Apache-2.0
"""Run a Keras model through stock hls4ml, as if this package were not installed, in a process of its own.

``python -m zynq_lstm.hls.hls4ml.stock FOLDER`` reads ``model.keras`` and ``inputs.npy`` there, has hls4ml's
Vitis backend write and compile the project in ``FOLDER/project``, and writes ``outputs.npy``: the results of
``predict``, called twice. hls4ml may end the process with a signal.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from zynq_lstm.hls.hls4ml.peers import hide

#: Wide enough that what is left of a difference is not from the width.
PRECISION = "ap_fixed<32,12>"
PROJECT = "stock"


def main(folder: Path) -> None:
    """Convert, compile and run the model in a folder."""
    hide()
    import hls4ml
    import keras

    model = keras.saving.load_model(folder / "model.keras")
    graph = hls4ml.converters.convert_from_keras_model(
        model,
        output_dir=str(folder / "project"),
        project_name=PROJECT,
        backend="Vitis",
        io_type="io_parallel",
        hls_config={"Model": {"Precision": PRECISION, "ReuseFactor": 1}},
    )
    graph.compile()
    x = np.load(folder / "inputs.npy")
    np.save(folder / "outputs.npy", np.stack([graph.predict(x) for _ in range(2)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
