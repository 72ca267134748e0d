"""Walks over what a unit sees at a position: tap by tap, a granule a cycle."""

from amaranth import Array, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.checks import signed_width
from .convolution_plan import ConvolutionPlan


def map_address(plan: ConvolutionPlan) -> range:
    """Range of an address in the memory of maps."""
    return range(max(plan.map_depth, 2))


def side_shape(plan: ConvolutionPlan) -> object:
    """Shape of a row or a column of an image, the border around it included."""
    reach = max(max(p.shape.height, p.shape.width) + p.shape.border for p in plan.layers)
    return signed(signed_width(-max(p.shape.border for p in plan.layers), reach))


def of_layer(plan: ConvolutionPlan, layer: Signal, value: object) -> Value:
    """``value(layer)`` of the layer table; a constant where all layers agree."""
    values = [value(p) for p in plan.layers]  # type: ignore[operator]
    if len({*values}) == 1:
        return Const(values[0])
    return Array(values)[layer]


class TapWalker(wiring.Component):
    """Addresses of the granules of a row, in the order in which they lie in the row.

    Golden: ``golden.layers.LayerShape.taps``.

    Members
    -------
    layer : In
        Constant while taps are walked.
    start : In(1), ready : Out(1)
        Begin where ``ready``; the first tap is there in the next cycle. ``ready`` is high in the
        cycle of the last tap, so that walks follow each other closely.
    y, x : In(signed), address : In, choice : In
        Tap (0, 0) of the first position of a pooled cell, and which position of the cell it is.
    valid : Out(1), advance : In(1)
        A tap is there; the next one comes where ``advance``.
    tap_address : Out, inside : Out(1)
        Address of the granule in the memory of maps; it has none where the tap lies outside.
    granule, word, slot : Out
        Where it lies in the row.
    word_end, last : Out(1)
        It is the last of its word, of the row.
    """

    def __init__(self, plan: ConvolutionPlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "layer": In(range(len(plan.layers))),
                "start": In(1),
                "ready": Out(1),
                "y": In(side_shape(plan)),
                "x": In(side_shape(plan)),
                "address": In(map_address(plan)),
                "choice": In(max(plan.choice_width, 1)),
                "valid": Out(1),
                "advance": In(1),
                "tap_address": Out(map_address(plan)),
                "inside": Out(1),
                "granule": Out(range(max(plan.gradient_depth, 2))),
                "word": Out(range(max(plan.window_words, 2))),
                "slot": Out(range(max(2, *(p.slots for p in plan.layers)))),
                "word_end": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan

        def table(value: object) -> Value:
            return of_layer(plan, self.layer, value)

        # Where in the cell the position lies
        def offset(value: object) -> Value:
            choices = range(1 << max(plan.choice_width, 1))
            found = [table(lambda p, k=k: value(p, k)) for k in choices]  # type: ignore[operator]
            return Array(found)[self.choice]

        y = Signal.like(self.y)
        x = Signal.like(self.x)
        kx = Signal(range(max(2, *(p.across for p in plan.layers))))
        part = Signal(range(max(2, *(p.pixel_words for p in plan.layers))))
        part_end = Signal()
        line_end = Signal()
        m.d.comb += [
            self.inside.eq(
                (y >= 0)
                & (y < table(lambda p: p.shape.height))
                & (x >= 0)
                & (x < table(lambda p: p.shape.width))
            ),
            part_end.eq(part == table(lambda p: p.pixel_words - 1)),
            line_end.eq(part_end & (kx == table(lambda p: p.across - 1))),
            self.last.eq(self.granule == table(lambda p: p.granules - 1)),
            self.word_end.eq(self.last | (self.slot == table(lambda p: p.slots - 1))),
            self.ready.eq(~self.valid | (self.advance & self.last)),
        ]
        with m.If(self.valid & self.advance):
            m.d.sync += [
                self.granule.eq(self.granule + 1),
                self.slot.eq(Mux(self.word_end, 0, self.slot + 1)),
                self.word.eq(self.word + self.word_end),
                self.tap_address.eq(
                    self.tap_address
                    + Mux(
                        line_end,
                        table(lambda p: 1 + (p.shape.width - p.across) * p.pixel_words),
                        1,
                    )
                ),
                part.eq(Mux(part_end, 0, part + 1)),
                self.valid.eq(~self.last),
            ]
            with m.If(line_end):
                m.d.sync += [
                    kx.eq(0),
                    x.eq(x - table(lambda p: p.across - 1)),
                    y.eq(y + 1),
                ]
            with m.Elif(part_end):
                m.d.sync += [kx.eq(kx + 1), x.eq(x + 1)]
        with m.If(self.start & self.ready):
            m.d.sync += [
                self.valid.eq(1),
                self.granule.eq(0),
                self.slot.eq(0),
                self.word.eq(0),
                kx.eq(0),
                part.eq(0),
                y.eq(self.y + offset(lambda p, k: k // p.shape.pool)),
                x.eq(self.x + offset(lambda p, k: k % p.shape.pool)),
                self.tap_address.eq(
                    self.address
                    + offset(
                        lambda p, k: (
                            (k // p.shape.pool * p.shape.width + k % p.shape.pool) * p.pixel_words
                        )
                    )
                ),
            ]
        return m


class CellWalker(wiring.Component):
    """Where the pooled cells of a layer lie: tap (0, 0) of the first position of each.

    Golden: ``golden.layers.LayerShape.places``.

    Members
    -------
    layer : In, buffer : In(1)
        Constant while cells are walked; ``buffer`` is that of the network's input.
    restart, step : In(1)
        Go to the first cell, to the next one; in the next cycle it is there.
    y, x : Out(signed), address : Out
    """

    def __init__(self, plan: ConvolutionPlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "layer": In(range(len(plan.layers))),
                "buffer": In(1),
                "restart": In(1),
                "step": In(1),
                "y": Out(side_shape(plan)),
                "x": Out(side_shape(plan)),
                "address": Out(map_address(plan)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan

        def table(value: object) -> Value:
            return of_layer(plan, self.layer, value)

        modulus = 1 << len(self.address)

        def first(p: object) -> int:
            s = p.shape  # type: ignore[attr-defined]
            corner = s.width * s.border + s.border - p.lead  # type: ignore[attr-defined]
            return (p.map_base - corner * p.pixel_words) % modulus  # type: ignore[attr-defined]

        column = Signal(range(max(2, *(p.cell_columns for p in plan.layers))))
        last_column = column == table(lambda p: p.cell_columns - 1)
        border = table(lambda p: p.shape.border)
        left = table(lambda p: p.lead - p.shape.border)
        second = Signal(range(plan.pixels + 1))
        m.d.comb += second.eq(Mux((self.layer == 0) & self.buffer, plan.pixels, 0))
        with m.If(self.restart):
            m.d.sync += [
                column.eq(0),
                self.y.eq(-border),
                self.x.eq(left),
                self.address.eq(table(first) + second),
            ]
        with m.Elif(self.step):
            pool = table(lambda p: p.shape.pool)
            m.d.sync += [
                column.eq(Mux(last_column, 0, column + 1)),
                self.x.eq(Mux(last_column, left, self.x + pool)),
                self.y.eq(self.y + Mux(last_column, pool, 0)),
                self.address.eq(
                    self.address
                    + Mux(
                        last_column,
                        table(
                            lambda p: (
                                (p.shape.pool * p.shape.width - (p.cell_columns - 1) * p.shape.pool)
                                * p.pixel_words
                            )
                        ),
                        table(lambda p: p.shape.pool * p.pixel_words),
                    )
                ),
            ]
        return m
