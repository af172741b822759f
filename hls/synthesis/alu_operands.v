// SPDX-License-Identifier: Apache-2.0
// A map for Yosys' techmap that exchanges the operands of an adder (hls/synthesis/yosys.py).
(* techmap_celltype = "$alu" *)
module exchanged_alu (A, B, CI, BI, X, Y, CO);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_BI_ = 0;
  parameter _TECHMAP_CONSTVAL_BI_ = 0;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  input CI, BI;
  output [Y_WIDTH-1:0] X, Y, CO;
  // Subtracters are left alone.
  wire _TECHMAP_FAIL_ = _TECHMAP_CONSTMSK_BI_ !== 1'b1 || _TECHMAP_CONSTVAL_BI_ !== 1'b0;
  \$alu #(
      .A_SIGNED(B_SIGNED),
      .B_SIGNED(A_SIGNED),
      .A_WIDTH (B_WIDTH),
      .B_WIDTH (A_WIDTH),
      .Y_WIDTH (Y_WIDTH)
  ) _TECHMAP_REPLACE_ (.A(B), .B(A), .CI(CI), .BI(BI), .X(X), .Y(Y), .CO(CO));
endmodule
