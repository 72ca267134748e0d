"""The specification: parameter objects, the bit-exact integer model, float references."""
