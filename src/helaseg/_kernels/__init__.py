"""Compiled kernels over plain arrays: no objects, no errors, no defaults.

Callers pass C-contiguous arrays of the documented dtypes; the public twins in
`helaseg.image` and `helaseg.metrics` validate, pad and convert. A kernel calls
only functions of its own file, because numba's cache does not notice an edit
in another one.
"""
