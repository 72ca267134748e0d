"""How the host reads and writes a memory through the trainer's bus."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .register_map import OFFSET_BITS
from .trainer_plan import BUS_WIDTH


def host_signature() -> wiring.Signature:
    """The bus side of a memory's host port.

    ``read``, ``write`` : Out(1)
        Access the word at ``offset``; only while no run is in progress, and never a word that does
        not exist.
    ``offset`` : Out, ``write_data`` : Out(32)
    ``data`` : In(32)
        The word read, ``TrainerPlan.read_latency`` cycles later.
    ``exists`` : In(1)
        Whether ``offset`` does, at once.
    """
    return wiring.Signature(
        {
            "read": Out(1),
            "write": Out(1),
            "offset": Out(OFFSET_BITS),
            "write_data": Out(BUS_WIDTH),
            "data": In(BUS_WIDTH),
            "exists": In(1),
        }
    )
