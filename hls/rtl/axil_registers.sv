// SPDX-License-Identifier: Apache-2.0
// AXI4-Lite control and status registers; the map is hls/registers.py, which writes the include file.
// A write to an unmapped or read-only address, and a read of an unmapped one, is answered with SLVERR and
// changes nothing. One transaction of each kind at a time; a read answers 2 cycles after its address.
module axil_registers #(
    parameter logic [255:0] IDENTITY = '0,
    parameter logic [31:0]  SHAPE = '0,
    parameter logic [31:0]  ARRAY = '0,
    parameter int           TEMPERATURE_BITS = 12
) (
    input  logic        clk_i,
    input  logic        rst_i,
    input  logic        s_axil_awvalid,
    output logic        s_axil_awready,
    input  logic [7:0]  s_axil_awaddr,
    input  logic [2:0]  s_axil_awprot,
    input  logic        s_axil_wvalid,
    output logic        s_axil_wready,
    input  logic [31:0] s_axil_wdata,
    input  logic [3:0]  s_axil_wstrb,
    output logic        s_axil_bvalid,
    input  logic        s_axil_bready,
    output logic [1:0]  s_axil_bresp,
    input  logic        s_axil_arvalid,
    output logic        s_axil_arready,
    input  logic [7:0]  s_axil_araddr,
    input  logic [2:0]  s_axil_arprot,
    output logic        s_axil_rvalid,
    input  logic        s_axil_rready,
    output logic [31:0] s_axil_rdata,
    output logic [1:0]  s_axil_rresp,
    // engine
    output logic        generate_o,
    output logic        auto_reset_o,
    output logic [31:0] length_o,
    output logic        reset_state_o,
    output logic        stop_o,
    output logic [31:0] seed_o,
    output logic        seed_write_o,
    output logic [TEMPERATURE_BITS-1:0] temperature_o,
    input  logic        busy_i,
    input  logic        generating_i,
    input  logic        accepted_i,
    input  logic        bad_code_i
);
  `include "zynq_lstm_registers.svh"
  localparam logic [1:0] OKAY = 2'b00, SLVERR = 2'b10;

  logic unused;
  assign unused = ^{s_axil_awprot, s_axil_arprot, s_axil_awaddr[1:0], s_axil_araddr[1:0]};

  // ---- write: address and data are taken in either order, then done in one cycle
  logic have_address_q, have_data_q, write, write_mapped, clear;
  logic [5:0] write_word_q;
  logic [31:0] data_q, mask;
  logic [3:0] strobe_q;
  assign s_axil_awready = !have_address_q;
  assign s_axil_wready = !have_data_q;
  assign write = have_address_q && have_data_q && !s_axil_bvalid;
  assign mask = {{8{strobe_q[3]}}, {8{strobe_q[2]}}, {8{strobe_q[1]}}, {8{strobe_q[0]}}};
  assign write_mapped = write_word_q == REG_CONTROL || write_word_q == REG_MODE
      || write_word_q == REG_LENGTH || write_word_q == REG_ERRORS
      || write_word_q == REG_SEED || write_word_q == REG_TEMPERATURE;

  // What comes from the engine, and goes there, is registered: no path leads through both.
  logic busy_q, generating_q, accepted_q, bad_code_now_q;
  always_ff @(posedge clk_i) begin
    {busy_q, generating_q, accepted_q, bad_code_now_q} <=
        rst_i ? '0 : {busy_i, generating_i, accepted_i, bad_code_i};
  end

  logic [31:0] control_q;
  always_ff @(posedge clk_i) begin
    control_q <= !rst_i && write && write_word_q == REG_CONTROL ? data_q & mask : '0;
  end
  assign reset_state_o = control_q[CONTROL_RESET_STATE];
  assign stop_o = control_q[CONTROL_STOP];
  assign clear = control_q[CONTROL_CLEAR_COUNTERS];

  logic bad_code_q;
  logic [31:0] error_count_q, characters_q, cycles_low_q, cycles_high_q, cycles_kept_q;
  logic errors_full_q, cycles_carry_q;  // registers of their own: no chain of 64 bits
  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      have_address_q <= 1'b0;
      have_data_q <= 1'b0;
      s_axil_bvalid <= 1'b0;
      generate_o <= 1'b0;
      auto_reset_o <= 1'b0;
      length_o <= '0;
      seed_o <= '0;
      seed_write_o <= 1'b0;
      temperature_o <= '0;
      bad_code_q <= 1'b0;
      error_count_q <= '0;
      characters_q <= '0;
      {cycles_high_q, cycles_carry_q, cycles_low_q} <= '0;
      errors_full_q <= 1'b0;
    end else begin
      seed_write_o <= write && write_word_q == REG_SEED;
      if (s_axil_awvalid && s_axil_awready) have_address_q <= 1'b1;
      if (s_axil_wvalid && s_axil_wready) have_data_q <= 1'b1;
      if (write) begin
        have_address_q <= 1'b0;
        have_data_q <= 1'b0;
        s_axil_bvalid <= 1'b1;
        if (write_word_q == REG_MODE && mask[0])
          {auto_reset_o, generate_o} <= {data_q[MODE_AUTO_RESET], data_q[MODE_GENERATE]};
        if (write_word_q == REG_LENGTH) length_o <= (length_o & ~mask) | (data_q & mask);
        if (write_word_q == REG_SEED) seed_o <= (seed_o & ~mask) | (data_q & mask);
        if (write_word_q == REG_TEMPERATURE)
          temperature_o <= TEMPERATURE_BITS'((32'(temperature_o) & ~mask) | (data_q & mask));
        if (write_word_q == REG_ERRORS && data_q[ERRORS_BAD_CODE] && mask[0]) bad_code_q <= 1'b0;
      end else if (s_axil_bready) s_axil_bvalid <= 1'b0;

      if (bad_code_now_q) bad_code_q <= 1'b1;
      if (clear) begin
        error_count_q <= '0;
        characters_q <= '0;
        {cycles_high_q, cycles_carry_q, cycles_low_q} <= '0;
        errors_full_q <= 1'b0;
      end else begin
        error_count_q <= error_count_q + 32'(bad_code_now_q && !errors_full_q);
        // Set in time: the codes of two characters are many cycles apart.
        errors_full_q <= error_count_q == '1;
        characters_q <= characters_q + 32'(accepted_q);
        {cycles_carry_q, cycles_low_q} <= 33'(cycles_low_q) + 33'(busy_q);
        cycles_high_q <= cycles_high_q + 32'(cycles_carry_q);
      end
    end
    if (s_axil_awvalid && s_axil_awready) write_word_q <= s_axil_awaddr[7:2];
    if (s_axil_wvalid && s_axil_wready) {data_q, strobe_q} <= {s_axil_wdata, s_axil_wstrb};
    if (write) s_axil_bresp <= write_mapped ? OKAY : SLVERR;
  end

  // ---- read, in three cycles: the address; whose it is, and constants; the value
  localparam int VALUES = 10;
  localparam logic [6*VALUES-1:0] VALUE_WORDS = {
    REG_STATUS, REG_MODE, REG_LENGTH, REG_ERRORS, REG_ERROR_COUNT, REG_CHARACTERS, REG_CYCLES_LOW, REG_CYCLES_HIGH,
    REG_SEED, REG_TEMPERATURE
  };
  logic [VALUES-1:0][31:0] values;
  assign values = {
    32'({generating_q, busy_q}), 32'({auto_reset_o, generate_o}), length_o, 32'(bad_code_q), error_count_q,
    characters_q, cycles_low_q, cycles_kept_q, seed_o, 32'(temperature_o)
  };

  logic reading_1_q, reading_2_q, constant, mapped_2_q, keep_2_q;
  logic [5:0] word_1_q;
  logic [VALUES-1:0] selected, selected_2_q;
  logic [31:0] constant_value, constant_2_q, read_data;
  assign s_axil_arready = !reading_1_q && !reading_2_q && !s_axil_rvalid;
  always_comb begin
    for (int k = 0; k < VALUES; k++) selected[k] = word_1_q == VALUE_WORDS[6*k+:6];
    constant = 1'b1;
    case (word_1_q)
      REG_ID: constant_value = ID;
      REG_VERSION: constant_value = VERSION;
      REG_CONTROL: constant_value = '0;
      REG_SHAPE: constant_value = SHAPE;
      REG_ARRAY: constant_value = ARRAY;
      default: begin
        constant = word_1_q[5:3] == REG_IDENTITY[5:3];
        constant_value = constant ? IDENTITY[{word_1_q[2:0], 5'd0}+:32] : '0;
      end
    endcase
    read_data = constant_2_q;
    for (int k = 0; k < VALUES; k++) read_data = read_data | (values[k] & {32{selected_2_q[k]}});
  end
  always_ff @(posedge clk_i) begin
    if (rst_i) {reading_2_q, reading_1_q, s_axil_rvalid} <= '0;
    else begin
      {reading_2_q, reading_1_q} <= {reading_1_q, s_axil_arvalid && s_axil_arready};
      if (reading_2_q) s_axil_rvalid <= 1'b1;
      else if (s_axil_rready) s_axil_rvalid <= 1'b0;
    end
    // Of use if reading_1_q and reading_2_q are set with them.
    word_1_q <= s_axil_araddr[7:2];
    selected_2_q <= selected;
    constant_2_q <= constant_value;
    mapped_2_q <= constant || selected != '0;
    keep_2_q <= word_1_q == REG_CYCLES_LOW;
    if (reading_2_q) begin
      s_axil_rdata <= read_data;
      s_axil_rresp <= mapped_2_q ? OKAY : SLVERR;
      // The two halves of the cycle count belong together: reading the low one keeps the high one.
      if (keep_2_q) cycles_kept_q <= cycles_high_q + 32'(cycles_carry_q);
    end
  end
endmodule
