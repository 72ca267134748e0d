"""trisign: generator of synthesizable hardware that trains ternary neural networks."""

__version__ = "0.1.0"
