"""Relations of the blocks: what nobody looks at, and what always holds (see ``Relation``).

States are numbered in the order in which the sequencers name them first.
"""

from __future__ import annotations

from mutation.relation import Relation
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.register_map import registers


def precision_relation(p: PrecisionParameters) -> Relation:
    """Values in flight matter while valid, a verdict as it is read; states are those in range."""
    taken, shifted = "<quantizer.taken>", "<quantizer.shifted>"
    closing, remaining = "<statistics.closing>", "<remaining>"
    counted, verdict = "<statistics.counted>", "<statistics.verdict>"
    counted_difference = "<statistics.counted_difference>"
    narrowest, widest = p.width_limits

    def reachable(state: str) -> str:
        return (
            f"({state}[2:0] <= {p.exponent_max} & {state}[5:3] >= {narrowest}"
            f" & {state}[5:3] <= {widest} & {state}[7:6] < {p.patience})"
        )

    # Bits of an item: valid, last, negative, counted, closing, magnitude.
    inside = " + ".join(f"({{4'b0, {item}[0] & {item}[3]}})" for item in (taken, shifted))
    ending = [f"({item}[0] & {item}[4])" for item in (taken, shifted)]
    ending += [f"{closing}[{k}]" for k in range(4)]
    return Relation(
        looked_at={
            "o__payload": "<o__valid>",
            "quantizer.taken[12:1]": f"{taken}[0]",
            "quantizer.shifted[4:1]": f"{shifted}[0]",
            "quantizer.shifted[12:5]": f"{shifted}[0] & {shifted}[3]",
            "quantizer.shifted[24:13]": f"{shifted}[0]",
            "statistics.magnitude": "<statistics.counted>",
            "statistics.quantized": "<statistics.counted>",
            "statistics.difference": "<statistics.counted_difference>",
            "statistics.verdict": f"{closing}[3]",
            "statistics.error[11]": "1'b0",  # a sign, of sums alone
        },
        given=(f"~<load> | {reachable('<load_state>')}",),
        holds=(
            reachable("<state>"),
            "<state>[23:8] != 0",
            # One value that closes is inside while a decision is due, and no value behind it.
            f"<deciding> == ({' | '.join(ending)})",
            f"{' + '.join(f'{{3{chr(39)}b0, {end}}}' for end in ending)} <= 1",
            f"~{ending[1]} | ~{taken}[0]",
            f"~(|{closing}) | ~({taken}[0] | {shifted}[0])",
            # No more overflows than values counted.
            f"{{1'b0, {remaining}}} + {inside}"
            f" + {{1'b0, <statistics.half_overflows>}} <= {p.window}",
            "<statistics.overflows> <= <statistics.half_overflows>",
            *(f"~{i}[0] | {i}[12:5] <= {1 << p.input_width - 1}" for i in (taken, shifted)),
            *(f"~({i}[0] & {i}[3]) | (|{i}[12:5])" for i in (taken, shifted)),
            # Nothing is summed after the verdict, which says no two things at once.
            f"~{closing}[1] | ~{counted}",
            f"~(|{closing}[3:2]) | ~({counted} | {counted_difference})",
            f"~{verdict}[0] | {verdict}[1]",
            f"~({verdict}[2] & {verdict}[3])",
            # A value is shifted by the exponent; the error of a rounded one is in bounds.
            f"~{shifted}[0] | {{{shifted}[20:13], {shifted}[24:21]}}"
            f" == (({{4'b0, {shifted}[12:5]}} << 4) >> <state>[2:0])",
            f"~{counted} | (<statistics.magnitude> <= 128"
            " & (<statistics.magnitude>[7] == 0 | (|<statistics.quantized>)))",
            f"~{counted} | (<statistics.quantized> << <state>[2:0]) < <statistics.magnitude> + 16",
            f"~{counted_difference} | <statistics.difference> <= 127"
            " | <statistics.difference> >= 512 - 16",
            f"<statistics.error>[10:0] + 127 * ({remaining} + {inside} + {counted}"
            f" + {counted_difference}) <= 127 * {p.window}",
            f"<statistics.total> + 128 * ({remaining} + {inside} + {counted}) <= 128 * {p.window}",
        ),
    )


INITIALISER_ZERO = ("column", "row", "lane", "chunk", "padding", "word$*", "bank")


def _shared_relation(config: TrainerConfig, rows: int) -> Relation:
    """Of any trainer: payloads matter while valid, ports of memories while they write."""
    weights, pixels = "(<initialiser.fsm_state> == 3)", "(<loader.fsm_state> == 3)"
    drawing = "(<initialiser.fsm_state> != 0 & <initialiser.fsm_state> != 4)"
    of_network = ("base", "layer", "last_input", "last_unit")
    looked_at = {
        "o__payload[31:0]": "<o__valid>",
        "o__payload[32]": "<o__valid> | (|<bus.waiting>)",
        "bus.asked": "(|<bus.waiting>)",
        "bus.chosen": "(|<bus.waiting>)",
        "loader.o__payload[11:1]": "<loader.o__valid>",
        "loader.source[9]": "1'b0",  # a sign: of a place outside the store, whose pixel is zero
        "loader.info1": "<loader.valid1>",
        "loader.info2": "<loader.valid2>",
        "loader.info3": "<loader.valid3>",
        # The place in a word of the store is known a cycle later.
        "loader.info1[7:5]": "1'b0",
        "loader.value": "<loader.valid3>",
        "loader.plane": pixels,
        # An image fills its last word as well: whether a word is the last makes no difference.
        "loader.word$*": "1'b0",
        **{f"loader.info{k}[4]": "1'b0" for k in (1, 2, 3)},
        "store.words.read__addr": "<store.words.read__en>",
        **{f"initialiser.{name}": drawing for name in of_network},
        "initialiser.address_1": "<initialiser.push>",
        "initialiser.write_address": "<initialiser.assembler.valid>",
    }
    for word in ("address", "bank", "mask", "weights", "counter_address", "counters"):
        looked_at[f"trace__{word}"] = "<trace__write>"
    first = ("address", "counter_address", "learning", "negative", "step")
    second = ("address_later1", "counter_address_later1", "read_bank", "step_later1")
    looked_at |= {f"update.{name}_later1": "<update.reading>[0]" for name in first}
    looked_at |= {f"update.{name}_later1": "<update.reading>[1]" for name in second}
    looked_at["update.read_bank"] = "<update.reading>[0]"
    operands = ("grad", "weight", "momentum")
    looked_at |= {f"update.{name}*": "<update.reading>[1]" for name in operands}
    looked_at["update.grad*[1]"] = "<>[0]"  # the sign of a trit
    banks = (*(f"weights*.bank{r}" for r in range(rows)), "counters*.counters")
    for memory in (*banks, "activations.words", "store.words"):
        for port in ("write__addr", "write__data"):
            looked_at[f"{memory}.{port}"] = f"<{memory}.write>"
    looked_at |= {f"{memory}.write_mask": f"<{memory}.write>" for memory in banks}
    # What a run reads of the activations it has written before.
    looked_at["activations.words.write__addr"] = "<activations.words.write> & ~<rst>"
    # What is only read is selected for the cycle in which it is looked at.
    for bit, register in enumerate(registers(config).values()):
        if register.access == "ro":
            looked_at[f"bus.selected[{bit}]"] = "<i__ready>"
    holds = (
        *(f"{weights} | <initialiser.{name}> == 0" for name in INITIALISER_ZERO),
        f"~{drawing} | {weights} | (<initialiser.base> == 0 & <initialiser.layer> == 0)",
        # A plane is a word, and an image has four rows of four pixels.
        f"{pixels} | <loader.pixel> == 0",
        "{<loader.y>, <loader.x>} == <loader.pixel> & <loader.lane> == <loader.pixel>",
    )
    return Relation(looked_at, holds=holds)


def small_relation(config: TrainerConfig) -> Relation:
    """Of two layers with trits as errors and two rows at a time."""
    shared = _shared_relation(config, rows=2)
    scanning, last_layer = "(<rows.fsm_state> == 3)", "<rows.fsm_state$*>"
    newer = "<rows.newer_valid>"
    rows_done = f"(<rows.scanned> & ~{newer} & ~<rows.older_valid>)"
    delta, update, drain = (f"(<fsm_state> == {state})" for state in (4, 6, 7))
    rows_taken = f"(<delta.fsm_state> == 1 & ~{update} & ({newer} | <rows.older_valid>))"
    forward = "(<forward.order.issuing> & <forward.order.word> < (<forward.order.layer> ? 1 : 3))"
    looked_at = shared.looked_at | {
        "gate.o__payload": "<gate.o__valid>",
        "delta.bank$*": "<delta.add>",
        "delta.error$*": "<delta.add>",
        "rows.newer": newer,
        "rows.older": "<rows.older_valid>",
        "rows.label_first": last_layer,
        "rows.word_address": "<rows.fsm_state> == 1",
        "rows.pending": scanning,
        "rows.place": scanning,
        **{f"rows.{name}": "<rows.fsm_state>" for name in ("blocks_left", "base", "words")},
        # A block of four trits at a time.
        **{
            f"rows.word[{8 * k + 7}:{8 * k}]": f"{scanning} & <rows.blocks_left> > {k}"
            for k in range(4)
        },
        "forward.sum": "<forward.queued>",
        "forward.queue1": "<forward.queued>[1]",
    }
    # Addresses matter where somebody asks: what comes of others goes nowhere.
    asked = {
        "activations.words": f"{forward} | <rows.fsm_state> == 1 | <delta.fsm_state> == 1",
        "weights*.bank*": f"{forward} | {rows_taken} | <bus.called_2> & ~<i__payload>[0]",
        "counters*.counters": "<bus.called_3> & ~<i__payload>[0]",
    }
    looked_at |= {f"{m}.read__addr": f"<gate.o__valid> | {who}" for m, who in asked.items()}
    holds = (
        # The source of rows works for one pass at a time.
        f"~({last_layer} | (|<rows.fsm_state>)) | ~<rows.scanned>",
        f"~{last_layer} | <rows.fsm_state> == 0",
        f"{delta} | {update} | {drain} | ({rows_done} & <delta.fsm_state> == 0)",
        "(<fsm_state> == 2 | <fsm_state> == 3) -> <layer> == 1",
        f"{delta} -> (<layer> == 1 & <delta.fsm_state> == 1 & <rows.fsm_state> == 0)",
        f"{update} -> (<delta.fsm_state> == 0 | (<delta.fsm_state> == 2 & {last_layer}"
        f" & ~<rows.second> & ~{newer} & ~<rows.older_valid> & <layer> == 1))",
        f"{update} -> (<layer> == 1 ? <rows.fsm_state> == 0 : ~{last_layer})",
        f"{drain} -> (<delta.fsm_state> == 0 & ~{last_layer} & (<layer> == 1 | {rows_done}))",
        "<delta.fsm_state> == 0 | <delta.word> == 0",
        # Three blocks of a hidden layer are scanned; two rows never leave the first bank.
        "<rows.fsm_state> == 0 | <rows.blocks_left> != 0",
        f"<rows.fsm_state> == 0 | <rows.blocks_left> + ({scanning} ? <rows.place> : 2'd0) == 3",
        "<rows.bank> == 0",
        # An error on its way is not zero.
        *(f"{scanning} & <rows.pending>[{k}] -> <rows.word>[{2 * k}]" for k in range(4)),
        f"{newer} -> <rows.newer>[6]",
        "<rows.older_valid> -> <rows.older>[6]",
        "<gate.o__valid> -> <gate.o__payload>[6]",
        # Products of a word of both rows: 16 or 12 lanes of two rows, and none after reset.
        "<forward.count.real_lanes> == 0 | <forward.count.real_lanes> == 12"
        " | <forward.count.real_lanes> == 16",
        "<forward.count.real_rows>[0] == 0 & <forward.count.real_rows> != 3",
        "<forward.queued> != 3",
        # Words of activations are written for the hidden layer.
        "<forward.trits.valid> -> ~<forward.written>",
        "<forward.push$*> -> ~<forward.written>",
    )
    return Relation(looked_at, holds=(*shared.holds, *map(_implied, holds)))


def deep_relation(config: TrainerConfig) -> Relation:
    """Of three layers with errors of a few bits and one row at a time."""
    shared = _shared_relation(config, rows=1)
    forward, quantise, delta, store = (f"(<fsm_state> == {state})" for state in (2, 4, 6, 7))
    controllers = [f"quantizer.controller{l}" for l in range(3)]
    # Bits of an item on its way through a controller: valid, last; and closing a window.
    stages = [[f"<{c}.quantizer.{stage}>" for stage in ("taken", "shifted")] for c in controllers]
    closing = [[f"<{c}.statistics.closing>[{k}]" for k in (0, 1)] for c in controllers]
    offered = [f"<{c}.quantizer.o__valid>" for c in controllers]
    last_offered = [
        f"({offered[l]} & <{c}.quantizer.o__payload>[7])" for l, c in enumerate(controllers)
    ]
    under_way, last, ending = ([], [], [])
    for l, (taken, shifted) in enumerate(stages):
        under_way.append(f"({taken}[0] | {shifted}[0] | {offered[l]})")
        last.append(f"({taken}[0] & {taken}[1] | {shifted}[0] & {shifted}[1] | {last_offered[l]})")
        ending.append([*(f"({item}[0] & {item}[4])" for item in stages[l]), *closing[l]])
    exponent = [f"(<{c}.state>[2:0] != 0)" for c in controllers]
    looked_at = shared.looked_at | {
        "forward.layer_later1_later1_later1": "<forward.element0.o__valid>",
        "forward.entry$*": "<forward.push$*>",
        "forward.written": "<forward.trits.valid>",
        "forward.flag_address": "<forward.flags.valid>",
        # At rest nothing is asked of the last layer's controller, where that is not in work.
        "quantizer.controller2.quantizer.o__valid": "<fsm_state> != 0 | <layer> == 2",
    }
    for l, controller in enumerate(controllers):
        # An exponent of zero does not go down: whether it should is not looked at.
        looked_at |= {
            f"{controller}.statistics.half_overflows": exponent[l],
            f"{controller}.statistics.verdict[1]": f"{exponent[l]} & {closing[l][1]}",
        }
    looked_at["activations.words.read__addr"] = (
        "~<rst> & (<forward.order.issuing> | <delta.fsm_state> != 0 | <gate.o__valid>)"
    )
    holds = (
        # The sequencer, and the passes that work for it.
        f"{forward} | <fsm_state> == 3 | {quantise} -> <layer> == 2",
        "<layer> != 3",
        "<fsm_state> == 10 -> <layer> == 1",
        f"(<delta.fsm_state> != 0) == {delta}",
        f"{delta} | {store} -> <layer> == 1 | <layer> == 2",
        f"<loss.fsm_state> == 0 | {quantise}",
        "<rows.done> == (<rows.fsm_state> == 0)",
        # One row at a time has one bank.
        "<rows.bank> == 0 & <gate.o__payload>[6] == 0",
        # Sums of errors are of the word in work; both layers with errors below have one word.
        "<delta.fsm_state> == 0 -> ~<delta.add>",
        *(f"<delta.fsm_state> == 0 -> <delta.errors$*.sum{lane}> == 0" for lane in range(16)),
        "<delta.fsm_state> == 2 -> ~<delta.add>",
        "<delta.fsm_state> == 0 | <delta.word> == 0",
        "<delta.lane$*> == <delta.unit>",
        "<delta.fsm_state> == 2 ? <delta.unit> <= (<layer> == 1 ? 11 : 6) : <delta.unit> == 0",
        # A layer's errors pass its controller in the states for it, and nothing behind the last.
        f"{under_way[0]} -> ({delta} | {store}) & <layer> == 1",
        f"{under_way[1]} -> ({delta} | {store}) & <layer> == 2",
        f"{under_way[2]} -> {quantise}",
        *(f"{last[l]} -> {store}" for l in (0, 1)),
        f"{last[2]} | <quantizer.done> -> <loss.fsm_state> == 0",
        *(f"{b}[0] & {b}[1] -> ~{a}[0]" for a, b in stages),
        *(f"{last_offered[l]} -> ~({a}[0] | {b}[0])" for l, (a, b) in enumerate(stages)),
        f"<quantizer.done> -> ~({' | '.join(under_way)} | {delta})",
        # One value that closes a window is under way while a decision is due.
        *(f"<{c}.deciding> == ({' | '.join(ending[l])})" for l, c in enumerate(controllers)),
        *(f"{' + '.join(f'{{3{chr(39)}b0, {bit}}}' for bit in bits)} <= 1" for bits in ending),
        # Without width search nothing is said of errors.
        *(f"<{c}.statistics.verdict>[3:2] == 0" for c in controllers),
        # Words of a row of the layer whose weights are drawn; what is loaded before.
        "<initialiser.fsm_state> == 3 -> <initialiser.layer> != 3",
        "<initialiser.word$*> <= (<initialiser.layer> == 0 ? 2 : 0)",
        "<initialiser.fsm_state> == 1 | <initialiser.fsm_state> == 2"
        " -> <initialiser.last_input> == 47",
        # Words of flags follow those of trits.
        "<forward.trits.valid> == (<forward.push$*> & <forward.complete$*>)",
    )
    return Relation(
        looked_at,
        holds=(*shared.holds, *map(_implied, holds)),
        memories=("trainer.loss", "trainer.quantizer"),
    )


def _implied(text: str) -> str:
    """Verilog of ``premise -> conclusion``."""
    premise, arrow, conclusion = text.rpartition(" -> ")
    return f"~({premise}) | {conclusion}" if arrow else text
