// SPDX-License-Identifier: Apache-2.0
// The attributes that hold a 7-series block RAM's content: sixteen of 256 bits for each prefix of their names,
// as parameters and as one vector.
`define BLOCK_RAM_PARAMETERS(name) \
    parameter logic [255:0] \
    name``0 = 0, name``1 = 0, name``2 = 0, name``3 = 0, name``4 = 0, name``5 = 0, name``6 = 0, name``7 = 0, \
    name``8 = 0, name``9 = 0, name``A = 0, name``B = 0, name``C = 0, name``D = 0, name``E = 0, name``F = 0
`define BLOCK_RAM_VECTOR(name) \
    {name``F, name``E, name``D, name``C, name``B, name``A, name``9, name``8, \
     name``7, name``6, name``5, name``4, name``3, name``2, name``1, name``0}
