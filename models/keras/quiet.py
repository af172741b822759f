# SPDX-License-Identifier: Apache-2.0
"""Import TensorFlow without its start-up messages.

TensorFlow, XLA and absl write to the process' standard error from C++ before Python can set up
logging. Environment variables alone don't silence them, so the file descriptor itself is redirected
during the import.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from types import ModuleType

_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # oneDNN orders sums differently on each machine, and prints a note on that
    "KERAS_BACKEND": "tensorflow",
    # A recurrent step's products are too small for threads to share: they wait for each other.
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "GRPC_VERBOSITY": "ERROR",
}


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Capture what the block writes to file descriptor 2, and show it only if the block fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        try:
            saved = os.dup(2)
        except OSError:  # there is no standard error to silence
            yield
            return
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(saved, 2)
            kept.seek(0)
            os.write(2, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def import_tensorflow() -> ModuleType:
    """Import and return the ``tensorflow`` module without its start-up messages.

    Environment variables that the user has set are left as they are. Keras is imported with it.
    """
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return sys.modules["tensorflow"]
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensorflow = importlib.import_module("tensorflow")
        importlib.import_module("keras")
        tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


def import_qkeras() -> ModuleType:
    """Import and return the ``qkeras`` module, just as quietly."""
    import_tensorflow()
    if "qkeras" not in sys.modules:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("qkeras")
    return sys.modules["qkeras"]
