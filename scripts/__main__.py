# SPDX-License-Identifier: Apache-2.0
"""``python -m zynq_lstm.scripts VERB`` does the same as ``zynq-lstm VERB``."""

import sys

from zynq_lstm.scripts.main import main

if __name__ == "__main__":
    sys.exit(main())
