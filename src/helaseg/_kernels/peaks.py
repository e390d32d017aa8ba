"""Local maxima of an image: candidates, the test of a window of any size, spacing of ties."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Rows and columns of a tile, and tiles along each side of a block.
TILE = 16


@kernel
def _highest_of_rows(above, here, below, out):
    """The highest of three pixels on top of each other."""
    for x in range(out.size):
        high = above[x] if above[x] > here[x] else here[x]
        out[x] = below[x] if below[x] > high else high


@kernel
def _mark_highest(here, left, middle, right, threshold, out):
    """Mark pixels above a threshold that none of their neighbours exceeds."""
    for x in range(out.size):
        v = here[x]
        out[x] = (v >= left[x]) & (v >= middle[x]) & (v >= right[x]) & (v > threshold)


@kernel
def _raise_row(here, out):
    """Lift `out` to the pixels of a row that are higher."""
    for x in range(out.size):
        out[x] = here[x] if here[x] > out[x] else out[x]


@kernel
def _list_row(marks, first, places, n):
    """Append the places of the marks of a row from `n` on; how many there are then."""
    # whole words of 8 pixels, so that stretches without marks are passed over quickly
    words = marks.view(np.uint64)
    for word in range(words.size):
        if words[word] != 0:
            for x in range(8 * word, 8 * word + 8):
                # always written, counted when it is one: a branch would often be guessed wrong
                places[n] = first + x
                n += np.int64(marks[x])
    return n


@kernel
def list_candidates(image, threshold, start, stop, places, tiles):
    """List pixels that none of their eight neighbours exceeds, until the list might be too short.

    Parameters
    ----------
    image : (H, W) float32 or float64
        Without NaN.
    threshold : image's type
        Only higher pixels are listed.
    start, stop : int
        Rows to begin with and to end before. `start` is a multiple of `TILE`,
        `stop` too or H.
    places : (N,) int64, out
        Ravelled indices in raster order.
    tiles : (ceil(H / TILE), ceil(W / TILE)) like image, out
        The highest pixel of each tile in these rows.

    Returns
    -------
    next_start, n_places : int
        Row to go on with (`stop` when done) and pixels listed.

    Notes
    -----
    - N is at least ``TILE * W + 8``.
    - Beyond the border of the image there are no neighbours.
    """
    height, width = image.shape
    marks = np.zeros((width + 7) // 8 * 8, np.uint8)
    # the highest of three rows, with one column more on either side
    columns = np.empty(width + 2, image.dtype)
    heights = np.empty(width, image.dtype)
    n = 0
    for top in range(start, stop, TILE):
        if n + TILE * width + 8 > places.size:
            return top, n
        bottom = min(top + TILE, stop) - 1
        heights[:] = image[top]
        for y in range(top, bottom + 1):
            _highest_of_rows(
                image[max(y - 1, 0)], image[y], image[min(y + 1, height - 1)], columns[1:-1]
            )
            # each three rows that were taken together, and what is left of them at the end
            if (y - top) % 3 == 1 and y < bottom:
                _raise_row(columns[1:-1], heights)
            elif y >= bottom - 1:
                _raise_row(image[y], heights)
            columns[0] = columns[1]
            columns[-1] = columns[-2]
            _mark_highest(
                image[y], columns[:-2], columns[1:-1], columns[2:], threshold, marks[:width]
            )
            n = _list_row(marks, y * width, places, n)
        for tile in range(tiles.shape[1]):
            tiles[top // TILE, tile] = heights[tile * TILE : (tile + 1) * TILE].max()
    return stop, n


@kernel
def join_tiles(tiles, blocks):
    """The highest pixel of each block of tiles.

    Parameters
    ----------
    tiles : (R, C) float32 or float64
        From `list_candidates`.
    blocks : (ceil(R / TILE), ceil(C / TILE)) like tiles, out
    """
    for row in range(blocks.shape[0]):
        for column in range(blocks.shape[1]):
            blocks[row, column] = tiles[
                row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE
            ].max()


@kernel
def _is_exceeded(image, tiles, blocks, y, x, radius):
    """Return whether a window holds a higher pixel than the one in its middle."""
    height, width = image.shape
    v = image[y, x]
    top, bottom = max(y - radius, 0), min(y + radius, height - 1)
    left, right = max(x - radius, 0), min(x + radius, width - 1)
    if radius >= TILE - 1 and tiles[y // TILE, x // TILE] > v:
        # its own tile lies within the window
        return True
    side = TILE * TILE
    for row in range(top // side, bottom // side + 1):
        for column in range(left // side, right // side + 1):
            if blocks[row, column] <= v:
                continue
            for r in range(max(row * TILE, top // TILE), min((row + 1) * TILE, bottom // TILE + 1)):
                y0, y1 = max(r * TILE, top), min((r + 1) * TILE, bottom + 1)
                whole = y1 - y0 == min(TILE, height - r * TILE)
                for c in range(
                    max(column * TILE, left // TILE), min((column + 1) * TILE, right // TILE + 1)
                ):
                    if tiles[r, c] <= v:
                        continue
                    x0, x1 = max(c * TILE, left), min((c + 1) * TILE, right + 1)
                    if whole and x1 - x0 == min(TILE, width - c * TILE):
                        return True
                    for i in range(y0, y1):
                        for j in range(x0, x1):
                            if image[i, j] > v:
                                return True
    return False


@kernel
def mark_unexceeded(image, tiles, blocks, radius, places, out):
    """Mark candidates that no pixel of a square window exceeds.

    Parameters
    ----------
    image : (H, W) float32 or float64
    tiles, blocks : float arrays like image
        From `list_candidates` and `join_tiles`.
    radius : int
        The window covers ``2 * radius + 1`` rows and columns, at the border fewer.
    places : (N,) int64
        Ravelled indices of candidates.
    out : (N,) bool, out

    Notes
    -----
    - Blocks, then tiles that are nowhere higher are passed over, and one higher
      tile within the window decides, so the time hardly depends on the radius.
    """
    width = image.shape[1]
    for i in range(places.size):
        y = places[i] // width
        out[i] = not _is_exceeded(image, tiles, blocks, y, places[i] - y * width, radius)


@kernel
def mark_spaced(rows, columns, distance, cells, out):
    """Mark points one after the other unless a marked one is too near.

    Parameters
    ----------
    rows, columns : (N,) int64
        Points in the order in which they go first.
    distance : int
        Smallest number of rows or columns between two marked points.
    cells : (ceil(H / distance), ceil(W / distance)) int64, in and out
        -1 everywhere; then the point in each cell, of which there cannot be two.
    out : (N,) bool, out
    """
    for i in range(rows.size):
        row = rows[i] // distance
        column = columns[i] // distance
        out[i] = True
        for r in range(max(row - 1, 0), min(row + 2, cells.shape[0])):
            for c in range(max(column - 1, 0), min(column + 2, cells.shape[1])):
                other = cells[r, c]
                if other >= 0:
                    apart = max(abs(rows[other] - rows[i]), abs(columns[other] - columns[i]))
                    if apart < distance:
                        out[i] = False
        if out[i]:
            cells[row, column] = i
