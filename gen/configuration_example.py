"""The annotated example of docs/configuration.md: ``digits-icebreaker``, every key written out."""

EXAMPLE = """\
[design]
name = "digits-icebreaker"      # the file's name where it is left out
board = "icebreaker"            # one of `trisign boards`; the only key that must be given
description = "8x8 digits, 64 hidden units"

[network]
layers = [192, 64, 10]          # 64 pixels in 3 planes, 64 hidden units, 10 classes
# input_shape = [8, 8, 3]       # with convolutions only; `layers` then describes each layer
rule = "counter"                # trits and saturating counters
loss = "crammer_singer"         # errors are trits
margin = 22                     # M: learn until the label leads by so much
threshold = 3                   # r: for all layers; [3, 0] would be one a layer
window = 7                      # a: errors pass while |z| is at most 10
offset = 0                      # b: 1 to 5 in the convolutions that are shipped
confidence = 0                  # theta: every error sum but 0 counts
gradient_confidence = 0         # alpha: so does every gradient
counter_width = 6               # F: 32 gradients of one sign move a weight
gate_shift = 1                  # s: a group is written with probability 1/2
rng_group = 32                  # lanes that share a draw
probability_shift = 4           # rule "ema_dst" only
counter_increment = 1           # more in the golden engine only
schedule = []                   # [[10, "margin", 32]] would raise M after ten epochs

[network.precision]             # loss "squared_hinge" only
input_width = 16                # follows from the network there
width = 4                       # bits of an error
width_search = false
width_min = 2                   # of the search
width_max = 8
exponent = 0
exponent_max = 15
dynamic_exponent = true         # the exponent follows the overflows
window = 64                     # errors that a decision rests on
overflow_base = 0               # 0 to 3 overflows permitted, drawn for each window
overflow_random_bits = 2
stochastic = true               # rounding
error_measure = "absolute"
widen_shift = 1
narrow_shift = 3
patience = 4
count_width = 16

[hardware]
lanes = 32                      # P: trits multiplied in a cycle
rows = 1                        # R: rows of weights at a time
structure = "balanced"          # dot product: fewest LUTs at few levels
pipeline = [5]                  # a register after 5 of its 12 LUT levels
memory_register = false
counter_lanes = 4               # 24 bits: two SPRAMs side by side
counter_spill = 0
single_port = ["counters", "samples"]   # these go to SPRAM
accumulator_lanes = 0           # convolutions only
monitor = false                 # saves logic cells
gate_shift_max = 3              # what `gate_shift` can be set to while running
store_samples = 1437            # the whole training set on chip
pixel_width = 4                 # pixels 0 to 15
planes = [[1, 4], [6, 9], [11, 15]]     # (lo, hi): a trit each for every pixel
image = [8, 8]                  # so that images can be shifted
baud = 1000000
"""
