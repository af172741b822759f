# SPDX-License-Identifier: Apache-2.0
"""A model of the registers' contents by the map in hls/engine/registers.py, for random accesses."""

from __future__ import annotations

from cocotbext.axi import AxiResp

from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.registers import Access
from zynq_lstm.sim.bench.components import Bench

BYTES = registers.WORD_BYTES


class Registers:
    """Contents of the registers as accesses change them; only those that nothing else changes are right."""

    def __init__(self, bench: Bench) -> None:
        constants = bench.plan.constants
        self._values: dict[int, int] = {}
        for register in registers.REGISTERS:
            if register.parity and not bench.plan.parity:
                continue
            resets = {field.name: field.reset or 0 for field in register.fields}
            words = constants.get(register.name, [resets] * register.words)
            for address, values in zip(register.addresses, words, strict=True):
                self._values[address] = registers.pack(register.name, values)

    def maps(self, address: int) -> bool:
        return address in self._values

    def peek(self, address: int) -> int:
        """Return the content of a mapped register."""
        return self._values[address]

    def read(self, address: int) -> tuple[AxiResp, int]:
        """Return answer and data; an address without a register reads as 0, with an error."""
        if not self.maps(address):
            self._refuse("READS")
            return AxiResp.SLVERR, 0
        return AxiResp.OKAY, self._values[address]

    def write(self, address: int, data: bytes) -> AxiResp:
        """Write whole bytes within a word, starting at any address."""
        strobes = [address % BYTES <= k < address % BYTES + len(data) for k in range(BYTES)]
        return self.write_strobed(
            address,
            int.from_bytes(data, "little") << 8 * (address % BYTES),
            sum(s << k for k, s in enumerate(strobes)),
        )

    def write_strobed(self, address: int, value: int, strobes: int) -> AxiResp:
        """Write the bytes of a word whose strobes are set."""
        word = address - address % BYTES
        if not self.maps(word) or not registers.BY_ADDRESS[word].writable:
            self._refuse("WRITES")
            return AxiResp.SLVERR
        written = sum(0xFF << 8 * k for k in range(BYTES) if strobes >> k & 1)
        for field in registers.BY_ADDRESS[word].fields:
            mask = written & field.mask
            if field.access is Access.RW:
                self._values[word] = self._values[word] & ~mask | value & mask
            elif field.access is Access.W1C:
                self._values[word] &= ~(value & mask)
            if value & mask:
                for name in field.clears:
                    self._values |= {a: 0 for a in registers.BY_NAME[name].addresses if self.maps(a)}
        return AxiResp.OKAY

    def _refuse(self, field: str) -> None:
        self._values[registers.address("ERRORS")] |= registers.bit("ERRORS", "BAD_ACCESS")
        self._values[registers.address("REFUSED")] += registers.pack("REFUSED", {field: 1})
