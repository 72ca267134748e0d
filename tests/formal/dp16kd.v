// A block memory of ECP5 as synthesis uses it: widths 1, 2, 4, 9 and 18 on two ports, or 36 bits
// written by port A and read by port B. Bits per row: two bytes of nine. A word that one port reads
// while the other writes it is unknown. Output registers are not modelled.
module DP16KD(
  input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
  input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
  input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
  output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
  input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
  input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
  input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
  output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000";
  parameter CSDECODE_B = "0b000";
  parameter WRITEMODE_A = "NORMAL";
  parameter WRITEMODE_B = "NORMAL";
  parameter GSR = "ENABLED";
  parameter CLKAMUX = "CLKA";
  parameter CLKBMUX = "CLKB";
  parameter [319:0] INITVAL_00 = 320'h0;
  parameter [319:0] INITVAL_01 = 320'h0;
  parameter [319:0] INITVAL_02 = 320'h0;
  parameter [319:0] INITVAL_03 = 320'h0;
  parameter [319:0] INITVAL_04 = 320'h0;
  parameter [319:0] INITVAL_05 = 320'h0;
  parameter [319:0] INITVAL_06 = 320'h0;
  parameter [319:0] INITVAL_07 = 320'h0;
  parameter [319:0] INITVAL_08 = 320'h0;
  parameter [319:0] INITVAL_09 = 320'h0;
  parameter [319:0] INITVAL_0A = 320'h0;
  parameter [319:0] INITVAL_0B = 320'h0;
  parameter [319:0] INITVAL_0C = 320'h0;
  parameter [319:0] INITVAL_0D = 320'h0;
  parameter [319:0] INITVAL_0E = 320'h0;
  parameter [319:0] INITVAL_0F = 320'h0;
  parameter [319:0] INITVAL_10 = 320'h0;
  parameter [319:0] INITVAL_11 = 320'h0;
  parameter [319:0] INITVAL_12 = 320'h0;
  parameter [319:0] INITVAL_13 = 320'h0;
  parameter [319:0] INITVAL_14 = 320'h0;
  parameter [319:0] INITVAL_15 = 320'h0;
  parameter [319:0] INITVAL_16 = 320'h0;
  parameter [319:0] INITVAL_17 = 320'h0;
  parameter [319:0] INITVAL_18 = 320'h0;
  parameter [319:0] INITVAL_19 = 320'h0;
  parameter [319:0] INITVAL_1A = 320'h0;
  parameter [319:0] INITVAL_1B = 320'h0;
  parameter [319:0] INITVAL_1C = 320'h0;
  parameter [319:0] INITVAL_1D = 320'h0;
  parameter [319:0] INITVAL_1E = 320'h0;
  parameter [319:0] INITVAL_1F = 320'h0;
  parameter [319:0] INITVAL_20 = 320'h0;
  parameter [319:0] INITVAL_21 = 320'h0;
  parameter [319:0] INITVAL_22 = 320'h0;
  parameter [319:0] INITVAL_23 = 320'h0;
  parameter [319:0] INITVAL_24 = 320'h0;
  parameter [319:0] INITVAL_25 = 320'h0;
  parameter [319:0] INITVAL_26 = 320'h0;
  parameter [319:0] INITVAL_27 = 320'h0;
  parameter [319:0] INITVAL_28 = 320'h0;
  parameter [319:0] INITVAL_29 = 320'h0;
  parameter [319:0] INITVAL_2A = 320'h0;
  parameter [319:0] INITVAL_2B = 320'h0;
  parameter [319:0] INITVAL_2C = 320'h0;
  parameter [319:0] INITVAL_2D = 320'h0;
  parameter [319:0] INITVAL_2E = 320'h0;
  parameter [319:0] INITVAL_2F = 320'h0;
  parameter [319:0] INITVAL_30 = 320'h0;
  parameter [319:0] INITVAL_31 = 320'h0;
  parameter [319:0] INITVAL_32 = 320'h0;
  parameter [319:0] INITVAL_33 = 320'h0;
  parameter [319:0] INITVAL_34 = 320'h0;
  parameter [319:0] INITVAL_35 = 320'h0;
  parameter [319:0] INITVAL_36 = 320'h0;
  parameter [319:0] INITVAL_37 = 320'h0;
  parameter [319:0] INITVAL_38 = 320'h0;
  parameter [319:0] INITVAL_39 = 320'h0;
  parameter [319:0] INITVAL_3A = 320'h0;
  parameter [319:0] INITVAL_3B = 320'h0;
  parameter [319:0] INITVAL_3C = 320'h0;
  parameter [319:0] INITVAL_3D = 320'h0;
  parameter [319:0] INITVAL_3E = 320'h0;
  parameter [319:0] INITVAL_3F = 320'h0;

  reg [17:0] rows [0:1023];
  reg [17:0] out_a = 0;
  reg [35:0] out_b = 0;
  integer k;
  initial begin
    for (k = 0; k < 16; k = k + 1) rows[0 + k] = INITVAL_00[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[16 + k] = INITVAL_01[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[32 + k] = INITVAL_02[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[48 + k] = INITVAL_03[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[64 + k] = INITVAL_04[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[80 + k] = INITVAL_05[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[96 + k] = INITVAL_06[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[112 + k] = INITVAL_07[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[128 + k] = INITVAL_08[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[144 + k] = INITVAL_09[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[160 + k] = INITVAL_0A[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[176 + k] = INITVAL_0B[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[192 + k] = INITVAL_0C[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[208 + k] = INITVAL_0D[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[224 + k] = INITVAL_0E[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[240 + k] = INITVAL_0F[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[256 + k] = INITVAL_10[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[272 + k] = INITVAL_11[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[288 + k] = INITVAL_12[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[304 + k] = INITVAL_13[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[320 + k] = INITVAL_14[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[336 + k] = INITVAL_15[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[352 + k] = INITVAL_16[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[368 + k] = INITVAL_17[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[384 + k] = INITVAL_18[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[400 + k] = INITVAL_19[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[416 + k] = INITVAL_1A[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[432 + k] = INITVAL_1B[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[448 + k] = INITVAL_1C[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[464 + k] = INITVAL_1D[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[480 + k] = INITVAL_1E[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[496 + k] = INITVAL_1F[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[512 + k] = INITVAL_20[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[528 + k] = INITVAL_21[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[544 + k] = INITVAL_22[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[560 + k] = INITVAL_23[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[576 + k] = INITVAL_24[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[592 + k] = INITVAL_25[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[608 + k] = INITVAL_26[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[624 + k] = INITVAL_27[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[640 + k] = INITVAL_28[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[656 + k] = INITVAL_29[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[672 + k] = INITVAL_2A[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[688 + k] = INITVAL_2B[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[704 + k] = INITVAL_2C[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[720 + k] = INITVAL_2D[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[736 + k] = INITVAL_2E[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[752 + k] = INITVAL_2F[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[768 + k] = INITVAL_30[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[784 + k] = INITVAL_31[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[800 + k] = INITVAL_32[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[816 + k] = INITVAL_33[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[832 + k] = INITVAL_34[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[848 + k] = INITVAL_35[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[864 + k] = INITVAL_36[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[880 + k] = INITVAL_37[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[896 + k] = INITVAL_38[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[912 + k] = INITVAL_39[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[928 + k] = INITVAL_3A[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[944 + k] = INITVAL_3B[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[960 + k] = INITVAL_3C[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[976 + k] = INITVAL_3D[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[992 + k] = INITVAL_3E[20 * k +: 18];
    for (k = 0; k < 16; k = k + 1) rows[1008 + k] = INITVAL_3F[20 * k +: 18];
  end

  wire [17:0] in_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  wire [13:0] at_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = DATA_WIDTH_B == 36 ? out_b[17:0] : out_a;
  wire [17:0] in_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  wire [13:0] at_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = DATA_WIDTH_B == 36 ? out_b[35:18] : out_b[17:0];

  // Bits of a row that an address covers.
  function [17:0] covered(input integer width, input [13:0] at, input enable);
    integer first;
    begin
      covered = 0;
      first = 9 * at[3];
      case (width)
        18, 36: covered = 18'h3ffff;
        9: covered = 18'h1ff << first;
        4: covered = 18'hf << (first + 4 * at[2]);
        2: covered = 18'h3 << (first + 2 * at[2:1]);
        default: covered = 18'h1 << (first + at[2:0]);
      endcase
      if (!enable) covered = 0;
    end
  endfunction

  function [17:0] bytes(input [1:0] enable);
    bytes = {{9{enable[1]}}, {9{enable[0]}}};
  endfunction

  // What a narrow port reads, from bit 0.
  function [17:0] taken(input integer width, input [13:0] at, input [17:0] row);
    case (width)
      18, 36: taken = row;
      9: taken = (row >> 9 * at[3]) & 18'h1ff;
      4: taken = (row >> (9 * at[3] + 4 * at[2])) & 18'hf;
      2: taken = (row >> (9 * at[3] + 2 * at[2:1])) & 18'h3;
      default: taken = (row >> (9 * at[3] + at[2:0])) & 18'h1;
    endcase
  endfunction

  // What a narrow port writes, repeated over the row.
  function [17:0] spread(input integer width, input [17:0] data);
    case (width)
      18, 36: spread = data;
      9: spread = {2{data[8:0]}};
      4: spread = {2{1'b0, {2{data[3:0]}}}};
      2: spread = {2{1'b0, {4{data[1:0]}}}};
      default: spread = {2{1'b0, {8{data[0]}}}};
    endcase
  endfunction

  wire wide = DATA_WIDTH_A == 36;
  wire writes_a = CEA & WEA;
  wire writes_b = CEB & WEB;
  wire [9:0] row_a = wide ? {at_a[13:5], 1'b0} : at_a[13:4];
  wire [9:0] row_b = DATA_WIDTH_B == 36 ? {at_b[13:5], 1'b0} : at_b[13:4];
  wire [17:0] mask_a = covered(DATA_WIDTH_A, at_a, writes_a)
    & (DATA_WIDTH_A >= 18 ? bytes(at_a[1:0]) : 18'h3ffff);
  wire [17:0] mask_high = covered(DATA_WIDTH_A, at_a, writes_a & wide) & bytes(at_a[3:2]);
  wire [17:0] mask_b = covered(DATA_WIDTH_B, at_b, writes_b)
    & (DATA_WIDTH_B == 18 ? bytes(at_b[1:0]) : 18'h3ffff);
  wire [17:0] data_a = spread(DATA_WIDTH_A, in_a);
  wire [17:0] data_b = spread(DATA_WIDTH_B, in_b);
  // Rows are a pair where a port is 36 bits wide.
  wire clash = row_a[9:1] == row_b[9:1] && (wide || DATA_WIDTH_B == 36 || row_a[0] == row_b[0]);
  wire [17:0] lost_a = clash ? mask_b : 18'h0;
  wire [17:0] lost_b = !clash || writes_b ? 18'h0
    : wide && DATA_WIDTH_B != 36 && row_b[0] ? mask_high : mask_a;
  wire [17:0] lost_high = clash && DATA_WIDTH_B == 36 ? (wide ? mask_high : mask_a) : 18'h0;

  always @(posedge CLKA) begin
    if (writes_a) begin
      rows[row_a] <= (rows[row_a] & ~mask_a) | (data_a & mask_a);
      if (wide) rows[row_a | 1] <= (rows[row_a | 1] & ~mask_high) | (in_b & mask_high);
    end
    if (CEA && (!WEA || WRITEMODE_A == "READBEFOREWRITE"))
      out_a <= taken(DATA_WIDTH_A, at_a, (rows[row_a] & ~lost_a) | (18'hx & lost_a));
    else if (CEA && WRITEMODE_A == "WRITETHROUGH")
      out_a <= taken(DATA_WIDTH_A, at_a, (rows[row_a] & ~mask_a) | (data_a & mask_a));
    if (RSTA) out_a <= 0;
  end

  always @(posedge CLKB) begin
    if (writes_b) rows[row_b] <= (rows[row_b] & ~mask_b) | (data_b & mask_b);
    if (CEB && (!WEB || WRITEMODE_B == "READBEFOREWRITE"))
      out_b <= {(rows[row_b | 1] & ~lost_high) | (18'hx & lost_high),
                taken(DATA_WIDTH_B, at_b, (rows[row_b] & ~lost_b) | (18'hx & lost_b))};
    else if (CEB && WRITEMODE_B == "WRITETHROUGH")
      out_b <= {18'h0, taken(DATA_WIDTH_B, at_b, (rows[row_b] & ~mask_b) | (data_b & mask_b))};
    if (RSTB) out_b <= 0;
  end
endmodule
