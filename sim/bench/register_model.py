# SPDX-License-Identifier: Apache-2.0
"""What the registers hold, as hls/registers.py defines them: the model beside random accesses."""

from __future__ import annotations

from cocotbext.axi import AxiResp

from hls import registers
from sim.bench.components import Bench
from sim.sampling import TEMPERATURE

BYTES = 4  # of a register


class Registers:
    """What the register map reads as, and becomes when written."""

    def __init__(self, bench: Bench) -> None:
        spec, identity = bench.network.spec, int(bench.network.identity, 16)
        self._mask = {
            "LENGTH": 0xFFFFFFFF,
            "SEED": 0xFFFFFFFF,
            "TEMPERATURE": TEMPERATURE.max_raw,
            "MODE": registers.bit("MODE", "GENERATE") | registers.bit("MODE", "AUTO_RESET"),
        }
        self._values = {register.address: 0 for register in registers.REGISTERS} | {
            registers.address("ID"): registers.ID,
            registers.address("VERSION"): registers.VERSION,
            registers.address("SHAPE"): len(spec.layers) << 24 | spec.layers[0].units << 12 | spec.vocabulary,
            registers.address("ARRAY"): bench.plan.array_register,
        }
        if not bench.plan.parity:
            del self._values[registers.address(registers.PARITY_ERRORS)]
        for k in range(8):
            self._values[registers.address("IDENTITY") + 4 * k] = identity >> 32 * k & 0xFFFFFFFF

    def maps(self, address: int) -> bool:
        return address in self._values

    def peek(self, address: int) -> int:
        """What a mapped register holds."""
        return self._values[address]

    def read(self, address: int) -> tuple[AxiResp, int]:
        """Answer and data; what is not mapped reads as 0, with an error."""
        if not self.maps(address):
            self._refuse(0)
            return AxiResp.SLVERR, 0
        return AxiResp.OKAY, self._values[address]

    def write(self, address: int, data: bytes) -> AxiResp:
        """Write whole bytes, from any address on."""
        strobes = [address % BYTES <= k < address % BYTES + len(data) for k in range(BYTES)]
        return self.write_strobed(
            address,
            int.from_bytes(data, "little") << 8 * (address % BYTES),
            sum(s << k for k, s in enumerate(strobes)),
        )

    def write_strobed(self, address: int, value: int, strobes: int) -> AxiResp:
        """Write the bytes of a word whose strobes are set."""
        word = address - address % BYTES
        name = next((r.name for r in registers.REGISTERS if r.address == word), "")
        mask = sum(0xFF << 8 * k for k in range(BYTES) if strobes >> k & 1)
        if name in self._mask:
            mask &= self._mask[name]
            self._values[word] = self._values[word] & ~mask | value & mask
        elif name == "ERRORS":
            self._values[word] &= ~(value & mask)
        elif name == "CONTROL":
            if value & mask & registers.bit("CONTROL", "CLEAR_COUNTERS"):
                self._values[registers.address("REFUSED")] = 0
        else:
            self._refuse(16)
            return AxiResp.SLVERR
        return AxiResp.OKAY

    def _refuse(self, at: int) -> None:
        self._values[registers.address("ERRORS")] |= registers.bit("ERRORS", "BAD_ACCESS")
        self._values[registers.address("REFUSED")] += 1 << at
