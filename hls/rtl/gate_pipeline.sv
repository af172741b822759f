// SPDX-License-Identifier: Apache-2.0
// Computes the new state from sums, one unit per cycle:
//   z = round(U part + x part + b), gates by table, c = round(f c + i g), h = round(o tanh(c)).
// docs/numerics.md is the contract. The sums of h(t-1).U wait in a memory here; the x part (one row of W
// for the first layer, finished sums of W.h for the others) comes with the unit.
//
// Units are numbered through all layers; `fresh` takes the previous state as zero. Of several parallel pipelines
// (LANES), this one is number LANE and has every LANES-th unit.
// Latency PIPELINE_LATENCY (24) from start_i to write_o, throughput 1. A unit must not restart before it has finished.
module gate_pipeline #(
    parameter int LAYERS = 2,
    parameter int LANE = 0,
    // verilator lint_off UNUSEDPARAM  // only the trace, if compiled in, numbers units by it
    parameter int LANES = 1,
    // verilator lint_on UNUSEDPARAM
    parameter int UNITS = 256,        // units of all layers, in this pipeline only
    parameter int SUM_BITS = 24,      // width of a finished sum
    parameter int X_BITS = 24,        // width of an x part, before it is aligned
    parameter int Z_SUM_BITS = 26,    // width of U part + x part + b, aligned
    parameter int BIAS_BITS = 20,     // aligned
    parameter logic [LAYERS*8-1:0] U_SHIFT = '0,  // left shift that aligns layer k's U part
    parameter logic [LAYERS*8-1:0] X_SHIFT = '0,
    parameter int Z_SHIFT = 8,                 // fraction bits dropped for z
    parameter int Z_BITS = 10,
    parameter int GATE_BITS = 9,      // signed: one more bit than an unsigned format
    parameter int G_BITS = 8,
    parameter int C_BITS = 16,
    parameter int FC_SHIFT = 0,       // left shifts that align f c and i g
    parameter int IG_SHIFT = 4,
    parameter int C_SHIFT = 8,                 // fraction bits dropped for c
    parameter int CT_SHIFT = 4,                // and for ct
    parameter int CT_BITS = 10,
    parameter int TC_BITS = 8,
    parameter int SIGMOID_BITS = 8,   // width in the tables: sigmoid unsigned, tanh signed
    parameter int TANH_BITS = 8,
    parameter int TANH_C_BITS = 8,
    parameter int SIGMOID_ROW_BITS = 10,  // shapes of the tables (rom.sv)
    parameter int TANH_ROW_BITS = 10,
    parameter int TANH_C_ROW_BITS = 10,
    parameter int H_SHIFT = 8,
    parameter int H_BITS = 8,
    parameter bit Z_HALF = 1'b1,               // round by AP_RND, otherwise by AP_TRN
    parameter bit C_HALF = 1'b1,
    parameter bit CT_HALF = 1'b1,
    parameter bit H_HALF = 1'b1,
    parameter int LAYER_BITS = 2,     // width of a layer's number
    localparam int UNIT_BITS = UNITS > 1 ? $clog2(UNITS) : 1
) (
    input  logic                  clk_i,
    input  logic                  rst_i,
    // U parts, when they are finished
    input  logic                  store_i,
    input  logic [UNIT_BITS-1:0]  store_unit_i,
    input  logic [4*SUM_BITS-1:0] store_sums_i,
    // a unit starts; its x part follows 2 cycles later
    input  logic                  start_i,
    input  logic [LAYER_BITS-1:0] layer_i,
    input  logic [UNIT_BITS-1:0]  unit_i,
    input  logic                  fresh_i,
    input  logic                  phase_i,
    input  logic                  last_i,     // the layer's last unit
    input  logic [4*X_BITS-1:0]   x_part_i,
    // the new hidden state
    output logic                  write_o,
    output logic [LAYER_BITS-1:0] write_layer_o,
    output logic [UNIT_BITS-1:0]  write_unit_o,
    output logic                  write_phase_o,
    output logic                  write_last_o,
    output logic [H_BITS-1:0]     write_h_o
);
  `include "zynq_lstm_constants.svh"
  localparam int FC_BITS = GATE_BITS + C_BITS;
  localparam int IG_BITS = GATE_BITS + G_BITS;
  localparam int C_SUM_BITS =
      1 + (FC_BITS + FC_SHIFT > IG_BITS + IG_SHIFT ? FC_BITS + FC_SHIFT : IG_BITS + IG_SHIFT);

  // ---- cycles 0 to 2: read the waiting U part and the bias
  logic [4*SUM_BITS-1:0] u_part;
  logic [UNIT_BITS-1:0] unit_1_q;
  logic [4*BIAS_BITS-1:0] bias_1, bias_2_q;
  ram #(
      .WIDTH(4 * SUM_BITS),
      .DEPTH(UNITS)
  ) u_sums (
      .clk_i,
      .write_i        (store_i),
      .write_address_i(store_unit_i),
      .write_data_i   (store_sums_i),
      .read_address_i (unit_i),
      .read_data_o    (u_part)
  );
  lut_rom #(
      .WIDTH(4 * BIAS_BITS),
      .DEPTH(UNITS),
      .FILE ({"bias_", 8'(48 + LANE), ".mem"})
  ) u_bias (
      .address_i(unit_1_q),
      .data_o   (bias_1)
  );
  always_ff @(posedge clk_i) begin
    unit_1_q <= unit_i;  // it was selected from two; reading one of many biases takes its own cycle
    bias_2_q <= bias_1;
  end
  logic [LAYER_BITS-1:0] layer_2, layer_3_q;
  logic fresh_2, fresh_9;
  delay #(
      .WIDTH (LAYER_BITS + 1),
      .CYCLES(2)
  ) u_layer (
      .clk_i,
      .data_i({layer_i, fresh_i}),
      .data_o({layer_2, fresh_2})
  );

  always_ff @(posedge clk_i) layer_3_q <= layer_2;

  // ---- cycles 3 to 7: align, sum, round to z; 8 and 9: the tables
  logic [4*Z_BITS-1:0] z;
  for (genvar k = 0; k < 4; k++) begin : gen_z
    logic signed [X_BITS-1:0] x_3_q;
    logic signed [Z_SUM_BITS-1:0] u_aligned, x_aligned, u_3_q, b_3_q, x_4_q, sum_4_q, sum_5_q;
    always_comb begin
      u_aligned = '0;
      x_aligned = '0;
      for (int l = 0; l < int'(LAYERS); l++) begin
        if (layer_2 == LAYER_BITS'(l)) begin
          u_aligned = Z_SUM_BITS'($signed(u_part[k*SUM_BITS+:SUM_BITS])) <<< U_SHIFT[l*8+:8];
        end
        if (layer_3_q == LAYER_BITS'(l)) x_aligned = Z_SUM_BITS'(x_3_q) <<< X_SHIFT[l*8+:8];
      end
    end
    always_ff @(posedge clk_i) begin
      u_3_q <= fresh_2 ? '0 : u_aligned;
      x_3_q <= x_part_i[k*X_BITS+:X_BITS];  // not aligned yet: it was selected from several sources
      b_3_q <= Z_SUM_BITS'($signed(bias_2_q[k*BIAS_BITS+:BIAS_BITS]));
      sum_4_q <= u_3_q + b_3_q;
      x_4_q <= x_aligned;
      sum_5_q <= sum_4_q + x_4_q;
    end
    round_saturate #(
        .IN_BITS  (Z_SUM_BITS),
        .SHIFT    (Z_SHIFT),
        .OUT_BITS (Z_BITS),
        .HALF     (Z_HALF),
        .MIN_VALUE(-(1 << (Z_BITS - 1))),
        .MAX_VALUE((1 << (Z_BITS - 1)) - 1)
    ) u_round (
        .clk_i,
        .data_i(sum_5_q),
        .data_o(z[k*Z_BITS+:Z_BITS])
    );
  end

  // Gate order i, f, g, o (models/description/spec.py); gate values are signed here, even those of unsigned formats.
  logic signed [GATE_BITS-1:0] gate_i, gate_f, gate_o, gate_o_20;
  logic signed [G_BITS-1:0] gate_g;
  logic [SIGMOID_BITS-1:0] sigmoid_i, sigmoid_f, sigmoid_o;
  logic signed [TANH_BITS-1:0] tanh_g;
  rom_dual #(
      .WIDTH(SIGMOID_BITS),
      .DEPTH(1 << Z_BITS),
      .FILE ("sigmoid.mem")
  ) u_table_if (
      .clk_i,
      .addresses_i(z[0*Z_BITS+:2*Z_BITS]),
      .data_o     ({sigmoid_f, sigmoid_i})
  );
  rom #(
      .WIDTH   (TANH_BITS),
      .DEPTH   (1 << Z_BITS),
      .ROW_BITS(TANH_ROW_BITS),
      .FILE    ("tanh.mem")
  ) u_table_g (
      .clk_i,
      .address_i(z[2*Z_BITS+:Z_BITS]),
      .data_o   (tanh_g)
  );
  rom #(
      .WIDTH   (SIGMOID_BITS),
      .DEPTH   (1 << Z_BITS),
      .ROW_BITS(SIGMOID_ROW_BITS),
      .FILE    ("sigmoid_o.mem")
  ) u_table_o (
      .clk_i,
      .address_i(z[3*Z_BITS+:Z_BITS]),
      .data_o   (sigmoid_o)
  );
  assign gate_i = GATE_BITS'(sigmoid_i);
  assign gate_f = GATE_BITS'(sigmoid_f);
  assign gate_g = G_BITS'(tanh_g);
  assign gate_o = GATE_BITS'(sigmoid_o);

  // ---- the unit's number and flags, in step with the values
  logic [UNIT_BITS-1:0] unit_7, unit_15;
  logic valid_15;
  delay #(.WIDTH(UNIT_BITS), .CYCLES(7)) u_unit_7 (.clk_i, .data_i(unit_i), .data_o(unit_7));
  delay #(.WIDTH(UNIT_BITS), .CYCLES(8)) u_unit_15 (.clk_i, .data_i(unit_7), .data_o(unit_15));
  delay #(.WIDTH(1), .CYCLES(7)) u_fresh (.clk_i, .data_i(fresh_2), .data_o(fresh_9));
  delay_flag #(.CYCLES(15)) u_valid_15 (.clk_i, .rst_i, .data_i(start_i), .data_o(valid_15));
  delay_flag #(.CYCLES(PIPELINE_LATENCY - 15)) u_valid_24 (.clk_i, .rst_i, .data_i(valid_15), .data_o(write_o));
  delay #(
      .WIDTH (LAYER_BITS + UNIT_BITS + 2),
      .CYCLES(PIPELINE_LATENCY)
  ) u_tag (
      .clk_i,
      .data_i({layer_i, unit_i, phase_i, last_i}),
      .data_o({write_layer_o, write_unit_o, write_phase_o, write_last_o})
  );

  // ---- cycles 10 to 15: c (operands, product and sum are in the DSP48E1's registers)
  logic [C_BITS-1:0] c_before, c_after;
  ram #(
      .WIDTH(C_BITS),
      .DEPTH(UNITS)
  ) u_c (
      .clk_i,
      .write_i        (valid_15),
      .write_address_i(unit_15),
      .write_data_i   (c_after),
      .read_address_i (unit_7),
      .read_data_o    (c_before)
  );
  logic signed [GATE_BITS-1:0] f_10_q, i_10_q;
  logic signed [C_BITS-1:0] c_10_q;
  logic signed [G_BITS-1:0] g_10_q;
  logic signed [FC_BITS-1:0] fc_11_q, fc_12_q;
  logic signed [IG_BITS-1:0] ig_11_q, ig_12_q;
  logic signed [C_SUM_BITS-1:0] sum_13_q;
  always_ff @(posedge clk_i) begin
    f_10_q <= gate_f;
    c_10_q <= fresh_9 ? '0 : c_before;
    i_10_q <= gate_i;
    g_10_q <= gate_g;
    fc_11_q <= f_10_q * c_10_q;
    ig_11_q <= i_10_q * g_10_q;
    fc_12_q <= fc_11_q;
    ig_12_q <= ig_11_q;
    sum_13_q <= (C_SUM_BITS'(fc_12_q) <<< FC_SHIFT) + (C_SUM_BITS'(ig_12_q) <<< IG_SHIFT);
  end
  round_saturate #(
      .IN_BITS  (C_SUM_BITS),
      .SHIFT    (C_SHIFT),
      .OUT_BITS (C_BITS),
      .HALF     (C_HALF),
      .MIN_VALUE(-(1 << (C_BITS - 1))),
      .MAX_VALUE((1 << (C_BITS - 1)) - 1)
  ) u_round_c (
      .clk_i,
      .data_i(sum_13_q),
      .data_o(c_after)
  );

  // ---- cycles 16 to 19: tanh(c); 20 to 24: h
  logic [CT_BITS-1:0] ct;
  logic [TC_BITS-1:0] tc;
  round_saturate #(
      .IN_BITS  (C_BITS),
      .SHIFT    (CT_SHIFT),
      .OUT_BITS (CT_BITS),
      .HALF     (CT_HALF),
      .MIN_VALUE(-(1 << (CT_BITS - 1))),
      .MAX_VALUE((1 << (CT_BITS - 1)) - 1)
  ) u_round_ct (
      .clk_i,
      .data_i(c_after),
      .data_o(ct)
  );
  logic signed [TANH_C_BITS-1:0] tanh_c;
  rom #(
      .WIDTH   (TANH_C_BITS),
      .DEPTH   (1 << CT_BITS),
      .ROW_BITS(TANH_C_ROW_BITS),
      .FILE    ("tanh_c.mem")
  ) u_table_tc (
      .clk_i,
      .address_i(ct),
      .data_o   (tanh_c)
  );
  assign tc = TC_BITS'(tanh_c);
  delay #(.WIDTH(GATE_BITS), .CYCLES(11)) u_o (.clk_i, .data_i(gate_o), .data_o(gate_o_20));

  logic signed [TC_BITS-1:0] tc_20_q;
  logic signed [GATE_BITS+TC_BITS-1:0] h_21_q, h_22_q;
  always_ff @(posedge clk_i) begin
    tc_20_q <= tc;
    h_21_q <= gate_o_20 * tc_20_q;
    h_22_q <= h_21_q;
  end
  round_saturate #(
      .IN_BITS  (GATE_BITS + TC_BITS),
      .SHIFT    (H_SHIFT),
      .OUT_BITS (H_BITS),
      .HALF     (H_HALF),
      .MIN_VALUE(-(1 << (H_BITS - 1))),
      .MAX_VALUE((1 << (H_BITS - 1)) - 1)
  ) u_round_h (
      .clk_i,
      .data_i(h_22_q),
      .data_o(write_h_o)
  );

`ifdef ZYNQ_LSTM_TRACE
  // Writes all signals of a unit in one line, in the cycle in which its h is written.
  localparam int W = SIGNAL_BITS;
  logic [4*Z_BITS-1:0] z_24;
  logic [4*W-1:0] gates_24;
  logic [C_BITS-1:0] c_24;
  logic [CT_BITS-1:0] ct_24;
  logic [TC_BITS-1:0] tc_24;
  logic [TRACE_WORDS*W-1:0] words;
  delay #(.WIDTH(4 * Z_BITS), .CYCLES(PIPELINE_LATENCY - 7)) u_z_24 (.clk_i, .data_i(z), .data_o(z_24));
  delay #(.WIDTH(4 * W), .CYCLES(PIPELINE_LATENCY - 9)) u_gates_24 (
      .clk_i, .data_i({W'(gate_i), W'(gate_f), W'(gate_g), W'(gate_o)}), .data_o(gates_24));
  delay #(.WIDTH(C_BITS), .CYCLES(PIPELINE_LATENCY - 15)) u_c_24 (.clk_i, .data_i(c_after), .data_o(c_24));
  delay #(.WIDTH(CT_BITS), .CYCLES(PIPELINE_LATENCY - 17)) u_ct_24 (.clk_i, .data_i(ct), .data_o(ct_24));
  delay #(.WIDTH(TC_BITS), .CYCLES(PIPELINE_LATENCY - 19)) u_tc_24 (.clk_i, .data_i(tc), .data_o(tc_24));
  for (genvar k = 0; k < 4; k++) begin : gen_z_word
    assign words[(TRACE_Z_I-k)*W+:W] = W'($signed(z_24[k*Z_BITS+:Z_BITS]));
  end
  assign words[TRACE_UNIT*W+:W] = W'(write_unit_o) * W'(LANES) + W'(LANE);
  assign words[TRACE_O*W+:4*W] = gates_24;
  assign words[TRACE_C*W+:W] = W'($signed(c_24));
  assign words[TRACE_CT*W+:W] = W'($signed(ct_24));
  assign words[TRACE_TC*W+:W] = W'($signed(tc_24));
  assign words[TRACE_H*W+:W] = W'($signed(write_h_o));
  trace_monitor #(
      .WORDS(TRACE_WORDS),
      .BITS (W),
      .NAME ({"trace_units_", 8'(48 + LANE)})
  ) u_trace (
      .clk_i,
      .valid_i(write_o),
      .flush_i(write_last_o),
      .words_i(words)
  );
`endif
endmodule
