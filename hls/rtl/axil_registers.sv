// SPDX-License-Identifier: Apache-2.0
// AXI4-Lite control and status registers; their map is in hls/engine/registers.py, which writes the include file.
// A write to an unmapped or read-only address, or a read of an unmapped one, is answered with SLVERR, flagged
// and counted, and changes nothing else. One transaction of each kind at a time; the answer to a read comes
// 3 cycles after its address.
module axil_registers #(
    parameter logic [255:0] IDENTITY = '0,
    parameter logic [31:0]  SHAPE = '0,
    parameter logic [31:0]  ARRAY = '0,
    parameter int           TEMPERATURE_BITS = 12,
    parameter bit           PARITY = 1'b0  // parity of the weight memory; without it there is no PARITY_ERRORS
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
    input  logic        open_i,     // a sequence is open
    input  logic        offered_i,  // a character is offered on s_axis
    input  logic        accepted_i,
    input  logic        bad_code_i,
    input  logic        parity_error_i
);
  `include "zynq_lstm_registers.svh"
  localparam logic [1:0] OKAY = 2'b00, SLVERR = 2'b10;

  logic unused;
  assign unused = ^{s_axil_awprot, s_axil_arprot, s_axil_awaddr[1:0], s_axil_araddr[1:0]};

  // ---- write: address and data are taken in either order; the write then takes one cycle
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

  // Signals from and to the engine are registered, so that no path leads through engine and registers.
  logic busy_q, generating_q, open_q, offered_q, accepted_q, bad_code_now_q;
  always_ff @(posedge clk_i) begin
    {busy_q, generating_q, open_q, offered_q, accepted_q, bad_code_now_q} <=
        rst_i ? '0 : {busy_i, generating_i, open_i, offered_i, accepted_i, bad_code_i};
  end

  logic [31:0] control_q;
  always_ff @(posedge clk_i) begin
    control_q <= !rst_i && write && write_word_q == REG_CONTROL ? data_q & mask : '0;
  end
  assign reset_state_o = control_q[CONTROL_RESET_STATE];
  assign stop_o = control_q[CONTROL_STOP];
  assign clear = control_q[CONTROL_CLEAR_COUNTERS];

  logic bad_code_q, bad_access_q, input_waited_q;
  logic write_refused_now_q, read_refused_now_q;
  logic waits_now, waiting_q;  // waits_now is set once in each generation
  logic [15:0] writes_refused_q, reads_refused_q, waits_q;
  logic writes_full_q, reads_full_q, waits_full_q;
  assign waits_now = generating_q && offered_q && !waiting_q;
  logic [31:0] error_count_q, characters_q, cycles_low_q, cycles_high_q, cycles_kept_q;
  logic errors_full_q, cycles_carry_q;  // in their own registers, to avoid a carry chain of 64 bits
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
      {input_waited_q, bad_access_q, bad_code_q} <= '0;
      {write_refused_now_q, waiting_q} <= '0;
      error_count_q <= '0;
      {writes_refused_q, reads_refused_q, waits_q} <= '0;
      characters_q <= '0;
      {cycles_high_q, cycles_carry_q, cycles_low_q} <= '0;
      {waits_full_q, reads_full_q, writes_full_q, errors_full_q} <= '0;
    end else begin
      seed_write_o <= write && write_word_q == REG_SEED && strobe_q != '0;
      write_refused_now_q <= write && !write_mapped;
      waiting_q <= generating_q && (waiting_q || offered_q);
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
          temperature_o <= TEMPERATURE_BITS'(
              ((32'(temperature_o) << TEMPERATURE_VALUE & ~mask) | (data_q & mask)) >> TEMPERATURE_VALUE);
        if (write_word_q == REG_ERRORS && mask[0]) begin
          if (data_q[ERRORS_BAD_CODE]) bad_code_q <= 1'b0;
          if (data_q[ERRORS_BAD_ACCESS]) bad_access_q <= 1'b0;
          if (data_q[ERRORS_INPUT_WAITED]) input_waited_q <= 1'b0;
        end
      end else if (s_axil_bready) s_axil_bvalid <= 1'b0;

      if (bad_code_now_q) bad_code_q <= 1'b1;
      if (write_refused_now_q || read_refused_now_q) bad_access_q <= 1'b1;
      if (waits_now) input_waited_q <= 1'b1;
      if (clear) begin
        error_count_q <= '0;
        {writes_refused_q, reads_refused_q, waits_q} <= '0;
        characters_q <= '0;
        {cycles_high_q, cycles_carry_q, cycles_low_q} <= '0;
        {waits_full_q, reads_full_q, writes_full_q, errors_full_q} <= '0;
      end else begin
        error_count_q <= error_count_q + 32'(bad_code_now_q && !errors_full_q);
        writes_refused_q <= writes_refused_q + 16'(write_refused_now_q && !writes_full_q);
        reads_refused_q <= reads_refused_q + 16'(read_refused_now_q && !reads_full_q);
        waits_q <= waits_q + 16'(waits_now && !waits_full_q);
        // These are set in time: two writes are 2 cycles apart, other counted events more.
        errors_full_q <= error_count_q == '1;
        writes_full_q <= writes_refused_q == '1;
        reads_full_q <= reads_refused_q == '1;
        waits_full_q <= waits_q == '1;
        characters_q <= characters_q + 32'(accepted_q);
        {cycles_carry_q, cycles_low_q} <= 33'(cycles_low_q) + 33'(busy_q);
        cycles_high_q <= cycles_high_q + 32'(cycles_carry_q);
      end
    end
    if (s_axil_awvalid && s_axil_awready) write_word_q <= s_axil_awaddr[7:2];
    if (s_axil_wvalid && s_axil_wready) {data_q, strobe_q} <= {s_axil_wdata, s_axil_wstrb};
    if (write) s_axil_bresp <= write_mapped ? OKAY : SLVERR;
  end

  // ---- parity of the weight memory; errors may occur in every cycle
  logic weight_parity;
  logic [15:0] parity_errors;
  if (PARITY) begin : gen_parity
    logic error_q;
    logic [15:0] count_q;
    always_ff @(posedge clk_i) begin
      if (rst_i) {weight_parity, error_q, count_q} <= '0;
      else begin
        error_q <= parity_error_i;
        if (error_q) weight_parity <= 1'b1;
        else if (write && write_word_q == REG_ERRORS && mask[0] && data_q[ERRORS_WEIGHT_PARITY])
          weight_parity <= 1'b0;
        count_q <= clear ? '0 : count_q + 16'(error_q && count_q != '1);
      end
    end
    assign parity_errors = count_q;
  end else begin : gen_no_parity
    assign weight_parity = 1'b0;
    assign parity_errors = '0;
    logic unused_parity;
    assign unused_parity = parity_error_i;
  end

  // ---- read, in three cycles: the address; the register selected, and constants; the value
  localparam int VALUES = PARITY ? 13 : 12;
  localparam logic [6*VALUES-1:0] VALUE_WORDS = (6 * VALUES)'({
    REG_PARITY_ERRORS, REG_STATUS, REG_MODE, REG_LENGTH, REG_ERRORS, REG_ERROR_COUNT, REG_CHARACTERS,
    REG_CYCLES_LOW, REG_CYCLES_HIGH, REG_SEED, REG_TEMPERATURE, REG_REFUSED, REG_WAITS
  });
  logic [31:0] status, mode, errors, refused;
  always_comb begin
    {status, mode, errors, refused} = '0;
    status[STATUS_BUSY] = busy_q;
    status[STATUS_GENERATING] = generating_q;
    status[STATUS_OPEN] = open_q;
    mode[MODE_GENERATE] = generate_o;
    mode[MODE_AUTO_RESET] = auto_reset_o;
    errors[ERRORS_BAD_CODE] = bad_code_q;
    errors[ERRORS_BAD_ACCESS] = bad_access_q;
    errors[ERRORS_INPUT_WAITED] = input_waited_q;
    errors[ERRORS_WEIGHT_PARITY] = weight_parity;
    refused[REFUSED_READS+:REFUSED_READS_BITS] = reads_refused_q;
    refused[REFUSED_WRITES+:REFUSED_WRITES_BITS] = writes_refused_q;
  end
  logic [VALUES-1:0][31:0] values;
  assign values = (32 * VALUES)'({
    32'(parity_errors) << PARITY_ERRORS_COUNT, status, mode, length_o, errors, error_count_q, characters_q,
    cycles_low_q, cycles_kept_q, seed_o, 32'(temperature_o) << TEMPERATURE_VALUE, refused,
    32'(waits_q) << WAITS_COUNT
  });

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
    if (rst_i) {read_refused_now_q, reading_2_q, reading_1_q, s_axil_rvalid} <= '0;
    else begin
      read_refused_now_q <= reading_2_q && !mapped_2_q;
      {reading_2_q, reading_1_q} <= {reading_1_q, s_axil_arvalid && s_axil_arready};
      if (reading_2_q) s_axil_rvalid <= 1'b1;
      else if (s_axil_rready) s_axil_rvalid <= 1'b0;
    end
    // Valid if reading_1_q, or reading_2_q, is set with them.
    word_1_q <= s_axil_araddr[7:2];
    selected_2_q <= selected;
    constant_2_q <= constant_value;
    mapped_2_q <= constant || selected != '0;
    keep_2_q <= word_1_q == REG_CYCLES_LOW;
    if (reading_2_q) begin
      s_axil_rdata <= read_data;
      s_axil_rresp <= mapped_2_q ? OKAY : SLVERR;
      // The two halves of the cycle count belong together: reading the lower half keeps the upper half.
      if (keep_2_q) cycles_kept_q <= cycles_high_q + 32'(cycles_carry_q);
    end
  end
endmodule
