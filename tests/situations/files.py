# SPDX-License-Identifier: Apache-2.0
"""Files and folders: overwriting, missing files, and values that are out of range."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.prepared import Prepare, both, flow, network, text
from tests.situations import Situation
from tests.situations.texts import PLAIN
from zynq_lstm.models.description.checkpoint import Checkpoint, shipped
from zynq_lstm.models.store import LOCK_FILE, write_json

TAKEN = "already exists"
WOULD_BE_LOST = "which would be overwritten; choose another name"
MODEL = text("a model", "case.keras")
IMPORT = "import-keras case.keras --vocabulary ab --text-file a.txt -o"


def made(*steps: Prepare) -> Prepare:
    """Make a text, and a network with its vocabulary."""
    return both(text(PLAIN), lambda folder: network(folder, "".join(sorted(set(PLAIN)))), *steps)


def foreign(name: str) -> Prepare:
    """Make a folder with somebody else's file."""

    def make(folder: Path) -> None:
        (folder / name).mkdir(parents=True)
        (folder / name / "thesis.txt").write_text("mine")

    return make


def _hard_link(folder: Path) -> None:
    MODEL(folder)
    os.link(folder / "case.keras", folder / "same.keras")


def _link(folder: Path) -> None:
    MODEL(folder)
    (folder / "link").symlink_to("case.keras")


def _is_network(name: str) -> Callable[[Path], None]:
    return lambda folder: Checkpoint.load(folder / name) and None


CALIBRATE = "calibrate --checkpoint float.safetensors --text-file a.txt --characters 1002"


def _float(folder: Path) -> None:
    import dataclasses

    long = PLAIN * 2
    text(long)(folder)
    made_network = network(folder, "".join(sorted(set(long))))
    dataclasses.replace(made_network, spec=None).save(folder / "float.safetensors")


SITUATIONS = {
    "the output is the model": Situation(
        f"{IMPORT} case.keras",
        rf"--output case\.keras: is case\.keras \(MODEL\), {WOULD_BE_LOST}",
        prepare=both(MODEL, text(PLAIN)),
        case=True,
    ),
    "the output is the model, spelled otherwise": Situation(
        f"{IMPORT} ./sub/../case.keras",
        WOULD_BE_LOST,
        prepare=both(MODEL, text(PLAIN), lambda folder: (folder / "sub").mkdir()),
    ),
    "the output is a link to the model": Situation(
        f"{IMPORT} link", WOULD_BE_LOST, prepare=both(_link, text(PLAIN))
    ),
    "the output is another name of the model": Situation(
        f"{IMPORT} same.keras", WOULD_BE_LOST, prepare=both(_hard_link, text(PLAIN))
    ),
    "the output is the model, insisted on": Situation(
        f"{IMPORT} case.keras --overwrite", WOULD_BE_LOST, prepare=both(MODEL, text(PLAIN))
    ),
    "the output is the text": Situation(
        f"{IMPORT} a.txt", rf"--text-file a\.txt, {WOULD_BE_LOST}", prepare=both(MODEL, text(PLAIN))
    ),
    "figures over the text": Situation(
        "ranges --checkpoint net.safetensors --text-file a.txt --json a.txt", WOULD_BE_LOST, prepare=made()
    ),
    "figures over the network": Situation(
        "estimate --checkpoint net.safetensors --json net.safetensors", WOULD_BE_LOST, prepare=made()
    ),
    "a picture over the network": Situation(
        "ladder --checkpoint net.safetensors --plot net.safetensors", WOULD_BE_LOST, prepare=made()
    ),
    "the network over itself": Situation(f"{CALIBRATE} -o float.safetensors", WOULD_BE_LOST, prepare=_float),
    "the shipped network": Situation(
        f"calibrate -o {shipped('float')}",
        r"is .*shakespeare-float\.safetensors \(the network that comes with",
        prepare=made(),
    ),
    "two outputs of one name": Situation(
        "train-cells --json x.svg --plot ./x.svg", r"--plot x\.svg: --json names that, too"
    ),
    "a folder inside one that is read": Situation(
        "compare reference rtl --rtl-project project --output project/new",
        r"--output project/new: is inside --rtl-project project, which is read",
        prepare=foreign("project"),
    ),
    "a folder that holds what is read": Situation(
        "demo --checkpoint out/net.safetensors --output out",
        r"--output out: holds --checkpoint out/net\.safetensors, and its files may be overwritten",
        prepare=lambda folder: (foreign("out")(folder), network(folder / "out", "ab")),
    ),
    "a network over a thesis": Situation(
        f"{IMPORT} thesis.txt",
        rf"--output thesis\.txt: {TAKEN} and is not a float or quantized network; choose another",
        prepare=both(MODEL, text(PLAIN), text("mine", "thesis.txt")),
    ),
    "figures over a thesis": Situation(
        "estimate --json thesis.txt", rf"--json thesis\.txt: {TAKEN}", prepare=text("mine", "thesis.txt")
    ),
    "figures over another program's JSON": Situation(
        "estimate --json package.json", TAKEN, prepare=text('{\n  "name": "x"\n}\n', "package.json")
    ),
    "figures over a record": Situation(
        "estimate --json r.json",
        TAKEN,
        prepare=lambda folder: write_json(folder / "r.json", {"kind": "cells"}),
    ),
    "figures over a record of training": Situation(
        "estimate --json r.json",
        TAKEN,
        prepare=lambda folder: write_json(folder / "r.json", {"stage": "base"}),
    ),
    "figures over a network": Situation("estimate --json net.safetensors", TAKEN, prepare=made()),
    "figures over a picture": Situation("estimate --json x.svg", TAKEN, prepare=text("<svg/>", "x.svg")),
    "a picture over a photo": Situation(
        "schedule --plot photo.png",
        rf"--plot photo\.png: {TAKEN} and is not a picture that this program drew",
        prepare=lambda folder: (folder / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\nholiday"),
    ),
    "a picture without an ending": Situation(
        "train-cells --plot x", r"--plot x: its name has no ending; legal are \.svg"
    ),
    "a text over a text": Situation(
        "corpus --text-file a.txt --output b.txt",
        rf"--output b\.txt: {TAKEN}; ",
        prepare=both(text(PLAIN), text("mine", "b.txt")),
    ),
    "a configuration over a configuration": Situation(
        "init", r"flow\.toml: already exists; choose another name, or give --overwrite", prepare=flow("")
    ),
    "figures in a device": Situation("estimate --json /dev/null", r"--json /dev/null: is not a regular file"),
    "figures in a folder": Situation(
        "estimate --json out", r"--json out: is a folder; name a file", prepare=foreign("out")
    ),
    "figures below a file": Situation(
        "estimate --json a.txt/x.json",
        r"--json a\.txt/x\.json: .*a\.txt is not a folder",
        prepare=text(PLAIN),
    ),
    "figures again": Situation(
        "estimate --json r.json",
        "XC7Z020|xc7z020",
        0,
        prepare=lambda folder: write_json(folder / "r.json", [{"mac_lanes": 1}]),
    ),
    "figures over a thesis, insisted on": Situation(
        "estimate --json thesis.txt --overwrite", "xc7z020", 0, prepare=text("mine", "thesis.txt")
    ),
    "figures in an empty file": Situation("estimate --json r.json", "xc7z020", 0, prepare=text("", "r.json")),
    "a network over a network": Situation(
        f"{CALIBRATE} -o net.safetensors",
        r"wrote net\.safetensors",
        0,
        _float,
        _is_network("net.safetensors"),
    ),
    "a run in a folder of something else": Situation(
        "run flow.toml --dry-run",
        r"build/flow: holds other files; choose another with the configuration's key name",
        prepare=both(flow(""), foreign("build/flow")),
    ),
    "a run that would remove its network": Situation(
        "run flow.toml --dry-run",
        r"the results in build/flow: holds .*build/flow/quantize/net\.safetensors",
        prepare=lambda folder: (
            flow(
                "[training]\ncheckpoint = 'build/flow/quantize/net.safetensors'\n[corpus]\nfile = 'a.txt'\n"
                "[verification]\ncharacters = 16\n"
            )(folder),
            (folder / "build/flow/quantize").mkdir(parents=True),
            (folder / "build/flow/.lock").touch(),
            text(PLAIN)(folder),
            network(folder / "build/flow/quantize", "".join(sorted(set(PLAIN)))),
        ),
    ),
    "training over the text's folder": Situation(
        "train --text-file out/thesis.txt --run-dir out",
        r"--run-dir out: holds other files",
        prepare=foreign("out"),
    ),
    "training over its base": Situation(
        "train --text-file a.txt --stage float --base run/a-float.safetensors --run-dir run --batch 2",
        rf"--run-dir: run/a-float\.safetensors: is --base run/a-float\.safetensors, {WOULD_BE_LOST}",
        prepare=lambda folder: (
            _float(folder),
            (folder / "run").mkdir(),
            (folder / "run" / LOCK_FILE).touch(),
            (folder / "float.safetensors").rename(folder / "run/a-float.safetensors"),
        ),
    ),
    "a teacher that is not there, before training": Situation(
        "train --text-file a.txt --teacher nothere",
        r"--teacher nothere: no such file",
        prepare=text(PLAIN * 9),
    ),
    "a base that is not there yet": Situation(
        "train --text-file a.txt --stage float --batch 2 --steps 4",
        r"build/train/a-base\.safetensors: no such file; run 'zynq-lstm train --stage base' first",
        prepare=text(PLAIN),
    ),
    "a text shorter than a batch": Situation(
        "train --text-file a.txt",
        r"the training text has 1404 characters, shorter than one",
        prepare=text(PLAIN),
    ),
    "a network and a shape": Situation(
        "estimate --checkpoint net.safetensors --units 64",
        "--units has no effect with --checkpoint",
        prepare=made(),
    ),
    "two texts": Situation(
        "simulate --text a --text-file a.txt", "give --text or --text-file, not both", prepare=text(PLAIN)
    ),
    "a mutant that is not made": Situation(
        "mutate --count 10 --only 3,11", r"there is no mutant 11; --count makes"
    ),
    "an unknown proof": Situation(
        "prove nothere", r"no proof 'nothere'; there are axis_fifo, .*round_saturate_1"
    ),
    "a proof that almost is": Situation("prove axis_fifo lut_ram2", r"no proof 'lut_ram2'"),
}
#: Verbs that fill a folder, with the other arguments that they need.
FILLS = (
    *("benchmark", "compare keras hls", "convert", "cover", "demo", "figures engine", "fuzz", "hls-project"),
    "ip",
    *("mutate", "prove", "simulate", "synth", "upset", "sample --engine rtl"),
)
SITUATIONS |= {
    f"{line} in a folder of something else": Situation(
        f"{line} --output out",
        r"--output out: holds other files; choose another folder, or give --overwrite",
        prepare=foreign("out"),
    )
    for line in FILLS
}
SITUATIONS |= {
    f"{line} in build/{name} of something else": Situation(
        line, rf"build/{name}: holds other files", prepare=foreign(f"build/{name}")
    )
    for line, name in (
        *(
            ("convert", "vitis"),
            ("synth", "synth/yosys"),
            ("sample --engine hls", "sample-hls"),
            ("demo", "demo"),
        ),
        ("train", "train"),
    )
}
#: Options that name a file, and the verbs that have them.
NAMES = {
    "--checkpoint": (
        *("estimate", "schedule"),
        *(
            "benchmark",
            "calibrate",
            "compare keras hls",
            "convert",
            "demo",
            "evaluate",
            "formats",
            "hls-project",
            "ip",
        ),
        *("ladder", "ranges", "sample", "simulate", "synth", "upset"),
    ),
    "--text-file": (
        "calibrate",
        "simulate",
        "compare keras hls",
        "import-keras case.keras -o x",
        "train-cells",
        "train-starts --measure",
        "corpus",
        "demo",
        "evaluate",
        "formats",
        "ladder",
        "ranges",
        "train",
    ),
    "--vocabulary-file": ("import-keras case.keras -o x",),
    "--record": ("train-cells", "train-starts", "ladder"),
    "--base": ("train",),
    "--float-checkpoint": ("demo",),
    "--ports": ("simulate --exported .",),
}
SITUATIONS |= {
    f"{line} {option} of a file that is not there": Situation(
        f"{line} {option} nothere", f"{option} nothere: no such file", prepare=MODEL
    )
    for option, lines in NAMES.items()
    for line in lines
}
SITUATIONS |= {
    f"{line} of a folder that is not there": Situation(f"{line} nothere", "nothere: no such folder")
    for line in (
        *(
            "compare keras rtl --rtl-project",
            "simulate --ports x --exported",
            "figures verification --records",
        ),
        *("fuzz --replay", "peers"),
    )
}
#: Command lines with a value that is out of range, and what is legal.
OUT_OF_RANGE = {
    "train --epochs -1": r"'--epochs': -1\.0 is not in the range 0\.0<=x<=10000\.0",
    "train --epochs nan": r"'--epochs': nan is not in the range",
    "train --further-epochs -1": r"'--further-epochs': -1\.0 is not in the range",
    "train --batch 0": r"'--batch': 0 is not in the range 1<=x<=4096",
    "train --steps 0": r"'--steps': 0 is not in the range 1<=x<=4096",
    "train --learning-rate inf": r"'--learning-rate': inf is not in the range 0\.0<=x<=10\.0",
    "train --further-learning-rate -1": r"'--further-learning-rate': -1\.0 is not in the range",
    "train --distill 2": r"'--distill': 2\.0 is not in the range 0\.0<=x<=1\.0",
    "train --dropout 1": r"'--dropout': 1\.0 is not in the range 0\.0<=x<=0\.9",
    "train --clip 0": r"'--clip': 0\.0 is not in the range",
    "train --seed -1": r"'--seed': -1 is not in the range",
    "train --units 513": r"'--units': 513 is not in the range 1<=x<=512",
    "train --layers 5": r"'--layers': 5 is not in the range 1<=x<=4",
    "train --checkpoint-seconds nan": r"'--checkpoint-seconds': nan is not in the range",
    "train --preset w3a3": r"'w3a3' is not one of 'w8a8'",
    "train-cells --measure --epochs -1": r"'--epochs': -1\.0 is not in the range",
    "train-cells --measure --batch 0": r"'--batch': 0 is not in the range 1<=x<=4096",
    "train-cells --measure --units 0": r"'--units': 0 is not in the range 1<=x<=512",
    "train-cells --measure --learning-rate nan": r"'--learning-rate': nan is not in the range",
    "sample --length -1": r"length is -1; it must be 0 or more",
    "sample --engine float --temperature nan": r"'--temperature': nan is not in the range x>=0",
    "sample --engine float --temperature -1": r"'--temperature': -1\.0 is not in the range x>=0",
    "sample --seed -1": r"'--seed': -1 is not in the range 0<=x<=4294967295",
    "sample --prime ''": r"the priming text is empty",
    "benchmark --characters 1": r"'--characters': 1 is not in the range x>=1000",
    "benchmark --repeat 0": r"'--repeat': 0 is not in the range x>=1",
    "calibrate --characters -5": r"'--characters': -5 is not in the range x>=1002",
    "ranges --characters 0": r"'--characters': 0 is not in the range x>=1002",
    "formats --characters 1": r"'--characters': 1 is not in the range x>=2",
    "formats --only nothing": r"'nothing' is not one of 'gate'",
    "evaluate --characters 1": r"'--characters': 1 is not in the range x>=2",
    "simulate --characters 0": r"'--characters': 0 is not in the range x>=1",
    "compare keras hls --characters -2": r"'--characters': -2 is not in the range x>=1",
    "demo --characters 3": r"--characters is 3; it must be at least 16",
    "figures engine --characters 0": r"'--characters': 0 is not in the range x>=8",
    "figures engine --part xc7z021": r"unknown part 'xc7z021'",
    "convert --clock nan": r"'--clock': nan is not in the range 1\.0<=x<=2000\.0",
    "convert --part xc7z021": r"unknown part 'xc7z021'",
    "hls-project --clock -5": r"'--clock': -5\.0 is not in the range",
    "hls-project --part xc7z021": r"unknown part 'xc7z021'",
    "ip --part xc7z021": r"unknown part 'xc7z021'",
    "ip --lanes 0": r"0 is not in the range x>=1",
    "synth --tool vitis-hls --clock 0": r"'--clock': 0\.0 is not in the range",
    "synth --tool vitis-hls --characters 1": r"'--characters': 1 is not in the range x>=2",
    "synth --part xc7z021": r"unknown part 'xc7z021'",
    "demo --part xc7z021": r"unknown part 'xc7z021'",
    "mutate --goal 7": r"'--goal': 7\.0 is not in the range 0<=x<=1",
    "import-keras case.keras --vocabulary ab -o x --characters -39000": r"-39000 is not in the range x>=4",
    "ladder --part xc7z021": r"unknown part 'xc7z021'",
}
SITUATIONS |= {line: Situation(line, said, prepare=MODEL) for line, said in OUT_OF_RANGE.items()}
