"""The parts that blocks are implemented for: how each is synthesised, placed, and counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from . import tools


@dataclass(frozen=True)
class Target:
    """One FPGA.

    Parameters
    ----------
    name : str
        What the command line calls it.
    part : str
        The part in full, for reports.
    tech : str
        LUT that dot products are mapped to: ``lut4`` or ``lut6``.
    synthesis : str
        The Yosys command; ``-top NAME`` is appended.
    luts : dict
        Cell type → LUT sites it fills; an ECP5 carry pair fills two.
    carries : dict
        Cell type → carry bits it holds.
    registers : tuple of str
        Beginnings of the cell types that are registers.
    memories : dict
        Beginning of a cell type → name in reports; multipliers are listed with memories.
    muxes : tuple of str
        Multiplexer cells that are not made of LUTs.
    single_port : bool
        True where the part has large single-port memories, which ``ram_style = "huge"`` asks for.
    dual_output : bool
        True where a LUT has two outputs, so that a cell of ``rtl.dot_cells`` fills one site.
    place : tuple of str
        nextpnr program and the options that name the part; empty where only LUTs are counted.
    placer : tuple of str
        More of its options.
    cell : str
        nextpnr's name of the logic cell whose number limits what fits.
    """

    name: str
    part: str
    tech: str
    synthesis: str
    luts: dict[str, int]
    carries: dict[str, int]
    registers: tuple[str, ...]
    memories: dict[str, str] = field(default_factory=dict)
    muxes: tuple[str, ...] = ()
    single_port: bool = False
    dual_output: bool = False
    place: tuple[str, ...] = ()
    placer: tuple[str, ...] = ()
    cell: str = ""

    @property
    def lut_name(self) -> str:
        """What one LUT site is called."""
        return self.tech.upper()

    def memory_name(self, cell_type: str) -> str | None:
        """Name of the memory or multiplier that ``cell_type`` is, None where it is neither."""
        names = (name for start, name in self.memories.items() if cell_type.startswith(start))
        return next(names, None)


UP5K = Target(
    name="up5k",
    part="Lattice iCE40 UP5K, sg48",
    tech="lut4",
    synthesis="synth_ice40",
    luts={"SB_LUT4": 1},
    carries={"SB_CARRY": 1},
    registers=("SB_DFF",),
    memories={"SB_RAM40_4K": "EBR", "SB_SPRAM256KA": "SPRAM", "SB_MAC16": "MAC16"},
    single_port=True,
    place=(tools.NEXTPNR_ICE40, "--up5k", "--package", "sg48"),
    cell="ICESTORM_LC",
)

HX8K = replace(
    UP5K,
    name="hx8k",
    part="Lattice iCE40 HX8K, ct256",
    single_port=False,
    place=(tools.NEXTPNR_ICE40, "--hx8k", "--package", "ct256"),
)

_ECP5_PLACE = ("--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained")

ECP5_25F = Target(
    name="ecp5-25f",
    part="Lattice ECP5 LFE5U-25F, CABGA381, speed 6",
    tech="lut4",
    synthesis="synth_ecp5 -nowidelut -nodsp",
    luts={"LUT4": 1, "CCU2C": 2},
    carries={"CCU2C": 2},
    registers=("TRELLIS_FF",),
    memories={"DP16KD": "EBR", "PDPW16KD": "EBR", "TRELLIS_DPR16X4": "DPR16X4"},
    muxes=("PFUMX", "L6MUX21"),
    place=(tools.NEXTPNR_ECP5, "--25k", *_ECP5_PLACE),
    cell="TRELLIS_COMB",
)

ECP5_85F = replace(
    ECP5_25F,
    name="ecp5-85f",
    part="Lattice ECP5 LFE5U-85F, CABGA381, speed 6",
    place=(tools.NEXTPNR_ECP5, "--85k", *_ECP5_PLACE),
    # The default placer leaves half as much wire again, and the router does not get to an end.
    placer=("--placer", "static"),
)

_XC7_LUT_MEMORIES = (
    *("RAM32X1", "RAM32M", "RAM64X1", "RAM64M", "RAM128X1", "RAM256X1"),
    *("SRL16E", "SRLC16E", "SRLC32E"),
)

XC7 = Target(
    name="xc7",
    part="Xilinx 7-series",
    tech="lut6",
    synthesis="synth_xilinx -family xc7 -nowidelut -nodsp -noiopad -noclkbuf",
    luts={**{f"LUT{inputs}": 1 for inputs in range(1, 7)}, "LUT6_2": 1, "INV": 1},
    carries={"CARRY4": 4},
    registers=("FDRE", "FDSE", "FDCE", "FDPE", "LDCE", "LDPE"),
    memories={
        "RAMB18E1": "RAMB18",
        "RAMB36E1": "RAMB36",
        "DSP48E1": "DSP48",
        **{name: name for name in _XC7_LUT_MEMORIES},
    },
    muxes=("MUXF7", "MUXF8"),
    dual_output=True,
)

TARGETS = {target.name: target for target in (UP5K, HX8K, ECP5_25F, ECP5_85F, XC7)}

# Board → its part.
BOARD_TARGETS = {
    "icebreaker": "up5k",
    "ice40_hx8k_b_evn": "hx8k",
    "ulx3s_25f": "ecp5-25f",
    "ulx3s_85f": "ecp5-85f",
    "orangecrab": "ecp5-25f",
    "colorlight_5a_75b": "ecp5-25f",
    "arty_a7": "xc7",
}
