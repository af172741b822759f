# SPDX-License-Identifier: Apache-2.0
"""Networks: their texts, description, Keras layers, training, import, integers and evaluation.

The ground is beside the folders: fixed-point numbers, errors, files, processes.
Nothing here knows hardware tools.
"""
