// SPDX-License-Identifier: Apache-2.0
// Nothing is assumed of the master, not even that it holds VALID.
reg proof_started = 0;
reg [2:0] proof_addresses, proof_datas, proof_reads;  // accepted but not answered
reg proof_b_waits, proof_r_waits, proof_write_due;
reg [1:0] proof_reading;  // cycles since its address
reg [1:0] proof_bresp, proof_rresp;
reg [31:0] proof_rdata;
always @(posedge clk_i) begin
  proof_started <= 1'b1;
  if (!proof_started) assume (rst_i);
  if (rst_i) {proof_addresses, proof_datas, proof_reads} <= 0;
  else begin
    proof_addresses <= proof_addresses + (s_axil_awvalid && s_axil_awready) - (s_axil_bvalid && s_axil_bready);
    proof_datas <= proof_datas + (s_axil_wvalid && s_axil_wready) - (s_axil_bvalid && s_axil_bready);
    proof_reads <= proof_reads + (s_axil_arvalid && s_axil_arready) - (s_axil_rvalid && s_axil_rready);
  end
  proof_b_waits <= !rst_i && s_axil_bvalid && !s_axil_bready;
  proof_r_waits <= !rst_i && s_axil_rvalid && !s_axil_rready;
  proof_write_due <= !rst_i && proof_addresses != 0 && proof_datas != 0 && !s_axil_bvalid;
  proof_reading <= rst_i ? 0 : {proof_reading[0], s_axil_arvalid && s_axil_arready};
  {proof_bresp, proof_rresp, proof_rdata} <= {s_axil_bresp, s_axil_rresp, s_axil_rdata};

  if (proof_started) begin
    // A response holds until READY.
    if (proof_b_waits) assert (s_axil_bvalid && s_axil_bresp == proof_bresp);
    if (proof_r_waits) assert (s_axil_rvalid && s_axil_rresp == proof_rresp && s_axil_rdata == proof_rdata);
    // No response without its request.
    if (s_axil_bvalid) assert (proof_addresses != 0 && proof_datas != 0);
    if (s_axil_rvalid) assert (proof_reads != 0);
    // Each request is answered: a write in the next cycle, a read three cycles after its address.
    if (proof_write_due) assert (s_axil_bvalid);
    assert ({reading_2_q, reading_1_q} == proof_reading);
    assert (proof_reads == 3'(reading_1_q) + reading_2_q + s_axil_rvalid && proof_reads <= 1);
    // Requests accepted but not answered wait in their register, or have a response waiting.
    assert (proof_addresses == 3'(have_address_q) + s_axil_bvalid);
    assert (proof_datas == 3'(have_data_q) + s_axil_bvalid);
    cover (proof_addresses == 2 && proof_datas == 2 && s_axil_rvalid);
  end
end
