# SPDX-License-Identifier: Apache-2.0
"""Registration with hls4ml: it happens, it is quick, and nothing changes for other users of hls4ml."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zynq_lstm.hls.vitis.cell import class_name
from zynq_lstm.models.cells import catalogue

ROOT = Path(__file__).parents[2]

# Without this, hls4ml would find the installed entry point.
NO_PLUGINS = """
import importlib.metadata
importlib.metadata.entry_points = lambda **_: importlib.metadata.EntryPoints()
"""

STOCK_MODEL = """
import sys
import numpy as np, keras
x = keras.Input((4, 3))
y = keras.layers.LSTM(5, name="recurrent")(x)
y = keras.layers.Dense(2, activation="softmax", name="dense")(y)
model = keras.Model(x, y)
model.set_weights([np.linspace(-1, 1, w.size).reshape(w.shape) for w in model.get_weights()])
import hls4ml
registered = "openrtl" in hls4ml.backends.get_available_backends()
assert registered == (sys.argv[2] == "with"), hls4ml.backends.get_available_backends()
hls4ml.converters.convert_from_keras_model(
    model, backend="Vitis", output_dir=sys.argv[1], hls_config={"Model": {"Precision": "ap_fixed<16,6>",
    "ReuseFactor": 1}}).write()
"""

REGISTRIES = """
import hls4ml
from hls4ml.backends.backend import backend_map
from hls4ml.converters.keras_v3 import layer_handlers
from hls4ml.model.flow.flow import flow_map
from hls4ml.model.layers import layer_map
from hls4ml.model.optimizer.optimizer import optimizer_map
from hls4ml.writer.writers import writer_map

def snapshot():
    tables = dict(backends=backend_map, handlers=layer_handlers, layers=layer_map, flows=flow_map,
                  passes=optimizer_map, writers=writer_map)
    return {name: dict(table) for name, table in tables.items()}

def sources():
    return {name: dict(b.custom_source) for name, b in backend_map.items() if name != "openrtl"}

def attributes():
    return {name: {cls: list(a) for cls, a in b.attribute_map.items()}
            for name, b in backend_map.items() if hasattr(b, "attribute_map") and name != "openrtl"}

def flows(names):
    return {name: list(flow_map[name].optimizers) for name in names}

before = snapshot(), sources(), attributes(), flows(flow_map)
from hls4ml.backends.backend import register_backend
from hls4ml.writer.writers import register_writer
from zynq_lstm.sim.hls4ml.plugin import register
register(register_backend=register_backend, register_writer=register_writer)
after = snapshot()
new = {}
for table, entries in before[0].items():
    for key, value in entries.items():
        assert after[table][key] is value, (table, key)
    new[table] = sorted(set(after[table]) - set(entries))
assert sources() == before[1] and attributes() == before[2]
changed = {name: [p for p in now if p not in before[3][name]]
           for name, now in flows(before[3]).items() if now != before[3][name]}
register(register_backend=register_backend, register_writer=register_writer)
assert snapshot() == after
import json
print(json.dumps([new, changed]))
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)


def test_importing_hls4ml_registers_us_and_loads_no_framework() -> None:
    done = python(
        "import sys, hls4ml\n"
        "loaded = {'tensorflow', 'keras', 'qkeras', 'torch'} & set(sys.modules)\n"
        "print('openrtl' in hls4ml.backends.get_available_backends(), sorted(loaded))"
    )
    # Loader failures are printed, not raised: nothing else may be in the output.
    assert done.stdout.splitlines()[-1:] == ["True []"], done.stderr
    assert "WARNING" not in done.stdout


def test_registration_only_adds() -> None:
    done = python(NO_PLUGINS + REGISTRIES)
    assert done.returncode == 0, done.stderr
    new, changed = json.loads(done.stdout.splitlines()[-1])
    assert new == {
        "backends": ["openrtl"],
        "handlers": [
            "zynq_lstm.models.keras.quantized.QuantizedDense",
            "zynq_lstm.models.keras.quantized.QuantizedLSTM",
            "zynq_lstm.models.keras.quantized.QuantizedRecurrent",
        ],
        "layers": sorted(("FixedDense", *(class_name(catalogue.cell(name)) for name in catalogue.names()))),
        "flows": ["openrtl:ip"],
        "writers": ["OpenRTL"],
        "passes": new["passes"],
    }
    ours = {"fixedcell", "fixeddense", "copy_zynq_lstm_kernel"}
    for name in new["passes"]:
        backend, _, rest = name.partition(":")
        assert backend == "openrtl" or (backend == "vitis" and any(rest.startswith(x) for x in ours)), name
    # The two flows that contain our passes, which match only our layers.
    assert set(changed) == {"vitis:write", "vitis:apply_templates"}


@pytest.mark.slow
def test_stock_model_is_written_the_same_with_and_without_us(tmp_path: Path) -> None:
    written = {}
    for case, prefix in (("without", NO_PLUGINS), ("with", "")):
        folder = tmp_path / case
        done = python(prefix + STOCK_MODEL, str(folder), case)
        assert done.returncode == 0, done.stderr
        files = {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.suffix not in (".keras", ".yml")  # these name the folder
        }
        script = files.pop(Path("build_lib.sh")).decode().splitlines()
        files[Path("build_lib.sh")] = "\n".join(x for x in script if "LIB_STAMP=" not in x).encode()
        written[case] = files
    assert written["with"].keys() == written["without"].keys()
    for path, content in written["with"].items():
        assert content == written["without"][path], path
    assert not [path for path in written["with"] if "zynq" in path.name]
