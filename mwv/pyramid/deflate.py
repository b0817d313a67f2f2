"""Bytes in, a zlib stream (RFC 1950, 1951) of one dynamic Huffman block out, always the same for the same bytes.

Made for tiles: weights have no repetitions worth looking for, padding is one byte repeated, so the only matches are runs
(distance 1). We write this ourselves because of what was measured: ISA-L's level 1, the fastest library, now and then
(once in some thousand tiles) gives another stream for the same tile, so that equal inputs would not make byte-identical
sites. This takes as long as ISA-L (2.9 ns a pixel on real codes, by scripts/bench), and the stream is as short. Other
libraries take more than twice as long: on noise zlib-ng, Huffman codes alone, 5.3, libdeflate 9.6, zlib 12, this 1.8.
"""

from typing import Any, Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from mwv.compiled import compiled

_LONGEST: Final = 258
_ORDER: Final = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], np.int64)
"""The order in which lengths of the code of code lengths are stored (RFC 1951, 3.2.7)."""


def _length_symbols() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each match length: its symbol, the number of its extra bits and their value (RFC 1951, 3.2.5)."""
    symbols, widths, extras = (np.zeros(_LONGEST + 1, np.int64) for _ in range(3))
    length = 3
    for symbol in range(257, 285):
        width = max((symbol - 261) // 4, 0)
        for extra in range(1 << width):
            if length <= _LONGEST:
                symbols[length], widths[length], extras[length] = symbol, width, extra
                length += 1
    symbols[_LONGEST], widths[_LONGEST], extras[_LONGEST] = 285, 0, 0
    return symbols, widths, extras


_LENGTH_SYMBOL, _LENGTH_WIDTH, _LENGTH_EXTRA = _length_symbols()


@compiled()
def _find_runs(data: Any, runs: Any) -> int:
    """Runs of at least 16 equal bytes, in order, as (start, end) in the rows of `runs`; returns how many.

    A run of 16 bytes fills an aligned word of eight, so only words are looked at. Shorter runs are left alone: as matches
    they would cost noise of few different bytes, such as ternary weights, more than they save.
    """
    words = data[: data.size // 8 * 8].view(np.uint64)
    found = last = word = 0
    while word < words.size:
        if words[word] != (words[word] & np.uint64(255)) * np.uint64(0x0101010101010101):
            word += 1
            continue
        byte = data[8 * word]
        start, end = 8 * word, 8 * word + 8
        while start > last and data[start - 1] == byte:
            start -= 1
        while end < data.size and data[end] == byte:
            end += 1
        if end - start >= 16:
            runs[found, 0], runs[found, 1] = start, end
            found += 1
            last = end
        word = (end + 7) // 8
    return found


@compiled()
def _split_run(length: int) -> tuple[int, int, int]:
    """A run as one literal, so many matches of 258, a match of this length (0 for none), and so many literals."""
    full, rest = divmod(length - 1, 258)
    return (full, rest, 0) if rest >= 3 else (full, 0, rest)


@compiled()
def _count(data: Any, runs: Any, found: int, length_symbol: Any, counts: Any) -> int:
    """Count symbols (286) of all bytes, runs as matches and the rest as literals; returns how many matches there are."""
    # Four counters in turn, since equal neighbours would wait for each other's store.
    parts = np.zeros(4 * 256, np.uint32)
    matches = 0
    i = 0
    for k in range(found + 1):
        end = runs[k, 0] + 1 if k < found else data.size
        while i + 4 <= end:
            parts[np.uint32(data[i])] += np.uint32(1)
            parts[np.uint32(256) | np.uint32(data[i + 1])] += np.uint32(1)
            parts[np.uint32(512) | np.uint32(data[i + 2])] += np.uint32(1)
            parts[np.uint32(768) | np.uint32(data[i + 3])] += np.uint32(1)
            i += 4
        while i < end:
            parts[np.uint32(data[i])] += np.uint32(1)
            i += 1
        if k < found:
            full, rest, literals = _split_run(runs[k, 1] - runs[k, 0])
            counts[285] += full
            counts[length_symbol[rest]] += min(rest, 1)
            matches += full + min(rest, 1)
            i = runs[k, 1] - literals
    for j in range(parts.size):
        counts[j & 255] += parts[j]
    counts[256] = 1
    return matches


@compiled()
def _code_lengths(counts: Any, limit: int) -> Any:
    """Lengths of a Huffman code for symbols by count, none longer than `limit`; at least two symbols get a code.

    Only loops over scalars: sorting and searching from numpy would multiply the time that compiling takes.
    """
    lengths = np.zeros(counts.size, np.int64)
    order = np.zeros(counts.size, np.int64)
    weight = np.zeros(2 * counts.size, np.int64)
    parent = np.zeros(2 * counts.size, np.int64)
    flatter = 0
    while True:
        n = 0
        for symbol in range(counts.size):
            if counts[symbol] > 0:
                k = n
                size = ((counts[symbol] - 1) >> flatter) + 1
                while k > 0 and weight[k - 1] > size:
                    weight[k], order[k] = weight[k - 1], order[k - 1]
                    k -= 1
                weight[k], order[k] = size, symbol
                n += 1
        if n < 2:
            break
        # Two queues: leaves by weight, and inner nodes, which come into being by rising weight.
        leaf, inner = 0, n
        for node in range(n, 2 * n - 1):
            weight[node] = 0
            for _ in range(2):
                if leaf < n and (inner >= node or weight[leaf] <= weight[inner]):
                    child = leaf
                    leaf += 1
                else:
                    child = inner
                    inner += 1
                weight[node] += weight[child]
                parent[child] = node
        # From the root down, a parent's place turns into its depth.
        longest = 0
        parent[2 * n - 2] = 0
        for node in range(2 * n - 3, -1, -1):
            parent[node] = parent[parent[node]] + 1
            longest = max(longest, parent[node])
        if longest <= limit:
            break
        # Flatter weights make a flatter tree; it ends at the latest when all are 1.
        flatter += 1
    for k in range(n):
        lengths[order[k]] = parent[k] if n > 1 else 1
    if n < 2:
        lengths[1 if lengths[0] else 0] = 1
    return lengths


@compiled()
def _codes(lengths: Any) -> Any:
    """Canonical codes of given lengths (RFC 1951, 3.2.2), bits reversed since deflate packs from the lowest bit."""
    codes = np.zeros(lengths.size, np.int64)
    code = 0
    for length in range(1, 16):
        code <<= 1
        for symbol in range(lengths.size):
            if lengths[symbol] == length:
                reverse = 0
                for bit in range(length):
                    reverse |= ((code >> bit) & 1) << (length - 1 - bit)
                codes[symbol] = reverse
                code += 1
    return codes


@compiled()
def _put(out: Any, position: int, value: int, width: int) -> int:
    """Put bits at a bit position of zeroed bytes; the position behind them."""
    for bit in range(width):
        if (value >> bit) & 1:
            out[(position + bit) >> 3] |= np.uint8(1 << ((position + bit) & 7))
    return position + width


@compiled()
def _header_symbols(lengths: Any, symbols: Any, extras: Any, counts: Any) -> tuple[int, int]:
    """Code lengths, and that of the one distance code, as symbols of the code of code lengths (RFC 1951, 3.2.7).

    Only zeros are put in runs. Returns how many code lengths and how many symbols there are.
    """
    last = 286
    while last > 257 and lengths[last - 1] == 0:
        last -= 1
    used = i = 0
    while i < last + 1:
        run = 0
        while i + run < last and lengths[i + run] == 0 and run < 138:
            run += 1
        symbols[used] = lengths[i] if i < last else 1
        extras[used] = 0
        if run >= 3:
            symbols[used] = 18 if run >= 11 else 17
            extras[used] = run - (11 if run >= 11 else 3)
        i += run if run >= 3 else 1
        counts[symbols[used]] += 1
        used += 1
    return last, used


@compiled()
def _put_header(out: Any, last: int, symbols: Any, extras: Any, used: int, meta: Any, codes: Any, order: Any) -> int:
    """The zlib header and that of a final dynamic block; the bit position behind them."""
    out[0], out[1] = 0x78, 0x01
    stored = 19
    while stored > 4 and meta[order[stored - 1]] == 0:
        stored -= 1
    # Final block, dynamic codes; number of codes of literals and lengths, of distances (one), of code lengths.
    value = 1 | 2 << 1 | (last - 257) << 3 | 0 << 8 | (stored - 4) << 13
    position = _put(out, 16, value, 17)
    for k in range(stored + used):
        value, width = 0, 3
        if k < stored:
            value = meta[order[k]]
        else:
            symbol = symbols[k - stored]
            value, width = codes[symbol] | extras[k - stored] << meta[symbol], meta[symbol]
            if symbol >= 17:
                width += 7 if symbol == 18 else 3
        position = _put(out, position, value, width)
    return int(position)


@compiled()
def _put_data(
    words: Any, out: Any, position: int, data: Any, runs: Any, found: int, codes: Any, symbols: Any, widths: Any, extras: Any
) -> int:
    """Pack all symbols into 32-bit words (`out` is the same as bytes) from a bit position on; the position behind them.

    An entry of `codes` is a code in its lower 32 bits and the code's width above them. Two literals have at most 30 bits, so
    they fit behind 31 waiting ones; taking two at a time halves the chain of shifts.
    """
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    i = 0
    for k in range(found + 1):
        end = runs[k, 0] + 1 if k < found else data.size
        word = position >> 5
        full = np.uint64(position & 31)
        bits = np.uint64(words[word])
        while i < end:
            code = codes[data[i]]
            value, width = code & low, code >> half
            if i + 1 < end:
                code = codes[data[i + 1]]
                value |= (code & low) << width
                width += code >> half
            bits |= value << full
            full += width
            if full >= half:
                words[word] = np.uint32(bits & low)
                word += 1
                bits >>= half
                full -= half
            i += 2
        words[word] = np.uint32(bits & low)
        position = int((word << 5) + np.int64(full))
        if k < found:
            whole, rest, literals = _split_run(runs[k, 1] - runs[k, 0])
            for match in range(whole + min(rest, 1)):
                length = 258 if match < whole else rest
                code = codes[symbols[length]]
                width = np.int64(code >> half)
                # The bit behind the extra bits is 0, the code of the only distance, 1.
                position = _put(out, position, np.int64(code & low) | extras[length] << width, width + widths[length] + 1)
            i = runs[k, 1] - literals
    code = codes[256]
    return int(_put(out, position, np.int64(code & low), np.int64(code >> half)))


def compress(data: NDArray[np.uint8]) -> bytes:
    """The zlib stream of a contiguous array of bytes of any shape."""
    flat = data.reshape(-1)
    runs = np.empty((flat.size // 16 + 1, 2), np.int64)
    found = _find_runs(flat, runs)
    counts = np.zeros(286, np.int64)
    matches = _count(flat, runs, found, _LENGTH_SYMBOL, counts)
    lengths = _code_lengths(counts, 15)
    symbols, extras = np.empty(287, np.int64), np.empty(287, np.int64)
    meta_counts = np.zeros(19, np.int64)
    last, used = _header_symbols(lengths, symbols, extras, meta_counts)
    meta = _code_lengths(meta_counts, 7)
    # An upper bound: a match has at most 5 extra bits and one for its distance, a symbol of the header 14 bits.
    bits = int(counts @ lengths) + 6 * matches + 14 * (used + 19) + 64
    words = np.zeros((bits >> 5) + 2, np.uint32)
    out = words.view(np.uint8)
    position = _put_header(out, last, symbols, extras, used, meta, _codes(meta), _ORDER)
    codes = _codes(lengths).astype(np.uint64) | lengths.astype(np.uint64) << np.uint64(32)
    end = _put_data(words, out, position, flat, runs, found, codes, _LENGTH_SYMBOL, _LENGTH_WIDTH, _LENGTH_EXTRA)
    return out[: (end + 7) >> 3].tobytes() + isal_zlib.adler32(data).to_bytes(4, "big")
