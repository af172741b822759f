# SPDX-License-Identifier: Apache-2.0
"""Networks: their texts, description, Keras layers, training, import, integers and evaluation.

The modules beside the folders hold what all of them use: fixed-point numbers, errors, files, processes.
Nothing here depends on hardware tools.
"""
