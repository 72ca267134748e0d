"""Proofs that a mutant is equivalent: what nobody looks at counts, and a wrong premise is found."""

from __future__ import annotations

import pytest
from mutation.netlist import Mutants
from mutation.relation import Relation

# A register whose payload is taken on only with its valid bit, and a count that stays below 3.
STAGE = """
module stage(clk, rst, i, go, o, valid, count);
  input clk;
  input rst;
  input [1:0] i;
  input go;
  output [1:0] o;
  output valid;
  output [1:0] count;
  reg [1:0] o = 2'h0;
  reg valid = 1'h0;
  reg [1:0] count = 2'h0;
  always @(posedge clk) begin
    o <= go ? i : o;
    valid <= rst ? 1'h0 : go;
    count <= (rst | count[1]) ? 2'h0 : count + go;
  end
endmodule
"""
LOOKED_AT = {"o": "<valid>"}
BELOW = "<count> != 3"


@pytest.fixture(scope="module")
def mutants() -> Mutants:
    return Mutants(STAGE, "stage", 60)


def equivalents(mutants: Mutants, relation: Relation) -> set[str]:
    names = mutants.names()
    assert len(set(names.values())) == len(names)
    return {names[k] for k in mutants.equivalents(list(names), relation)}


def test_only_what_is_looked_at_counts(mutants: Mutants) -> None:
    always = equivalents(mutants, Relation())
    while_valid = equivalents(mutants, Relation(LOOKED_AT))
    below = equivalents(mutants, Relation(holds=(BELOW,)))
    stuck = {n for n in while_valid - always if "o <= go" in n}
    assert always < while_valid < set(mutants.names().values())
    assert stuck == while_valid - always, "only what is written without valid"
    assert all("count" in n for n in below - always)


@pytest.mark.parametrize(
    "relation",
    [
        Relation(holds=("<count> != 2",)),  # does not last
        Relation(holds=("<valid> == 1",)),  # is not true after reset
        Relation(given=("<go> & ~<go>",)),  # never
        Relation(looked_at={"count": "<valid>"}),  # it is looked at
    ],
)
def test_a_wrong_premise_is_found(mutants: Mutants, relation: Relation) -> None:
    with pytest.raises(RuntimeError, match="does not hold of the original"):
        mutants.equivalents([1], relation)


# A memory beside logic: what it answers is free, what it is asked to do is compared.
STORE = """
module store(clk, rst, write, address, data, o);
  input clk;
  input rst;
  input write;
  input [1:0] address;
  input [1:0] data;
  output [1:0] o;
  reg [1:0] words [3:0];
  reg [1:0] held = 2'h0;
  always @(posedge clk) if (write) words[address] <= data ^ 2'h1;
  always @(posedge clk) held <= rst ? 2'h0 : words[address];
  assign o = held[1] ? held : 2'h0;
endmodule
"""
TOP = (
    STORE.split("reg")[0].replace("store", "top")
    + """store inner
  (.clk(clk), .rst(rst), .write(write), .address(address), .data(data), .o(o));
endmodule
"""
)


def test_memories_beside_logic() -> None:
    mutants = Mutants(STORE + TOP, "top", 60, spared=("?words",))
    own = Relation({"inner.held[0]": "<>[1]"}, memories=("store",))
    always = equivalents(mutants, Relation(memories=("store",)))
    assert always < equivalents(mutants, own) < set(mutants.names().values())
    with pytest.raises(RuntimeError, match="does not hold of the original"):
        mutants.equivalents([1], Relation({"inner.held": "1'b0"}, memories=("store",)))


def test_names_that_are_not_there(mutants: Mutants) -> None:
    with pytest.raises(ValueError, match="<gone>: there is no such register or input"):
        mutants.equivalents([1], Relation(given=("<gone>",)))
    with pytest.raises(ValueError, match="gone: there is no such register or output"):
        mutants.equivalents([1], Relation(looked_at={"gone": "<valid>"}))
