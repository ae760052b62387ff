"""Seeds of random generators."""


def combined_seed(*numbers: int) -> int:
    """One seed from several (the 64-bit FNV-1a hash)."""
    value = 0xCBF29CE484222325
    for number in numbers:
        for byte in int(number).to_bytes(8, "little", signed=True):
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value >> 1
