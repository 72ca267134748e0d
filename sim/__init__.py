"""cocotb benches, stream agents, scoreboard and simulator runner."""
