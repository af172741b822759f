// SPDX-License-Identifier: Apache-2.0
// Two cycles after x enters, data_o is y: the integer nearest to x / 2**SHIFT (a tie goes up), or the next below
// it (AP_TRN), limited to MIN_VALUE and MAX_VALUE. To state this without rounding, everything is multiplied by
// 2 * 2**SHIFT. Without the limits, exactly one y has
//   AP_RND: y - 1/2 <= x / 2**SHIFT < y + 1/2        AP_TRN: y <= x / 2**SHIFT < y + 1
// and the lower bound need not hold for y = MIN_VALUE, nor the upper one for y = MAX_VALUE.
localparam int PROOF_BITS = 96;
localparam int PROOF_RIGHT = SHIFT > 0 ? SHIFT : 0;
localparam int PROOF_LEFT = SHIFT < 0 ? -SHIFT : 0;
wire signed [PROOF_BITS-1:0] proof_x = $signed(data_i);
wire signed [PROOF_BITS-1:0] proof_y = $signed(data_o);
reg signed [PROOF_BITS-1:0] proof_x_1, proof_x_2;
reg [1:0] proof_cycles = 0;
wire signed [PROOF_BITS-1:0] proof_2x = (proof_x_2 <<< PROOF_LEFT) <<< 1;
wire signed [PROOF_BITS-1:0] proof_one = 96'sd2 <<< PROOF_RIGHT;
wire signed [PROOF_BITS-1:0] proof_low = (proof_y <<< (PROOF_RIGHT + 1)) - (HALF ? proof_one / 2 : 0);
always @(posedge clk_i) begin
  {proof_x_2, proof_x_1} <= {proof_x_1, proof_x};
  if (proof_cycles != 2) proof_cycles <= proof_cycles + 1;
  else begin
    assert (proof_y >= MIN_VALUE && proof_y <= MAX_VALUE);
    if (proof_y != MIN_VALUE) assert (proof_low <= proof_2x);
    if (proof_y != MAX_VALUE) assert (proof_2x < proof_low + proof_one);
  end
end
// If all inputs are smaller than one step of the output, they reach no bound.
if (IN_BITS + PROOF_LEFT > PROOF_RIGHT) begin : proof_reaches
  always @(posedge clk_i) if (proof_cycles == 2) begin
    cover (proof_y == MIN_VALUE && proof_2x < proof_low);
    cover (proof_y == MAX_VALUE && proof_2x >= proof_low + proof_one);
    cover (proof_y < 0 && proof_y != MIN_VALUE);
  end
end
