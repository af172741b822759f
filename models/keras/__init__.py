# SPDX-License-Identifier: Apache-2.0
"""The float and the quantized network as Keras layers."""
