"""Bytes in, a zlib stream (RFC 1950, 1951) of one dynamic Huffman block out, always the same for the same bytes.

Made for tiles: weights have no repetitions worth looking for, padding is one byte repeated, so the only matches are runs
(distance 1). We write this ourselves because of what was measured: ISA-L's level 1, the fastest library, now and then
(once in some thousand tiles) gives another stream for the same tile, so that equal inputs would not make byte-identical
sites. This takes 1.15 ns a pixel where ISA-L takes 2.9, and the stream is as short. Other libraries take longer still: on
noise zlib-ng, Huffman codes alone, 5.3, libdeflate 9.6, zlib 12.
"""

from typing import Any, Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from mwv.compiled import compiled

LIMIT: Final = 14
"""Bits of the longest code. The format allows 15; four of 14 fit into 64 bits behind the 7 of a byte begun."""
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
def _count_bytes(data: Any) -> Any:
    # Four counters in turn, since equal neighbours would wait for each other's store.
    parts = np.zeros((4, 256), np.uint32)
    fours = data.size // 4 * 4
    for i in range(0, fours, 4):
        parts[0, data[i]] += np.uint32(1)
        parts[1, data[i + 1]] += np.uint32(1)
        parts[2, data[i + 2]] += np.uint32(1)
        parts[3, data[i + 3]] += np.uint32(1)
    for i in range(fours, data.size):
        parts[0, data[i]] += np.uint32(1)
    counts = np.zeros(256, np.int64)
    for part in parts:
        for byte in range(256):
            counts[byte] += part[byte]
    return counts


@compiled()
def _count_symbols(data: Any, counts: Any, runs: Any, found: int, length_symbol: Any) -> Any:
    """How often each symbol (286) occurs, by counts of all bytes: runs are matches, the rest literals."""
    symbols = np.zeros(286, np.int64)
    symbols[:256] = counts
    symbols[256] = 1
    for k in range(found):
        full, rest, literals = _split_run(runs[k, 1] - runs[k, 0])
        symbols[data[runs[k, 0]]] -= runs[k, 1] - runs[k, 0] - 1 - literals
        symbols[285] += full
        symbols[length_symbol[rest]] += min(rest, 1)
    return symbols


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
def _put(words: Any, position: int, value: int, width: int) -> int:
    """Put up to 57 bits at a bit position, behind which there is nothing yet; the position behind them.

    Of `words` one begins at every byte. They are stored whole, so that behind the last bit of all there are only zeros.
    """
    waiting = words[position >> 3] & np.uint64(255) if position & 7 else np.uint64(0)
    words[position >> 3] = waiting | np.uint64(value) << np.uint64(position & 7)
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
def _put_header(words: Any, lengths: Any, order: Any) -> int:
    """The zlib header and that of a final dynamic block; the bit position behind them."""
    symbols, extras = np.empty(287, np.int64), np.empty(287, np.int64)
    counts = np.zeros(19, np.int64)
    last, used = _header_symbols(lengths, symbols, extras, counts)
    meta = _code_lengths(counts, 7)
    codes = _codes(meta)
    stored = 19
    while stored > 4 and meta[order[stored - 1]] == 0:
        stored -= 1
    position = _put(words, 0, 0x0178, 16)
    # Final block, dynamic codes; number of codes of literals and lengths, of distances (one), of code lengths.
    position = _put(words, position, 1 | 2 << 1 | (last - 257) << 3 | 0 << 8 | (stored - 4) << 13, 17)
    for k in range(stored):
        position = _put(words, position, meta[order[k]], 3)
    for k in range(used):
        symbol = symbols[k]
        more = 0 if symbol < 17 else 3 if symbol == 17 else 7
        position = _put(words, position, codes[symbol] | extras[k] << meta[symbol], meta[symbol] + more)
    return int(position)


@compiled()
def _put_literals(words: Any, position: int, data: Any, start: int, end: int, codes: Any) -> int:
    """Put bytes `start` to `end` - 1 by their codes (code << 8 | width); the position behind them.

    Four codes of `LIMIT` bits fit behind 7 waiting ones; so many at a time make the chain of shifts short, and whole bytes
    are stored without a branch. All is unsigned, since a signed index costs a look at its sign.
    """
    byte, eight = np.uint64(255), np.uint64(8)
    at, full = np.uint64(position >> 3), np.uint64(position & 7)
    bits = words[at] & byte if full else np.uint64(0)
    for four in range(np.uint64((end - start) // 4)):
        i = np.uint64(start) + np.uint64(4) * np.uint64(four)
        a, b = codes[data[i]], codes[data[i + np.uint64(1)]]
        c, d = codes[data[i + np.uint64(2)]], codes[data[i + np.uint64(3)]]
        left, left_width = a >> eight | (b >> eight) << (a & byte), (a & byte) + (b & byte)
        right, right_width = c >> eight | (d >> eight) << (c & byte), (c & byte) + (d & byte)
        bits |= (left | right << left_width) << full
        full += left_width + right_width
        words[at] = bits
        at += full >> np.uint64(3)
        bits >>= full & np.uint64(56)
        full &= np.uint64(7)
    words[at] = bits
    behind = np.int64(at << np.uint64(3) | full)
    for byte_at in range(end - (end - start) % 4, end):
        code = codes[data[byte_at]]
        behind = _put(words, behind, code >> eight, np.int64(code & byte))
    return int(behind)


@compiled()
def _deflate(data: Any, counts: Any, words: Any, symbols: Any, widths: Any, extras: Any, order: Any) -> int:
    """The stream but for its checksum in `words`, of which one begins at every byte; returns the bytes that it has."""
    runs = np.empty((data.size // 16 + 1, 2), np.int64)
    found = _find_runs(data, runs)
    lengths = _code_lengths(_count_symbols(data, counts, runs, found, symbols), LIMIT)
    codes = _codes(lengths)
    packed = np.empty(286, np.uint64)
    for symbol in range(286):
        packed[symbol] = codes[symbol] << 8 | lengths[symbol]
    position = _put_header(words, lengths, order)
    i = 0
    for k in range(found):
        position = _put_literals(words, position, data, i, runs[k, 0] + 1, packed)
        whole, rest, literals = _split_run(runs[k, 1] - runs[k, 0])
        for match in range(whole + min(rest, 1)):
            length = 258 if match < whole else rest
            symbol = symbols[length]
            # The bit behind the extra bits is 0, the code of the only distance, 1.
            value, width = codes[symbol] | extras[length] << lengths[symbol], lengths[symbol] + widths[length] + 1
            position = _put(words, position, value, width)
        i = runs[k, 1] - literals
    position = _put_literals(words, position, data, i, data.size, packed)
    return int(_put(words, position, codes[256], lengths[256]) + 7) >> 3


def count_bytes(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each byte (256) occurs in a contiguous array of any shape."""
    counts: NDArray[np.int64] = _count_bytes(data.reshape(-1))
    return counts


def compress(data: NDArray[np.uint8], counts: NDArray[np.int64]) -> bytes:
    """The zlib stream of a contiguous array of bytes of any shape, of which there are `counts`."""
    flat = data.reshape(-1)
    # Enough for bytes of the longest code; only what is written takes memory.
    out = np.empty(flat.size * LIMIT // 8 + 1024, np.uint8)
    words: NDArray[np.uint64] = np.ndarray((out.size - 7,), np.uint64, out, strides=(1,))
    size = _deflate(flat, counts, words, _LENGTH_SYMBOL, _LENGTH_WIDTH, _LENGTH_EXTRA, _ORDER)
    return out[:size].tobytes() + isal_zlib.adler32(data).to_bytes(4, "big")
