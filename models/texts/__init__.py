# SPDX-License-Identifier: Apache-2.0
"""Texts and corpora: bytes, characters, codes, and how a text is split."""
